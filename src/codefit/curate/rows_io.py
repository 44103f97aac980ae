"""Rows as Parquet and back, every field."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from codefit.core.errors import InputError
from codefit.core.files import atomic_path
from codefit.core.types import Dropped, Row
from codefit.curate.values import dump, load, tests_from_json, tests_to_json

_TEXT, _TEXTS = pa.string(), pa.list_(pa.string())
SCHEMA = pa.schema(
    [
        ("id", _TEXT),
        ("source", _TEXT),
        ("instruction", _TEXT),
        ("response", _TEXT),
        ("language", _TEXT),
        ("tests", _TEXT),
        ("solutions", _TEXTS),
        ("difficulty", _TEXT),
        ("tags", _TEXTS),
        ("licence", _TEXT),
        ("extra", _TEXT),
    ]
)
DROPPED_SCHEMA = pa.schema([("row_id", _TEXT), ("step", _TEXT), ("reason", _TEXT)])
_BATCH_ROWS = 1_000


def write_rows(path: Path, rows: Iterable[Row]) -> int:
    """Write rows as Parquet, atomically, and return how many; equal rows give equal bytes."""
    return _write(path, SCHEMA, (_record(row) for row in rows))


def write_dropped(path: Path, dropped: Iterable[Dropped]) -> int:
    """Write the drop ledger as Parquet (row id, step, reason), atomically."""
    return _write(
        path, DROPPED_SCHEMA, ({"row_id": d.row_id, "step": d.step, "reason": d.reason} for d in dropped)
    )


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a file that `write_rows` wrote; raises `InputError` for another file."""
    try:
        with pq.ParquetFile(path) as file:
            missing = [name for name in SCHEMA.names if name not in file.schema_arrow.names]
            if missing:
                raise InputError(f"has no column '{missing[0]}'", where=str(path), todo="give a file of rows")
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                yield from map(_row, batch.to_pylist())
    except (pa.ArrowException, OSError) as e:
        raise InputError(f"not a readable Parquet file: {e}", where=str(path)) from e


def read_dropped(path: Path) -> Iterator[Dropped]:
    """Yield the entries of a drop ledger."""
    try:
        records = pq.read_table(path).to_pylist()
    except (pa.ArrowException, OSError) as e:
        raise InputError(f"not a readable Parquet file: {e}", where=str(path)) from e
    yield from (Dropped(r["row_id"], r["step"], r["reason"]) for r in records)


def _write(path: Path, schema: pa.Schema, records: Iterable[dict[str, Any]]) -> int:
    n = 0
    batch: list[dict[str, Any]] = []
    with atomic_path(path) as temp, pq.ParquetWriter(temp, schema, compression="zstd") as writer:
        for record in records:
            batch.append(record)
            n += 1
            if len(batch) == _BATCH_ROWS:
                writer.write_table(pa.Table.from_pylist(batch, schema))
                batch = []
        writer.write_table(pa.Table.from_pylist(batch, schema))
    return n


def _record(row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "source": row.source,
        "instruction": _utf8(row.instruction),
        "response": _utf8(row.response),
        "language": row.language,
        "tests": tests_to_json(row.tests) if row.tests else None,
        "solutions": [_utf8(s) for s in row.solutions],
        "difficulty": row.difficulty,
        "tags": list(row.tags),
        "licence": row.licence,
        "extra": dump(dict(row.extra)),
    }


def _utf8(text: str) -> str:
    """Replace lone surrogates, which Parquet cannot hold."""
    return text.encode("utf-8", "replace").decode("utf-8") if not text.isascii() else text


def _row(record: dict[str, Any]) -> Row:
    tests = record["tests"]
    return Row(
        **{
            k: record[k]
            for k in ("id", "source", "instruction", "response", "language", "difficulty", "licence")
        },
        tests=tests_from_json(tests) if tests else None,
        solutions=tuple(record["solutions"] or ()),
        tags=tuple(record["tags"] or ()),
        extra=load(record["extra"]) if record["extra"] else {},
    )
