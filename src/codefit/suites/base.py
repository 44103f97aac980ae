"""The suite: tasks, how a program is put together, and how it is judged."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

from codefit.core.types import Outcome, Task, Tests
from codefit.sandbox.sandbox import Sandbox
from codefit.sandbox.types import Limits, Runtime
from codefit.suites.check import Check, Judgement
from codefit.suites.compare import Comparer
from codefit.suites.extract import Extraction, extract
from codefit.suites.oracles import ORACLES, EvalplusComparer, special_rule, tolerances
from codefit.suites.prefix import parse
from codefit.suites.reference import Expected, Source, expectations
from codefit.suites.speed import reference_work_s

Phase = Literal["base", "plus"]
Field = Literal["text", "completion", "solution"]

JUDGE_VERSION = "3"
EXTRACTION_VERSION = "2"
TEST_CPU_S_MIN = 1.0
REFERENCE_FACTOR = 4.0
TEST_CPU_S_FIXED = 3.0
TASK_CPU_S_MAX = 60.0
TASK_REFERENCE_FACTOR = 2.0
TEST_WALL_FACTOR = 10.0
TEST_WALL_S_MIN = 5.0
TASK_WALL_S_MIN = 10.0
TASK_WALL_FACTOR = 2.0
MEMORY_MB = 2048
OUTPUT_BYTES_MIN = 1_000_000


def harness(oracle: str | None) -> str:
    """Return everything beside the tasks that decides a verdict, as one line.

    Not in it: the machine and its load, which must not decide anything.
    """
    per_test = f"max({TEST_CPU_S_MIN:g} s, {REFERENCE_FACTOR:g}x reference)"
    per_task = f"max(min({TASK_CPU_S_MAX:g} s, all tests), {TASK_REFERENCE_FACTOR:g}x reference)"
    cpu = f"cpu per test {per_test}, per task {per_task} + 1 s"
    task_wall = f"{TASK_WALL_S_MIN:g} s + max(a test, {TASK_WALL_FACTOR:g}x its cpu)"
    if oracle is None:
        cpu = f"cpu per test {TEST_CPU_S_FIXED:g} s, per task {TASK_CPU_S_MAX:g} s"
        task_wall = f"{TEST_WALL_FACTOR * TASK_CPU_S_MAX:g} s"
    wall = f"wall per test max({TEST_WALL_S_MIN:g} s, {TEST_WALL_FACTOR:g}x its cpu), per task {task_wall}"
    judge = f"oracle evalplus {oracle}" if oracle else "oracle own tests"
    return f"{judge_line()}; {judge}; {cpu}; {wall}; memory {MEMORY_MB} MiB; {runtime()}"


def judge_line() -> str:
    """Return the versions of judge and extraction, which begin every harness line."""
    return f"codefit-judge {JUDGE_VERSION}, extraction {EXTRACTION_VERSION}"


def runtime() -> str:
    """Return the interpreter that programs run on."""
    return f"python {sys.version_info.major}.{sys.version_info.minor}; hash seed 0"


@dataclass(frozen=True, slots=True)
class SuiteInfo:
    """What decides a score beside the model. `revision` hashes the content of the tasks.

    `base_name` and `base_revision` name the base tests alone where there are plus tests;
    `limit` is the number of tasks asked for when it is not the whole benchmark; `flavour` is how they are
    put to a model (see `flavours`), None where nobody said; `variant` how they were changed (see `variants`),
    and `left_out` the tasks, with the reason, of which it couldn't be made.
    """

    name: str
    revision: str
    harness: str
    oracle: str | None
    tasks: int
    family: str
    has_plus: bool = False
    base_name: str = ""
    base_revision: str = ""
    data: str | None = None
    data_hash: str | None = None
    limit: int | None = None
    flavour: str | None = None
    variant: str | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)


class Suite(Protocol):
    """A benchmark: an extension point.

    `tasks` are those that are judged; `all_tasks` are also those that a limit leaves out, which
    training rows must be separate from all the same. `runtime` is what programs must find in the sandbox,
    `work_s` how fast this machine was when the limits were derived (see `speed`), `jobs_per_core` how many
    programs should run at once where nothing else is said.
    """

    info: SuiteInfo
    tasks: tuple[Task, ...]
    all_tasks: tuple[Task, ...]
    problems: list[str]
    excluded: dict[str, str]
    runtime: Runtime
    work_s: float
    jobs_per_core: int

    def prepare(
        self,
        sandbox: Sandbox,
        cache: Path | None,
        progress: Callable[[int, int], None] | None = None,
        only: Collection[str] | None = None,
    ) -> None:
        """Compute or load what judging needs, of the tasks in `only` where it is given.

        Names tasks that cannot be judged in `excluded`.
        """

    def program(self, task: Task, text: str, kind: Field) -> Extraction:
        """Return the program that a completion stands for."""

    def check(self, task: Task, source: str, phase: Phase, *, all_tests: bool = False) -> Judgement:
        """Return the check of one program against the base or plus tests."""

    def cost_s(self, task: Task, phase: Phase) -> float:
        """Return the seconds that judging may take, for ordering."""

    def waits(self, task: Task) -> bool:
        """Return True if a task's tests mostly wait, so that others can run meanwhile."""

    def raw_input(self, task: Task, phase: Phase, index: int) -> object:
        """Return the input of one test as it stands in the data."""


