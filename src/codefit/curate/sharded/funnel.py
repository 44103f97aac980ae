"""The funnel over shards: the same rows, reasons and files as `curate`, in bounded memory.

Steps that decide row by row are maps over shards, duplicates are shuffles by key. From the first
other step on (quality, select), what is left is finished in memory, if it fits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import chain, takewhile
from pathlib import Path
from typing import Any

from codefit.core.curation import CurateSettings, VerifySettings
from codefit.core.errors import InputError
from codefit.core.files import read_jsonl, write_jsonl
from codefit.core.types import Dropped, Task
from codefit.curate.decontaminate import Decontaminate, Hit, Separation
from codefit.curate.funnel import (
    STEPS,
    OnProgress,
    account,
    check_settings,
    count_step,
    with_provenance,
    write_results,
)
from codefit.curate.rows_io import read_dropped, write_dropped
from codefit.curate.sharded import large
from codefit.curate.sharded.counts import Counts, merged
from codefit.curate.sharded.groups import COPIES, KEYS, LOSERS, find_copies, name_losers
from codefit.curate.sharded.job import write_job
from codefit.curate.sharded.lots import find_last_lot
from codefit.curate.sharded.near import near_losers
from codefit.curate.sharded.rowwise import HITS, ROW_WISE, map_rows
from codefit.curate.sharded.shards import (
    DROPPED,
    ROWS,
    Input,
    described,
    read_shard,
    read_verdicts,
    split,
    write_shard,
    write_verdicts,
)
from codefit.curate.step import Context, ModelView, estimate_tokens
from codefit.sandbox import Sandbox
from codefit.scale import Done, Executor, Piece, Runner

SHARD_ROWS = 10_000
IN_MEMORY_ROWS = 200_000
"""Rows that one process holds at once: about 1 GB of them."""
_ROWS_PER_PARTITION = 250_000
_SHUFFLES = {"dedup_exact": "content", "dedup_near": "request"}


@dataclass
class _State:
    """Where the rows are, and what has been found out about all of them."""

    shards: list[Path]
    """Files of rows and facts, in reading order."""
    counts: list[Counts] = field(default_factory=list)
    dropped: list[tuple[str, list[Path]]] = field(default_factory=list)
    """(step, ledgers that hold its rows), in the order of the steps."""
    hits: list[Path] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Return how many rows are left."""
        return int(self.counts[-1]["kept"])


def curate_sharded(
    source: Input,
    settings: CurateSettings,
    out: Path,
    *,
    tasks: Mapping[str, Sequence[Task]],
    executor: Executor,
    code: str,
    seed: int,
    sandbox: Sandbox | None = None,
    shard_rows: int = SHARD_ROWS,
    in_memory_rows: int = IN_MEMORY_ROWS,
    on_progress: OnProgress = lambda *_: None,
    count_tokens: Callable[[str], int] = estimate_tokens,
    model_view: ModelView | None = None,
) -> dict[str, Any]:
    """Run the funnel over shards, write the files of `curate` in `out/data`, and return funnel.json.

    Work in progress lies in `out/data/shards`, every piece with its marker: after kill -9 the same
    call goes on, and ends with the same bytes. The result does not depend on `shard_rows` or the
    executor. With more rows than `in_memory_rows` the card holds counts only. `code` names the
    version of the code; workers start sandboxes like the one given. Raises what `curate` raises, and
    `InputError` where more rows than `in_memory_rows` are left for a step that needs all of them.
    """
    check_settings(tasks, settings, model_view)
    data, work = out / "data", out / "data" / "shards"
    work.mkdir(parents=True, exist_ok=True)
    runner = Runner(executor, code, lambda phase, done, total: on_progress(phase, done, total))
    read = split(source, work / "read", code, shard_rows, lambda rows: on_progress("read", rows, 0))
    runner.take(read)
    functions = [row_id for shard in read for row_id in shard.summary["function_ids"]]
    write_job(work / "job.json", settings, tasks, seed, sandbox.level if sandbox else None, functions)
    rows = sum(int(shard.summary["rows"]) for shard in read)
    funnel = _Sharded(runner, work, runner.know(work / "job.json"), settings.verify, seed, rows)
    state = funnel.run(settings.steps, read)
    ctx = Context(
        settings,
        tasks,
        sandbox,
        seed,
        data / "cache",
        cache(count_tokens),
        model_view=model_view,
        function_ids=frozenset(functions),
    )
    if rest := settings.steps[len(state.counts) :]:
        _finish(state, rest, ctx, work / "rest", in_memory_rows, on_progress)
    sources = described(work / "read", code, source, shard_rows)
    if rows > in_memory_rows:
        written = large.write(data, read, state.shards, state.dropped, state.hits, state.counts, ctx, sources)
    else:
        written = _write_small(data, read, state, ctx, sources)
    large.remove(work)
    return written


