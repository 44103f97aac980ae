"""The stage that trains an arm by GRPO on the curated requests that have tests."""

from __future__ import annotations

from typing import Any

from codefit.core.files import Ledger, read_json
from codefit.core.recipe import ArmSettings
from codefit.core.units import parse_bytes
from codefit.pipeline.context import Context
from codefit.pipeline.failed import failed_of


def grpo_settings(context: Context) -> dict[str, Any]:
    """Return what decides the training, beside what decides any arm's."""
    recipe = context.recipe
    return {
        "grpo": recipe.grpo.model_dump(mode="json"),
        "sample": recipe.sample.lasting(),
        "verify": recipe.curate.verify.model_dump(mode="json"),
        "max_new_tokens": recipe.generate.max_new_tokens,
        "sandbox": recipe.sandbox.level,
    }


def sequences(context: Context) -> int:
    """Return how many answers one step learns from."""
    return context.recipe.grpo.prompts * context.recipe.grpo.answers


def check_generation(context: Context, shape: Any, element: int, rank: int, device: str) -> None:
    """Refuse, before anything runs, answers that do not fit the device's memory."""
    from codefit.plan.generation import footprint, plan_generation, refuse_generation

    recipe = context.recipe
    tokens = recipe.format.max_length + (recipe.grpo.max_new_tokens or recipe.generate.max_new_tokens)
    found = plan_generation(
        footprint(shape, "plain", element, rank), tokens=tokens, budget=parse_bytes(recipe.memory),
        device=device, greedy=False, most=sequences(context),
    )  # fmt: skip
    if device.startswith("cuda") and (not found.fits or found.sequences < sequences(context)):
        raise refuse_generation(found, "grpo.answers")


def grpo_stage(context: Context, arm: ArmSettings) -> None:
    """Train one arm, or go on from its last checkpoint."""
    from codefit.curate.rows_io import read_rows
    from codefit.curate.runner import Verdicts
    from codefit.methods.grpo import Course, train
    from codefit.methods.prompts import find_prompts

    recipe, cache = context.recipe, context.out / "cache"
    curated = list(read_rows(context.out / context.rows_file(arm)))
    with Verdicts(cache / "sample_verdicts.jsonl") as verdicts, Ledger(cache / "more_tests.jsonl") as made:
        found = find_prompts(
            curated, failed_of(context, curated), recipe.sample, recipe.curate.verify, context.sandbox, verdicts,
            made, seed=recipe.seed,
        )  # fmt: skip
    settings = recipe.train_of(arm)
    chosen = read_json(context.out / "plan.json")["arms"][arm.name]["settings"]
    course = Course(
        arm=arm.name,
        model=context.start_model,
        prompts=found.prompts,
        settings=recipe.grpo,
        train=settings.model_copy(update={"recompute": chosen["recompute"]}),
        max_new_tokens=recipe.grpo.max_new_tokens or recipe.generate.max_new_tokens,
        micro_batch=_divisor(sequences(context), chosen["micro_batch"]),
        chat=context.chat,
        tokenizer=context.tokenizer,
        verify=recipe.curate.verify,
        sandbox=context.sandbox,
        seed=recipe.seed if settings.seed is None else settings.seed,
        memory=parse_bytes(recipe.memory),
    )
    train(course, context.arm_folder(arm.name), context.listen)


def _divisor(whole: int, most: int) -> int:
    """Return the largest divisor of `whole` that is at most `most`."""
    return next(n for n in range(min(whole, most), 0, -1) if whole % n == 0)
