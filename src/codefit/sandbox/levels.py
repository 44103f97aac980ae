"""Which isolation this machine can give, found by trying it; never a silent fall-back."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sys
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

from codefit.core.errors import MissingPrerequisite
from codefit.core.types import Outcome
from codefit.sandbox import engines, launch
from codefit.sandbox.container import Container
from codefit.sandbox.conversation import ServerFailure
from codefit.sandbox.judge import run_program
from codefit.sandbox.slot import Slot
from codefit.sandbox.types import Program, Runtime
from codefit.sandbox.view import machine_view

_INSTALL = "sudo apt install bubblewrap"
_ENGINE = f"sudo apt install podman uidmap, or name an engine's command in {engines.ENGINE}"
_SYSCTLS = (
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("user.max_user_namespaces", "0", "15000"),
)
_APPARMOR = ", or give bwrap an AppArmor profile that allows userns: docs/isolation.md has it"
_UNCONFINED = "start the container with --security-opt seccomp=unconfined --security-opt apparmor=unconfined"
_DOCKER, _PODMAN = "--security-opt systempaths=unconfined", "--security-opt unmask=ALL"
_ELSEWHERE = {
    "darwin": "run codefit in a Linux container: docs/isolation.md has the lines",
    "win32": "run codefit in WSL 2 or in a Linux container: docs/isolation.md has the lines",
}
_WSL1 = "WSL 1 has no namespaces; in PowerShell: wsl --set-version DISTRIBUTION 2"
_CHECK = Program("def f(a):\n    return [a, a]\n", "calls", ((7,),), "f")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One level that was tried: a running slot and how it started, or why there is none and what would help."""

    level: str
    slot: Slot | None
    detail: str
    fix: str | None
    start: launch.Start | None = None


def try_level(level: str, runtime: Runtime, spawner: Executor) -> Attempt:
    """Start a server of a level and run one program in it."""
    if sys.platform != "linux":
        todo = _ELSEWHERE.get(sys.platform, _ELSEWHERE["darwin"])
        return Attempt(level, None, f"isolation needs Linux, this is {sys.platform}", todo)
    if level == launch.CONTAINER:
        return _try_containers(runtime, spawner)
    bwrap = shutil.which("bwrap")
    if level == launch.BWRAP and bwrap is None:
        return Attempt(level, None, "bwrap is not installed", _INSTALL)
    return _try_start(launch.Start(level, runtime, bwrap if level == launch.BWRAP else None), spawner)


def _try_start(start: launch.Start, spawner: Executor) -> Attempt:
    slot = Slot(start, spawner)
    try:
        slot.start()
        run = run_program(slot, _CHECK, None)
        if run.outcome is not Outcome.PASSED or run.frames[0].value != [7, 7]:
            raise ServerFailure(f"the trial program ended as {run.outcome.value}: {run.error}")
        if start.inner == launch.LANDLOCK and not slot.hello["landlock"]:
            raise ServerFailure("the kernel has no Landlock")
    except ServerFailure as e:
        slot.close()
        return Attempt(start.level, None, str(e), fix_for(start.level))
    return Attempt(start.level, slot, describe(start, slot), None, start)


def _try_containers(runtime: Runtime, spawner: Executor) -> Attempt:
    """Try ways of starting a container, the strongest first; say why it is a weaker one."""
    level = launch.CONTAINER
    try:
        engine = engines.find(os.environ)
        image = engines.image_for(engine, machine_view(runtime))
    except engines.NoEngine as e:
        return Attempt(level, None, str(e), fix_for(level))
    container = Container(engine, image=image)
    refused = ""
    while True:
        attempt = _try_start(launch.Start(level, runtime, container=container), spawner)
        following = None if attempt.slot else container.after(attempt.detail, root=os.getuid() == 0)
        if following is None:
            break
        if container.private and not following.private:
            refused = attempt.detail
        container = following
    if refused and attempt.slot:
        return replace(attempt, detail=f"{attempt.detail} [no namespaces inside: {refused}]")
    return attempt


