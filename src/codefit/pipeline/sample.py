"""The stage that lets a model answer curated requests, and makes an arm's rows of what passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codefit.core.files import write_json, write_jsonl
from codefit.core.recipe import ArmSettings
from codefit.pipeline.context import START, Context, suite_settings
from codefit.pipeline.data import formatted, parity_rows, rows_by_source, test_tasks
from codefit.pipeline.failed import failed_of
from codefit.pipeline.generate import model_of
from codefit.pipeline.model import trained_weights
from codefit.pipeline.preview import check_parity
from codefit.pipeline.sampling import sampling

if TYPE_CHECKING:
    from codefit.methods.job import Sampling

_FILES = (
    "rows.parquet",
    "samples.jsonl",
    "prompts.jsonl",
    "summary.json",
    "format.json",
    "format_dropped.jsonl",
)


def sampler_of(context: Context, arm: ArmSettings) -> ArmSettings | None:
    """Return the arm whose tuned model answers, None for the start model."""
    return next((a for a in context.recipe.arms if a.name == arm.sampled_from), None)


def inputs(context: Context) -> list[str]:
    """Return the files of rows that the stage reads, below the run folder."""
    more = ["data/raw.parquet", "data/dropped.parquet"] if "failed" in context.recipe.sample.rows else []
    return ["data/kept.parquet", *more]


def outputs(context: Context, arm: ArmSettings) -> list[str]:
    """Return what the stage writes, below the run folder; the arm learns from one of them."""
    folder = f"arms/{arm.name}/sampled"
    return list(dict.fromkeys([*(f"{folder}/{name}" for name in _FILES), context.rows_file(arm)]))


def sample_settings(context: Context, arm: ArmSettings) -> dict[str, Any]:
    """Return what decides an arm's sampled rows, beside the curated ones and the sampler's weights."""
    curate, recipe = context.recipe.curate, context.recipe
    return {
        "sample": recipe.sample.model_dump(mode="json"),
        "rows": arm.rows,
        "sampled_from": arm.sampled_from,
        "round": recipe.round_of(arm),
        "verify": curate.verify.model_dump(mode="json"),
        "decontaminate": curate.decontaminate.model_dump(mode="json"),
        "suites": [suite_settings(suite.info) for _, suite in context.suites],
        "format": recipe.format.model_dump(mode="json"),
        "model": context.start_digest,
        "max_new_tokens": recipe.generate.max_new_tokens,
        "seed": recipe.seed,
        "sandbox": recipe.sandbox.level,
    }


def sample_stage(context: Context, arm: ArmSettings) -> None:
    """Ask the sampler, keep what passes, and write the arm's rows with their counts.

    Goes on at the answer where a killed run stood.
    """
    from codefit.curate.rows_io import read_rows, write_rows
    from codefit.methods.mix import mixed
    from codefit.methods.rejection import sample_rows

    curated = list(read_rows(context.out / "data" / "kept.parquet"))
    out = context.out / "arms" / arm.name / "sampled"
    own = sample_rows(curated, _job(context, arm), out, failed_of(context, curated))
    if arm.rows == "curated+sampled":
        write_rows(out / "mix.parquet", mixed(curated, own, context.recipe.sample, context.recipe.seed))
    name = context.rows_file(arm)
    sources = rows_by_source(context, name)
    parity = check_parity(context.chat, [], parity_rows({name: sources}, context.recipe.seed))
    counts, dropped = formatted(context, arm, sources)
    write_jsonl(out / "format_dropped.jsonl", dropped)
    write_json(out / "format.json", {**counts, "parity_rows": parity["rows"]})


def _job(context: Context, arm: ArmSettings) -> Sampling:
    sampler = sampler_of(context, arm)
    weights = trained_weights(context, sampler) if sampler else None
    return sampling(
        context, f"sample {arm.name}", context.recipe.sample, model_of(context, sampler, weights),
        sampler=sampler.name if sampler else START, round=context.recipe.round_of(arm),
        cache=context.out / "cache", tasks=test_tasks(context),
    )  # fmt: skip
