"""Starts a server of a given isolation level: its command line, and what it is told."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codefit.sandbox import container as containers
from codefit.sandbox.container import Container
from codefit.sandbox.types import Runtime
from codefit.sandbox.view import USER, View, above, machine_view, without

BWRAP, NAMESPACES, CONTAINER = "bwrap+namespaces", "namespaces", "container"
LANDLOCK, NONE = "landlock+seccomp", "none (unsafe)"
LEVELS = (BWRAP, NAMESPACES, CONTAINER, LANDLOCK)

_HERE = Path(__file__).resolve().parent
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
SCRATCH = "/tmp"  # inside the sandbox: a tmpfs of the program's own
SERVER_BYTES = 8 << 20  # what the server itself may write there, before a program's covers it
LINKS = (
    (f"{SCRATCH}/.shm", "/dev/shm"),
    (SCRATCH, "/var/tmp"),
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
)
_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONNOUSERSITE": "1",
    "TZ": "UTC",
    "LC_ALL": "C.UTF-8",
    "PATH": "/usr/bin:/bin",
    "HOME": SCRATCH,
    "MPLBACKEND": "Agg",
    # threads of a numerical library do not survive a fork and would count as processes
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


@dataclass(frozen=True, slots=True)
class Start:
    """How a server is started: its level, what programs find there, bubblewrap's path, the container."""

    level: str
    runtime: Runtime
    bwrap: str | None = None
    container: Container | None = None

    @property
    def inner(self) -> str:
        """The level that the server itself builds: in a container, the one inside it."""
        if self.container is None:
            return self.level
        return NAMESPACES if self.container.private else LANDLOCK

    @property
    def private(self) -> bool:
        """Whether programs have namespaces of their own."""
        return self.inner in (BWRAP, NAMESPACES)

    @property
    def needs_folder(self) -> bool:
        """Whether the server needs a folder of the machine, and time to leave it in order."""
        return self.container is not None or not self.private

    def scratch(self, folder: str | None) -> str:
        """Return where programs find their scratch directory, given the server's folder."""
        if self.private:
            return SCRATCH
        return containers.SCRATCH if self.container else folder or SCRATCH


def payload(start: Start, scratch: str) -> bytes:
    """Return what the far side reads at its start: the texts of its modules and its settings."""
    runtime, level = start.runtime, start.inner
    view = machine_view(runtime)
    made = [path for path, _ in view.files] if start.private or start.container else []
    inside = {f"inside.{p.stem}": p.read_text() for p in (_HERE / "inside").glob("*.py")}
    config: dict[str, Any] = {
        "level": level,
        "namespaces": start.private,
        "filters": level != NONE,
        "loopback": runtime.loopback,
        "uid": USER,
        "gid": USER,
        "scratch": scratch,
        "readable": (*(view.binds if start.private else without(view.binds, view.masks)), *made),
        # an interpreter finds nothing in a folder that it may not list
        "listable": () if start.private else above(view.binds, view.masks),
        "devices": DEVICES,
        "import_paths": view.import_paths,
        "preload": runtime.preload,
        "copies": [(source, _placed(target, scratch)) for source, target in runtime.copies],
        "root": _root(view) if level == NAMESPACES else None,
    }
    texts = {**inside, "codec": (_HERE / "codec.py").read_text()}
    return json.dumps({"texts": texts, "config": config}).encode()


def _root(view: View) -> dict[str, Any]:
    return {
        "binds": view.binds,
        "devices": DEVICES,
        "symlinks": (*view.symlinks, *LINKS),
        "masks": view.masks,
        "files": view.files,
        "scratch_bytes": SERVER_BYTES,
    }


def environment(runtime: Runtime, scratch: str = SCRATCH) -> dict[str, str]:
    """Return the whole environment of a server."""
    return {
        name: _placed(value, scratch) for name, value in (_ENVIRONMENT | dict(runtime.environment)).items()
    }


