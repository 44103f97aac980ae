"""The container engine of this machine, Podman or Docker, and the empty root that its containers get."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from codefit.sandbox.view import View

ENGINE, FLAGS = "CODEFIT_CONTAINER_ENGINE", "CODEFIT_CONTAINER_FLAGS"

Dialect = Literal["podman", "docker"]
Ask = Callable[[Sequence[str], bytes | None], "subprocess.CompletedProcess[str]"]

_ASK_S = 60
_FOLDERS = ("dev", "etc", "proc", "run", "rv", "sys", "tmp")


class NoEngine(Exception):
    """There is no container engine, or it does not work; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A container engine: its command, whose options it takes, its version, and flags of the user's."""

    command: tuple[str, ...]
    dialect: Dialect
    version: str
    flags: tuple[str, ...] = ()


def _ask(command: Sequence[str], text: bytes | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, input=text or b"", capture_output=True, timeout=_ASK_S, cwd="/", check=False
    )
    out, err = (b.decode(errors="replace") for b in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(command, done.returncode, out, err)


def named(environment: Mapping[str, str], path: str | None = None) -> list[str]:
    """Return the engine's command: the one the environment names, else the first on the path, else []."""
    if given := shlex.split(environment.get(ENGINE, "")):
        return given
    return next(([name] for name in ("podman", "docker") if shutil.which(name, path=path)), [])


def find(environment: Mapping[str, str], ask: Ask = _ask) -> Engine:
    """Return the engine; raises `NoEngine` where there is none or it does not answer."""
    command = named(environment, environment.get("PATH"))
    if not command:
        raise NoEngine("neither podman nor docker is installed")
    shown = shlex.join(command)
    try:
        done = ask([*command, "--version"], None)
    except (OSError, subprocess.SubprocessError) as e:
        raise NoEngine(f"{shown} does not run: {e}") from e
    if done.returncode:
        raise NoEngine(f"{shown} does not run: {_last(done.stderr) or f'status {done.returncode}'}")
    dialect = _dialect(done.stdout, command)
    number = re.search(r"\d+(\.\d+)+", done.stdout)
    flags = tuple(shlex.split(environment.get(FLAGS, "")))
    return Engine(tuple(command), dialect, number.group() if number else "of unknown version", flags)


def _dialect(version: str, command: Sequence[str]) -> Dialect:
    """Return whose options an engine takes: by what it says of itself, else by its name."""
    for text in (version, " ".join(os.path.basename(word) for word in command)):
        for dialect in ("podman", "docker"):
            if dialect in text.lower():
                return "podman" if dialect == "podman" else "docker"
    raise NoEngine(f"{shlex.join(command)} is neither podman nor docker")


def _last(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line]
    return lines[-1] if lines else ""


def image_for(engine: Engine, view: View, ask: Ask = _ask) -> str | None:
    """Return Docker's name for the root of a view, made where it is missing; None for Podman."""
    if engine.dialect == "podman":
        return None
    made = json.dumps([view.binds, view.symlinks, view.files])
    name = f"codefit-root:{hashlib.sha256(made.encode()).hexdigest()[:16]}"
    try:
        if ask([*engine.command, "image", "inspect", name], None).returncode:
            done = ask([*engine.command, "import", "-", name], _archive(view))
            if done.returncode:
                raise NoEngine(f"docker: {_last(done.stderr)}")
    except (OSError, subprocess.SubprocessError) as e:
        raise NoEngine(f"docker: {e}") from e
    return name


def _archive(view: View) -> bytes:
    data = io.BytesIO()
    with (
        tempfile.TemporaryDirectory(prefix="codefit-sandbox-") as folder,
        tarfile.open(fileobj=data, mode="w") as t,
    ):
        make_root(view, folder)
        t.add(folder, ".", filter=_owned_by_root)
    return data.getvalue()


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def make_root(view: View, folder: str) -> None:
    """Fill a folder with a view's links and small files, and with places to mount the rest on.

    The engine would make those places itself, but for some users such that they could not remove them.
    """
    for path in (*(f"/{name}" for name in _FOLDERS), *view.binds):
        place = Path(folder + path)
        if os.path.isfile(path):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
        else:
            place.mkdir(parents=True, exist_ok=True)
    for target, link in view.symlinks:
        os.symlink(target, folder + link)
    for path, text in view.files:
        Path(folder + path).parent.mkdir(parents=True, exist_ok=True)
        Path(folder + path).write_text(text)
    for inner, _, names in os.walk(folder):  # another user looks at them, whatever our umask is
        os.chmod(inner, 0o755)
        for name in names:
            if not os.path.islink(f"{inner}/{name}"):
                os.chmod(f"{inner}/{name}", 0o644)
    os.chmod(f"{folder}/tmp", 0o1777)  # runc gives what it mounts there the mode of what was there
