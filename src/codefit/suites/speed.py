"""How fast this machine runs programs at the moment, so that limits mean the same under load.

CPU seconds are not affected by waiting, but they stretch where other processes share a core's caches and
execution units. A fixed piece of work is timed in the sandbox when limits are derived, and again when a
program that went over one is tried once more, alone; the limits stretch by the ratio.
"""

from __future__ import annotations

import os
import platform
from dataclasses import replace
from pathlib import Path

from codefit.core.errors import InputError
from codefit.core.files import digest, read_json, write_json
from codefit.core.types import Outcome
from codefit.sandbox.sandbox import Sandbox
from codefit.sandbox.types import Limits, Program
from codefit.suites.machine import cpu_model

SLOWDOWN_MAX = 3.0
_TIMES = 3
_WORK = """
def work(n):
    seen, total, words = {}, 0, []
    for i in range(n):
        seen[i % 997] = seen.get(i % 991, 0) + i * i % 7
        total += sum(seen[k] for k in (i % 997,)) if i % 3 else len(words)
        if i % 16 == 0:
            words.append(str(i))
            words.sort(reverse=i % 32 == 0)
            del words[64:]
    return total
"""
_PROGRAM = Program(_WORK, "calls", ((40_000,),) * _TIMES, "work", limits=Limits(cpu_s=20.0))


def work_s(sandbox: Sandbox) -> float:
    """Return the CPU seconds that the fixed work takes now: the least of a few times."""
    run = sandbox.run(_PROGRAM)
    return min((f.cpu_s for f in run.frames), default=0.0) if run.outcome is Outcome.PASSED else 0.0


def slowdown(before_s: float, now_s: float) -> float:
    """Return by how much the machine is slower than when `before_s` was measured, from 1 to 3."""
    if before_s <= 0 or now_s <= 0:
        return 1.0
    return min(SLOWDOWN_MAX, max(1.0, now_s / before_s))


def stretched(limits: Limits, factor: float) -> Limits:
    """Return limits whose CPU seconds are longer by a factor."""
    test = limits.test_cpu_s
    if isinstance(test, tuple):
        test = tuple(s * factor for s in test)
    elif test is not None:
        test *= factor
    return replace(limits, cpu_s=limits.cpu_s * factor, test_cpu_s=test)


def reference_work_s(sandbox: Sandbox, cache: Path | None, runtime: str) -> float:
    """Return the CPU seconds that the work took when it was first timed here, kept beside the references.

    `runtime` names the interpreter. Limits that come from references were measured at about that speed.
    """
    path = cache / f"speed-{digest(runtime, _machine())}.json" if cache else None
    kept = _kept(path)
    if kept is not None:
        return kept
    found = work_s(sandbox)
    if path is not None and found > 0:
        write_json(path, {"work_s": found})
    return found


def _kept(path: Path | None) -> float | None:
    if path is None or not path.exists():
        return None
    try:
        return float(read_json(path)["work_s"])
    except (InputError, KeyError, TypeError, ValueError):
        return None


def _machine() -> str:
    return f"{platform.node()} {cpu_model()} {os.cpu_count()}"
