"""Near-duplicates over shards, first part: a sketch per row, shuffles by band key, and pairs.

The result is that of `curate.near` on all rows at once, for any shards: a group of rows with one
key lies in one partition, and is cut into pairs by the same function. The sketches and texts
that a pair needs are looked up in files of the shards, mapped into memory, of which only the pages
in use are read. Inside this module a row is named by its place: `shard << 32 | position in the
shard's sketch`.
"""

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
from codefit.curate.near import WINDOW, Sketch, Texts, column_pairs, plausible, sketch
from codefit.curate.sharded.job import read_job
from codefit.curate.sharded.ranks import ranks_of
from codefit.scale.pieces import Piece
from codefit.scale.shuffle import Keys, partition_of, read_partition, write_partitions

Ints = npt.NDArray[np.int64]
PAIRS = "pairs.arrow"
SKETCH, TEXTS, KEYS = "sketch.arrow", "texts.arrow", "keys.arrow"
_CHUNK_PAIRS = 1 << 16


def make_sketch(piece: Piece) -> Mapping[str, Any]:
    """Sketch a shard's rows whose request is their own, and lay their texts out for looking up."""
    shard = piece.options["number"]
    table = pq.read_table(piece.one("rows"), columns=["id", "instruction", "response", "tests"])
    copies = [pq.read_table(path, filters=[("shard", "=", shard)])["row"] for path in piece.inputs["copies"]]
    rows = np.setdiff1d(np.arange(table.num_rows), np.concatenate([column.to_numpy() for column in copies]))
    ranks = ranks_of(piece.inputs["ranks"], piece.options["begins"], shard, table.num_rows)[rows]
    table = table.take(pa.array(rows)).append_column("row", pa.array(rows.astype(np.int32)))
    made = sketch(texts_of(table), read_job(piece.one("job")).rule)
    keys = {f"key{number:02}": key_D for number, key_D in enumerate(made.keys_DB.T)}
    minima = pa.FixedSizeListArray.from_arrays(pa.array(made.minima_DP.reshape(-1)), made.minima_DP.shape[1])
    _lay_out(piece, SKETCH, pa.table({"rank": ranks, "shingles": made.shingles_D, **keys, "minima": minima}))
    _lay_out(piece, TEXTS, table)
    first = pa.table({"key": keys["key00"], "next": keys["key00"], "rank": ranks, "at": np.arange(len(rows))})
    return _spread(piece, [first])


def pair_same(piece: Piece) -> Mapping[str, Any]:
    """Pair every row with the best one that has the very same shingles."""
    records = _Records(piece)
    return records.write(column_pairs(records.key, None, 0))


def spread_bands(piece: Piece) -> Mapping[str, Any]:
    """Write the keys of a shard's bands by partition, without the rows that equal a better one."""
    table = mapped(piece.one("sketch"))
    active = np.ones(table.num_rows, np.bool_)
    for path in piece.inputs["same"]:
        worse = mapped(path)["worse"].to_numpy()
        active[worse[worse >> 32 == piece.options["number"]] & 0xFFFFFFFF] = False
    at = np.flatnonzero(active)
    table = table.take(pa.array(at))
    keys = [table[name] for name in table.column_names if name.startswith("key")][1:]
    following = [*keys[1:], keys[0]]
    columns = {"rank": table["rank"], "at": at}
    return _spread(
        piece,
        [
            pa.table({"key": key, "next": after, **columns})
            for key, after in zip(keys, following, strict=True)
        ],
    )


