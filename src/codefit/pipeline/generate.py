"""The stage in which the start model, the arms and the rivals answer the suites."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codefit.core.errors import InputError
from codefit.core.files import write_json, write_jsonl
from codefit.core.recipe import ArmSettings
from codefit.core.types import Completion
from codefit.core.units import parse_bytes
from codefit.pipeline.answer import completion_line
from codefit.pipeline.context import SPENT, START, Context, suite_settings
from codefit.pipeline.local import Asking, LocalModel, ask
from codefit.pipeline.model import is_adapter, trained_weights
from codefit.pipeline.remote import Question, RemoteModel, ask_remote
from codefit.pipeline.rivals import local_rival, require_rivals, rival_of, rival_settings

if TYPE_CHECKING:
    from codefit.generate.types import Decoding, Request
    from codefit.plan.generation import Footprint
    from codefit.suites.base import Suite, SuiteInfo
    from codefit.suites.flavours import Flavour


def plan_settings(context: Context) -> dict[str, Any]:
    """Return what decides how answers are planned, beside memory and start model."""
    return {
        **context.recipe.generate.model_dump(mode="json"),
        "suites": [suite_settings(suite.info) for _, suite in context.suites],
        "rivals": _rivals(context),
        # with the start model, whose template it is; to ask that here would load torch for a run that is done
        "format": context.recipe.format.model_dump(mode="json", exclude={"max_length"}),
    }


def plan_stage(context: Context) -> None:
    """Plan how every model answers the longest prompt, before anything is trained; refuse what cannot.

    The engine plans again with the very model; this is the closed form, from its shape.
    """
    from codefit.plan.generation import plan_generation, refuse_generation

    require_rivals(context)
    g, budget = context.recipe.generate, parse_bytes(context.recipe.memory)
    tokens = max(len(r.ids) for index in range(len(context.suites)) for r in _requests(context, index))
    tokens += g.max_new_tokens
    most = max(len(suite.tasks) for _, suite in context.suites) * g.samples
    plans = {}
    for name, (found, device) in _footprints(context).items():
        plan = plan_generation(
            found, tokens=tokens, budget=budget, device=device, greedy=g.temperature == 0,
            most=min(g.batch_size or most, most),
        )  # fmt: skip
        if device.startswith("cuda") and not plan.fits:
            raise refuse_generation(plan, f"memory: {context.recipe.memory}, model {name}")
        plans[name] = plan.to_json()
    write_json(context.out / "generation_plan.json", {"tokens": tokens, "models": plans})


def _requests(context: Context, index: int) -> list[Request]:
    """Return one request per task of a suite, in its flavour, by the start model's template."""
    from codefit.generate.ask import requests_of
    from codefit.suites.flavours import flavour_of

    settings, suite = context.suites[index]
    return requests_of(context.chat, suite.tasks, 1, flavour_of(suite, settings.flavour))


def _footprints(context: Context) -> dict[str, tuple[Footprint, str]]:
    """Return what each model takes, and its device; rivals of a family that no plan knows are left out."""
    from codefit.plan.generation import footprint
    from codefit.plan.shape import read_shape

    found = {}
    for arm in (None, *context.recipe.arms):
        model = model_of(context, arm, None)
        adapter = arm is not None and is_adapter(context, arm)
        rank = context.recipe.train_of(arm).lora_rank if arm and adapter else 0
        shape, element = read_shape(model.path / "config.json"), 2 if model.dtype == "bfloat16" else 4
        found[arm.name if arm else START] = (footprint(shape, model.weights, element, rank), model.device)
    for rival in context.recipe.rivals:
        here = local_rival(context, rival)
        if here is None:
            continue  # whoever answers over HTTP plans for itself
        with contextlib.suppress(InputError):
            shape, element = read_shape(here.path / "config.json"), 2 if here.dtype == "bfloat16" else 4
            found[rival.name] = (footprint(shape, here.weights, element), here.device)
    return found


def model_of(context: Context, arm: ArmSettings | None, weights: Path | None) -> LocalModel:
    """Return weights of an arm (an adapter or a model, by its method); without an arm the start model."""
    from codefit.models.load import model_dtype, resolve_device, resolve_dtype

    path, adapter = context.start_model, None
    if arm and weights:
        path, adapter = (context.start_model, weights) if is_adapter(context, arm) else (weights, None)
    t = context.recipe.train_of(arm or context.main_arm)
    device = resolve_device(t.device)
    # the start model answers in the numbers that the main arm's adapters were trained on
    nf4 = t.method == "qlora"
    if arm and weights and not is_adapter(context, arm):
        dtype = model_dtype(weights)  # the plan may have chosen it
    else:
        dtype = resolve_dtype(t.dtype, device, "qlora" if nf4 else "lora")
    return LocalModel(path, adapter, device, dtype, "nf4" if nf4 else "plain")


def asking_of(context: Context, decoding: Decoding) -> Asking:
    """Return how the models of a run are asked."""
    return Asking(
        context.chat, context.tokenizer, decoding, context.recipe.generate.batch_size,
        parse_bytes(context.recipe.memory), context.out / "cache" / "completions.jsonl", context.listen,
    )  # fmt: skip


def greedy_answers(
    context: Context, arm: ArmSettings | None, weights: Path | None, requests: list[Request], stage: str
) -> list[Completion]:
    """Let weights of an arm answer requests, greedily; those answered before are read from the cache.

    Without an arm it is the start model that answers.
    """
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
        "rivals": _rivals(context),
    }


def _rivals(context: Context) -> list[dict[str, Any]]:
    return [rival_settings(context, rival) for rival in context.recipe.rivals]


def generate_stage(context: Context, index: int) -> None:
    """Let the start model, every arm and every rival answer one suite."""
    from codefit.generate.types import Decoding
    from codefit.suites.flavours import flavour_of
    from codefit.suites.results import task_row

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
    write_jsonl(context.out / "tasks" / f"{suite.info.name}.jsonl", (task_row(t) for t in suite.tasks))
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
