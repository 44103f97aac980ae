"""Stages that make and ask models: plan, train, publish, generate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from codefit.core.files import digest, file_digest, read_json, write_json, write_jsonl
from codefit.core.progress import Event
from codefit.core.recipe import ArmSettings, TrainSettings
from codefit.core.types import Completion
from codefit.core.units import parse_bytes
from codefit.pipeline.context import START, Context, suite_settings
from codefit.pipeline.develop import developer

if TYPE_CHECKING:
    from codefit.generate.types import Request
    from codefit.suites.base import SuiteInfo
    from codefit.train.loop import Job


def plan_settings(context: Context) -> dict[str, Any]:
    """Return what decides the plan."""
    return {
        "memory": context.recipe.memory,
        "model": context.start_digest,
        "train": [context.recipe.train_of(arm).decisive() for arm in context.recipe.arms],
        "max_length": context.recipe.format.max_length,
    }


def plan_stage(context: Context) -> None:
    """Predict the peak of every arm, choose what the recipe leaves open, refuse what can't fit."""
    from codefit.models.load import resolve_device, resolve_dtype
    from codefit.plan.search import Wish, plan, refuse
    from codefit.plan.shape import read_shape

    shape = read_shape(context.start_model / "config.json")
    arms: dict[str, Any] = {}
    for arm in context.recipe.arms:
        t = context.recipe.train_of(arm)
        device = resolve_device(t.device)
        wish = Wish(
            method=t.method,
            max_length=context.recipe.format.max_length,
            batch_size=t.share_of_batch,
            rank=t.lora_rank,
            element=2 if resolve_dtype(t.dtype, device, t.method, t.bits) == "bfloat16" else 4,
            device=device,
            micro_batch=t.micro_batch,
            recompute=t.recompute,
            bits=t.bits,
            offload=t.offload,
            host_embedding=t.movable_embedding,
            engine=t.engine,
        )
        found = plan(shape, wish, parse_bytes(context.recipe.memory))
        if not found.fits:
            raise refuse(found, f"memory: {context.recipe.memory}")
        examples, _ = context.split(arm)
        share = sum(len(e.token_ids) for e in examples) / sum(e.trained_tokens for e in examples)
        arms[arm.name] = found.to_json(round(share * context.trained_budget(arm) / t.processes))
    main = context.main_arm.name
    write_json(context.out / "plan.json", {**arms[main], "arms": arms})


def train_settings(context: Context, arm: ArmSettings) -> dict[str, Any]:
    """Return what decides an arm's weights, beside its rows and the plan."""
    return {
        "train": context.recipe.train_of(arm).decisive(),
        "model": context.start_digest,
        "format": context.recipe.format.model_dump(mode="json"),
        "budget": arm.budget,
        "seed": context.recipe.seed,
    }


def _planned(context: Context, arm: ArmSettings) -> TrainSettings:
    """Return the arm's settings with the plan's choices filled in."""
    chosen = read_json(context.out / "plan.json")["arms"][arm.name]["settings"]
    settings = context.recipe.train_of(arm)
    return settings.model_copy(
        update={k: chosen[k] for k in ("micro_batch", "recompute", "offload", "host_embedding")}
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


def answers(
    context: Context, arm: ArmSettings | None, weights: Path | None, requests: list[Request], stage: str
) -> list[Completion]:
    """Let weights of an arm answer requests, greedily; those answered before are read from the cache.

    `weights` are an adapter or a model, by the arm's method; without an arm it is the start model that answers.
    """
    from codefit.generate.ask import stated
    from codefit.generate.cache import complete
    from codefit.generate.types import Decoding
    from codefit.models.load import resolve_device, resolve_dtype

    model_path, adapter = context.start_model, None
    if arm and weights:
        model_path, adapter = (context.start_model, weights) if is_adapter(context, arm) else (weights, None)
    g, t = context.recipe.generate, context.recipe.train_of(arm or context.main_arm)
    device, decoding = resolve_device(t.device), Decoding(g.max_new_tokens)
    # the start model answers in the numbers that the main arm's adapters were trained on
    nf4 = t.method == "qlora"
    dtype = resolve_dtype(t.dtype, device, t.method if arm or nf4 else "lora")

    def load() -> Any:
        from codefit.generate.engine import TransformersEngine
        from codefit.models.load import load_model

        return TransformersEngine(
            load_model(model_path, dtype=dtype, device=device, adapter=adapter, nf4=nf4),
            context.tokenizer,
            end_id=context.chat.end_id,
            decoding=decoding,
            batch_size=g.batch_size,
        )

    setting = digest(
        file_digest(model_path),
        file_digest(adapter) if adapter else "",
        f"nf4, {dtype}" if nf4 else dtype,
        decoding.key(),
        str(context.chat.end_id),
    )
    ledger = context.out / "cache" / "completions.jsonl"
    found = complete(requests, load, ledger, setting=setting, stage=stage, listen=context.listen)
    return stated(found, requests, decoding)


def generate_settings(context: Context, info: SuiteInfo) -> dict[str, Any]:
    """Return what decides completions, beside the weights."""
    return {
        **suite_settings(info),
        "generate": context.recipe.generate.model_dump(mode="json", exclude={"batch_size"}),
        "format": context.recipe.format.model_dump(mode="json", exclude={"max_length"}),
        "model": context.start_digest,
    }


def generate_stage(context: Context, index: int) -> None:
    """Let the start model and every arm answer one suite."""
    from codefit.generate.ask import requests_of
    from codefit.suites.extract import extract
    from codefit.suites.results import task_row

    _, suite = context.suites[index]
    requests = requests_of(context.chat, suite.tasks)
    lines: list[dict[str, Any]] = []
    for arm in (None, *context.recipe.arms):
        name = arm.name if arm else START
        weights = trained_weights(context, arm) if arm else None
        found = answers(context, arm, weights, requests, f"generate {suite.info.name}, {name}")
        for task, c in zip(suite.tasks, found, strict=True):
            part = extract(c.text, task.entry_point)
            lines.append(
                {
                    "arm": name,
                    "task_id": c.task_id,
                    "sample": c.sample,
                    "text": c.text,
                    "program": part.program,
                    "extraction": part.rule,
                    "tokens": c.tokens,
                    "mean_logprob": c.mean_logprob,
                    "min_logprob": c.min_logprob,
                    "finish_reason": c.finish_reason,
                    "asked": c.asked,
                    "decoding": c.decoding,
                }
            )
    write_jsonl(context.out / "tasks" / f"{suite.info.name}.jsonl", (task_row(t) for t in suite.tasks))
    write_jsonl(context.out / "completions" / f"{suite.info.name}.jsonl", lines)
