"""Stages that make models: plan, train, publish."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from codefit.core.files import read_json, write_json
from codefit.core.progress import Event
from codefit.core.recipe import ArmSettings, TrainSettings
from codefit.core.units import parse_bytes
from codefit.pipeline import grpo
from codefit.pipeline.context import Context
from codefit.pipeline.develop import developer

if TYPE_CHECKING:
    from codefit.plan.search import Wish
    from codefit.train.loop import Job


def plan_settings(context: Context) -> dict[str, Any]:
    """Return what decides the plan."""
    return {
        "memory": context.recipe.memory,
        "model": context.start_digest,
        "train": [context.recipe.train_of(arm).decisive() for arm in context.recipe.arms],
        "arms": [[arm.name, arm.budget, *arm.part] for arm in context.recipe.arms],
        "max_length": context.recipe.format.max_length,
    }


def plan_stage(context: Context) -> None:
    """Predict the peak of every arm, choose what the recipe leaves open, refuse what can't fit."""
    from codefit.plan.search import plan_first, refuse
    from codefit.plan.shape import read_shape

    shape = read_shape(context.start_model / "config.json")
    arms: dict[str, Any] = {}
    for arm in context.recipe.arms:
        t = context.recipe.train_of(arm)
        wishes = [_wish(context, arm, t.with_optimizer(name)) for name in t.optimizers]
        if arm.objective == "grpo":
            grpo.check_generation(context, shape, wishes[0].element, t.lora_rank, wishes[0].device)
        found = plan_first(shape, wishes, parse_bytes(context.recipe.memory))
        if not found.fits:
            raise refuse(found, f"memory: {context.recipe.memory}")
        arms[arm.name] = found.to_json(_tokens(context, arm))
    main = context.main_arm.name
    write_json(context.out / "plan.json", {**arms[main], "arms": arms})


def _wish(context: Context, arm: ArmSettings, t: TrainSettings) -> Wish:
    """Return what to plan for an arm's settings with an optimizer."""
    from codefit.models.load import resolve_device, resolve_dtype
    from codefit.plan.search import Wish

    device = resolve_device(t.device)
    return Wish(
        method=t.method,
        max_length=context.recipe.format.max_length,
        batch_size=grpo.sequences(context) if arm.objective == "grpo" else t.share_of_batch,
        rank=t.lora_rank,
        element=2 if resolve_dtype(t.dtype, device, t.method, t.bits) == "bfloat16" else 4,
        device=device,
        micro_batch=t.micro_batch,
        recompute=t.recompute,
        bits=t.bits,
        offload=t.offload,
        host_embedding=t.movable_embedding,
        graphs=t.cuda_graphs,
        engine="trl" if arm.objective == "grpo" else t.engine,
    )


def _tokens(context: Context, arm: ArmSettings) -> int | None:
    """Return the tokens that one process of an arm will see; None while rows are still to be sampled."""
    if arm.objective == "grpo" or arm.samples or (arm.budget == "tokens" and context.main_arm.samples):
        return None
    examples, _ = context.split(arm)
    share = sum(len(e.token_ids) for e in examples) / sum(e.trained_tokens for e in examples)
    return round(share * context.trained_budget(arm) / context.recipe.train_of(arm).processes)


def train_settings(context: Context, arm: ArmSettings) -> dict[str, Any]:
    """Return what decides an arm's weights, beside its rows and the plan."""
    return {
        "train": context.recipe.train_of(arm).decisive(),
        "model": context.start_digest,
        "format": context.recipe.format.model_dump(mode="json"),
        "budget": [arm.budget, *(context.main_arm if arm.budget == "tokens" else arm).part],
        "rows": arm.part,
        "grpo": grpo.grpo_settings(context) if arm.objective == "grpo" else None,
        "seed": context.recipe.seed,
    }


def _planned(context: Context, arm: ArmSettings) -> TrainSettings:
    """Return the arm's settings with the plan's choices filled in."""
    chosen = read_json(context.out / "plan.json")["arms"][arm.name]["settings"]
    settings = context.recipe.train_of(arm)
    return settings.model_copy(
        update={k: chosen[k] for k in ("micro_batch", "recompute", "optimizer", "offload", "host_embedding")}
    )


def job_of(context: Context, arm: ArmSettings) -> Job:
    """Return the training job of an arm."""
    from codefit.train.loop import Job

    training, validation = context.split(arm)
    settings = _planned(context, arm)
    planned = read_json(context.out / "plan.json")["arms"][arm.name]
    return Job(
        model=context.start_model,
        examples=training,
        validation=validation,
        settings=settings,
        capacity=context.recipe.format.max_length,
        budget=context.trained_budget(arm),
        seed=context.recipe.seed if settings.seed is None else settings.seed,
        pad_id=context.tokenizer.pad_token_id,
        memory=parse_bytes(context.recipe.memory),
        # The CUDA context is not the allocator's.
        planned_mb=planned["peak_mb"] - planned["components_mb"].get("context", 0.0),
    )


def train_stage(context: Context, arm: ArmSettings) -> None:
    """Train one arm, or go on from its last checkpoint."""
    if arm.objective == "grpo":
        grpo.grpo_stage(context, arm)
        return
    from codefit.train.checkpoint import discard_foreign
    from codefit.train.loop import train
    from codefit.train.trl import launch, saved

    folder, job = context.arm_folder(arm.name), job_of(context, arm)
    key, checkpoints = job.key(), folder / "checkpoints"
    if discard_foreign(checkpoints, key) | saved.discard(checkpoints, key):
        context.listen(Event(f"train {arm.name}", "rows or settings changed: starting over"))
    if job.settings.engine == "trl":
        launch.train(job, folder, arm.name, context.listen)
    else:
        train(job, folder, arm.name, context.listen, developer(context, arm))


def raw_weights(context: Context, arm: ArmSettings) -> Path:
    """Return the folder of an arm's weights as training left them."""
    return context.arm_folder(arm.name) / ("adapter" if is_adapter(context, arm) else "model")


def trained_weights(context: Context, arm: ArmSettings) -> Path:
    """Return the folder of an arm's weights: the chosen ones where the recipe chooses."""
    if context.recipe.train_of(arm).choose:
        return context.arm_folder(arm.name) / "chosen"
    return raw_weights(context, arm)


def is_adapter(context: Context, arm: ArmSettings) -> bool:
    """Return whether an arm's weights are an adapter on the start model."""
    return context.recipe.train_of(arm).method != "full"


def publish_settings(context: Context) -> dict[str, Any]:
    """Return what decides the published folder, beside the weights."""
    return {"model": context.start_digest}


def publish_stage(context: Context) -> None:
    """Write the main arm as a folder that plain transformers loads."""
    from codefit.publish.merge import complete_model, export_merged

    arm = context.main_arm
    weights = trained_weights(context, arm)
    if is_adapter(context, arm):
        nf4 = context.recipe.train_of(arm).method == "qlora"
        export_merged(context.start_model, weights, context.tokenizer, weights.with_name("model"), nf4=nf4)
    else:
        complete_model(weights, context.tokenizer)
