"""Shards: Parquet files of rows in reading order, each row with the facts that steps noted on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from codefit.core.errors import InputError
from codefit.core.files import atomic_path, digest, read_jsonl, write_jsonl
from codefit.core.rows import record_of, row_of
from codefit.core.types import Row
from codefit.core.values import dump, load
from codefit.curate.pairs import function_ids
from codefit.curate.rows_io import SCHEMA
from codefit.scale.pieces import Done, clear, finish, finished
from codefit.scale.shuffle import Keys

ROWS, DROPPED = "rows.parquet", "dropped.parquet"
FACTS = "facts"
VERDICTS = "verdicts.jsonl"
SHARD_SCHEMA = SCHEMA.append(pa.field(FACTS, pa.string()))
_BATCH_ROWS = 2_000
_NO_FACTS = dump({})


@dataclass(frozen=True)
class Input:
    """Where rows come from: `key` names content and reading, `rows` reads them once, in order.

    `describe` is asked when all are read; its answer goes into the card.
    """

    key: str
    rows: Callable[[], Iterator[Row]]
    describe: Callable[[], list[dict[str, Any]]] = list


def write_shard(path: Path, rows: Iterable[Row], facts: Iterable[dict[str, Any]] | None = None) -> None:
    """Write a shard of rows and facts, atomically."""
    records = map(record_of, rows)
    noted = map(dump, facts) if facts is not None else iter(lambda: _NO_FACTS, None)
    with atomic_path(path) as temp, pq.ParquetWriter(temp, SHARD_SCHEMA, compression="zstd") as writer:
        while batch := list(islice(records, _BATCH_ROWS)):
            for record in batch:
                record[FACTS] = next(noted)
            writer.write_table(pa.Table.from_pylist(batch, SHARD_SCHEMA))


def write_verdicts(folder: Path, verdicts: Mapping[str, Any]) -> None:
    """Write what `verify` found of rows that were dropped later on: the data card counts them."""
    write_jsonl(folder / VERDICTS, ({"row_id": i, "verdict": v} for i, v in verdicts.items() if v))


def read_verdicts(folder: Path) -> dict[str, dict[str, Any]]:
    """Return row id -> facts, as far as `write_verdicts` kept them."""
    return {line["row_id"]: {"verdict": line["verdict"]} for _, line in read_jsonl(folder / VERDICTS)}


def read_shard(path: Path, kept: Sequence[int] | None = None) -> tuple[list[Row], list[dict[str, Any]]]:
    """Return a shard's rows and facts, of all positions or of those in `kept`."""
    table = pq.read_table(path)
    if kept is not None:
        table = table.take(pa.array(kept, pa.int64()))
    rows, facts = [], []
    for batch in table.to_batches(max_chunksize=_BATCH_ROWS):
        for record in batch.to_pylist():
            facts.append(load(record.pop(FACTS)))
            rows.append(row_of(record))
    return rows, facts


def split(
    source: Input, folder: Path, code: str, shard_rows: int, on_rows: Callable[[int], None]
) -> list[Done]:
    """Cut the rows into shards of `shard_rows`, in reading order; nothing is read if that is done.

    `on_rows` hears how many rows have been read.

    Raises `InputError` where two rows have one id, or there are none.
    """
    key = digest("split", code, source.key, str(shard_rows))
    whole = finished(folder, key)
    if whole is not None:
        found = [finished(folder / name, key) for name in whole.summary["shards"]]
        if all(found):
            return [shard for shard in found if shard]
    clear(folder)
    folder.mkdir(parents=True)
    shards: list[Done] = []
    ids: list[Keys] = []
    rows = source.rows()
    while batch := list(islice(rows, shard_rows)):
        on_rows(len(shards) * shard_rows + len(batch))
        piece = folder / f"{len(shards):06}"
        piece.mkdir()
        write_shard(piece / ROWS, batch)
        functions = sorted(function_ids(row.id for row in batch))
        shards.append(finish(piece, key, {"rows": len(batch), "function_ids": functions}))
        ids.append(np.array([int(digest(row.id), 16) for row in batch], np.uint64))
    if not shards:
        raise InputError("there are no rows to curate", where="sources", todo="check the sources' paths")
    _refuse_repeated(ids, shards)
    named = [shard.folder.name for shard in shards]
    finish(folder, key, {"shards": named, "sources": source.describe()})
    return shards


def described(folder: Path, code: str, source: Input, shard_rows: int) -> list[dict[str, Any]]:
    """Return the sources' descriptions as they stood when the rows were read."""
    whole = finished(folder, digest("split", code, source.key, str(shard_rows)))
    return list(whole.summary["sources"]) if whole else []


def _refuse_repeated(ids: list[Keys], shards: list[Done]) -> None:
    """Raise if an id occurs twice; only the hashes of ids are held in memory."""
    hashes, counts = np.unique(np.concatenate(ids), return_counts=True)
    twice = set(hashes[counts > 1].tolist())
    seen: set[str] = set()
    for hashed, shard in zip(ids, shards, strict=True) if twice else ():
        for position in np.flatnonzero(np.isin(hashed, list(twice))).tolist():
            row_id = pq.read_table(shard.file(ROWS), columns=["id"])["id"][position].as_py()
            if row_id in seen:
                raise InputError(
                    f"two rows have the id '{row_id}'", where="sources", todo="give each source its own name"
                )
            seen.add(row_id)
