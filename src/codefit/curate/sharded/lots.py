"""Which programs become functions, over shards: the share is of all rows, so all are asked before any is taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from codefit.core.values import tests_from_json
from codefit.curate.convert import last_lot
from codefit.curate.sharded.job import read_job, verdict_folder
from codefit.curate.sharded.shards import read_shard
from codefit.curate.verify import Verify
from codefit.scale.pieces import Piece, Runner


def find_last_lot(runner: Runner, work: Path, job: Path, shards: Sequence[Path], share: float) -> str:
    """Return the last lot that is taken, so that at most `share` of all shards' verified programs are."""
    pieces = [
        Piece(work / "lots" / f"{number:06}", {"job": (job,), "rows": (path,)}, {"shard": number})
        for number, path in enumerate(shards)
    ]
    found = [piece.summary for piece in runner.run("verify-lots", draw_lots, pieces)]
    return last_lot(
        (lot for part in found for lot in part["lots"]), sum(part["programs"] for part in found), share
    )


def draw_lots(piece: Piece) -> Mapping[str, Any]:
    """Verify a shard's programs; return how many are right, and the lots of those proven as functions.

    The verdicts stay where the step itself finds them, so that no program runs again for it.
    """
    tests = pq.read_table(piece.one("rows"), columns=["tests"])["tests"].to_pylist()
    programs = [i for i, text in enumerate(tests) if text and tests_from_json(text).kind == "stdin"]
    rows, facts = read_shard(piece.one("rows"), programs)
    ctx = read_job(piece.one("job")).context(rows, facts, verdict_folder(piece))
    step = Verify()
    step.run(rows, ctx)
    return {"programs": step.functions.programs, "lots": step.functions.lots()}