@dataclass
class _Sharded:
    """Brings shards through the steps that can be done over shards."""

    runner: Runner
    work: Path
    job: Path
    verify: VerifySettings
    seed: int
    rows: int

    def run(self, steps: Sequence[str], read: Sequence[Done]) -> _State:
        """Return the state before the first step that needs all rows at once, or at the end."""
        state, shards = _State([shard.file(ROWS) for shard in read]), list(read)
        todo, losers, drop = list(steps), list[Path](), ""
        while True:
            here = list(takewhile(lambda name: name in ROW_WISE, todo))
            todo = todo[len(here) :]
            shuffle = _SHUFFLES.get(todo[0], "") if todo else ""
            last_lot = None
            if "verify" in here and self._some_convert:
                before, here = here[: here.index("verify")], here[here.index("verify") :]
                if before or drop:
                    self._map(state, before, drop, losers, "")
                    drop, losers = "", []
                last_lot = find_last_lot(
                    self.runner, self.work, self.job, state.shards, self.verify.convert_share
                )
            shards = self._map(state, here, drop, losers, shuffle, last=not todo, last_lot=last_lot)
            if not shuffle:
                return state
            drop = todo.pop(0)
            losers = self._duplicates(drop, shards)

    @property
    def _some_convert(self) -> bool:
        """Return True if some programs become functions, and not all: which, depends on the others."""
        return self.verify.convert != "off" and 0 < self.verify.convert_share < 1

    def _map(
        self,
        state: _State,
        steps: list[str],
        drop: str,
        losers: list[Path],
        shuffle: str,
        *,
        last: bool = False,
        last_lot: str | None = None,
    ) -> list[Done]:
        options = {
            "steps": steps,
            "drop": drop,
            "emit": shuffle,
            "last": last,
            "last_lot": last_lot,
            "partitions": self._partitions,
        }
        phase = f"{len(state.counts):02}-{'-'.join(filter(None, [drop, *steps])) or 'rows'}"
        pieces = [
            Piece(
                self.work / phase / f"{number:06}",
                {"job": (self.job,), "rows": (path,), "losers": tuple(losers)},
                options | {"shard": number},
            )
            for number, path in enumerate(state.shards)
        ]
        shards = self.runner.run(phase, map_rows, pieces)
        ledgers = [shard.file(DROPPED) for shard in shards]
        for number, name in enumerate(filter(None, [drop, *steps])):
            parts = [shard.summary["counts"][number] for shard in shards]
            state.counts.append(merged(parts, self.seed))
            state.dropped.append((name, ledgers))
            if name == "decontaminate":
                state.hits += [shard.file(HITS) for shard in shards]
                suites = Separation([], [], _hits(state.hits)).summary()
                state.counts[-1]["report"] = {"suites": suites}
        state.shards = [shard.file(ROWS) for shard in shards]
        return shards

    @property
    def _partitions(self) -> int:
        return 1 + self.rows // _ROWS_PER_PARTITION

    def _duplicates(self, step: str, shards: list[Done]) -> list[Path]:
        """Return files that name the rows to drop."""
        keys = tuple(shard.file(KEYS) for shard in shards)
        copies = self.runner.run(
            f"{step}-copies",
            find_copies,
            [
                Piece(self.work / f"{step}-copies" / f"{p:04}", {"keys": keys}, {"partition": p})
                for p in range(self._partitions)
            ],
        )
        found = [piece.file(COPIES) for piece in copies]
        if step == "dedup_near":
            return near_losers(self.runner, self.work, self.job, shards, keys, found, self._partitions)
        pieces = [
            Piece(self.work / f"{step}-losers" / path.parent.name, {"copies": (path,)}) for path in found
        ]
        return [piece.file(LOSERS) for piece in self.runner.run(f"{step}-losers", name_losers, pieces)]


def _hits(paths: Sequence[Path]) -> list[Hit]:
    return [Hit(**record) for path in paths for _, record in read_jsonl(path)]


def _finish(
    state: _State, steps: Sequence[str], ctx: Context, work: Path, most: int, on_progress: OnProgress
) -> None:
    """Run the steps that need all rows at once, in memory; what they keep becomes one shard."""
    if state.left > most:
        raise InputError(
            f"it needs all rows at once, at most {most:,}; {state.left:,} are left",
            where=f"curate.steps: {steps[0]}",
            todo="leave it and the steps after it out, and run again",
        )
    pairs = [read_shard(path) for path in state.shards]
    rows = [row for part, _ in pairs for row in part]
    ctx.facts = {row.id: facts for part, noted in pairs for row, facts in zip(part, noted, strict=True)}
    dropped, hits = list[Dropped](), list[Hit]()
    for name in steps:
        ctx.on_progress = partial(on_progress, name)
        step = STEPS[name]()
        result = step.run(rows, ctx)
        account(name, rows, result)
        state.counts.append(count_step(name, rows, result, ctx.seed))
        state.dropped.append((name, [work / DROPPED]))
        rows = result.kept
        dropped += result.dropped
        hits += step.hits if isinstance(step, Decontaminate) else []
    rows = [with_provenance(row, ctx) for row in rows]
    write_shard(work / ROWS, rows, [ctx.facts.get(row.id, {}) for row in rows])
    write_dropped(work / DROPPED, dropped)
    write_verdicts(work, {d.row_id: ctx.fact(d.row_id, "verdict") for d in dropped})
    write_jsonl(work / HITS, (hit.record() for hit in hits))
    state.shards = [work / ROWS]
    state.hits.append(work / HITS)


def _write_small(
    data: Path, read: Sequence[Done], state: _State, ctx: Context, sources: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Write the files of a funnel whose rows fit in memory, as `curate` does."""
    raw = [row for shard in read for row in read_shard(shard.file(ROWS))[0]]
    pairs = [read_shard(path) for path in state.shards]
    kept = [row for part, _ in pairs for row in part]
    ctx.facts = {row.id: facts for part, noted in pairs for row, facts in zip(part, noted, strict=True)}
    for folder in dict.fromkeys(path.parent for _, paths in state.dropped for path in paths):
        ctx.facts |= read_verdicts(folder)
    dropped = [
        entry
        for step, paths in state.dropped
        for entry in chain.from_iterable(map(read_dropped, paths))
        if entry.step == step
    ]
    return write_results(data, raw, kept, dropped, _hits(state.hits), state.counts, ctx, sources).funnel
