"""Starts a server of a given isolation level: what it sees of the machine, and the command line."""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

BWRAP, NAMESPACES, LANDLOCK, NONE = "bwrap+namespaces", "namespaces", "landlock+seccomp", "none (unsafe)"
LEVELS = (BWRAP, NAMESPACES, LANDLOCK)

_HERE = Path(__file__).resolve().parent
_INNER_USER = 1000
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_SCRATCH = "/tmp"  # inside the sandbox: a tmpfs of the program's own
_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "TZ": "UTC",
    "LC_ALL": "C.UTF-8",
    "PATH": "/usr/bin:/bin",
    "HOME": _SCRATCH,
    "MPLBACKEND": "Agg",
    # threads of a numerical library do not survive a fork and would count as processes
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


@dataclass(frozen=True)
class View:
    """What of the machine a sandbox shows, read-only: the interpreter and libraries."""

    interpreter: str
    binds: tuple[str, ...]
    symlinks: tuple[tuple[str, str], ...]
    masks: tuple[str, ...]
    import_paths: tuple[str, ...]


@cache
def machine_view() -> View:
    """Return the view of this machine for the interpreter that runs us."""
    interpreter = os.path.realpath(sys.executable)
    imports = tuple(dict.fromkeys(p for p in _library_paths() if os.path.isdir(p)))
    wanted = [f"{prefix}/lib" for prefix in (sys.base_prefix, sys.prefix)]
    wanted += [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), *imports]
    wanted += ["/usr/lib", "/usr/lib64", "/usr/lib32", "/usr/share/zoneinfo", "/etc/ld.so.cache", interpreter]
    links = []
    for name in ("lib", "lib64", "lib32"):
        if os.path.islink(f"/{name}"):
            links.append((os.readlink(f"/{name}"), f"/{name}"))
        else:
            wanted.append(f"/{name}")
    binds: list[str] = []
    for path in sorted({os.path.realpath(p) for p in wanted if os.path.exists(p)}, key=len):
        if not any(_below(path, bound) for bound in binds):
            binds.append(path)
    package = str(_HERE.parent)  # ours holds tasks and oracles, which a program must not read
    masks = tuple(package for bound in binds if _below(package, bound))
    return View(interpreter, tuple(binds), tuple(links), masks, imports)


def _library_paths() -> list[str]:
    paths = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()]
    return paths + [p for p in sys.path if os.path.basename(p) in ("site-packages", "dist-packages")]


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _without(paths: tuple[str, ...], masks: tuple[str, ...]) -> tuple[str, ...]:
    """Return paths that together show what `paths` do except what lies under a mask."""
    shown: list[str] = []
    for path in paths:
        hidden = [m for m in masks if _below(m, path)]
        if not hidden:
            shown.append(path)
        elif path not in masks:
            children = tuple(f"{path}/{name}" for name in sorted(os.listdir(path)))
            shown += _without(children, tuple(hidden))
    return tuple(shown)


def payload(level: str, preload: tuple[str, ...], scratch: str | None) -> bytes:
    """Return what the far side reads at its start: the texts of its modules and its settings."""
    view = machine_view()
    inside = {f"inside.{p.stem}": p.read_text() for p in (_HERE / "inside").glob("*.py")}
    own_root = level == NAMESPACES
    private = level in (BWRAP, NAMESPACES)
    links = (*view.symlinks, *_LINKS)
    config: dict[str, Any] = {
        "level": level,
        "namespaces": private,
        "filters": level != NONE,
        "uid": _INNER_USER,
        "gid": _INNER_USER,
        "scratch": _SCRATCH if private else scratch,
        "readable": view.binds if private else _without(view.binds, view.masks),
        "devices": _DEVICES,
        "import_paths": view.import_paths,
        "preload": preload,
        "root": {"binds": view.binds, "devices": _DEVICES, "symlinks": links, "masks": view.masks}
        if own_root
        else None,
    }
    texts = {**inside, "codec": (_HERE / "codec.py").read_text()}
    return json.dumps({"texts": texts, "config": config}).encode()


_LINKS = ((f"{_SCRATCH}/.shm", "/dev/shm"), ("/proc/self/fd", "/dev/fd"), (_SCRATCH, "/var/tmp"))


def start(
    level: str, bwrap: str | None, descriptors: tuple[int, int, int], errors: int
) -> subprocess.Popen[bytes]:
    """Start a server; `descriptors` are its control socket, its payload and the progress page.

    Raises `OSError` when the command cannot be started.
    """
    view = machine_view()
    text = (_HERE / "inside" / "boot.py").read_text()
    call = f"{text}\nmain({', '.join(map(str, descriptors))})\n"
    python = [view.interpreter, "-s", "-S", "-P", "-B", "-c", call]
    command = [*_bwrap_arguments(bwrap, view), *python] if level == BWRAP and bwrap else python
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        pass_fds=descriptors,
        env=dict(_ENVIRONMENT),
        cwd="/",
        start_new_session=True,
    )


def _bwrap_arguments(bwrap: str, view: View) -> list[str]:
    arguments = [bwrap, "--unshare-user", "--unshare-all", "--die-with-parent", "--new-session", "--clearenv"]
    arguments += ["--uid", str(_INNER_USER), "--gid", str(_INNER_USER), "--hostname", "sandbox"]
    # tracing rights over its own children only, to read their proportional share of memory
    arguments += ["--cap-drop", "ALL", "--cap-add", "CAP_SYS_PTRACE"]
    for name, value in _ENVIRONMENT.items():
        arguments += ["--setenv", name, value]
    for path in view.binds:
        arguments += ["--ro-bind", path, path]
    for path in view.masks:
        arguments += ["--tmpfs", path, "--remount-ro", path]
    arguments += ["--proc", "/proc", "--dir", _SCRATCH]
    for path in _DEVICES:
        arguments += ["--dev-bind", path, path]
    for target, link in (*view.symlinks, *_LINKS):
        arguments += ["--symlink", target, link]
    return [*arguments, "--remount-ro", "/", "--chdir", "/"]
