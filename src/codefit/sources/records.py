"""Raw records of a data file or a folder: JSON Lines, JSON lists (gzip too), Parquet and Arrow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from codefit.core.errors import InputError
from codefit.core.files import DAMAGED, BadLine, open_bytes, parse_json, read_jsonl

Record = tuple[str, dict[str, Any]]
SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".parquet", ".arrow")
_BATCH_ROWS = 512
_ARROW_STREAM = b"\xff\xff\xff\xff"


def read_records(path: Path, on_bad: BadLine | None = None) -> Iterator[Record]:
    """Yield (place, record) of a data file, or of all data files in a folder by name.

    The place is `file:line`, as an error message names it. A record that cannot be used goes to
    `on_bad`; without `on_bad` it raises. Raises `InputError` for a file that is missing, damaged
    or of another format.
    """
    for file in data_files(path):
        yield from _reader(file)(file, on_bad)


def data_files(path: Path) -> list[Path]:
    """Return the data files that a path means: itself, or those of a folder in order of name."""
    if not path.is_dir():
        if not path.exists():
            raise InputError("no such file", where=str(path), todo="check the path")
        return [path]
    files = sorted(p for p in path.rglob("*") if p.is_file() and p.name.lower().endswith(SUFFIXES))
    if not files:
        raise InputError(
            "the folder holds no data file", where=str(path), todo=f"known: {', '.join(SUFFIXES)}"
        )
    return files


def _reader(path: Path) -> Callable[[Path, BadLine | None], Iterator[Record]]:
    with open_bytes(path) as f:
        try:
            head = f.read(64).lstrip()
        except DAMAGED as e:
            raise InputError(f"damaged: {e}", where=str(path)) from e
    if head.startswith(b"PAR1") or path.suffix.lower() == ".parquet":
        return _parquet
    if head.startswith((b"ARROW1", _ARROW_STREAM)) or path.suffix.lower() == ".arrow":
        return _arrow
    return _json_list if head.startswith(b"[") else _json_lines


def _json_lines(path: Path, on_bad: BadLine | None) -> Iterator[Record]:
    for number, record in read_jsonl(path, on_bad):
        yield f"{path}:{number}", record


def _json_list(path: Path, on_bad: BadLine | None) -> Iterator[Record]:
    try:
        with open_bytes(path) as f:
            values = parse_json(f.read().decode("utf-8-sig"))
    except (*DAMAGED, ValueError, RecursionError) as e:
        raise InputError(f"not a readable JSON list: {e}", where=str(path)) from e
    for number, value in enumerate(values, start=1):
        where = f"{path}:item {number}"
        if isinstance(value, dict):
            yield where, value
        else:
            reject(InputError(f"not a JSON object but {type(value).__name__}", where=where), on_bad)


def _parquet(path: Path, on_bad: BadLine | None) -> Iterator[Record]:
    def batches() -> Iterator[Any]:
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=_BATCH_ROWS)

    yield from _columnar(path, "Parquet", batches)


def _arrow(path: Path, on_bad: BadLine | None) -> Iterator[Record]:
    def batches() -> Iterator[Any]:
        with pa.memory_map(str(path)) as memory:
            if memory.read(6) == b"ARROW1":
                reader = pa.ipc.open_file(memory)
                yield from (reader.get_batch(i) for i in range(reader.num_record_batches))
            else:
                memory.seek(0)
                yield from pa.ipc.open_stream(memory)

    yield from _columnar(path, "Arrow", batches)


def _columnar(path: Path, kind: str, batches: Callable[[], Iterator[Any]]) -> Iterator[Record]:
    number = 0
    try:
        for batch in batches():
            for record in batch.to_pylist():
                number += 1
                yield f"{path}:row {number}", record
    except (pa.ArrowException, OSError, UnicodeDecodeError) as e:
        after = f" after row {number}" if number else ""
        raise InputError(
            f"not a readable {kind} file{after}: {e}", where=str(path), todo="copy or download the file again"
        ) from e


def reject(error: InputError, on_bad: BadLine | None) -> None:
    """Hand a record's fault to `on_bad`, or raise it where there is none (strict)."""
    if on_bad is None:
        raise error
    on_bad(error)


__all__ = ["SUFFIXES", "Record", "data_files", "read_records", "reject"]
