"""The embedded micro world's dirty raw rows, in Code Alpaca's and TACO's own schemas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from codefit.core.errors import InputError
from codefit.core.files import BadLine, canonical_json, digest
from codefit.core.types import Row
from codefit.sources import code_alpaca, taco
from codefit.sources.base import RecordSource
from codefit.sources.records import Record

LICENCE = "Apache-2.0"
TABLES = ("code_alpaca", "taco")
ABOUT = "small tasks of our own making with planted faults at stated rates; a stand-in, not real data"


def open_micro(
    *,
    name: str = "micro",
    licence: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    table: str | None = None,
) -> RecordSource:
    """Return the source of the micro world's raw rows for a seed: of one of its two `TABLES`, or of both."""
    place = f"micro(seed={seed}{f', split={table}' if table else ''})"

    def raw() -> list[dict[str, Any]]:
        from codefit import micro  # late: building the rows takes a moment and only this source needs it

        return list(micro.raw_tables(seed)[table] if table else micro.raw_rows(seed))

    def records(on_bad: BadLine | None) -> Iterator[Record]:
        for number, record in enumerate(raw(), start=1):
            yield f"{place}:row {number}", record

    return RecordSource(
        name=name,
        kind="micro",
        licence=licence or LICENCE,
        about=ABOUT,
        convert=to_row,
        place=place,
        records=records,
        content_hash=lambda: digest(*map(canonical_json, raw())),
        limit=limit,
    )


def to_row(record: dict[str, Any]) -> Row:
    """Turn a record in either schema into a row."""
    if "question" in record:
        return taco.to_row(record)
    if "instruction" in record:
        return code_alpaca.to_row(record)
    raise InputError("is in neither Code Alpaca's nor TACO's columns")