@dataclass
class TaskSuite:
    """The suite of every benchmark whose tests are calls, assertions or standard input.

    Where `oracle` is set, expected values come from the reference solution (evalplus' layout);
    otherwise they stand in the tests.
    """

    info: SuiteInfo
    tasks: tuple[Task, ...]
    problems: list[str] = field(default_factory=list)
    excluded: dict[str, str] = field(default_factory=dict)
    json_values: bool = False
    all_tasks: tuple[Task, ...] = ()
    runtime: Runtime = Runtime()  # noqa: RUF009 (frozen)
    work_s: float = 0.0
    jobs_per_core: int = 1
    _expected: Mapping[tuple[str, str], Expected] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.all_tasks = self.all_tasks or self.tasks

    def prepare(
        self,
        sandbox: Sandbox,
        cache: Path | None,
        progress: Callable[[int, int], None] | None = None,
        only: Collection[str] | None = None,
    ) -> None:
        """Compute the reference's values, or load them; without an oracle there are none."""
        self.work_s = reference_work_s(sandbox, cache, runtime())
        if self.info.oracle is None:
            return
        wanted = (t for t in self.tasks if only is None or t.task_id in only)
        sources = [s for task in wanted for s in self._sources(task)]
        self._expected = expectations(sources, sandbox, cache, runtime=runtime(), progress=progress)
        for (task_id, phase), expected in self._expected.items():
            if expected.failure:
                self.excluded.setdefault(task_id, f"{phase} tests: {expected.failure}")
            for number in expected.skipped:
                self.problems.append(
                    f"{task_id}: {phase} test {number} left out: a reference output over 16 MiB with a tolerance"
                )
            if not expected.failure and not expected.values:
                self.excluded.setdefault(task_id, f"{phase} tests: none left")

    def _sources(self, task: Task) -> list[Source]:
        rule = special_rule(self.info.family, _known_as(task), ORACLES[-1])
        program, entry_point = task.reference or "", task.entry_point or ""
        return [
            Source(
                (task.task_id, phase), program, entry_point, tests.inputs, rule, task.atol, _raw(task, phase)
            )
            for phase, tests in (("base", task.tests), ("plus", task.plus))
            if tests is not None
        ]

    def program(self, task: Task, text: str, kind: Field) -> Extraction:
        """Return the program that a completion stands for.

        `solution` and `completion` are evalplus' sample fields: final programs, a completion
        being continued from the prompt; they are taken as they are unless they hold a fence.
        `text` is what a model wrote: extracted; continued from the prompt where it does not
        define the entry point by itself.
        """
        if kind == "text":
            return self._from_text(task, text)
        whole = text
        if kind == "completion" and not _stands_alone(task, text):
            whole = task.prompt + text
        if "```" in text and parse(whole) is None:
            return extract(text, task.entry_point)
        if not whole.strip():
            return Extraction(None, "none", Outcome.NO_CODE)
        return Extraction(whole, "as it is")

    def _from_text(self, task: Task, text: str) -> Extraction:
        alone = extract(text, task.entry_point)
        if alone.program is not None and not alone.rule.endswith("without the entry point"):
            return alone
        joined = extract(task.prompt + text, task.entry_point)
        added = joined.program is not None and len(joined.program.rstrip()) > len(task.prompt.rstrip())
        if added and parse(task.prompt) is not None:
            return replace(joined, rule=f"prompt + {joined.rule}")
        return alone

    def check(self, task: Task, source: str, phase: Phase, *, all_tests: bool = False) -> Check:
        """Return the check of one program against the base or plus tests."""
        tests = self._tests(task, phase)
        if self.info.oracle is None:
            return Check(
                source,
                tests,
                limits=_fixed_limits(),
                atol=task.atol,
                json_values=self.json_values,
                all_tests=all_tests,
            )
        expected = self._expected[task.task_id, phase]
        left = [i for n, i in enumerate(tests.inputs) if n not in expected.skipped]
        judged = replace(tests, inputs=tuple(left), outputs=tuple(expected.outputs()))
        return Check(
            source,
            judged,
            limits=_limits(expected),
            compare=self._comparer(task, expected),
            all_tests=all_tests,
        )

    def _comparer(self, task: Task, expected: Expected) -> Comparer:
        rule = special_rule(self.info.family, _known_as(task), self.info.oracle or "")
        return EvalplusComparer(rule, tolerances(task.atol, expected.wants_atol))

    def _tests(self, task: Task, phase: Phase) -> Tests:
        tests = task.tests if phase == "base" else task.plus
        if tests is None:
            raise ValueError(f"{task.task_id} has no {phase} tests")
        return tests

    def cost_s(self, task: Task, phase: Phase) -> float:
        """Return the CPU seconds of the reference, or 0 where they are not known."""
        expected = self._expected.get((task.task_id, phase))
        return sum(expected.cpu_s) if expected else 0.0

    def waits(self, task: Task) -> bool:
        """Return False: functions compute."""
        return False

    def raw_input(self, task: Task, phase: Phase, index: int) -> object:
        """Return the input of one test as it stands in the data."""
        tests = self._tests(task, phase)
        expected = self._expected.get((task.task_id, phase))
        if expected:
            index = [n for n in range(len(tests)) if n not in expected.skipped][index]
        raw: Sequence[object] | None = task.extra.get(f"{phase}_input")
        if raw is not None:
            return raw[index]
        return tests.asserts[index] if tests.kind == "asserts" else tests.inputs[index]


