"""Let one model answer one suite, outside a run: what `generate` and `evaluate` do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codefit.core.errors import InputError
from codefit.core.files import digest, file_digest, read_json, write_jsonl
from codefit.core.paths import expanded
from codefit.core.progress import Listener
from codefit.core.types import Completion

if TYPE_CHECKING:
    from codefit.suites.base import Suite


@dataclass(frozen=True, slots=True)
class Model:
    """A model folder, with the adapter that sits on it where there is one."""

    path: Path
    adapter: Path | None


def find_model(name: str) -> Model:
    """Return the model of `micro`, a model folder, or an adapter folder; raises `InputError`."""
    from codefit.core.recipe import ModelSettings
    from codefit.models.start import start_model

    path = expanded(Path(name), "--model")
    if not (path / "adapter_config.json").exists():
        return Model(start_model(ModelSettings(name=name), path, 0), None)
    base = read_json(path / "adapter_config.json").get("base_model_name_or_path")
    if not base or not (Path(base) / "config.json").exists():
        raise InputError(
            f"its base model is not at '{base}'", where=name, todo="merge it: codefit export merge"
        )
    return Model(Path(base), path)


@dataclass(frozen=True, slots=True)
class Asking:
    """How a model is asked."""

    system: str | None
    max_new_tokens: int
    batch_size: int
    device: str


def answer_suite(
    suite: Suite, model: Model, asking: Asking, ledger: Path, listen: Listener
) -> list[Completion]:
    """Return a greedy completion per task; `ledger` keeps them, so that a killed run goes on."""
    from codefit.models.load import load_model, load_tokenizer, require_torch, resolve_device, resolve_dtype

    require_torch()
    from codefit.format.chat import ChatFormat
    from codefit.generate.ask import requests_of, stated
    from codefit.generate.cache import complete
    from codefit.generate.types import Decoding

    device, decoding = resolve_device(asking.device), Decoding(asking.max_new_tokens)
    dtype = resolve_dtype("auto", device)
    tokenizer = load_tokenizer(model.path)
    chat = ChatFormat(tokenizer, system=asking.system, fence=True)  # a fence shapes answers only

    def load() -> Any:
        from codefit.generate.engine import TransformersEngine

        loaded = load_model(model.path, dtype=dtype, device=device, adapter=model.adapter)
        return TransformersEngine(
            loaded,
            tokenizer,
            end_id=chat.end_id,
            decoding=decoding,
            batch_size=asking.batch_size,
        )

    weights = [file_digest(p) for p in (model.path, model.adapter) if p is not None]
    requests = requests_of(chat, suite.tasks)
    found = complete(
        requests,
        load,
        ledger,
        setting=digest(*weights, dtype, decoding.key(), str(chat.end_id)),
        stage=f"generate {suite.info.name}",
        listen=listen,
    )
    return stated(found, requests, decoding)


def write_completions(completions: list[Completion], out: Path) -> None:
    """Write completions as JSON Lines, atomically."""
    write_jsonl(
        out,
        (
            {
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
            for c in completions
        ),
    )
