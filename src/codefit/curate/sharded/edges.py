"""From pairs to rows that go: the texts compared, then the rule from the best row to the worst."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from codefit.core.files import atomic_path
from codefit.core.types import Row
from codefit.core.values import tests_from_json
from codefit.curate.dedup_near import different_tasks, near_reason, same_request_reason
from codefit.curate.near import drop_order, verified_pairs
from codefit.curate.sharded.groups import LOSERS, read_copies, write_losers
from codefit.curate.sharded.job import read_job
from codefit.curate.sharded.sketches import look_up, texts_of
from codefit.scale.pieces import Piece
from codefit.scale.shuffle import read_partition

EDGES = "edges.parquet"
Ints = npt.NDArray[np.int64]
_EDGE = pa.schema([("better_rank", pa.int64()), ("worse_rank", pa.int64()), ("better_id", pa.string()),
                   ("worse_shard", pa.int32()), ("worse_row", pa.int32()), ("similarity", pa.float64())])  # fmt: skip


def check_pairs(piece: Piece) -> Mapping[str, Any]:
    """Compare the texts of one part of the pairs; write those that are near-duplicates and one task."""
    rule, edges = read_job(piece.one("job")).rule, list[dict[str, Any]]()
    tables = [table for _, table in read_partition(piece.inputs["pairs"], piece.options["number"])]
    if tables:
        table = (
            pa.concat_tables(tables).group_by(["better", "worse", "better_rank", "worse_rank"]).aggregate([])
        )
        table = table.sort_by([("worse_rank", "ascending"), ("better_rank", "ascending")])
        pairs = np.stack([table["better"].to_numpy(), table["worse"].to_numpy()], 1)
        places, at = np.unique(pairs, return_inverse=True)
        texts = look_up(piece.inputs["texts"], places, ["id", "instruction", "response", "tests", "row"])
        ranks = np.zeros(len(places), np.int64)
        ranks[at.reshape(-1)] = np.stack([table["better_rank"], table["worse_rank"]], 1).reshape(-1)
        near, similarity = verified_pairs(texts_of(texts), at.reshape(-1, 2), rule)
        edges = list(_edges(texts, places, ranks, near, similarity))
    with atomic_path(piece.file(EDGES)) as temp:
        pq.write_table(pa.Table.from_pylist(edges, _EDGE), temp, compression="zstd")
    return {"edges": len(edges)}


def _edges(
    texts: pa.Table, places: Ints, ranks: Ints, near: Ints, similarity: npt.NDArray[np.float64]
) -> Iterator[dict[str, Any]]:
    used, at = np.unique(near, return_inverse=True)
    records = texts.take(pa.array(used)).to_pylist()
    rows = [_row(record) for record in records]
    for (better, worse), alike in zip(at.reshape(-1, 2).tolist(), similarity.tolist(), strict=True):
        if not different_tasks(rows[better], rows[worse]):
            yield {
                "better_rank": int(ranks[used[better]]),
                "worse_rank": int(ranks[used[worse]]),
                "better_id": rows[better].id,
                "worse_shard": int(places[used[worse]]) >> 32,
                "worse_row": records[worse]["row"],
                "similarity": alike,
            }


def _row(record: dict[str, Any]) -> Row:
    tests = tests_from_json(record["tests"]) if record["tests"] else None
    return Row(record["id"], "", record["instruction"], record["response"], tests=tests)


def decide(piece: Piece) -> Mapping[str, Any]:
    """Visit rows from the best to the worst; name those that resemble a better one that is kept.

    All edges are held at once: rows that have no near-duplicate are not among them.
    """
    edges = pa.concat_tables([pq.read_table(path) for path in piece.inputs["edges"]])
    ranks, pairs = np.unique(
        np.stack([edges["better_rank"].to_numpy(), edges["worse_rank"].to_numpy()], 1), return_inverse=True
    )
    pairs = pairs.reshape(-1, 2)
    keeper = drop_order(pairs, np.arange(len(ranks)))
    chosen = np.flatnonzero(keeper[pairs[:, 1]] == pairs[:, 0])
    reasons = {
        (e["worse_shard"], e["worse_row"]): near_reason(e["better_id"], e["similarity"])
        for e in edges.take(pa.array(chosen)).to_pylist()
    }
    losers = [(shard, row, reason) for (shard, row), reason in reasons.items()]
    for copy in read_copies(piece.inputs["copies"]):
        why = same_request_reason(copy["best_id"], reasons.get((copy["best_shard"], copy["best_row"])))
        losers.append((copy["shard"], copy["row"], why))
    write_losers(piece.file(LOSERS), losers)
    return {"losers": len(losers)}
