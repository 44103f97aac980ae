"""The raw rows: deliberately dirty, at rates measured on the real sources and fixed beforehand."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Any

from codefit.micro.faults import fault_table
from codefit.micro.raw_alpaca import alpaca_rows
from codefit.micro.raw_taco import taco_rows
from codefit.micro.tasks import tasks


@cache
def raw_tables(seed: int = 0) -> dict[str, list[dict[str, Any]]]:
    """Return the raw rows as two tables, `code_alpaca` and `taco`, in their own columns.

    Compositions are training ones, except in the planted leaks, which repeat tasks of the test
    set. Column `planted` is for people and tests only and must not be read by logic.
    """
    sizes = fault_table()["sizes"]
    rng = Random(f"micro raw {seed}")
    tables = {
        "code_alpaca": alpaca_rows(sizes["code_alpaca"], tasks("test"), rng),
        "taco": taco_rows(sizes["taco"], tasks("test"), rng),
    }
    for rows in tables.values():
        rng.shuffle(rows)
    return tables


def raw_rows(seed: int = 0) -> list[dict[str, Any]]:
    """Return both tables as one list in a mixed order that the seed fixes."""
    rows = [row for table in raw_tables(seed).values() for row in table]
    Random(f"micro raw order {seed}").shuffle(rows)
    return rows