def _placed(path: str, scratch: str) -> str:
    """Return a path below the scratch directory as it is where that one lies elsewhere."""
    return scratch + path.removeprefix(SCRATCH) if path == SCRATCH or path.startswith(f"{SCRATCH}/") else path


def python_command(view: View, descriptors: Sequence[int]) -> list[str]:
    """Return the command that becomes a server on three descriptors: control, payload, progress page."""
    text = (_HERE / "inside" / "boot.py").read_text()
    call = f"{text}\nmain({', '.join(map(str, descriptors))})\n"
    return [view.interpreter, "-s", "-S", "-P", "-B", "-c", call]


def spawn(
    start: Start,
    descriptors: tuple[int, int, int],
    errors: int,
    folder: str | None,
    prefix: Sequence[str] = (),
) -> subprocess.Popen[bytes]:
    """Start a server; `descriptors` are its control socket, its payload and the progress page.

    `folder` is one of the machine's, where the level needs it; `prefix` is a command to start it with.
    Raises `OSError` when the command cannot be started.
    """
    view = machine_view(start.runtime)
    scratch = start.scratch(folder)
    variables = environment(start.runtime, scratch)
    if start.container and folder:
        python = python_command(view, containers.DESCRIPTORS)
        inside = containers.command(start.container, view, folder, scratch, variables, python)
        python = containers.supervised(start.container, inside, descriptors, folder)
        variables = dict(os.environ)  # for the engine's client; the container gets nothing of it
    else:
        python = python_command(view, descriptors)
    inherited = [*descriptors]
    files: list[tuple[int, str]] = []
    try:
        if start.level == BWRAP and start.bwrap:
            files = [(_text_fd(text), path) for path, text in view.files]
            inherited += [fd for fd, _ in files]
            python = [*_bwrap_arguments(start.bwrap, view, start.runtime, files), *python]
        return subprocess.Popen(
            _started_by(prefix, variables, python),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            pass_fds=inherited,
            env=_for_prefix() if prefix else variables,
            cwd="/",
            start_new_session=True,
        )
    finally:
        for fd, _ in files:
            os.close(fd)


def _started_by(prefix: Sequence[str], variables: Mapping[str, str], python: Sequence[str]) -> list[str]:
    """Return the command behind a prefix, which gets its environment anew: programs see nothing of ours."""
    clean = ["env", "-i", *(f"{name}={value}" for name, value in variables.items())]
    return [*prefix, *clean, *python] if prefix else [*python]


def _for_prefix() -> dict[str, str]:
    """Return what a prefix command needs of our environment."""
    names = ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "PATH")
    return {name: os.environ[name] for name in names if name in os.environ}


def _text_fd(text: str) -> int:
    fd = os.memfd_create("file", os.MFD_CLOEXEC)
    os.write(fd, text.encode())
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _bwrap_arguments(bwrap: str, view: View, runtime: Runtime, files: Sequence[tuple[int, str]]) -> list[str]:
    arguments = [bwrap, "--unshare-user", "--unshare-all", "--die-with-parent", "--new-session", "--clearenv"]
    arguments += ["--uid", str(USER), "--gid", str(USER)]
    # tracing rights over its own children only, to read their proportional share of memory
    arguments += ["--cap-drop", "ALL", "--cap-add", "CAP_SYS_PTRACE"]
    for name, value in environment(runtime).items():
        arguments += ["--setenv", name, value]
    for path in view.binds:
        arguments += ["--ro-bind", path, path]
    for path in view.masks:
        arguments += ["--tmpfs", path, "--remount-ro", path]
    arguments += ["--proc", "/proc", "--size", str(SERVER_BYTES), "--tmpfs", SCRATCH]
    for path in DEVICES:
        arguments += ["--dev-bind", path, path]
    for target, link in (*view.symlinks, *LINKS):
        arguments += ["--symlink", target, link]
    for fd, path in files:
        arguments += ["--ro-bind-data", str(fd), path]
    return [*arguments, "--remount-ro", "/", "--chdir", "/"]