def describe(start: launch.Start, slot: Slot) -> str:
    """Return the printed line for a level that works."""
    abi = slot.hello["landlock"]
    memory = "memory: cgroup" if slot.grouped else "memory: watcher"
    if start.level == launch.NONE:
        return f"isolation: none (unsafe), limits: rlimits, {memory}"
    first = {launch.BWRAP: ["bwrap", "namespaces"], launch.NAMESPACES: ["namespaces"]}.get(start.inner, [])
    if start.container:
        engine = start.container.engine
        first = [f"container ({engine.dialect} {engine.version})", *first]
    parts = [*first, f"landlock {abi}" if abi else "no landlock", "seccomp"]
    if start.inner == launch.LANDLOCK:
        seen = "of the container" if start.container else "outside"
        weaker = (
            f" + rlimits only (no namespaces: processes and names of files {seen} can be seen, "
            "disk use is limited by file)"
        )
        return f"isolation: {' + '.join(parts)}{weaker}, {memory}"
    proc = "" if slot.hello["proc"] else " (without /proc)"
    return f"isolation: {' + '.join(parts)}{proc}, {memory}"


def fix_for(level: str) -> str | None:
    """Return the line that would most likely make a level work here."""
    if platform.release().endswith("-Microsoft"):  # WSL 2 says microsoft-standard-WSL2
        return _WSL1
    if level == launch.LANDLOCK:
        return "Linux 5.13 or newer with lsm=landlock is needed"
    if level == launch.CONTAINER:
        return None if engines.named(os.environ) else _ENGINE
    for name, refusing, allowing in _SYSCTLS:
        with contextlib.suppress(OSError):
            if Path("/proc/sys", name.replace(".", "/")).read_text().strip() == refusing:
                other = _APPARMOR if "apparmor" in name and level == launch.BWRAP else ""
                return f"sudo sysctl {name}={allowing}{other}"
    if os.path.exists("/run/.containerenv"):
        return f"{_UNCONFINED} {_PODMAN}"
    return f"{_UNCONFINED} {_DOCKER}" if os.path.exists("/.dockerenv") else None


def choose(level: str, runtime: Runtime, unsafe: bool, spawner: Executor) -> Attempt:
    """Return the running slot of the level asked for; `auto` takes the strongest that works.

    Raises `MissingPrerequisite` when it cannot be had, `ValueError` for a level that does not exist.
    """
    if level in ("none", launch.NONE):
        if not unsafe:
            todo = "pass --unsafe-no-isolation to accept that"
            raise MissingPrerequisite("without isolation hostile code can harm this machine", todo=todo)
        wanted: tuple[str, ...] = (launch.NONE,)
    elif level == "auto":
        wanted = tuple(n for n in launch.LEVELS if n != launch.CONTAINER or engines.named(os.environ))
        wanted += (launch.NONE,) if unsafe else ()
    elif level in launch.LEVELS:
        wanted = (level,)
    else:
        raise ValueError(f"unknown isolation level {level!r}: one of auto, none, {', '.join(launch.LEVELS)}")
    failed: list[Attempt] = []
    for name in wanted:
        attempt = try_level(name, runtime, spawner)
        if attempt.slot:
            return _told_why(attempt, failed)
        failed.append(attempt)
    reasons = ", ".join(f"{a.level}: {a.detail}" for a in failed)
    fixes = [a.fix for a in failed if a.fix]
    raise MissingPrerequisite(f"no isolation for hostile code ({reasons})", todo=fixes[0] if fixes else None)


def _told_why(attempt: Attempt, stronger: list[Attempt]) -> Attempt:
    """Say in the printed line why no stronger level was taken: a fall-back is never silent."""
    if not stronger:
        return attempt
    reasons = "; ".join(f"no {a.level}: {a.detail}" + (f" ({a.fix})" if a.fix else "") for a in stronger)
    return replace(attempt, detail=f"{attempt.detail} [{reasons}]")
