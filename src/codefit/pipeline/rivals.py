"""The rivals of a recipe: which models they are, and who answers for them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codefit.core.files import file_digest
from codefit.core.origins import ModelSettings
from codefit.core.rivals import RivalSettings
from codefit.core.units import parse_bytes
from codefit.pipeline.context import Context
from codefit.pipeline.local import Asking, LocalModel
from codefit.pipeline.remote import RemoteModel

if TYPE_CHECKING:
    from codefit.format.chat import ChatFormat
    from codefit.generate.remote import ServerSettings


def rival_settings(context: Context, rival: RivalSettings) -> dict[str, Any]:
    """Return what decides a rival's answers, for a stage key; an endpoint is its address and model's name."""
    found = rival.lasting()
    if rival.model:
        found["model"] = _digest(context, _folder(context, rival, rival.model))
    if rival.gguf:
        found["gguf"] = _digest(context, context.located(rival.gguf))
    return found


def _digest(context: Context, path: Path) -> str:
    """Return a hash of a rival's weights: gigabytes, which every stage asks about."""
    return context.once(("digest", path), lambda: file_digest(path))


def local_rival(context: Context, rival: RivalSettings) -> LocalModel | None:
    """Return a rival that this process loads, None where it is asked over HTTP."""
    if rival.engine != "transformers" or rival.model is None:
        return None
    from codefit.models.load import resolve_device, resolve_dtype

    device = resolve_device(context.recipe.train.device)
    folder = _folder(context, rival, rival.model)
    return LocalModel(folder, None, device, resolve_dtype("auto", device), rival.weights)


def rival_of(
    context: Context, rival: RivalSettings, asking: Asking
) -> RemoteModel | tuple[LocalModel, Asking]:
    """Return a rival and, where this process loads it, how it is asked: by its own template."""
    model = local_rival(context, rival)
    if model is None:
        what = rival.endpoint or _server(context, rival)
        return RemoteModel(what, context.cache / "replay", rival.stated_weights)
    chat, tokenizer = _template(context, model)
    return model, replace(asking, chat=chat, tokenizer=tokenizer)


def require_rivals(context: Context) -> None:
    """Raise now, not after hours of training, what a rival lacks to answer: template, library, program or key."""
    from codefit.generate.remote import require_remote
    from codefit.models.load import require_bitsandbytes

    for rival in context.recipe.rivals:
        if model := local_rival(context, rival):
            _template(context, model)
            if model.weights != "plain":
                require_bitsandbytes()
        else:
            require_remote(rival.endpoint or _server(context, rival), context.cache / "replay", os.environ)


def _template(context: Context, model: LocalModel) -> tuple[ChatFormat, Any]:
    """Return a rival's own chat template in the recipe's format, and its tokenizer."""
    from codefit.format.chat import ChatFormat
    from codefit.models.load import load_tokenizer

    tokenizer, f = load_tokenizer(model.path), context.recipe.format
    return ChatFormat(tokenizer, system=f.system, fence=f.fence), tokenizer


def _server(context: Context, rival: RivalSettings) -> ServerSettings:
    from codefit.generate.remote import ServerSettings

    log = context.out / "arms" / rival.name / "server.log"
    if rival.gguf:
        return ServerSettings(
            "llama.cpp", context.located(rival.gguf), log, context=rival.context, patience=rival.patience
        )
    if rival.model is None:
        raise RuntimeError(f"rival {rival.name} has no model")
    return ServerSettings(
        "vllm", _folder(context, rival, rival.model), log, context=rival.context,
        memory=parse_bytes(context.recipe.memory), patience=rival.patience,
    )  # fmt: skip


def _folder(context: Context, rival: RivalSettings, model: ModelSettings) -> Path:
    from codefit.models.start import start_model

    if model.tokenizer:
        model = model.model_copy(update={"tokenizer": str(context.located(Path(model.tokenizer)))})
    return start_model(
        model, context.out / "arms" / rival.name / "start", context.recipe.seed, context.listen
    )
