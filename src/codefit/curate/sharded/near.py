"""Near-duplicates over shards: the phases of maps and reduces, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from codefit.curate.sharded.edges import EDGES, check_pairs, decide
from codefit.curate.sharded.groups import LOSERS
from codefit.curate.sharded.ranks import rank
from codefit.curate.sharded.shards import ROWS
from codefit.curate.sharded.sketches import (
    KEYS,
    PAIRS,
    SKETCH,
    TEXTS,
    make_sketch,
    pair_bands,
    pair_same,
    spread_bands,
)
from codefit.scale.pieces import Done, Piece, Runner

_RECORDS_PER_PART = 1_500_000
_RECORDS_PER_ROW = 32


def near_losers(
    runner: Runner, work: Path, job: Path, shards: Sequence[Done], keys: Sequence[Path], copies: Sequence[Path],
    partitions: int,
) -> list[Path]:  # fmt: skip
    """Return the file that names the rows to drop; `copies` are those that repeat a better row's request."""
    ranks, begins = rank(runner, work, shards, keys, partitions)
    rows = sum(int(shard.summary["rows"]) for shard in shards)
    parts = 1 + rows * _RECORDS_PER_ROW // _RECORDS_PER_PART

    def phase(
        name: str, do: Callable[[Piece], Mapping[str, Any]], inputs: Iterable[dict[str, Any]]
    ) -> list[Done]:
        pieces = [
            Piece(
                work / f"near-{name}" / f"{number:06}",
                {"job": (job,), **{role: tuple(paths) for role, paths in given.items()}},
                {"number": number, "parts": parts, "begins": begins},
            )
            for number, given in enumerate(inputs)
        ]
        return runner.run(f"near-{name}", do, pieces)

    def files(pieces: Sequence[Done], name: str) -> list[Path]:
        return [piece.file(name) for piece in pieces]

    made = phase(
        "sketch", make_sketch, ({"rows": [s.file(ROWS)], "ranks": ranks, "copies": copies} for s in shards)
    )
    same = files(phase("same", pair_same, [{"keys": files(made, KEYS)}] * parts), PAIRS)
    sketches, texts = files(made, SKETCH), files(made, TEXTS)
    bands = files(phase("bands", spread_bands, ({"sketch": [path], "same": same} for path in sketches)), KEYS)
    alike = files(phase("pairs", pair_bands, [{"keys": bands, "sketches": sketches}] * parts), PAIRS)
    checked = phase("check", check_pairs, [{"pairs": [*same, *alike], "texts": texts}] * parts)
    (decided,) = phase("decide", decide, [{"edges": files(checked, EDGES), "copies": copies}])
    return [decided.file(LOSERS)]
