"""Efficiency of right programs: CPU time and peak memory against the reference, on enlarged inputs.

Everything runs in the sandbox. A task's own inputs take microseconds, so they are grown until the
reference takes long enough to measure; a program counts only where it still gives the reference's
value there. Not covered: tasks whose tests are statements, whose reference is not known, or whose
inputs cannot be grown so far.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isclose, log2
from pathlib import Path
from typing import Any

from codefit.analyse.traits.figures import Trait
from codefit.core.errors import CodefitError
from codefit.core.files import Ledger, digest
from codefit.core.types import Outcome, Task
from codefit.sandbox.sandbox import Sandbox
from codefit.sandbox.types import Limits, Program, Run

_VERSION = "4"
FACTORS = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000)
REPEATS = 3
_CALLS = 2  # of a task that may be grown: those with the longest arguments
_ENOUGH_S, _LONGEST_S = 0.001, 0.1  # of one call of the reference
_MOST_ITEMS = 200_000
_SMALLEST_S = 1e-5
_TRIES = 5  # a busy machine stretches the CPU time of one run by more than the figures allow for
_STEADY = 1.5  # the second least time of a program may be so much longer than the least
_LEAST_ROUNDS, _MOST_ROUNDS = 2, 8
_EMPTY = "def {}(*arguments):\n    return None\n"
_DIGEST_OVER = 64 * 1024
_REFERENCE = Limits(
    cpu_s=3.0,
    test_cpu_s=3 * _LONGEST_S,
    memory_mb=2048,
    output_bytes=16_000_000,
    total_output_bytes=128_000_000,
)
_PROGRAM = Limits(
    cpu_s=30.0, test_cpu_s=5.0, memory_mb=2048, output_bytes=16_000_000, total_output_bytes=128_000_000
)
TRAITS = (
    Trait("cpu_log2", "efficiency", "log2 of CPU time against the reference's (1: twice as long)", "lower"),
    Trait("peak_mb", "efficiency", "peak memory, MiB", "lower"),
)
Measured = dict[str, dict[str, float]]


class _UnsteadyError(Exception):
    """What was measured cannot be right: the machine was busy, or a program's clock lies."""


class _TooSlowError(Exception):
    """A program ran out of time on a load."""


def grown(value: Any, factor: int) -> Any:
    """Return an argument made larger: whole numbers times `factor`, texts and sequences repeated.

    Sets, mappings, floats and flags stay as they are: repeated they would be the same, or no longer
    what the task is about.
    """
    if isinstance(value, bool) or not isinstance(value, int | str | bytes | list | tuple):
        return value
    return value * factor


@dataclass(frozen=True, slots=True)
class Load:
    """The calls that a task is measured on, and what the reference gives and takes."""

    calls: tuple[tuple[Any, ...], ...]
    value: Any
    cpu_s: float


def efficiency(
    tasks: Mapping[str, Task], programs: Mapping[str, Mapping[str, str]], sandbox: Sandbox, ledger: Path,
    progress: Callable[[int, int], None],
) -> dict[str, Measured]:  # fmt: skip
    """Return the figures of each arm's programs by task, for tasks where every arm gives the right values.

    `programs[arm][task_id]` are right programs, the same tasks for every arm. `ledger` keeps what was
    measured, so that a killed analysis goes on, and a second one says the same. Programs of one task
    run one after the other, so that they find the machine in the same state.
    """
    arms = list(programs)
    found: dict[str, Measured] = {arm: {} for arm in arms}
    with Ledger(ledger) as kept:
        known = {e["key"]: e["figures"] for e in kept.entries if "key" in e}
        wanted = [t for t in programs[arms[0]] if t in tasks]
        for done, task_id in enumerate(wanted):
            task = tasks[task_id]
            sources = [programs[arm][task_id] for arm in arms]
            key = digest(
                _VERSION, str(task.reference), str(task.entry_point), repr(task.tests.inputs), *sources
            )
            if key not in known:
                known[key] = _measured(task, sources, sandbox)
                kept.append({"key": key, "task_id": task_id, "figures": known[key]})
            for arm, figures in zip(arms, known[key] or (), strict=False):
                found[arm][task_id] = figures
            progress(done + 1, len(wanted))
    return found


def measurable(task: Task) -> bool:
    """Return whether a task has a reference and calls that can be grown."""
    return task.tests.kind == "calls" and bool(task.reference) and str(task.entry_point).isidentifier()


def _measured(task: Task, sources: Sequence[str], sandbox: Sandbox) -> list[dict[str, float]] | None:
    """Return the figures of each program of one task; None where the task cannot be measured.

    A program that does not end on the largest load is measured, with all others, on a smaller one: left
    out, the slowest programs would be missing from the figures.
    """
    if not measurable(task):
        return None
    too_slow: list[tuple[tuple[Any, ...], ...]] = []
    for _ in range(_TRIES):
        try:
            for load in loads_of(task, sandbox):
                if load.calls in too_slow:
                    continue
                try:
                    return _figures(task, sources, load, sandbox)
                except _TooSlowError:
                    too_slow.append(load.calls)  # on a second try they would take as long
            return None
        except _UnsteadyError:
            continue
    return None


