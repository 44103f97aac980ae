"""The stage in which the start model, the arms and the rivals answer the suites."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codefit.core.files import write_json, write_jsonl
from codefit.core.recipe import ArmSettings
from codefit.core.types import Completion, Task
from codefit.core.units import parse_bytes
from codefit.pipeline.answer import completion_line
from codefit.pipeline.context import SPENT, START, Context, suite_settings
from codefit.pipeline.local import Asking, LocalModel, ask
from codefit.pipeline.model import is_adapter, trained_weights
from codefit.pipeline.remote import Question, RemoteModel, ask_remote
from codefit.pipeline.rivals import rival_of, rival_settings

if TYPE_CHECKING:
    from codefit.generate.types import Decoding, Request
    from codefit.suites.base import Suite, SuiteInfo
    from codefit.suites.flavours import Flavour


def model_of(context: Context, arm: ArmSettings | None, weights: Path | None) -> LocalModel:
    """Return weights of an arm (an adapter or a model, by its method); without an arm the start model."""
    from codefit.models.load import resolve_device, resolve_dtype

    path, adapter = context.start_model, None
    if arm and weights:
        path, adapter = (context.start_model, weights) if is_adapter(context, arm) else (weights, None)
    t = context.recipe.train_of(arm or context.main_arm)
    device = resolve_device(t.device)
    # the start model answers in the numbers that the main arm's adapters were trained on
    nf4 = t.method == "qlora"
    dtype = resolve_dtype(t.dtype, device, t.method if arm or nf4 else "lora")
    return LocalModel(path, adapter, device, dtype, "nf4" if nf4 else "plain")


def asking_of(context: Context, decoding: Decoding) -> Asking:
    """Return how the models of a run are asked."""
    return Asking(
        context.chat, context.tokenizer, decoding, context.recipe.generate.batch_size,
        parse_bytes(context.recipe.memory), context.out / "cache" / "completions.jsonl", context.listen,
    )  # fmt: skip


def greedy_answers(
    context: Context, arm: ArmSettings, weights: Path, requests: list[Request], stage: str
) -> list[Completion]:
    """Let weights of an arm answer requests, greedily; those answered before are read from the cache."""
    from codefit.generate.types import Decoding

    asking = asking_of(context, Decoding(context.recipe.generate.max_new_tokens))
    return ask(model_of(context, arm, weights), requests, asking, stage)[0]


def generate_settings(context: Context, info: SuiteInfo) -> dict[str, Any]:
    """Return what decides completions, beside the weights."""
    recipe = context.recipe
    return {
        **suite_settings(info),
        "generate": recipe.generate.model_dump(mode="json", exclude={"batch_size"}),
        "seed": recipe.seed if recipe.generate.temperature else None,
        "format": recipe.format.model_dump(mode="json", exclude={"max_length"}),
        "model": context.start_digest,
        "rivals": [rival_settings(context, rival) for rival in recipe.rivals],
    }


def generate_stage(context: Context, index: int) -> None:
    """Let the start model, every arm and every rival answer one suite."""
    from codefit.generate.types import Decoding
    from codefit.suites.flavours import flavour_of

    settings, suite = context.suites[index]
    flavour = flavour_of(suite, settings.flavour)
    asking = asking_of(context, Decoding.of(context.recipe.generate, context.recipe.seed))
    lines: list[dict[str, Any]] = []
    for arm in (None, *context.recipe.arms):
        model = model_of(context, arm, trained_weights(context, arm) if arm else None)
        name = arm.name if arm else START
        lines += _lines(context, suite, name, *_answers(context, suite, flavour, name, model, asking))
    for rival in context.recipe.rivals:
        if isinstance(who := rival_of(context, rival, asking), RemoteModel):
            found = _remote_answers(context, suite, flavour, rival.name, who, asking)
        else:
            found = _answers(context, suite, flavour, rival.name, *who)
        lines += _lines(context, suite, rival.name, *found)
    write_jsonl(context.out / "tasks" / f"{suite.info.name}.jsonl", (_task_line(t) for t in suite.tasks))
    write_jsonl(context.out / "completions" / f"{suite.info.name}.jsonl", lines)


def _answers(
    context: Context, suite: Suite, flavour: Flavour, name: str, model: LocalModel, asking: Asking
) -> tuple[list[Completion], dict[str, Any]]:
    """Return what a model on this machine's disk answers, as the judge gets it, and what that took."""
    from codefit.generate.ask import requests_of

    requests = requests_of(asking.chat, suite.tasks, context.recipe.generate.samples, flavour)
    found, took = ask(model, requests, asking, f"generate {suite.info.name}, {name}")
    texts = [replace(c, text=flavour.answer(c.text, "begun")) for c in found]
    return texts, {**took, "form": flavour.form("begun")}


def _remote_answers(
    context: Context, suite: Suite, flavour: Flavour, name: str, model: RemoteModel, asking: Asking
) -> tuple[list[Completion], dict[str, Any]]:
    question = Question(suite.tasks, flavour, context.recipe.format.system, context.recipe.generate.samples)
    stage = f"generate {suite.info.name}, {name}"
    return ask_remote(model, question, asking.decoding, asking.ledger, stage, asking.listen)


def _lines(
    context: Context, suite: Suite, name: str, found: list[Completion], took: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return the completion lines of one model, after what they took is written."""
    from codefit.suites.extract import extract

    write_json(context.out / "arms" / name / suite.info.name / SPENT, {**took, "model": name})
    points = {t.task_id: t.entry_point for t in suite.tasks}
    lines = []
    for c in found:
        part = extract(c.text, points[c.task_id])
        lines.append({"arm": name, **completion_line(c), "program": part.program, "extraction": part.rule})
    return lines


def _task_line(task: Task) -> dict[str, Any]:
    return {
        "task_id": task.task_id,
        "prompt": task.prompt,
        "entry_point": task.entry_point,
        "reference": task.reference,
        "tests": len(task.tests),
        "plus_tests": len(task.plus) if task.plus else 0,
    }
