"""Which isolation this machine can give, found by trying it; never a silent fall-back."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

from codefit.core.errors import MissingPrerequisite
from codefit.core.types import Outcome
from codefit.sandbox import launch
from codefit.sandbox.judge import run_program
from codefit.sandbox.slot import ServerFailure, Slot
from codefit.sandbox.types import Program, Runtime

_INSTALL = "sudo apt install bubblewrap"
_SYSCTLS = (
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("user.max_user_namespaces", "0", "15000"),
)
_ELSEWHERE = "run codefit in a Linux container or in WSL2"
_CONTAINER = "start the container with --security-opt seccomp=unconfined --security-opt apparmor=unconfined"
_CHECK = Program("def f(a):\n    return [a, a]\n", "calls", ((7,),), "f")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One level that was tried: a running slot, or why there is none and what would help."""

    level: str
    slot: Slot | None
    detail: str
    fix: str | None


def try_level(level: str, runtime: Runtime, spawner: Executor) -> Attempt:
    """Start a server of a level and run one program in it."""
    if sys.platform != "linux":
        return Attempt(level, None, f"isolation needs Linux, this is {sys.platform}", _ELSEWHERE)
    bwrap = shutil.which("bwrap")
    if level == launch.BWRAP and bwrap is None:
        return Attempt(level, None, "bwrap is not installed", _INSTALL)
    slot = Slot(launch.Start(level, runtime, bwrap), spawner)
    try:
        slot.start()
        run = run_program(slot, _CHECK, None)
        if run.outcome is not Outcome.PASSED or run.frames[0].value != [7, 7]:
            raise ServerFailure(f"the trial program ended as {run.outcome.value}: {run.error}")
        if level == launch.LANDLOCK and not slot.hello["landlock"]:
            raise ServerFailure("the kernel has no Landlock")
    except ServerFailure as e:
        slot.close()
        return Attempt(level, None, str(e), fix_for(level))
    return Attempt(level, slot, describe(level, slot), None)


def describe(level: str, slot: Slot) -> str:
    """Return the printed line for a level that works."""
    abi = slot.hello["landlock"]
    second = [f"landlock {abi}"] if abi else ["no landlock"]
    memory = "memory: cgroup" if slot.grouped else "memory: watcher"
    if level == launch.NONE:
        return f"isolation: none (unsafe), limits: rlimits, {memory}"
    if level == launch.LANDLOCK:
        return (
            f"isolation: landlock {abi} + seccomp + rlimits only (no namespaces: processes and "
            f"names of files outside can be seen, disk use is limited by file), {memory}"
        )
    first = ["bwrap", "namespaces"] if level == launch.BWRAP else ["namespaces"]
    proc = "" if slot.hello["proc"] else " (without /proc)"
    return f"isolation: {' + '.join([*first, *second, 'seccomp'])}{proc}, {memory}"


def fix_for(level: str) -> str | None:
    """Return the line that would most likely make a level work here."""
    if level == launch.LANDLOCK:
        return "Linux 5.13 or newer with lsm=landlock is needed"
    for name, refusing, allowing in _SYSCTLS:
        with contextlib.suppress(OSError):
            if Path("/proc/sys", name.replace(".", "/")).read_text().strip() == refusing:
                return f"sudo sysctl {name}={allowing}"
    if os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv"):
        return _CONTAINER
    return None


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
        wanted = (*launch.LEVELS, launch.NONE) if unsafe else launch.LEVELS
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
