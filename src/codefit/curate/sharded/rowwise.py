"""The map over shards: what an earlier shuffle dropped goes, then steps that decide row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from codefit.core.files import write_jsonl
from codefit.core.types import Dropped, Row
from codefit.core.values import dump, load
from codefit.curate.decontaminate import Decontaminate, Hit
from codefit.curate.funnel import account, count_step, with_provenance
from codefit.curate.rows_io import write_dropped, write_tables
from codefit.curate.sharded.groups import KEYS, read_losers, write_keys
from codefit.curate.sharded.job import Job, read_job, verdict_folder
from codefit.curate.sharded.ranks import Prefix
from codefit.curate.sharded.shards import (
    DROPPED,
    FACTS,
    ROWS,
    SHARD_SCHEMA,
    read_shard,
    write_shard,
    write_verdicts,
)
from codefit.curate.step import Context, StepResult
from codefit.scale.pieces import Piece

ROW_WISE = ("normalise", "language", "syntax", "verify", "decontaminate")
"""Steps whose decision on a row does not depend on other rows, once `find_last_lot` has said where the share
of programs that `verify` rewrites ends."""
HITS = "hits.jsonl"


@dataclass
class _Shard:
    """A shard on its way through steps, with everything accounted for."""

    rows: list[Row]
    ctx: Context
    dropped: list[Dropped] = field(default_factory=list)
    hits: list[Hit] = field(default_factory=list)
    counts: list[dict[str, Any]] = field(default_factory=list)

    def take(self, name: str, result: StepResult) -> None:
        """Go on with what a step kept."""
        account(name, self.rows, result)
        self.counts.append(count_step(name, self.rows, result, self.ctx.seed))
        self.rows = result.kept
        self.dropped += result.dropped


def map_rows(piece: Piece) -> Mapping[str, Any]:
    """Bring one shard through the steps of `options`, and write the keys of the next shuffle."""
    job, options = read_job(piece.one("job")), piece.options
    if not options["steps"] and not options["emit"]:
        return _map_columns(piece, job)
    rows, facts = read_shard(piece.one("rows"))
    shard = _Shard(rows, job.context(rows, facts, verdict_folder(piece)))
    if options["drop"]:
        shard.take(options["drop"], _without(rows, piece))
    for name in options["steps"]:
        step = job.step(name, options["last_lot"])
        shard.take(name, step.run(shard.rows, shard.ctx))
        shard.hits += step.hits if isinstance(step, Decontaminate) else []
    known, kept = shard.ctx.facts, shard.rows
    if options["last"]:
        kept = [with_provenance(row, shard.ctx) for row in kept]
    write_shard(piece.file(ROWS), kept, [known.get(row.id, {}) for row in kept])
    write_dropped(piece.file(DROPPED), shard.dropped)
    write_verdicts(piece.folder, {d.row_id: shard.ctx.fact(d.row_id, "verdict") for d in shard.dropped})
    write_jsonl(piece.file(HITS), (hit.record() for hit in shard.hits))
    samples: list[Prefix] = []
    if options["emit"]:
        samples = write_keys(piece.file(KEYS), options["emit"], kept, shard.ctx, options["partitions"])
    return {"rows": len(kept), "counts": shard.counts, "quantiles": samples}


def _map_columns(piece: Piece, job: Job) -> Mapping[str, Any]:
    """Do what needs no whole rows by columns: leave rows out, and add what is known about the others."""
    options = piece.options
    table = pq.read_table(piece.one("rows"))
    texts = (table[name].to_pylist() for name in ("id", "source", "instruction", "response"))
    rows = [Row(*fields) for fields in zip(*texts, strict=True)]
    shard = _Shard(rows, job.context([], [], piece.folder))
    gone: set[str] = set()
    facts = zip(table["id"].to_pylist(), table[FACTS].to_pylist(), strict=True)
    if options["drop"]:
        shard.take(options["drop"], _without(rows, piece))
        gone = {entry.row_id for entry in shard.dropped}
        table = table.filter(pa.array([row.id not in gone for row in rows], pa.bool_()))
    if options["last"]:
        known = zip(
            table["id"].to_pylist(), table["extra"].to_pylist(), table[FACTS].to_pylist(), strict=True
        )
        extra = [dump(dict(_known(job, *fields).extra)) for fields in known]
        table = table.set_column(table.column_names.index("extra"), "extra", pa.array(extra, pa.string()))
    write_tables(piece.file(ROWS), SHARD_SCHEMA, [table])
    write_dropped(piece.file(DROPPED), shard.dropped)
    write_verdicts(piece.folder, {i: load(text).get("verdict") for i, text in facts if i in gone})
    write_jsonl(piece.file(HITS), [])
    return {"rows": table.num_rows, "counts": shard.counts, "quantiles": []}


def _known(job: Job, row_id: str, extra: str, facts: str) -> Row:
    row = Row(row_id, "", "", "", extra=load(extra))
    return with_provenance(row, job.context([row], [load(facts)], Path()))


def _without(rows: list[Row], piece: Piece) -> StepResult:
    reasons = read_losers(piece.inputs["losers"], piece.options["shard"])
    kept = [row for position, row in enumerate(rows) if position not in reasons]
    dropped = [
        Dropped(row.id, piece.options["drop"], reasons[position])
        for position, row in enumerate(rows)
        if position in reasons
    ]
    return StepResult(kept, dropped)
