"""Rows as flat records of text columns, and back: the one layout of every file of rows that codefit writes."""

from __future__ import annotations

from typing import Any

from codefit.core.errors import InputError
from codefit.core.files import without_surrogates
from codefit.core.types import Row
from codefit.core.values import dump, load, tests_from_json, tests_to_json

TEXT_LISTS = ("solutions", "tags")
COLUMNS = (
    "id",
    "source",
    "instruction",
    "response",
    "language",
    "tests",
    "solutions",
    "difficulty",
    "tags",
    "licence",
    "extra",
)
"""All columns hold text or null, those of `TEXT_LISTS` lists of text; `tests` and `extra` are JSON."""
_REQUIRED = ("id", "source", "instruction", "response")
_OPTIONAL = ("language", "difficulty", "licence")


def is_record(record: dict[str, Any]) -> bool:
    """Return True if a record has the columns of our own files of rows."""
    return all(name in record for name in COLUMNS)


def record_of(row: Row) -> dict[str, Any]:
    """Return a row as a record; texts that UTF-8 cannot hold get a mark."""
    plain = {name: getattr(row, name) for name in (*_REQUIRED, *_OPTIONAL)}
    lists = {name: list(getattr(row, name)) for name in TEXT_LISTS}
    packed = {"tests": tests_to_json(row.tests) if row.tests else None, "extra": dump(dict(row.extra))}
    record = without_surrogates(plain | lists | packed)
    return {name: record[name] for name in COLUMNS}


def row_of(record: dict[str, Any]) -> Row:
    """Return the row of a record; raises `InputError` (no place) where a column is not as we write it."""
    for name in _REQUIRED:
        if not isinstance(record[name], str):
            raise InputError(f"column '{name}' is not text")
    for name in (*_OPTIONAL, "tests", "extra"):
        if not isinstance(record[name], str | None):
            raise InputError(f"column '{name}' is neither text nor null")
    return Row(
        **{name: record[name] for name in (*_REQUIRED, *_OPTIONAL)},
        solutions=_texts(record, "solutions"),
        tags=_texts(record, "tags"),
        tests=_json(record, "tests", tests_from_json),
        extra=_json(record, "extra", load) or {},
    )


def _texts(record: dict[str, Any], name: str) -> tuple[str, ...]:
    value = record[name] or ()
    if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
        raise InputError(f"column '{name}' is not a list of texts")
    return tuple(value)


def _json(record: dict[str, Any], name: str, parse: Any) -> Any:
    text = record[name]
    try:
        return parse(text) if text else None
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as e:
        raise InputError(f"column '{name}' does not hold what codefit writes there") from e
