"""Duplicates by one key: a shuffle by the key, and the best row of each key by the rule of `preference`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from codefit.core.files import atomic_path, digest
from codefit.core.types import Row
from codefit.curate.dedup_exact import content_key
from codefit.curate.dedup_near import request_words
from codefit.curate.sharded.ranks import Prefix, preferences, quantiles
from codefit.curate.step import Context
from codefit.scale.pieces import Piece
from codefit.scale.shuffle import Keys, partition_of, read_partition, write_partitions

KEYS, LOSERS, COPIES = "keys.arrow", "losers.parquet", "copies.parquet"
_LOSERS = pa.schema([("shard", pa.int32()), ("row", pa.int32()), ("reason", pa.string())])
_COPIES = pa.schema([("shard", pa.int32()), ("row", pa.int32()), ("id", pa.string()), ("best_shard", pa.int32()),
                     ("best_row", pa.int32()), ("best_id", pa.string())])  # fmt: skip


def request_key(row: Row) -> str:
    """Hash the request's words: rows with one key have the same request, case and spacing aside."""
    return digest(request_words(row))


_KEY_OF = {"content": content_key, "request": request_key}


def write_keys(path: Path, kind: str, rows: Sequence[Row], ctx: Context, partitions: int) -> list[Prefix]:
    """Write (key, position, preference) of a shard's rows, by partition; return sampled preferences.

    Keys are 64 bits of a hash; `kind` is `content` (exact duplicates) or `request`.
    """
    keys = np.array([int(_KEY_OF[kind](row), 16) for row in rows], np.uint64)
    ranks = preferences(rows, ctx)
    columns = {"key": keys, "row": np.arange(len(rows), dtype=np.int32), **ranks}
    write_partitions(path, pa.table(columns), partition_of(keys, partitions), partitions)
    return quantiles(ranks)


def find_copies(piece: Piece) -> Mapping[str, Any]:
    """Reduce one partition of keys: name every row that has a better one with the same key."""
    tables = list(read_partition(piece.inputs["keys"], piece.options["partition"]))
    copies: list[dict[str, Any]] = []
    if tables:
        keys: Keys = np.concatenate([table["key"].to_numpy() for _, table in tables])
        values, counts = np.unique(keys, return_counts=True)
        groups: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
        for record in _having(tables, values[counts > 1]):
            groups[record["key"]].append(record)
        copies = [copy for group in groups.values() for copy in _copies(group)]
    copies.sort(key=lambda copy: (copy["shard"], copy["row"]))
    _write(piece.file(COPIES), copies, _COPIES)
    return {"copies": len(copies)}


def _having(tables: Iterable[tuple[int, pa.Table]], keys: Keys) -> Iterator[dict[str, Any]]:
    for shard, table in tables:
        for record in table.filter(pa.array(np.isin(table["key"].to_numpy(), keys))).to_pylist():
            yield record | {"shard": shard}


def _copies(group: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a group but the best; the last part of a preference is the row's id."""
    ranks = sorted(name for name in group[0] if name.startswith("rank"))
    best = min(group, key=lambda record: [record[name] for name in ranks])
    for record in group:
        if record is not best:
            yield {"shard": record["shard"], "row": record["row"], "id": record[ranks[-1]],
                   "best_shard": best["shard"], "best_row": best["row"], "best_id": best[ranks[-1]]}  # fmt: skip


def name_losers(piece: Piece) -> Mapping[str, Any]:
    """Turn the copies of one partition into rows to drop, with the reason."""
    copies = read_copies(piece.inputs["copies"])
    losers = [(c["shard"], c["row"], f"duplicate of {c['best_id']}") for c in copies]
    write_losers(piece.file(LOSERS), losers)
    return {"losers": len(losers)}


def read_copies(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Return the copies of files that `find_copies` wrote."""
    return [record for path in paths for record in pq.read_table(path).to_pylist()]


def write_losers(path: Path, losers: Iterable[tuple[int, int, str]]) -> None:
    """Write (shard, position, reason), in order of place."""
    ordered = [dict(zip(_LOSERS.names, loser, strict=True)) for loser in sorted(losers)]
    _write(path, ordered, _LOSERS)


def read_losers(paths: Sequence[Path], shard: int) -> dict[int, str]:
    """Return position -> reason of a shard's rows that go."""
    found: dict[int, str] = {}
    for path in paths:
        table = pq.read_table(path, filters=[("shard", "=", shard)])
        found |= zip(table["row"].to_pylist(), table["reason"].to_pylist(), strict=True)
    return found


def _write(path: Path, records: list[dict[str, Any]], schema: pa.Schema) -> None:
    with atomic_path(path) as temp:
        pq.write_table(pa.Table.from_pylist(records, schema), temp, compression="zstd", row_group_size=10_000)
