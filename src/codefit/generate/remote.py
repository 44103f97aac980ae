"""Everything that answers over HTTP, behind one door: endpoints, and servers that codefit starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from codefit.core.engines import EndpointSettings, PatienceSettings
from codefit.core.errors import InputError
from codefit.core.files import digest, file_digest
from codefit.generate.gguf import format_in_name, read_gguf
from codefit.generate.openai import Endpoint, OpenAIEngine, endpoint_of
from codefit.generate.programs import SERVED, folder_format, llama_program, memory_share, vllm_program
from codefit.generate.replay import Replay, store_file
from codefit.generate.server import Program, require_program, running
from codefit.generate.types import Decoding
from codefit.models.card import release_for_others

CONTEXT = 4096  # tokens of prompt and answer together, where a server is started

Served = Literal["vllm", "llama.cpp"]


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """A server to start: vLLM for a model folder (with an adapter), llama.cpp's for a GGUF file.

    `memory` are the bytes of a device that vLLM may take; `command` is the program where it is not the one
    of the environment variable or on PATH; `log` takes what it prints.
    """

    engine: Served
    model: Path
    log: Path
    adapter: Path | None = None
    context: int = CONTEXT
    memory: int | None = None
    command: str | None = None
    patience: PatienceSettings = field(default_factory=PatienceSettings)


@dataclass(frozen=True, slots=True)
class Remote:
    """What answers: a name for stage keys and replay, and what a score says of it."""

    identity: str
    told: dict[str, Any]
    engine: OpenAIEngine


@contextmanager
def remote(
    what: EndpointSettings | ServerSettings,
    decoding: Decoding,
    replay: Path,
    environ: Mapping[str, str],
    *,
    weights: str | None = None,
    stops: Sequence[str] = (),
    replay_only: bool = False,
    notice: Callable[[str], None] = lambda text: None,
) -> Iterator[Remote]:
    """Yield what answers over HTTP; a server starts with its first new request and ends with the block.

    `weights` states the weights' format where neither file nor name tells. Raises `InputError` for a model
    that cannot be used, and when asked what `OpenAIEngine` raises.
    """
    identity, told = _told(what)
    told["weights"] = weights or told["weights"]
    store = Replay(replay, identity, _shown(told))
    api = what.api if isinstance(what, EndpointSettings) else "chat"
    with ExitStack() as closing:
        closing.callback(store.close)

        def connect() -> Endpoint:
            if isinstance(what, EndpointSettings):
                return endpoint_of(what, environ)
            return closing.enter_context(_server(what, environ))

        engine = OpenAIEngine(
            identity, api, connect, decoding, store, stops=stops, replay_only=replay_only, notice=notice
        )
        yield Remote(digest(identity, decoding.key(), repr(tuple(stops))), told, engine)


def require_remote(what: EndpointSettings | ServerSettings, replay: Path, environ: Mapping[str, str]) -> None:
    """Raise now what `remote` would raise later for a key or a program that is not there, or a file that is no model.

    Where the replay store holds answers of it, key and program are not asked for: they may be all.
    """
    identity, told = _told(what)
    kept = store_file(replay, identity, _shown(told))
    if kept.exists() and kept.stat().st_size:
        return
    if isinstance(what, EndpointSettings):
        endpoint_of(what, environ)
    else:
        require_program(_program(what, environ), environ)


def _told(what: EndpointSettings | ServerSettings) -> tuple[str, dict[str, Any]]:
    return _endpoint_told(what) if isinstance(what, EndpointSettings) else _server_told(what)


def _shown(told: dict[str, Any]) -> str:
    return f"{told['engine']}-{told['model']}"


def _endpoint_told(what: EndpointSettings) -> tuple[str, dict[str, Any]]:
    told = {"engine": "openai", "model": what.model, "endpoint": what.base_url, "api": what.api,
            "weights": format_in_name(what.model)}  # fmt: skip
    return f"{what.base_url} {what.model}", told


def _server_told(what: ServerSettings) -> tuple[str, dict[str, Any]]:
    if not what.model.exists():
        raise InputError("no such file or folder", where=str(what.model), todo="check the path")
    parts = [file_digest(p) for p in (what.model, what.adapter) if p is not None]
    if what.engine == "llama.cpp":
        weights = read_gguf(what.model).weights
    elif (what.model / "config.json").exists():
        weights = folder_format(what.model)
    else:
        raise InputError("no model folder: no config.json", where=str(what.model), todo="check the path")
    told = {"engine": what.engine, "model": (what.adapter or what.model).name, "weights": weights}
    return f"{what.engine} {' '.join(parts)} {what.context}", told


def _program(what: ServerSettings, environ: Mapping[str, str]) -> Program:
    n = what.patience.concurrency
    if what.engine == "llama.cpp":
        return llama_program(
            what.model, context=what.context, concurrency=n, stated=what.command, environ=environ
        )
    share = memory_share(what.memory, environ) if what.memory else None
    return vllm_program(
        what.model, what.adapter, context=what.context, concurrency=n, share=share, stated=what.command,
        environ=environ,
    )  # fmt: skip


@contextmanager
def _server(what: ServerSettings, environ: Mapping[str, str]) -> Iterator[Endpoint]:
    program = _program(what, environ)
    release_for_others()
    with running(program, what.log, environ) as server:
        settings = EndpointSettings(base_url=server.url, model=SERVED, **what.patience.model_dump())
        shown = f"{program.title} (it prints to {what.log})"
        yield Endpoint(settings, server.key, shown, server.memory.peak_mb)
