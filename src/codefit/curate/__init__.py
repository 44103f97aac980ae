"""Curation: raw rows in, verified, diverse rows out that are separate from the test sets."""

from codefit.core.curation import CurateSettings, DecontaminateSettings, VerifySettings
from codefit.curate.decontaminate import Hit, Separation, decontaminate, review
from codefit.curate.funnel import FunnelResult, curate
from codefit.curate.rows_io import read_dropped, read_rows, write_rows
from codefit.curate.verify import verify_rows

__all__ = [
    "CurateSettings",
    "DecontaminateSettings",
    "FunnelResult",
    "Hit",
    "Separation",
    "VerifySettings",
    "curate",
    "decontaminate",
    "read_dropped",
    "read_rows",
    "review",
    "verify_rows",
    "write_rows",
]
