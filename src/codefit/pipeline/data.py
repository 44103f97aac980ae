"""Stages that make the training data: curate, format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import codefit
from codefit.core.errors import InputError
from codefit.core.files import canonical_json, digest, write_json, write_jsonl
from codefit.core.progress import Event
from codefit.core.recipe import ArmSettings
from codefit.core.seeds import rng
from codefit.core.types import Row, Task
from codefit.pipeline.context import Context, Sharding, source_settings, suite_settings
from codefit.pipeline.develop import development
from codefit.pipeline.preview import check_parity
from codefit.pipeline.view import view_of, view_settings

if TYPE_CHECKING:
    from codefit.curate.step import UnittestJudges
    from codefit.suites.base import Suite

CURATED = (
    "kept.parquet",
    "raw.parquet",
    "random.parquet",
    "dropped.parquet",
    "funnel.json",
    "card.md",
    "card.json",
    "hits.jsonl",
    "planted.json",
)
FORMAT_DROPPED = "format_dropped.jsonl"
_PREVIEWS = 1
_PARITY = 2_000  # rows checked per source and file; a check costs half a millisecond
_SHOWN = 5


def curate_settings(context: Context) -> dict[str, Any]:
    """Return what decides the curated rows."""
    return {
        "curate": context.recipe.curate.model_dump(mode="json"),
        "view": view_settings(context),
        "sources": source_settings(context),
        "suites": [[suite.info.name, suite.info.revision] for _, suite in context.suites],
        "development": [suite_settings(suite.info) for suite in _developments(context)],
        "tokens": context.start_digest,
        "seed": context.recipe.seed,
        "strict": context.recipe.strict,
    }


def curate_stage(context: Context) -> None:
    """Read all sources and run the funnel, over shards where the caller asked for it."""
    from codefit.curate import curate

    reading = _Reading(context)
    write_json(context.out / "data" / "planted.json", _planted(context))
    if context.sharding:
        _curate_over_shards(context, context.sharding, reading)
        return
    rows = list(reading.rows())
    curate(
        rows,
        context.recipe.curate,
        context.out,
        tasks=test_tasks(context),
        sandbox=context.sandbox,
        seed=context.recipe.seed,
        count_tokens=lambda text: len(context.tokenizer.encode(text, add_special_tokens=False)),
        sources=reading.described,
        model_view=view_of(context),
        embed=_encoder(context),
        judges=_judges(context),
        identity=_identity(context),
        on_progress=lambda step, done, total: context.listen(Event("curate", step, done, total, "rows")),
    )


def _identity(context: Context) -> str:
    """Return a hash of what decides the curated rows beside the recipe's `curate`."""
    decided = {k: v for k, v in curate_settings(context).items() if k != "curate"}
    return digest(code_version(), canonical_json(decided))


def _encoder(context: Context) -> Callable[[Sequence[str]], Any] | None:
    """Return the encoder that the recipe names, None where it names none."""
    folder = context.recipe.curate.decontaminate.embedding
    if not folder or "decontaminate" not in context.recipe.curate.steps:
        return None
    from codefit.models.embed import Encoder

    return Encoder(Path(folder))


def _judges(context: Context) -> UnittestJudges | None:
    """Return what judges the recipe's unittest suites, without their limits; None where the recipe asks for none."""
    if not context.recipe.curate.decontaminate.unittests:
        return None
    from codefit.curate.step import UnittestJudges
    from codefit.suites.bigcodebench import SUITES

    named = [s.model_copy(update={"limit": None}) for s in context.recipe.evaluate if s.name in SUITES]
    return UnittestJudges(
        {suite.info.name: suite for suite in map(context.suite_of, named)},
        lambda suite: context.sandbox_of(suite.runtime, suite.jobs_per_core),
        context.cache,
    )


