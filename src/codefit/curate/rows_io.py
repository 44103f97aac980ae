"""Rows as Parquet and back, every field."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from codefit.core.errors import InputError
from codefit.core.files import atomic_path
from codefit.core.rows import COLUMNS, TEXT_LISTS, record_of, row_of
from codefit.core.types import Dropped, Row

_TEXT, _TEXTS = pa.string(), pa.list_(pa.string())
SCHEMA = pa.schema([(name, _TEXTS if name in TEXT_LISTS else _TEXT) for name in COLUMNS])
DROPPED_SCHEMA = pa.schema([("row_id", _TEXT), ("step", _TEXT), ("reason", _TEXT)])
_BATCH_ROWS = 1_000


def write_rows(path: Path, rows: Iterable[Row]) -> int:
    """Write rows as Parquet, atomically, and return how many; equal rows give equal bytes."""
    return _write(path, SCHEMA, map(record_of, rows))


def write_dropped(path: Path, dropped: Iterable[Dropped]) -> int:
    """Write the drop ledger as Parquet (row id, step, reason), atomically."""
    return _write(
        path, DROPPED_SCHEMA, ({"row_id": d.row_id, "step": d.step, "reason": d.reason} for d in dropped)
    )


def write_tables(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> int:
    """Write tables with a schema's columns one after another: the bytes that their rows one by one would give."""
    n = 0
    rest = schema.empty_table()
    with atomic_path(path) as temp, pq.ParquetWriter(temp, schema, compression="zstd") as writer:
        for table in tables:
            n += table.num_rows
            rest = pa.concat_tables([rest, table.select(schema.names).cast(schema)])
            while rest.num_rows >= _BATCH_ROWS:
                writer.write_table(rest.slice(0, _BATCH_ROWS).combine_chunks())
                rest = rest.slice(_BATCH_ROWS)
            rest = rest.combine_chunks()
        writer.write_table(rest)
    return n


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a file that `write_rows` wrote; raises `InputError` for another file."""
    try:
        with pq.ParquetFile(path) as file:
            missing = [name for name in SCHEMA.names if name not in file.schema_arrow.names]
            if missing:
                raise InputError(f"has no column '{missing[0]}'", where=str(path), todo="give a file of rows")
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                yield from map(row_of, batch.to_pylist())
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
