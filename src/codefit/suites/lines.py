"""Reading of data files whose faults are named by file and line, and counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from codefit.core.errors import InputError, InputErrors
from codefit.core.files import read_jsonl

T = TypeVar("T")
_BATCH_ROWS = 500
_SHAPE_FAULTS = (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError)


def parsed_lines(
    path: Path, parse: Callable[[dict[str, Any]], T], *, strict: bool, problems: list[str]
) -> Iterator[tuple[int, T]]:
    """Yield (line number, parsed record) of a JSON Lines file, or of a Parquet file by its name.

    A line that cannot be used is named in `problems` and skipped; with `strict` all of them are
    raised at the end as `InputErrors`. `parse` raises `ValueError` or `KeyError` for a bad record.
    """
    faults: list[InputError] = []
    rows = read_parquet(path) if path.suffix == ".parquet" else read_jsonl(path, faults.append)
    for number, row in rows:
        try:
            yield number, parse(row)
        except InputError as e:
            faults.append(InputError(e.what, where=f"{path}:{number}", todo=e.todo))
        except _SHAPE_FAULTS as e:
            faults.append(InputError(_said(e), where=f"{path}:{number}", todo="fix or remove the line"))
    if strict and faults:
        raise InputErrors(faults)
    problems.extend(f.line() for f in faults)


def read_parquet(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (row number, record) of a Parquet file; raises `InputError` where it is not one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.exists():
        raise InputError("no such file", where=str(path))
    try:
        with pq.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                for record in batch.to_pylist():
                    number += 1
                    yield number, record
    except (pa.ArrowException, OSError) as e:
        raise InputError(f"not a readable Parquet file: {e}", where=str(path)) from e


def _said(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"field {error} is missing"
    return str(error) or type(error).__name__
