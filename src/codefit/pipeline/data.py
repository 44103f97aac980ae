"""Stages that make the training data: curate, format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import codefit
from codefit.core.errors import InputError
from codefit.core.files import canonical_json, digest, write_json
from codefit.core.progress import Event
from codefit.core.seeds import rng
from codefit.core.types import Row, Task
from codefit.pipeline.context import Context, Sharding, source_settings

CURATED = (
    "kept.parquet",
    "raw.parquet",
    "random.parquet",
    "dropped.parquet",
    "funnel.json",
    "card.md",
    "hits.jsonl",
    "planted.json",
)
_PREVIEWS = 1
_SHOWN = 5


def curate_settings(context: Context) -> dict[str, Any]:
    """Return what decides the curated rows."""
    return {
        "curate": context.recipe.curate.model_dump(mode="json"),
        "sources": source_settings(context),
        "suites": [[suite.info.name, suite.info.revision] for _, suite in context.suites],
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
        tasks=_tasks(context),
        sandbox=context.sandbox,
        seed=context.recipe.seed,
        count_tokens=lambda text: len(context.tokenizer.encode(text, add_special_tokens=False)),
        sources=reading.described,
        on_progress=lambda step, done, total: context.listen(Event("curate", step, done, total, "rows")),
    )


def _tasks(context: Context) -> dict[str, Sequence[Task]]:
    return {suite.info.name: suite.all_tasks for _, suite in context.suites}


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
            tasks=_tasks(context),
            executor=executor,
            code=code_version(),
            seed=recipe.seed,
            sandbox=context.sandbox if runs_programs else None,
            shard_rows=sharding.shard_rows or SHARD_ROWS,
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
    if all(spec.kind != "micro" for spec in context.recipe.sources):
        return {"rows": 0, "faults": []}
    from codefit.micro import planted_faults

    return planted_faults(context.recipe.seed)


def format_settings(context: Context) -> dict[str, Any]:
    """Return what decides the tokens."""
    return {
        "format": context.recipe.format.model_dump(mode="json"),
        "model": context.start_digest,
        "arms": [arm.rows for arm in context.recipe.arms],
        "seed": context.recipe.seed,
    }


def format_stage(context: Context) -> None:
    """Check prompt parity, count tokens, and write what the model will see."""
    from codefit.format.pack import efficiency, epoch_bins

    chat, recipe = context.chat, context.recipe
    checked, prefix = 0, 0
    for _, suite in context.suites:
        for task in suite.tasks:
            prefix = chat.check_parity(task.prompt, "def answer():\n    return 1")
            checked += 1
    arms = {}
    for arm in recipe.arms:
        examples, dropped = context.examples(arm)
        bins = epoch_bins(examples, recipe.format.max_length, recipe.seed, 0)
        arms[arm.name] = {
            "rows": len(examples),
            "too_long": sum("tokens, over" in d.reason for d in dropped),
            "control": sum("control" in d.reason for d in dropped),
            "tokens": sum(len(e.token_ids) for e in examples),
            "trained_tokens": sum(e.trained_tokens for e in examples),
            "bins": len(bins),
            "packing_efficiency": round(efficiency(examples, bins, recipe.format.max_length), 4),
        }
        context.listen(Event("format", f"{arm.name}: {len(examples)} rows, {len(dropped)} too long"))
    write_json(
        context.out / "format.json",
        {
            "template_hash": chat.revision,
            "max_length": recipe.format.max_length,
            "parity": {
                "ok": True,
                "checked": checked,
                "prefix_tokens": prefix,
                "suites": [suite.info.name for _, suite in context.suites],
            },
            "arms": arms,
            "previews": previews(context),
        },
    )


def previews(context: Context) -> list[dict[str, Any]]:
    """Return one rendered row per source and one evaluation prompt per suite, split by the loss mask."""
    from codefit.curate.rows_io import read_rows

    rows: dict[str, list[Row]] = {}
    for row in read_rows(context.out / context.rows_file(context.main_arm)):
        rows.setdefault(row.source, []).append(row)
    out: list[dict[str, Any]] = []
    for source, members in sorted(rows.items()):
        for row in rng(context.recipe.seed, "preview", source).sample(members, min(_PREVIEWS, len(members))):
            pieces = context.chat.pieces(context.chat.example(row))
            out.append(
                {
                    "kind": "row",
                    "source": source,
                    "id": row.id,
                    "pieces": [{"text": p.text, "trained": p.trained} for p in pieces],
                }
            )
    for _, suite in context.suites:
        task = suite.tasks[0]
        text = context.tokenizer.decode(context.chat.prefix(task.prompt), skip_special_tokens=False)
        out.append(
            {
                "kind": "evaluation",
                "suite": suite.info.name,
                "id": task.task_id,
                "pieces": [{"text": text, "trained": False}],
            }
        )
    return out
