"""The stage that lets a model answer curated requests, and makes an arm's rows of what passes."""

from __future__ import annotations

from typing import Any

from codefit.core.files import digest, write_json, write_jsonl
from codefit.core.recipe import ArmSettings
from codefit.core.seeds import subseed
from codefit.pipeline.context import START, Context, suite_settings
from codefit.pipeline.data import failed_of, formatted, parity_rows, rows_by_source, test_tasks
from codefit.pipeline.generate import asking_of, model_of
from codefit.pipeline.model import trained_weights
from codefit.pipeline.preview import check_parity
from codefit.plan.generation import MOST

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


def _job(context: Context, arm: ArmSettings) -> Any:
    from codefit.generate.types import Decoding
    from codefit.methods.job import Sampling

    recipe, s = context.recipe, context.recipe.sample
    sampler = sampler_of(context, arm)
    weights = trained_weights(context, sampler) if sampler else None
    decoding = Decoding(
        s.max_new_tokens or recipe.generate.max_new_tokens, s.temperature, s.top_p,
        subseed(recipe.seed, "sample") % 2**32,
    )  # fmt: skip
    model = model_of(context, sampler, weights)
    asking = asking_of(context, decoding)
    return Sampling(
        stage=f"sample {arm.name}",
        settings=s,
        curate=recipe.curate,
        chat=context.chat,
        load=lambda: model.engine(
            asking.tokenizer, asking.chat, decoding, recipe.generate.batch_size, asking.memory
        ),
        setting=digest(model.digest, decoding.key(), str(asking.chat.end_id)),
        model=model.digest,
        sampler=sampler.name if sampler else START,
        round=recipe.round_of(arm),
        batch_size=recipe.generate.batch_size or MOST,
        seed=recipe.seed,
        sandbox=context.sandbox,
        cache=context.out / "cache",
        tasks=test_tasks(context),
        count_tokens=lambda text: len(context.tokenizer.encode(text, add_special_tokens=False)),
        listen=context.listen,
    )
