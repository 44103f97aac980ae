"""Options that say which engine answers, and what of them belongs to which engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource
from pydantic import ValidationError

from codefit.cli import show
from codefit.core.errors import InputError
from codefit.core.paths import expanded

if TYPE_CHECKING:
    from codefit.core.engines import PatienceSettings
    from codefit.pipeline.remote import RemoteModel

F = TypeVar("F", bound=Callable[..., Any])
ENGINES = ("transformers", "openai", "vllm", "llama.cpp")
_ASKING = ("concurrency", "timeout", "attempts", "backoff", "replay", "replay_only")
_STARTING = ("context", "server_command")
_OWN: dict[str, tuple[str, ...]] = {
    "transformers": ("model", "device", "quantise", "batch_size", "memory"),
    "openai": ("base_url", "api_model", "api", "api_key_env", "requests_per_minute", "weights", *_ASKING),
    "vllm": ("model", "memory", *_ASKING, *_STARTING),
    "llama.cpp": ("gguf", *_ASKING, *_STARTING),
}
_PATIENCE = {"concurrency": "concurrency", "requests_per_minute": "requests_per_minute", "timeout": "timeout_s",
             "attempts": "attempts", "backoff": "backoff_s"}  # fmt: skip


def engine_options(f: F) -> F:
    """Add the options of engines that answer over HTTP."""
    for option in (
        click.option("--replay-only", is_flag=True, help="Never ask anew: use kept answers or stop."),
        click.option("--replay", type=click.Path(path_type=Path), metavar="DIR",
                     help="Where answers are kept for all runs; default in codefit's cache."),
        click.option("--server-command", metavar="TEXT", help="Program of vllm or llama.cpp, where not on PATH."),
        click.option("--context", type=click.IntRange(16), default=4096, show_default=True,
                     help="Tokens of prompt and answer, for a server that is started."),
        click.option("--backoff", type=float, default=1.0, show_default=True, metavar="SECONDS",
                     help="Wait before the second try; it doubles."),
        click.option("--attempts", type=int, default=6, show_default=True, help="Tries of one request."),
        click.option("--timeout", type=float, default=600.0, show_default=True, metavar="SECONDS",
                     help="That one answer may take in all."),
        click.option("--requests-per-minute", type=int, metavar="N", help="Never ask more often than this."),
        click.option("--concurrency", type=int, default=4, show_default=True, help="Requests at the same time."),
        click.option("--weights", metavar="TEXT", help="Format of an endpoint's weights, for the score: Q4_K_M."),
        click.option("--gguf", type=click.Path(path_type=Path), metavar="FILE", help="llama.cpp: the model."),
        click.option("--api-key-env", metavar="NAME", help="Environment variable that holds the endpoint's key."),
        click.option("--api", type=click.Choice(["chat", "completions"]), default="chat", show_default=True,
                     help="completions: plain text, for base models."),
        click.option("--api-model", metavar="NAME", help="The model's name at the endpoint."),
        click.option("--base-url", metavar="URL", help="An OpenAI-compatible endpoint, up to /v1."),
        click.option("--engine", type=click.Choice(ENGINES),
                     help="Who answers; default openai with --base-url, llama.cpp with --gguf, else transformers."),
    ):  # fmt: skip
        f = option(f)
    return f


def remote_of(asked: dict[str, Any], model: str | None, log: Path) -> RemoteModel | None:
    """Return what is to answer over HTTP, None for transformers; `log` takes a started server's words.

    Raises `InputError` for options that are missing, wrong, or of another engine.
    """
    engine = asked["engine"] or (
        "openai" if asked["base_url"] else "llama.cpp" if asked["gguf"] else ENGINES[0]
    )
    _refuse_foreign(engine)
    if engine == "transformers":
        _need(engine, "--model", model)
        return None
    from codefit.pipeline.remote import RemoteModel

    what = _endpoint(asked) if engine == "openai" else _server(engine, asked, model, log)
    replay = expanded(asked["replay"], "--replay") if asked["replay"] else show.cache_folder() / "replay"
    return RemoteModel(what, replay, asked["weights"], asked["replay_only"])


def _refuse_foreign(engine: str) -> None:
    """Refuse an option that would change nothing with this engine."""
    context = click.get_current_context()
    for name in {n for names in _OWN.values() for n in names} - set(_OWN[engine]):
        if context.get_parameter_source(name) not in (ParameterSource.DEFAULT, None):
            owners = " and ".join(e for e in ENGINES if name in _OWN[e])
            raise InputError(f"is of engine {owners}, not of {engine}", where=f"--{name.replace('_', '-')}")


def _need(engine: str, option: str, value: Any) -> None:
    if value is None:
        raise InputError(f"engine {engine} needs {option}", where="--engine", todo=f"add {option}")


def _patience(engine: str, asked: dict[str, Any]) -> dict[str, Any]:
    return {field: asked[name] for name, field in _PATIENCE.items() if name in _OWN[engine]}


def _checked(make: Callable[[], Any]) -> Any:
    """Return what `make` makes of options; a fault is told by the option's name, never with a key in it."""
    try:
        return make()
    except ValidationError as e:
        fault = e.errors()[0]
        field = str(fault["loc"][0])
        option = next(
            (n for n, f in _PATIENCE.items() if f == field), "api_model" if field == "model" else field
        )
        what = fault["msg"].removeprefix("Value error, ")
        if field == "api_key_env":
            what = "is not the name of a variable; the key itself belongs into the environment"
        raise InputError(what, where=f"--{option.replace('_', '-')}") from None


def _endpoint(asked: dict[str, Any]) -> Any:
    from codefit.core.engines import EndpointSettings

    for option in ("--base-url", "--api-model"):
        _need("openai", option, asked[option.removeprefix("--").replace("-", "_")])
    return _checked(
        lambda: EndpointSettings(
            base_url=asked["base_url"], model=asked["api_model"], api=asked["api"],
            api_key_env=asked["api_key_env"], **_patience("openai", asked),
        )
    )  # fmt: skip


def _server(engine: str, asked: dict[str, Any], model: str | None, log: Path) -> Any:
    from codefit.core.engines import PatienceSettings
    from codefit.generate.remote import ServerSettings
    from codefit.pipeline.answer import find_model

    patience: PatienceSettings = _checked(lambda: PatienceSettings(**_patience(engine, asked)))
    adapter: Path | None = None
    if engine == "vllm":
        _need(engine, "--model", model)
        found = find_model(str(model))
        path, adapter = found.path, found.adapter
    else:
        _need(engine, "--gguf", asked["gguf"])
        path = expanded(asked["gguf"], "--gguf")
    memory = asked["memory"] if engine == "vllm" else None
    return ServerSettings(
        "vllm" if engine == "vllm" else "llama.cpp", path, log, adapter, asked["context"], memory,
        asked["server_command"], patience,
    )  # fmt: skip
