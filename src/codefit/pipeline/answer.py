"""Let one model answer one suite, outside a run: what `generate` and `evaluate` do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codefit.core.errors import InputError, did_you_mean
from codefit.core.files import read_json, write_jsonl
from codefit.core.generation import GenerateSettings, Weights
from codefit.core.paths import expanded
from codefit.core.progress import Listener, silent
from codefit.core.types import Completion, Task

if TYPE_CHECKING:
    from codefit.pipeline.remote import RemoteModel
    from codefit.suites.base import Suite
    from codefit.suites.flavours import Flavour


@dataclass(frozen=True, slots=True)
class Model:
    """A model folder, with the adapter that sits on it where there is one."""

    path: Path
    adapter: Path | None


def find_model(name: str, listen: Listener = silent) -> Model:
    """Return the model of `micro`, of the hub, of a model folder or of an adapter folder; raises `InputError`."""
    from codefit.core.origins import ModelSettings
    from codefit.models.hub import fetch_model, names_hub_model
    from codefit.models.start import start_model

    path = fetch_model(name, None, listen) if names_hub_model(name) else expanded(Path(name), "--model")
    if not (path / "adapter_config.json").exists():
        return Model(start_model(ModelSettings(name=str(path)), path, 0), None)
    config = read_json(path / "adapter_config.json")
    base = config.get("base_model_name_or_path") if isinstance(config, dict) else None
    if not isinstance(base, str) or not base:
        raise InputError("names no base model", where=str(path / "adapter_config.json"))
    if names_hub_model(base):
        return Model(fetch_model(base, None, listen), path)
    if not (Path(base) / "config.json").exists():
        raise InputError(
            f"its base model is not at '{base}'", where=name, todo="merge it: codefit export merge"
        )
    return Model(start_model(ModelSettings(name=str(Path(base).absolute())), path, 0), path)


@dataclass(frozen=True, slots=True)
class Wish:
    """How a model is to be asked; `only` are the tasks to ask, None for all, `flavour` how they are put."""

    system: str | None
    generate: GenerateSettings
    memory: int
    device: str
    weights: Weights = "plain"
    only: tuple[str, ...] | None = None
    flavour: str = "plain"


def answer_suite(
    suite: Suite, model: Model | RemoteModel, wish: Wish, ledger: Path, listen: Listener
) -> tuple[list[Completion], dict[str, Any]]:
    """Return the completions of the tasks, and what they took; `ledger` keeps them, so that a killed run goes on.

    Where a flavour cuts answers, the texts are what the judge gets, and the ledger's what the model wrote.
    """
    from codefit.suites.flavours import flavour_of

    flavour = flavour_of(suite, wish.flavour)
    if isinstance(model, Model):
        return _answer_here(suite, model, flavour, wish, ledger, listen)
    from codefit.generate.types import Decoding
    from codefit.pipeline.remote import Question, ask_remote

    question = Question(chosen_tasks(suite, wish.only), flavour, wish.system, wish.generate.samples)
    stage = f"generate {suite.info.name}"
    return ask_remote(model, question, Decoding.of(wish.generate, 0), ledger, stage, listen)


def _answer_here(
    suite: Suite, model: Model, flavour: Flavour, wish: Wish, ledger: Path, listen: Listener
) -> tuple[list[Completion], dict[str, Any]]:
    from codefit.models.load import load_tokenizer, require_torch, resolve_device, resolve_dtype

    tasks = chosen_tasks(suite, wish.only)
    require_torch()
    from codefit.format.chat import ChatFormat
    from codefit.generate.ask import requests_of
    from codefit.generate.types import Decoding
    from codefit.pipeline.local import Asking, LocalModel, ask

    device = resolve_device(wish.device)
    local = LocalModel(model.path, model.adapter, device, resolve_dtype("auto", device), wish.weights)
    tokenizer = load_tokenizer(model.path)
    chat = ChatFormat(tokenizer, system=wish.system, fence=True)  # a fence shapes answers only
    asking = Asking(chat, tokenizer, Decoding.of(wish.generate, 0), wish.generate.batch_size, wish.memory,
                    ledger, listen)  # fmt: skip
    requests = requests_of(chat, tasks, wish.generate.samples, flavour)
    found, took = ask(local, requests, asking, f"generate {suite.info.name}")
    texts = [replace(c, text=flavour.answer(c.text, "begun")) for c in found]
    return texts, {"model": str(model.adapter or model.path), "form": flavour.form("begun"), **took}


def chosen_tasks(suite: Suite, only: tuple[str, ...] | None) -> list[Task]:
    """Return a suite's tasks, or those named; raises `InputError` for one that it has not."""
    if only is None:
        return list(suite.tasks)
    known = {t.task_id: t for t in suite.tasks}
    unknown = [name for name in only if name not in known]
    if unknown:
        todo = did_you_mean(unknown[0], known) or "check the task id"
        raise InputError(f"no task '{unknown[0]}' in suite '{suite.info.name}'", where="--only", todo=todo)
    return [known[name] for name in dict.fromkeys(only)]


def write_completions(completions: list[Completion], out: Path) -> None:
    """Write completions as JSON Lines, atomically."""
    write_jsonl(out, (completion_line(c) for c in completions))


def completion_line(c: Completion) -> dict[str, Any]:
    """Return a completion as a line of a file."""
    return {
        "task_id": c.task_id,
        "sample": c.sample,
        "text": c.text,
        "tokens": c.tokens,
        "mean_logprob": c.mean_logprob,
        "min_logprob": c.min_logprob,
        "finish_reason": c.finish_reason,
        "asked": c.asked,
        "decoding": c.decoding,
    }