def pair_bands(piece: Piece) -> Mapping[str, Any]:
    """Pair rows with an equal key in a band; keep the pairs that are plausible by their sketches."""
    rule = read_job(piece.one("job")).rule
    records = _Records(piece)
    pairs = column_pairs(records.key, records.following, WINDOW)
    kept = [np.zeros((0, 2), np.int64)]
    for begin in range(0, len(pairs), _CHUNK_PAIRS):
        some = pairs[begin : begin + _CHUNK_PAIRS]
        places, at = np.unique(records.place[some], return_inverse=True)
        found = look_up(piece.inputs["sketches"], places, ["shingles", "minima"])
        minima = found["minima"].combine_chunks().flatten().to_numpy().reshape(len(places), -1)
        part = Sketch(np.zeros((len(places), 0), np.uint64), minima, found["shingles"].to_numpy())
        kept.append(some[plausible(part, rule, at.reshape(-1, 2))])
    return records.write(np.concatenate(kept))


class _Records:
    """The records of one partition of keys, best row first."""

    def __init__(self, piece: Piece) -> None:
        self._piece = piece
        parts = [
            (table["key"].to_numpy(), table["next"].to_numpy(), table["rank"].to_numpy(),
             table["at"].to_numpy() | (shard << 32))
            for shard, table in read_partition(piece.inputs["keys"], piece.options["number"])
        ]  # fmt: skip
        none = (np.zeros(0, np.uint64), np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int64))
        key, following, ranks, place = (np.concatenate(columns) for columns in zip(none, *parts, strict=True))
        order = np.argsort(ranks, kind="stable")
        self.key: Keys = key[order]
        self.following: Keys = following[order]
        self.rank: Ints = ranks[order]
        self.place: Ints = place[order]

    def write(self, pairs: Ints) -> dict[str, Any]:
        """Write pairs of records as pairs of rows, each once, in parts by the better row."""
        ordered = pairs[np.lexsort((self.rank[pairs[:, 0]], self.rank[pairs[:, 1]]))]
        better, worse = self.rank[ordered].T
        new = np.ones(len(ordered), np.bool_)
        new[1:] = (better[1:] != better[:-1]) | (worse[1:] != worse[:-1])
        ordered = ordered[new]
        table = pa.table(
            {name: column[ordered[:, side]] for side, end in enumerate(("better", "worse"))
             for name, column in ((end, self.place), (f"{end}_rank", self.rank))}
        )  # fmt: skip
        parts = self._piece.options["parts"]
        part = partition_of(self.place[ordered[:, 0]].astype(np.uint64), parts)
        write_partitions(self._piece.file(PAIRS), table, part, parts)
        return {"pairs": len(ordered)}


def _spread(piece: Piece, tables: list[pa.Table]) -> dict[str, Any]:
    """Write records by partition of their key, those without a key left out."""
    records = pa.concat_tables(tables)
    records = records.filter(pa.array(records["key"].to_numpy() != 0))
    parts = piece.options["parts"]
    write_partitions(piece.file(KEYS), records, partition_of(records["key"].to_numpy(), parts), parts)
    return {"records": records.num_rows}


def texts_of(table: pa.Table) -> Texts:
    """Return the texts that are compared: request and answer."""
    return Texts.of(zip(table["instruction"].to_pylist(), table["response"].to_pylist(), strict=True))


def _lay_out(piece: Piece, name: str, table: pa.Table) -> None:
    """Write a table so that it can be mapped into memory: as it is, not compressed."""
    with atomic_path(piece.file(name)) as temp, pa.ipc.new_file(str(temp), table.schema) as writer:
        writer.write_table(table.combine_chunks())


def mapped(path: Path) -> pa.Table:
    """Return the table of an Arrow file; what is not compressed is read when it is used."""
    with pa.memory_map(str(path)) as memory:
        return pa.ipc.open_file(memory).read_all()


def look_up(paths: Sequence[Path], places: Ints, columns: list[str]) -> pa.Table:
    """Return columns of the rows at rising places, out of the shards' files."""
    parts = []
    shards, begins = np.unique(places >> 32, return_index=True)
    for shard, rows in zip(shards.tolist(), np.split(places & 0xFFFFFFFF, begins[1:]), strict=True):
        parts.append(mapped(paths[shard]).select(columns).take(pa.array(rows)))
    return pa.concat_tables(parts)