def _figures(
    task: Task, sources: Sequence[str], load: Load, sandbox: Sandbox
) -> list[dict[str, float]] | None:
    """Return the figures of each program under one load; None where a program gives another value.

    A busy machine only ever makes a time longer. So all are timed again, one after the other, until the two least
    times of each agree; None where they never do.
    """
    sources = (str(task.reference), *sources)
    rounds: list[list[tuple[float, float]]] = []
    while len(rounds) < _LEAST_ROUNDS or not all(map(_steady, zip(*rounds, strict=True))):
        if len(rounds) == _MOST_ROUNDS:
            return None
        runs = [r for source in sources if (r := _timed(source, task, load, sandbox))]
        if len(runs) < len(sources):
            return None
        rounds.append(runs)
    # receiving the arguments takes time that is not the program's
    empty = _run(_EMPTY.format(task.entry_point), task, load.calls, _PROGRAM, sandbox)
    received_s = min((f.cpu_s for f in empty.frames), default=0.0)
    least = [min(times) for times in zip(*rounds, strict=True)]
    own = [max(seconds - received_s, _SMALLEST_S) for seconds, _ in least]
    if own[0] < _ENOUGH_S / 2:
        raise _UnsteadyError
    return [
        {"cpu_log2": round(log2(seconds / own[0]), 4), "peak_mb": peak_mb}
        for seconds, (_, peak_mb) in zip(own[1:], least[1:], strict=True)
    ]


def _steady(times: Sequence[tuple[float, float]]) -> bool:
    """Return True if the two least times of a program are alike."""
    least, next_s = sorted(seconds for seconds, _ in times)[:2]
    return next_s <= _STEADY * least or next_s - least <= _ENOUGH_S / 2


def loads_of(task: Task, sandbox: Sandbox) -> list[Load]:
    """Return inputs that the reference takes a measurable, bearable time for, the longest time first."""
    inputs = [*task.tests.inputs, *(task.plus.inputs if task.plus else ())]
    longest = sorted(range(len(inputs)), key=lambda i: (-len(repr(inputs[i])), i))
    for arguments in (inputs[i] for i in longest[:_CALLS]):
        loads = []
        calls = [c for f in FACTORS if (c := _call(arguments, f)) is not None]
        run = _run(str(task.reference), task, calls, _REFERENCE, sandbox)
        for call, frame in zip(calls, run.frames, strict=False):
            if frame.error is not None or frame.cpu_s > _LONGEST_S:
                break
            if frame.cpu_s >= _ENOUGH_S:
                loads.append(Load((call,) * REPEATS, frame.value, frame.cpu_s))
        if loads:
            return sorted(loads, key=lambda load: -load.cpu_s)
    return []


def _call(arguments: Sequence[Any], factor: int) -> tuple[Any, ...] | None:
    """Return grown arguments; None where they would be too large to send."""
    sizes = [len(a) for a in arguments if isinstance(a, str | bytes | list | tuple)]
    if sum(sizes) * factor > _MOST_ITEMS:
        return None
    return tuple(grown(a, factor) for a in arguments)


def _timed(source: str, task: Task, load: Load, sandbox: Sandbox) -> tuple[float, float] | None:
    """Return CPU seconds (the least of the repeats) and peak MiB; None where a value is another one.

    Raises `_UnsteadyError` where the program's clock and the watcher's tell different things, and
    `_TooSlowError` where it was stopped for its time.
    """
    run = _run(source, task, load.calls, _PROGRAM, sandbox)
    if run.outcome is Outcome.TIMEOUT:
        raise _TooSlowError
    whole = run.outcome is Outcome.PASSED and len(run.frames) == len(load.calls)
    if not whole or any(f.error is not None or not same(f.value, load.value) for f in run.frames):
        return None
    # The program's own clock is finer than the watcher's; one that lies is told by what the watcher saw.
    own = sum(f.cpu_s for f in run.frames)
    if own < 0 or run.cpu_s > 4 * own + 1.0:
        raise _UnsteadyError
    return min(f.cpu_s for f in run.frames), round(run.peak_mb or 0.0, 2)


def same(one: Any, two: Any) -> bool:
    """Return whether two values are equal, floats but for rounding: sums in another order differ a little."""
    if isinstance(one, float) and isinstance(two, float):
        return isclose(one, two, rel_tol=1e-6, abs_tol=1e-9) or (one != one and two != two)
    if type(one) is type(two) and isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(same, one, two))
    return bool(one == two)


def _run(source: str, task: Task, calls: Sequence[tuple[Any, ...]], limits: Limits, sandbox: Sandbox) -> Run:
    program = Program(source, "calls", tuple(calls), entry_point=task.entry_point, limits=limits,
                      digest_over=(_DIGEST_OVER,) * len(calls))  # fmt: skip
    run = sandbox.run(program)
    if run.outcome is Outcome.SANDBOX_FAILED:
        raise CodefitError(
            f"the sandbox failed: {run.error}", where=task.task_id, todo="run the same command again"
        )
    return run
