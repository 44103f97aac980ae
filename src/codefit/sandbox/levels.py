"""Which isolation this machine can give, found by trying it; never a silent fall-back."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from codefit.core.errors import MissingPrerequisite
from codefit.core.types import Outcome
from codefit.sandbox import engines, launch
from codefit.sandbox.advice import facts, fix_for
from codefit.sandbox.container import Container
from codefit.sandbox.conversation import ServerFailure
from codefit.sandbox.judge import run_program
from codefit.sandbox.slot import Slot
from codefit.sandbox.types import Program, Runtime
from codefit.sandbox.view import machine_view

_CHECK = Program("def f(a):\n    return [a, a]\n", "calls", ((7,),), "f")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One level that was tried: a running slot and how it started, or why there is none and what would help."""

    level: str
    slot: Slot | None
    detail: str
    fix: str | None
    start: launch.Start | None = None


def elsewhere() -> Attempt | None:
    """Return why there is no level at all, on a system that is not Linux."""
    system = facts().system
    return (
        None if system == "linux" else _failed("any level", f"programs run on Linux only, this is {system}")
    )


def try_level(level: str, runtime: Runtime, spawner: Executor) -> Attempt:
    """Start a server of a level and run one program in it."""
    if level == launch.CONTAINER:
        return _try_containers(runtime, spawner)
    bwrap = shutil.which("bwrap")
    if level == launch.BWRAP and bwrap is None:
        return _failed(level, "bwrap is not installed")
    return _try_start(launch.Start(level, runtime, bwrap if level == launch.BWRAP else None), spawner)


def _failed(level: str, problem: str) -> Attempt:
    return Attempt(level, None, problem, fix_for(level, problem, facts()))


def _try_start(start: launch.Start, spawner: Executor) -> Attempt:
    slot = Slot(start, spawner)
    try:
        slot.start()
        run = run_program(slot, _CHECK, None)
        if run.outcome is not Outcome.PASSED or run.frames[0].value != [7, 7]:
            raise ServerFailure(f"the trial program ended as {run.outcome.value}: {run.error}")
        if start.inner == launch.LANDLOCK and not slot.hello["landlock"]:
            raise ServerFailure("the kernel has no Landlock")
    except (ServerFailure, OSError) as e:
        slot.close()
        return _failed(start.level, str(e))
    return Attempt(start.level, slot, describe(start, slot), None, start)


def _try_containers(runtime: Runtime, spawner: Executor) -> Attempt:
    """Try ways of starting a container, the strongest first; say why it is a weaker one."""
    level = launch.CONTAINER
    try:
        engine = engines.find(os.environ)
        image = engines.image_for(engine, machine_view(runtime))
    except engines.NoEngine as e:
        return _failed(level, str(e))
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


def choose(level: str, runtime: Runtime, unsafe: bool, spawner: Executor) -> Attempt:
    """Return the running slot of the level asked for; `auto` takes the strongest that works.

    Raises `MissingPrerequisite` when it cannot be had, `ValueError` for a level that does not exist.
    """
    if (none_at_all := elsewhere()) is not None:
        raise MissingPrerequisite(none_at_all.detail, todo=none_at_all.fix)
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