def test_tasks(context: Context) -> dict[str, Sequence[Task]]:
    """Return the tasks that no row may give away: a leak would flatter a choice as it flatters a score."""
    from codefit.suites.variants import plain_name

    developed = {suite.info.name: suite.tasks for suite in _developments(context)}
    return {**developed, **{plain_name(suite.info.name): suite.all_tasks for _, suite in context.suites}}


def _developments(context: Context) -> list[Suite]:
    """Return the suites of the arms' development sets, each once and whole."""
    found = [d.suite for arm in context.recipe.arms if (d := development(context, arm))]
    return list({suite.info.name: suite for suite in found}.values())


class _Reading:
    """Reads all sources, tells of malformed rows, and remembers what the card says of each source."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.described: list[dict[str, Any]] = []

    def rows(self) -> Iterator[Row]:
        """Yield the rows of all sources."""
        context = self._context
        self.described.clear()
        for source in context.sources:
            bad: list[InputError] = []
            yield from source.rows(None if context.recipe.strict else bad.append)
            self.described.append({**source.describe(), "skipped": [error.line() for error in bad]})
            for error in bad[:_SHOWN]:
                context.listen(Event("curate", f"skipped {error.line()}"))
            if bad:
                context.listen(Event("curate", f"skipped {len(bad)} malformed rows of {source.name}"))


def _curate_over_shards(context: Context, sharding: Sharding, reading: _Reading) -> None:
    from codefit.curate.sharded import SHARD_ROWS, Input, curate_sharded
    from codefit.scale import open_executor

    recipe = context.recipe
    runs_programs = "verify" in recipe.curate.steps or (
        "decontaminate" in recipe.curate.steps and recipe.curate.decontaminate.execution_match != "off"
    )
    key = canonical_json([source_settings(context), recipe.strict])
    executor = open_executor(sharding.executor, jobs=sharding.jobs, address=sharding.address)
    context.listen(Event("curate", f"over shards, {executor.description}"))
    try:
        curate_sharded(
            Input(digest(key), reading.rows, lambda: reading.described),
            recipe.curate,
            context.out,
            tasks=test_tasks(context),
            executor=executor,
            code=code_version(),
            seed=recipe.seed,
            sandbox=context.sandbox if runs_programs else None,
            shard_rows=sharding.shard_rows or SHARD_ROWS,
            model_view=view_of(context),
            count_tokens=lambda text: len(context.tokenizer.encode(text, add_special_tokens=False)),
            on_progress=lambda step, done, total: context.listen(
                Event("curate", step, done, total or None, "shards" if total else "rows")
            ),
        )
    finally:
        executor.close()


def code_version() -> str:
    """Return a hash of codefit's own source files: shards made by other code are made again."""
    root = Path(codefit.__file__).parent
    files = sorted(p for p in root.rglob("*") if p.suffix in (".py", ".json") and p.is_file())
    return digest(*(part for p in files for part in (p.relative_to(root).as_posix(), p.read_bytes())))


def _planted(context: Context) -> dict[str, Any]:
    """Return the faults that were planted in the rows: those of the micro world, if it is a source."""
    splits = {spec.split for spec in context.recipe.sources if spec.kind == "micro"}
    if not splits:
        return {"rows": 0, "faults": []}
    from codefit.micro import planted_faults

    whole = planted_faults(context.recipe.seed)
    return whole if None in splits else planted_faults(context.recipe.seed, {s for s in splits if s})


def format_settings(context: Context) -> dict[str, Any]:
    """Return what decides the tokens."""
    return {
        "format": context.recipe.format.model_dump(mode="json"),
        "model": context.start_digest,
        "arms": [[arm.name, *arm.part] for arm in context.given_arms],
        "seed": context.recipe.seed,
    }


