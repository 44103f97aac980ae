"""What of the machine a sandbox shows, read-only: an interpreter, its libraries, and little else."""

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

from codefit.core.errors import MissingPrerequisite
from codefit.sandbox.types import Runtime

_HERE = Path(__file__).resolve().parent
_ASK = """import json, os, site, sys, sysconfig
paths = [sysconfig.get_path(n) for n in ("purelib", "platlib")] + site.getsitepackages()
print(json.dumps([os.path.realpath(sys.executable), sys.base_prefix, sys.prefix,
                  [sysconfig.get_path(n) for n in ("stdlib", "platstdlib")], paths]))"""
_ASK_S = 30
_SYSTEM = ("/usr/lib", "/usr/lib64", "/usr/lib32", "/usr/share/zoneinfo", "/etc/ld.so.cache")
_USERLAND = ("/usr/bin", "/etc/alternatives", "/etc/mime.types")
USER = 1000
# so that names of users and hosts resolve to what is true inside
_ETC = {
    "/etc/passwd": f"root:x:0:0:root:/nonexistent:/bin/false\nsandbox:x:{USER}:{USER}:sandbox:/tmp/home:/bin/sh\n",
    "/etc/group": f"root:x:0:\nsandbox:x:{USER}:\n",
    "/etc/hosts": "127.0.0.1 localhost sandbox\n::1 localhost\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n",
    "/etc/services": "http 80/tcp\nhttps 443/tcp\nftp 21/tcp\nssh 22/tcp\nsmtp 25/tcp\ndomain 53/udp\n",
    "/etc/protocols": "ip 0 IP\nicmp 1 ICMP\ntcp 6 TCP\nudp 17 UDP\n",
}


@dataclass(frozen=True)
class View:
    """Paths of the machine that a sandbox shows, and small files that are made for it."""

    interpreter: str
    binds: tuple[str, ...]
    symlinks: tuple[tuple[str, str], ...]
    masks: tuple[str, ...]
    import_paths: tuple[str, ...]
    files: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class _Interpreter:
    path: str
    prefixes: tuple[str, str]
    stdlib: tuple[str, ...]
    libraries: tuple[str, ...]


@cache
def machine_view(runtime: Runtime = Runtime()) -> View:  # noqa: B008 (frozen)
    """Return the view for a runtime; raises `MissingPrerequisite` where its interpreter does not run."""
    found = _ours() if runtime.python is None else _other(runtime.python)
    imports = tuple(dict.fromkeys(p for p in found.libraries if os.path.isdir(p)))
    wanted = [f"{prefix}/lib" for prefix in found.prefixes]
    wanted += [*found.stdlib, *imports, *_SYSTEM, found.path]
    if runtime.userland:
        wanted += [*_USERLAND, *(f"{p}/bin" for p in found.prefixes), f"{found.prefixes[1]}/pyvenv.cfg"]
    links = []
    names = ("lib", "lib64", "lib32") + (("bin", "sbin") if runtime.userland else ())
    for name in names:
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
    files = tuple(_ETC.items()) if runtime.userland else ()
    return View(found.path, tuple(binds), tuple(links), masks, imports, files)


def _ours() -> _Interpreter:
    paths = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()]
    paths += [p for p in sys.path if os.path.basename(p) in ("site-packages", "dist-packages")]
    stdlib = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
    return _Interpreter(os.path.realpath(sys.executable), (sys.base_prefix, sys.prefix), stdlib, tuple(paths))


def _other(python: str) -> _Interpreter:
    try:
        done = subprocess.run(
            [python, "-I", "-c", _ASK], capture_output=True, text=True, timeout=_ASK_S, check=True, cwd="/"
        )
        path, base, prefix, stdlib, libraries = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as e:
        raise MissingPrerequisite(f"the interpreter does not run: {type(e).__name__}", where=python) from e
    return _Interpreter(path, (base, prefix), tuple(stdlib), tuple(libraries))


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def above(paths: tuple[str, ...], masks: tuple[str, ...]) -> tuple[str, ...]:
    """Return the paths that have a mask below them, and are not masked themselves."""
    return tuple(p for p in paths if p not in masks and any(_below(m, p) for m in masks))


def without(paths: tuple[str, ...], masks: tuple[str, ...]) -> tuple[str, ...]:
    """Return paths that together show what `paths` do except what lies under a mask."""
    shown: list[str] = []
    for path in paths:
        hidden = [m for m in masks if _below(m, path)]
        if not hidden:
            shown.append(path)
        elif path not in masks:
            children = (f"{path}/{name}" for name in sorted(os.listdir(path)))
            shown += without(tuple(c for c in children if os.path.exists(c)), tuple(hidden))
    return tuple(shown)