def _known_as(task: Task) -> str | None:
    """Return the entry point's name in the benchmark, which a variant may have changed."""
    known: str | None = task.extra.get("judged_as", task.entry_point)
    return known


def _raw(task: Task, phase: str) -> str:
    """Return the inputs of a task as JSON: they came from there, and are rebuilt by fixed rules."""
    return json.dumps([task.task_id, task.extra[f"{phase}_input"]])


def _fixed_limits() -> Limits:
    return Limits(
        cpu_s=TASK_CPU_S_MAX,
        wall_s=TEST_WALL_FACTOR * TASK_CPU_S_MAX,
        test_cpu_s=TEST_CPU_S_FIXED,
        test_wall_s=_test_wall_s(TEST_CPU_S_FIXED),
        memory_mb=MEMORY_MB,
    )


def _limits(expected: Expected) -> Limits:
    per_test = tuple(max(TEST_CPU_S_MIN, REFERENCE_FACTOR * s) for s in expected.cpu_s)
    reference_s = TASK_REFERENCE_FACTOR * sum(expected.cpu_s)
    task_s = max(min(TASK_CPU_S_MAX, sum(per_test)), reference_s)
    size = max((len(v) for v in expected.values if isinstance(v, bytes)), default=0)
    large = any(not isinstance(v, bytes) for v in expected.values)
    return Limits(
        cpu_s=task_s + 1.0,
        wall_s=TASK_WALL_S_MIN + max(_test_wall_s(max(per_test)), TASK_WALL_FACTOR * task_s),
        test_cpu_s=per_test,
        test_wall_s=tuple(_test_wall_s(s) for s in per_test),
        memory_mb=MEMORY_MB,
        output_bytes=32 * 1024 * 1024 if large else max(OUTPUT_BYTES_MIN, 4 * size),
        total_output_bytes=512 * 1024 * 1024,
    )


def _test_wall_s(cpu_s: float) -> float:
    """Return the backstop of one test, for programs that wait without using CPU time.

    Far above the CPU limit, since busy processes beside it stretch time; yet a program that hangs
    costs one such limit, not what the whole task may take.
    """
    return max(TEST_WALL_S_MIN, TEST_WALL_FACTOR * cpu_s)


def _stands_alone(task: Task, text: str) -> bool:
    """Return True if joining text to the prompt would break a program that is complete."""
    return parse(task.prompt + text) is None and parse(text) is not None