def format_stage(context: Context) -> None:
    """Check prompt parity, count tokens, and write what the model will see."""
    chat, recipe = context.chat, context.recipe
    names = dict.fromkeys([*map(context.rows_file, context.given_arms), f"data/{CURATED[0]}"])
    files = {name: rows_by_source(context, name) for name in names}
    parity = check_parity(chat, [suite for _, suite in context.suites], parity_rows(files, recipe.seed))
    arms = {}
    lost: list[dict[str, Any]] = []
    for arm in context.given_arms:
        arms[arm.name], dropped = formatted(context, arm, _part(context, arm, files))
        lost += dropped
    write_jsonl(context.out / FORMAT_DROPPED, lost)
    main = context.main_arm
    shown = files[f"data/{CURATED[0]}"] if main.samples else _part(context, main, files)
    write_json(
        context.out / "format.json",
        {
            "template_hash": chat.revision,
            "pad_token": context.tokenizer.pad_token,
            "max_length": recipe.format.max_length,
            "parity": parity,
            "arms": arms,
            "previews": previews(context, shown),
        },
    )


def _part(
    context: Context, arm: ArmSettings, files: Mapping[str, Mapping[str, list[Row]]]
) -> dict[str, list[Row]]:
    """Return an arm's rows by source, of the rows of all files."""
    rows = [row for members in files[context.rows_file(arm)].values() for row in members]
    return _by_source(context.part_of(arm, rows))


def formatted(
    context: Context, arm: ArmSettings, sources: Mapping[str, list[Row]]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return an arm's counts of rows and tokens, and a line for every row that cannot be trained on."""
    from codefit.format.pack import efficiency, epoch_bins

    recipe = context.recipe
    examples, dropped = context.examples(arm)
    bins = epoch_bins(examples, recipe.format.max_length, recipe.seed, 0)
    context.listen(Event("format", f"{arm.name}: {len(examples)} rows, {len(dropped)} dropped"))
    counts = {
        "rows": len(examples),
        "too_long": sum("tokens, over" in d.reason for d in dropped),
        "control": sum("control" in d.reason for d in dropped),
        "sources": _counted(sources, {e.row_id for e in examples}),
        "tokens": sum(len(e.token_ids) for e in examples),
        "trained_tokens": sum(e.trained_tokens for e in examples),
        "bins": len(bins),
        "packing_efficiency": round(efficiency(examples, bins, recipe.format.max_length), 4),
    }
    return counts, [{"arm": arm.name, "row_id": d.row_id, "reason": d.reason} for d in dropped]


def rows_by_source(context: Context, file: str) -> dict[str, list[Row]]:
    """Return the rows of a file by source."""
    from codefit.curate.rows_io import read_rows

    return _by_source(read_rows(context.out / file))


def _by_source(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.source, []).append(row)
    return dict(sorted(found.items()))


def parity_rows(files: Mapping[str, Mapping[str, list[Row]]], seed: int) -> dict[str, list[Row]]:
    """Return rows of every source of every file: all of them, or as many as are drawn by seed."""
    found: dict[str, list[Row]] = {}
    for file, sources in files.items():
        for source, rows in sources.items():
            drawn = rng(seed, "parity", file, source).sample(rows, min(_PARITY, len(rows)))
            found.setdefault(source, []).extend(drawn)
    return found


def _counted(sources: Mapping[str, list[Row]], kept: set[str]) -> dict[str, dict[str, int]]:
    return {s: {"in": len(rows), "kept": sum(r.id in kept for r in rows)} for s, rows in sources.items()}


def previews(context: Context, sources: Mapping[str, list[Row]]) -> list[dict[str, Any]]:
    """Return one rendered row per source and one evaluation prompt per suite, token by token."""
    from codefit.format.preview import row_preview, task_preview

    out: list[dict[str, Any]] = []
    for source, members in sources.items():
        for row in rng(context.recipe.seed, "preview", source).sample(members, min(_PREVIEWS, len(members))):
            out.append(row_preview(context.chat, row))
    for _, suite in context.suites:
        task = suite.tasks[0]
        out.append(task_preview(context.chat, suite.info.name, task.task_id, task.prompt))
    return out
