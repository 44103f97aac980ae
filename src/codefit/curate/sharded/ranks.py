"""The place of every row in the order from the best to the worst: a sort by sampled ranges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from codefit.core.files import atomic_path
from codefit.core.types import Row
from codefit.curate.dedup_exact import preference
from codefit.curate.step import Context
from codefit.scale.pieces import Done, Piece, Runner
from codefit.scale.shuffle import read_partition, write_partitions

RANKS = "ranks.parquet"
_PREFERENCES = "preferences.arrow"
_QUANTILES = 64
_GROUP_ROWS = 10_000

Prefix = tuple[int, ...]
"""A preference without its last part, the id."""


def preferences(rows: Sequence[Row], ctx: Context) -> dict[str, list[Any]]:
    """Return the parts of the rows' preferences as columns rank0, rank1, …; the last one is the id."""
    ranked = [preference(row, ctx) for row in rows]
    columns = [list(column) for column in zip(*ranked, strict=True)]
    return {f"rank{i}": [*map(int, c)] if i < len(columns) - 1 else c for i, c in enumerate(columns)}


def quantiles(columns: Mapping[str, list[Any]]) -> list[Prefix]:
    """Return evenly spaced preferences of a shard, to cut all of them into ranges."""
    ordered = sorted(zip(*list(columns.values())[:-1], strict=True))
    return ordered[:: max(1, len(ordered) // _QUANTILES)]


def boundaries(samples: Sequence[Sequence[Sequence[int]]], parts: int) -> list[list[int]]:
    """Return the first preference of every range but the lowest; ranges hold about equally many rows."""
    ordered = sorted(tuple(sample) for shard in samples for sample in shard)
    cuts = {ordered[len(ordered) * part // parts] for part in range(1, parts)} if ordered else set()
    return [list(cut) for cut in sorted(cuts)]


def rank(
    runner: Runner, work: Path, shards: Sequence[Done], keys: Sequence[Path], partitions: int
) -> tuple[list[Path], list[int]]:
    """Return files of (shard, row, rank within the range) and the rank at which each range begins."""
    cuts = boundaries([shard.summary["quantiles"] for shard in shards], partitions)
    mapped = runner.run(
        "rank",
        _spread,
        [
            Piece(
                work / "rank" / path.parent.name, {"keys": (path,)}, {"cuts": cuts, "partitions": partitions}
            )
            for path in keys
        ],
    )
    files = tuple(piece.file(_PREFERENCES) for piece in mapped)
    reduced = runner.run(
        "rank-sort",
        _sort,
        [Piece(work / "rank-sort" / f"{p:04}", {"rows": files}, {"range": p}) for p in range(len(cuts) + 1)],
    )
    sizes = [piece.summary["rows"] for piece in reduced]
    begins = [sum(sizes[:number]) for number in range(len(sizes))]
    return [piece.file(RANKS) for piece in reduced], begins


def _spread(piece: Piece) -> Mapping[str, Any]:
    """Write a shard's preferences by range."""
    parts = (read_partition([piece.one("keys")], p) for p in range(piece.options["partitions"]))
    tables = [table.drop_columns(["key"]) for part in parts for _, table in part]
    table = pa.concat_tables(tables) if tables else pa.table({"row": pa.array([], pa.int32())})
    names = _rank_names(table)[:-1]
    range_of = np.zeros(table.num_rows, np.int64)
    for cut in piece.options["cuts"]:
        above = np.zeros(table.num_rows, np.bool_)
        equal = np.ones(table.num_rows, np.bool_)
        for name, value in zip(names, cut, strict=bool(names)):
            column = table[name].to_numpy()
            above |= equal & (column > value)
            equal &= column == value
        range_of += above | equal
    write_partitions(piece.file(_PREFERENCES), table, range_of, len(piece.options["cuts"]) + 1)
    return {"rows": table.num_rows}


def _sort(piece: Piece) -> Mapping[str, Any]:
    """Sort one range of preferences of all shards."""
    paths = piece.inputs["rows"]
    tables = [
        table.append_column("shard", pa.array(np.full(table.num_rows, number, np.int32)))
        for number, table in read_partition(paths, piece.options["range"])
    ]
    columns = {"shard": pa.int32(), "row": pa.int32(), "rank": pa.int64()}
    found = pa.schema(columns).empty_table()
    if tables:
        table = pa.concat_tables(tables)
        ordered = table.sort_by([(name, "ascending") for name in _rank_names(table)])
        found = pa.table(
            {"shard": ordered["shard"], "row": ordered["row"], "rank": np.arange(table.num_rows)}
        ).sort_by([("shard", "ascending"), ("row", "ascending")])
    with atomic_path(piece.file(RANKS)) as temp:
        pq.write_table(found, temp, compression="zstd", row_group_size=_GROUP_ROWS)
    return {"rows": found.num_rows}


def _rank_names(table: pa.Table) -> list[str]:
    return sorted(name for name in table.column_names if name.startswith("rank"))


def ranks_of(paths: Sequence[Path], begins: Sequence[int], shard: int, rows: int) -> npt.NDArray[np.int64]:
    """Return the rank of every row of a shard."""
    found = np.full(rows, -1, np.int64)
    for path, begin in zip(paths, begins, strict=True):
        table = pq.read_table(path, filters=[("shard", "=", shard)])
        found[table["row"].to_numpy()] = table["rank"].to_numpy() + begin
    return found
