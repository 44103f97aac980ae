"""Expected values of tasks that come with inputs and a reference only (evalplus' layout)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from codefit.core.types import Outcome, Task, Tests
from codefit.curate.runner import refuse_unjudged
from codefit.sandbox import Limits, Opaque, Program, Run, Sandbox

_LIMITS = Limits(cpu_s=20.0, memory_mb=1024)
_MAX_CALLS = 10


def lacks_outputs(task: Task) -> bool:
    """Return True if the task has inputs without values, and a reference that could give them."""
    tests = task.tests
    return tests.kind == "calls" and len(tests.outputs) < len(tests.inputs) and bool(task.reference)


def with_expected(tasks: Mapping[str, Sequence[Task]], sandbox: Sandbox) -> dict[str, list[Task]]:
    """Return the tasks with the reference's values of up to ten base inputs where values are missing.

    The reference runs in the sandbox. A task whose reference fails or returns no plain data stays
    as it is, and is then found by words and code only. Raises `CodefitError` if the sandbox itself fails.
    """
    found = {suite: list(items) for suite, items in tasks.items()}
    places = [
        (suite, i) for suite, items in found.items() for i, task in enumerate(items) if lacks_outputs(task)
    ]
    jobs = ((_program(found[suite][i]), None) for suite, i in places)
    failed = 0
    for number, run in sandbox.map(jobs):
        failed += run.outcome is Outcome.SANDBOX_FAILED
        suite, i = places[number]
        tests = _tests(found[suite][i].tests, run)
        if tests is not None:
            found[suite][i] = replace(found[suite][i], tests=tests)
    refuse_unjudged(failed)
    return found


def _program(task: Task) -> Program:
    calls = tuple(tuple(i) for i in task.tests.inputs[:_MAX_CALLS])
    return Program(task.reference or "", "calls", calls, entry_point=task.entry_point, limits=_LIMITS)


def _tests(tests: Tests, run: Run) -> Tests | None:
    if run.outcome is not Outcome.PASSED or any(f.error or _opaque(f.value) for f in run.frames):
        return None
    count = len(run.frames)
    return replace(tests, inputs=tests.inputs[:count], outputs=tuple(f.value for f in run.frames))


def _opaque(value: object) -> bool:
    return any(isinstance(v, Opaque) for v in _flat(value))


def _flat(value: object) -> Iterator[object]:
    yield value
    items = [*value, *value.values()] if isinstance(value, dict) else value
    if isinstance(items, list | tuple | set | frozenset):
        for item in items:
            yield from _flat(item)
