"""The suite of benchmarks whose tests are a unittest module: BigCodeBench, and tasks in its layout."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from codefit.core.types import Outcome, Task
from codefit.sandbox.sandbox import Sandbox
from codefit.sandbox.types import Limits, Runtime
from codefit.suites.base import Field, Phase, SuiteInfo
from codefit.suites.extract import Extraction, extract
from codefit.suites.prefix import parse
from codefit.suites.speed import reference_work_s
from codefit.suites.unittest_check import Known, UnittestCheck
from codefit.suites.unittest_reference import UnitSource, known_references

CPU_S_MIN, CPU_FACTOR = 20.0, 4.0
WALL_S_MIN, WALL_S_MORE, WALL_FACTOR = 60.0, 20.0, 2.0
MEMORY_MB_MIN, MEMORY_FACTOR = 2048, 2.0
WAITS_S = 2.0
PROCESSES, FILE_MB, OUTPUT_BYTES = 64, 256, 4_000_000


def limits_line() -> str:
    """Return the limits of a task as they stand in a harness line."""
    return (
        f"cpu per task max({CPU_S_MIN:g} s, {CPU_FACTOR:g}x reference); wall max({WALL_S_MIN:g} s, "
        f"{WALL_FACTOR:g}x reference + {WALL_S_MORE:g} s); "
        f"memory max({MEMORY_MB_MIN} MiB, {MEMORY_FACTOR:g}x reference)"
    )


@dataclass
class UnittestSuite:
    """Tasks judged by unittest tests in the program's process; see `unittest_check` for what a pass takes.

    `starts[task_id]` is the text that a `completion` continues; `heads[task_id]` is put before every
    solution where the score is calibrated: the task's imports and signature, so that a model which left
    them out is not charged for it. `fingerprint` names the interpreter and libraries of the runtime.
    """

    info: SuiteInfo
    tasks: tuple[Task, ...]
    runtime: Runtime
    fingerprint: str
    starts: Mapping[str, str] = field(default_factory=dict)
    heads: Mapping[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    excluded: dict[str, str] = field(default_factory=dict)
    all_tasks: tuple[Task, ...] = ()
    work_s: float = 0.0
    jobs_per_core: int = 2  # many tests sleep, or wait for a process or a socket
    _known: Mapping[str, Known] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.all_tasks = self.all_tasks or self.tasks

    def prepare(
        self,
        sandbox: Sandbox,
        cache: Path | None,
        progress: Callable[[int, int], None] | None = None,
        only: Collection[str] | None = None,
    ) -> None:
        """Run the references, or load what they did; a task whose reference fails here is left out by name."""
        wanted = [t for t in self.tasks if only is None or t.task_id in only]
        sources = [UnitSource(t.task_id, self._reference(t), t.tests) for t in wanted]
        self.work_s = reference_work_s(sandbox, cache, self.fingerprint)
        self._known = known_references(sources, sandbox, cache, runtime=self.fingerprint, progress=progress)
        for task_id, known in self._known.items():
            if known.failure is not None:
                self.excluded.setdefault(task_id, known.failure)

    def _reference(self, task: Task) -> str:
        return self.heads.get(task.task_id, "") + (task.reference or "")

    def program(self, task: Task, text: str, kind: Field) -> Extraction:
        """Return the program that a completion stands for, with the task's head before it.

        `solution` and `completion` are final programs, a completion being continued from the task's start;
        `text` is what a model wrote, and is extracted.
        """
        if kind == "text":
            found = extract(text, task.entry_point)
        elif not text.strip():
            return Extraction(None, "none", Outcome.NO_CODE)
        else:
            whole = text if kind == "solution" else self.starts.get(task.task_id, "") + text
            fenced = "```" in text and parse(whole) is None
            found = extract(text, task.entry_point) if fenced else Extraction(whole, "as it is")
        if found.program is None:
            return found
        return Extraction(self.heads.get(task.task_id, "") + found.program, found.rule, found.outcome)

    def check(self, task: Task, source: str, phase: Phase, *, all_tests: bool = False) -> UnittestCheck:
        """Return the check of one program; all tests run in any case."""
        known = self._known[task.task_id]
        return UnittestCheck(source, task.tests, known, limits=_limits(known))

    def cost_s(self, task: Task, phase: Phase) -> float:
        """Return the seconds of the reference, waiting included."""
        return self._known[task.task_id].wall_s

    def waits(self, task: Task) -> bool:
        """Return True if the reference waited for most of its time, and for seconds."""
        known = self._known[task.task_id]
        return known.wall_s > max(WAITS_S, 2 * known.cpu_s)

    def raw_input(self, task: Task, phase: Phase, index: int) -> object:
        """Return the tests as they stand in the data."""
        return task.tests.asserts[index]


def _limits(known: Known) -> Limits:
    return Limits(
        cpu_s=max(CPU_S_MIN, CPU_FACTOR * known.cpu_s),
        wall_s=max(WALL_S_MIN, WALL_FACTOR * known.wall_s + WALL_S_MORE),
        memory_mb=round(max(MEMORY_MB_MIN, MEMORY_FACTOR * known.peak_mb)),
        processes=PROCESSES,
        file_mb=FILE_MB,
        output_bytes=OUTPUT_BYTES,
    )
