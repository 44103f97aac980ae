"""A model server that codefit starts, waits for, asks over its API and stops."""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from codefit.core.errors import CodefitError, InputError, MissingPrerequisite
from codefit.generate import http, keeper
from codefit.generate.openai_reply import Unusable, read_models
from codefit.generate.server_memory import ServerMemory

START_S = 1800.0  # a large model from a slow disk, compiled
_STEP_S = 0.25
_ASK_S = 5.0
_STOP_S = 30.0
_PORT_TRIES = 3
_TAIL_BYTES = 20_000
_PORT_TAKEN = ("address already in use", "couldn't bind", "errno 98")


@dataclass(frozen=True, slots=True)
class Program:
    """A server program. `{host}` and `{port}` in `arguments` are filled in; `key_variable` takes its API key.

    `install` says how to get it, `model` is the name that requests ask for.
    """

    title: str
    command: tuple[str, ...]
    arguments: tuple[str, ...]
    key_variable: str
    model: str
    install: str
    environment: Mapping[str, str]


def find_command(
    stated: str | None, variable: str, default: str, environ: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the command of a server program: as stated, from the environment, or the one on PATH."""
    try:
        words = shlex.split(stated or environ.get(variable, "") or default)
    except ValueError as e:
        raise InputError(f"not a command line: {e}", where=(stated and "--server-command") or variable) from e
    return tuple(words) or (default,)


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs: its base URL, its key, and the memory that it holds."""

    url: str
    key: str = field(repr=False)
    memory: ServerMemory


def require_program(program: Program, environ: Mapping[str, str]) -> None:
    """Raise `MissingPrerequisite` for a server that is not installed."""
    if shutil.which(program.command[0], path=environ.get("PATH")) is None:
        raise MissingPrerequisite(
            f"{program.title} is not installed", where=program.command[0], todo=program.install
        )


@contextmanager
def running(program: Program, log: Path, environ: Mapping[str, str]) -> Iterator[Running]:
    """Start a server on a free port of the loopback and yield it; it ends with the block.

    What it prints goes to `log`. It also ends where this process dies, by whatever signal (see `keeper`).
    Raises `MissingPrerequisite` where it is not installed or does not start.
    """
    require_program(program, environ)
    key = secrets.token_urlsafe(24)
    process, url = _started(program, log, environ, key)
    try:
        yield Running(url, key, ServerMemory(process.pid, environ))
    finally:
        _stop(process)


def _started(
    program: Program, log: Path, environ: Mapping[str, str], key: str
) -> tuple[subprocess.Popen[bytes], str]:
    for left in reversed(range(_PORT_TRIES)):
        port = _free_port()
        process = _spawn(program, log, environ, key, port)
        try:
            return process, _wait(program, process, log, f"http://127.0.0.1:{port}", key)
        except BaseException as e:
            _stop(process)
            taken = any(word in _tail(log).lower() for word in _PORT_TAKEN)
            if not (left and taken and isinstance(e, CodefitError)):
                raise
    raise AssertionError("the last try raises")


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _spawn(
    program: Program, log: Path, environ: Mapping[str, str], key: str, port: int
) -> subprocess.Popen[bytes]:
    filled = [a.replace("{host}", "127.0.0.1").replace("{port}", str(port)) for a in program.arguments]
    command = [
        sys.executable,
        "-I",
        "-S",
        str(Path(keeper.__file__)),
        str(os.getpid()),
        *program.command,
        *filled,
    ]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as f:
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=f, stderr=subprocess.STDOUT, start_new_session=True,
            env={**environ, **program.environment, program.key_variable: key},
        )  # fmt: skip


def _wait(program: Program, process: subprocess.Popen[bytes], log: Path, root: str, key: str) -> str:
    """Wait until a server has its model; return its base URL."""
    until = time.monotonic() + START_S
    headers = {"Authorization": f"Bearer {key}"}
    while time.monotonic() < until:
        if process.poll() is not None:
            raise MissingPrerequisite(
                f"{program.title} ended while starting: {_last_words(log)}", todo=f"see {log}"
            )
        with contextlib.suppress(http.Unreachable, http.Broken, Unusable):
            if http.send("GET", f"{root}/health", None, headers, _ASK_S).status == 200:
                models = http.send("GET", f"{root}/v1/models", None, headers, _ASK_S)
                # Another's server that took the port meanwhile has neither our key nor our model.
                if models.status == 200 and program.model in read_models(models.body):
                    return f"{root}/v1"
        time.sleep(_STEP_S)
    raise MissingPrerequisite(f"{program.title} was not ready after {START_S:,.0f} s", todo=f"see {log}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Have the keeper end the server; a second Ctrl-C leaves that to the keeper."""
    if process.stdin:
        with contextlib.suppress(OSError):
            process.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_S)


def _tail(log: Path) -> str:
    with contextlib.suppress(OSError), log.open("rb") as f:
        f.seek(max(0, f.seek(0, os.SEEK_END) - _TAIL_BYTES))
        return f.read().decode("utf-8", "replace")
    return ""


def _last_words(log: Path) -> str:
    """Return the line of a server's log that most likely says why it ended."""
    lines = ["".join(c for c in x if c.isprintable()).strip() for x in _tail(log).splitlines()]
    lines = [x for x in lines if x]
    faults = [
        x for x in lines if any(w in x.lower() for w in ("error:", "error ", "failed", "out of memory"))
    ]
    return (faults or lines or ["it said nothing"])[-1][:300]
