"""The funnel: all steps over all rows, with every row accounted for, written as files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from codefit.core.curation import CurateSettings
from codefit.core.errors import CodefitError, InputError
from codefit.core.files import digest, write_json, write_jsonl, write_text
from codefit.core.types import Dropped, Row, Task
from codefit.curate.arms import random_arm, raw_arm
from codefit.curate.card import card_text, data_card
from codefit.curate.decontaminate import Decontaminate, Hit, check_suites
from codefit.curate.dedup_code import DedupCode
from codefit.curate.dedup_exact import DedupExact
from codefit.curate.dedup_near import DedupNear
from codefit.curate.finished import Finished, State
from codefit.curate.language import Language
from codefit.curate.normalise import Normalise
from codefit.curate.pairs import function_ids
from codefit.curate.quality import Quality
from codefit.curate.rows_io import write_dropped, write_rows
from codefit.curate.select import Select
from codefit.curate.step import Context, Embed, ModelView, Step, StepResult, UnittestJudges, estimate_tokens
from codefit.curate.syntax import Syntax
from codefit.curate.verify import Verify
from codefit.sandbox import Sandbox

OnProgress = Callable[[str, int, int], None]
"""(step, done, total)."""

STEPS: Mapping[str, Callable[[], Step]] = {
    "normalise": Normalise,
    "language": Language,
    "syntax": Syntax,
    "dedup_exact": DedupExact,
    "verify": Verify,
    "decontaminate": Decontaminate,
    "dedup_near": DedupNear,
    "dedup_code": DedupCode,
    "quality": Quality,
    "select": Select,
}
SAMPLES = 10
_SAMPLE_CHARS = 600
_PROVENANCE = (
    "language_confidence",
    "repaired",
    "verdict",
    "checker",
    "passing",
    "converted",
    "quality",
    "features",
    "model_view",
    "difficulty",
    "level",
    "topics",
    "libraries",
)


@dataclass(frozen=True)
class FunnelResult:
    """What curation gave: kept and dropped rows, leaks, and the funnel as written to `funnel.json`."""

    kept: list[Row]
    dropped: list[Dropped]
    hits: list[Hit]
    funnel: dict[str, Any]
    folder: Path


def curate(
    rows: Iterable[Row],
    settings: CurateSettings,
    out: Path,
    *,
    tasks: Mapping[str, Sequence[Task]],
    sandbox: Sandbox | None,
    seed: int,
    on_progress: OnProgress | None = None,
    count_tokens: Callable[[str], int] = estimate_tokens,
    sources: Sequence[Mapping[str, Any]] = (),
    model_view: ModelView | None = None,
    embed: Embed | None = None,
    judges: UnittestJudges | None = None,
    identity: str | None = None,
) -> FunnelResult:
    """Run the funnel over the rows and write `out/data/`.

    Writes kept.parquet, dropped.parquet (row id, step, reason), raw.parquet, random.parquet (random
    raw rows of the kept rows' token count), hits.jsonl, card.json, card.md and, last, funnel.json. Verdicts are
    kept in `out/data/cache`, so a killed run goes on where it was and ends with the same bytes.
    `sources` are the sources' descriptions for the card; `model_view` asks the start model about rows and
    is needed where the recipe says so, as are `judges` of unittest tests. `identity` names all that decides the
    result beside the settings (rows, tasks, code); with it the state after slow steps is kept too. Raises
    `InputError` for no rows, repeated ids and missing suites, `MissingPrerequisite` where a step needs a sandbox
    and there is none.
    """
    read = list(rows)
    _check(read, tasks, settings, model_view, embed, judges)
    data = out / "data"
    ctx = Context(
        settings,
        tasks,
        sandbox,
        seed,
        data / "cache",
        cache(count_tokens),
        model_view=model_view,
        embed=embed,
        judges=judges,
        function_ids=function_ids(row.id for row in read),
    )
    finished = Finished(data / "cache" / "steps", identity, settings, read)
    state = finished.latest(State(read))
    ctx.facts = state.facts
    for name in settings.steps[state.steps :]:
        ctx.on_progress = _reporter(on_progress, name)
        _advance(state, STEPS[name](), ctx)
        finished.keep(state)
    kept = [with_provenance(row, ctx) for row in state.kept]
    return write_results(data, read, kept, state.dropped, state.hits, state.counts, ctx, sources)


def _advance(state: State, step: Step, ctx: Context) -> None:
    """Run one step over the rows that are left."""
    rows = state.kept
    ctx.on_progress(0, len(rows))
    result = step.run(rows, ctx)
    account(step.name, rows, result)
    ctx.on_progress(len(rows), len(rows))
    state.counts.append(count_step(step.name, rows, result, ctx.seed))
    state.kept = result.kept
    state.dropped += result.dropped
    state.hits += step.hits if isinstance(step, Decontaminate) else []
    state.steps += 1


def _check(
    rows: list[Row],
    tasks: Mapping[str, Sequence[Task]],
    settings: CurateSettings,
    model_view: ModelView | None,
    embed: Embed | None,
    judges: UnittestJudges | None,
) -> None:
    if not rows:
        raise InputError("there are no rows to curate", where="sources", todo="check the sources' paths")
    repeated = [row_id for row_id, n in Counter(row.id for row in rows).items() if n > 1]
    if repeated:
        raise InputError(
            f"two rows have the id '{repeated[0]}'", where="sources", todo="give each source its own name"
        )
    check_settings(tasks, settings, model_view, embed, judges)


def check_settings(
    tasks: Mapping[str, Sequence[Task]],
    settings: CurateSettings,
    model_view: ModelView | None,
    embed: Embed | None = None,
    judges: UnittestJudges | None = None,
) -> None:
    """Raise `InputError` where a step lacks what it needs: a suite's tasks, or a model to ask."""
    if settings.model_view != "off" and "quality" in settings.steps and model_view is None:
        raise InputError("there is no model to ask", where="curate.model_view", todo="set it to off")
    if settings.decontaminate.embedding and "decontaminate" in settings.steps and embed is None:
        raise InputError(
            "there is no encoder to ask",
            where="curate.decontaminate.embedding",
            todo="leave it empty over shards",
        )
    if settings.decontaminate.unittests and "decontaminate" in settings.steps and judges is None:
        raise InputError(
            "unittest tests cannot be run here",
            where="curate.decontaminate.unittests",
            todo="set it to false over shards",
        )
    if "decontaminate" in settings.steps:
        check_suites(tasks, settings.decontaminate)


def _reporter(on_progress: OnProgress | None, step: str) -> Callable[[int, int], None]:
    return lambda done, total: on_progress(step, done, total) if on_progress else None


def account(step: str, rows: list[Row], result: StepResult) -> None:
    """Raise unless kept and dropped rows are together exactly the rows that went in and those added."""
    out = sorted([row.id for row in result.kept] + [d.row_id for d in result.dropped])
    into = sorted([row.id for row in rows] + list(result.added))
    if out != into or len(set(into)) < len(into):
        raise CodefitError(f"{len(into)} rows in, {len(out)} accounted for", where=f"step {step}")


def count_step(step: str, rows: list[Row], result: StepResult, seed: int) -> dict[str, Any]:
    """Return a step's part of the funnel: counts by reason and source, its report, sampled rows."""
    new = set(result.added)
    into, out = Counter(row.source for row in rows), Counter(row.source for row in result.kept)
    added = Counter(row.source for row in result.kept if row.id in new)
    reasons = Counter(reason_group(d.reason) for d in result.dropped)
    texts = {row.id: row for row in rows}
    return {
        "step": step,
        "in": len(rows),
        "added": len(new),
        "kept": len(result.kept),
        "dropped": len(result.dropped),
        "reasons": dict(sorted(reasons.items(), key=lambda kv: (-kv[1], kv[0]))),
        "sources": {
            name: {"in": into[name], "added": added[name], "kept": out[name]} for name in sorted(into)
        },
        "report": result.report,
        "sample_kept": [_shown(row) for row in _sample(result.kept, lambda r: r.id, step, seed)],
        "sample_dropped": [
            _shown(texts[d.row_id]) | {"reason": d.reason}
            for d in _sample(result.dropped, lambda d: d.row_id, step, seed)
        ],
    }


def _sample(items: list[Any], key: Callable[[Any], str], step: str, seed: int) -> list[Any]:
    return sorted(items, key=lambda item: digest("sample", step, str(seed), key(item)))[:SAMPLES]


def _shown(row: Row) -> dict[str, Any]:
    return {
        "row_id": row.id,
        "source": row.source,
        "instruction": row.instruction[:_SAMPLE_CHARS],
        "response": row.response[:_SAMPLE_CHARS],
    }


_GROUPS = (
    (
        re.compile(r"^(duplicate|near-duplicate|same request|same code|same problem) (of|as) .*", re.DOTALL),
        r"\1",
    ),
    (re.compile(r"^leak:([^:]+):.*:([^:]+)$", re.DOTALL), r"leak:\1:\2"),
    (re.compile(r"^language: (.*)$", re.DOTALL), r"language \1"),
    (re.compile(r"^(does not load: \w+).*", re.DOTALL), r"\1"),
    (re.compile(r"^(does not load)?([^:]*):.*", re.DOTALL), r"\1\2"),
)


def reason_group(reason: str) -> str:
    """Return a reason without its particulars, for counting."""
    for pattern, instead in _GROUPS:
        if pattern.match(reason):
            return pattern.sub(instead, reason)
    return reason


def with_provenance(row: Row, ctx: Context) -> Row:
    """Return the row with what it passed and its scores beside what its source says of its origin."""
    found: dict[str, Any] = {name: ctx.fact(row.id, name) for name in _PROVENANCE}
    found["passed"] = list(ctx.settings.steps)
    return replace(row, extra=dict(row.extra) | {k: v for k, v in found.items() if v is not None})


def write_results(
    data: Path,
    read: list[Row],
    kept: list[Row],
    dropped: list[Dropped],
    hits: list[Hit],
    counts: list[dict[str, Any]],
    ctx: Context,
    sources: Sequence[Mapping[str, Any]],
) -> FunnelResult:
    """Write the files of a funnel whose rows are all at hand; funnel.json last."""
    tokens = sum(map(ctx.row_tokens, kept))
    raw, drawn = raw_arm(read), random_arm(read, tokens, ctx)
    arms = {
        "raw_rows": len(raw),
        "random_rows": len(drawn),
        "random_tokens": sum(map(ctx.row_tokens, drawn)),
    }
    funnel = funnel_record(len(read), len(kept), tokens, counts, arms, ctx, sources)
    write_rows(data / "kept.parquet", kept)
    write_rows(data / "raw.parquet", raw)
    write_rows(data / "random.parquet", drawn)
    write_dropped(data / "dropped.parquet", dropped)
    write_jsonl(data / "hits.jsonl", (hit.record() for hit in hits))
    card = data_card(read, kept, dropped, funnel, ctx)
    write_json(data / "card.json", card)
    write_text(data / "card.md", card_text(card, funnel))
    write_json(data / "funnel.json", funnel)
    return FunnelResult(kept, dropped, hits, funnel, data)


def funnel_record(
    read: int,
    kept: int,
    tokens: int,
    counts: list[dict[str, Any]],
    arms: Mapping[str, int],
    ctx: Context,
    sources: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return what funnel.json holds."""
    return {
        "read": read,
        "added": sum(step["added"] for step in counts),
        "kept": kept,
        "kept_tokens": tokens,
        "seed": ctx.seed,
        "steps": counts,
        "arms": dict(arms),
        "sources": [dict(s) for s in sources],
        "suites": {name: len(ctx.tasks[name]) for name in sorted(ctx.tasks)},
        "settings": ctx.settings.model_dump(mode="json"),
    }
