"""The start model of a run, as a folder: embedded, local, of a hub, or random weights of a given shape."""

from __future__ import annotations

from pathlib import Path

from codefit.core.errors import InputError, did_you_mean
from codefit.core.files import atomic_folder, read_json
from codefit.core.origins import ModelSettings
from codefit.core.paths import expanded
from codefit.core.progress import Listener, silent
from codefit.models.check import check_ends, check_weights
from codefit.models.hub import fetch_config, fetch_model, look_at_model, names_hub_model
from codefit.models.load import load_tokenizer, require_torch

_RANDOM = "random:"


def known_shapes() -> dict[str, Path]:
    """Return the config.json of each shape that codefit knows by name."""
    return {p.stem: p for p in sorted(Path(__file__).with_name("shapes").glob("*.json"))}


def shape_file(name: str) -> Path:
    """Return the config.json of a folder, of a shape that codefit knows by name, or of a hub model."""
    known = known_shapes()
    bare = name.lower().split("@")[0].split("/")[-1].removesuffix("-instruct")
    if bare in known:
        return known[bare]
    if names_hub_model(name):
        return fetch_config(name)
    path = expanded(name, "model")
    path = path / "config.json" if path.is_dir() else path
    if path.is_file():
        return path
    hint = did_you_mean(bare, known) or f"known shapes: {', '.join(known)}"
    raise InputError(
        f"no model shape '{name}'",
        where="model",
        todo=f"name a folder with config.json, or owner/name; {hint}",
    )


def start_model(settings: ModelSettings, folder: Path, seed: int, listen: Listener = silent) -> Path:
    """Return the start model's folder; a random one is made in `folder`, one of a hub downloaded.

    Raises `InputError` for a folder without config.json, or weights that aren't there or are cut off.
    """
    if settings.name == "micro":
        from codefit.micro import model_path

        return model_path()
    if settings.name.startswith(_RANDOM):
        return _random_model(
            shape_file(settings.name.removeprefix(_RANDOM)), settings.tokenizer, folder, seed
        )
    if names_hub_model(settings.name):
        return fetch_model(settings.name, settings.revision, listen)
    return _model_folder(settings.name)


def check_model(settings: ModelSettings) -> None:
    """Raise `InputError` for a start model that cannot be had; makes and downloads nothing."""
    if settings.name.startswith(_RANDOM):
        shape_file(settings.name.removeprefix(_RANDOM))
        _tokenizer_path(settings.tokenizer)
    elif names_hub_model(settings.name):
        look_at_model(settings.name, settings.revision)
    elif settings.name != "micro":
        _model_folder(settings.name)


def _tokenizer_path(tokenizer: str | None) -> Path:
    if tokenizer is None:
        raise InputError("a random model needs model.tokenizer", where="model.tokenizer")
    path = expanded(tokenizer, "model.tokenizer")
    if not path.exists():
        raise InputError(f"no tokenizer at '{path}'", where="model.tokenizer", todo="name a folder or file")
    return path


def _model_folder(name: str) -> Path:
    path = expanded(name, "model.name")
    if not (path / "config.json").exists():
        raise InputError(
            f"no model at '{name}'",
            where="model.name",
            todo="name a folder with config.json, a model of the hub as owner/name, or 'micro'",
        )
    check_weights(path)
    check_ends(path)
    return path


def _random_model(shape: Path, tokenizer: str | None, folder: Path, seed: int) -> Path:
    """Make a model of random weights from a config.json, to try a recipe without the real one."""
    out = folder / "random"
    if (out / "config.json").exists():
        return out
    require_torch()
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    words = load_tokenizer(_tokenizer_path(tokenizer))
    fields = read_json(shape)
    config = AutoConfig.for_model(**fields)
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.generation_config.eos_token_id = words.eos_token_id
    model.generation_config.pad_token_id = words.pad_token_id
    with atomic_folder(out) as temp:
        model.save_pretrained(str(temp))
        words.save_pretrained(str(temp))
    return out
