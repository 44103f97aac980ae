"""Judging of many programs: base tests first, plus tests where they passed, each program once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from codefit.core.files import Ledger, digest
from codefit.core.types import Outcome, Task
from codefit.sandbox.sandbox import Sandbox
from codefit.sandbox.types import OnFrame, Program, Run
from codefit.suites.base import Phase, Suite
from codefit.suites.check import CheckResult, Judgement
from codefit.suites.speed import slowdown, stretched, work_s

T = TypeVar("T")
_AGAIN = (Outcome.TIMEOUT, Outcome.SANDBOX_FAILED)
Progress = Callable[[Phase, int, int], None]


@dataclass(frozen=True, slots=True)
class Job:
    """One program to be judged against the tests of one phase; `key` hashes all that decides."""

    task: Task
    source: str
    phase: Phase
    key: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What is remembered of a judged job.

    `flaky` says that running it again alone changed it, `pending` that a pass waits for its probe.
    """

    outcome: Outcome
    error: str | None = None
    failed_index: int | None = None
    failed_test: dict[str, Any] | None = None
    failed: tuple[int, ...] = ()
    failed_names: tuple[str, ...] = ()
    cpu_s: float = 0.0
    wall_s: float = 0.0
    peak_mb: float | None = None
    flaky: bool = False
    pending: bool = False

    def entry(self, job: Job) -> dict[str, Any]:
        """Return the line of the ledger."""
        return {
            "key": job.key,
            "task_id": job.task.task_id,
            "phase": job.phase,
            "outcome": self.outcome.value,
            "error": self.error,
            "failed_index": self.failed_index,
            "failed_test": self.failed_test,
            "failed": list(self.failed),
            "failed_names": list(self.failed_names),
            "cpu_s": self.cpu_s,
            "wall_s": self.wall_s,
            "peak_mb": self.peak_mb,
            "flaky": self.flaky,
            "pending": self.pending,
        }


def from_entry(entry: dict[str, Any]) -> Finding:
    """Return the finding of a line of the ledger; raises `KeyError` or `ValueError` for another's line."""
    return Finding(
        Outcome(entry["outcome"]),
        entry["error"],
        entry["failed_index"],
        entry["failed_test"],
        tuple(entry["failed"]),
        tuple(entry["failed_names"]),
        float(entry["cpu_s"]),
        float(entry["wall_s"]),
        entry["peak_mb"],
        bool(entry["flaky"]),
        bool(entry["pending"]),
    )


class Judge:
    """Judges programs of one suite through one sandbox, and remembers every finding in a ledger.

    The ledger is keyed by content: task, program, phase and harness, so identical programs are
    judged once and a run that was killed goes on where it stood.
    """

    def __init__(self, suite: Suite, sandbox: Sandbox, ledger: Ledger, *, all_tests: bool = False) -> None:
        self._suite, self._sandbox, self._ledger = suite, sandbox, ledger
        self._all_tests = all_tests
        self._known: dict[str, Finding] = {}
        self.slowdown = 1.0  # by how much limits were stretched for the programs that were run again
        for entry in ledger.entries:
            try:
                self._known[entry["key"]] = from_entry(entry)
            except (KeyError, ValueError, TypeError):
                continue

    def job(self, task: Task, source: str, phase: Phase) -> Job:
        """Return the job of a program, with its key."""
        info = self._suite.info
        revision = info.base_revision if phase == "base" else info.revision
        key = digest(revision, task.task_id, phase, info.harness, str(self._all_tests), source)
        return Job(task, source, phase, key)

    def finding(self, job: Job) -> Finding | None:
        """Return what is known of a job, None where it is yet to be judged."""
        found = self._known.get(job.key)
        return None if found is None or found.pending else found

    def judge(self, jobs: Sequence[Job], progress: Progress | None = None) -> None:
        """Judge all jobs that are not known yet: dearest first, then the doubtful ones alone, then probes.

        A timeout is run once more with nothing beside it, and so is a failure of the sandbox. A pass of
        tests that are decided beside the program is probed.
        """
        unique = {j.key: j for j in jobs if self.finding(j) is None}
        waiting = self._ordered(j for j in unique.values() if j.key not in self._known)
        total, done = len(unique), 0

        def finish(job: Job, check: Judgement, result: CheckResult, *, flaky: bool = False) -> None:
            nonlocal done
            pending = result.passed and check.probe is not None
            self._remember(job, _finding(result, flaky=flaky, pending=pending))
            done += not pending
            if progress:
                progress(job.phase, done, total)

        doubtful: list[tuple[Job, CheckResult]] = []
        for job, check, result in self._run_all(waiting):
            if result.outcome in _AGAIN:
                doubtful.append((job, result))
            else:
                finish(job, check, result)
        for job, first, check, result in self._run_alone(doubtful):
            finish(job, check, result, flaky=result.outcome is not first.outcome)
        for job, finding in self._probe(self._ordered(j for j in unique.values() if self.finding(j) is None)):
            self._remember(job, finding)
            done += 1
            if progress:
                progress(job.phase, done, total)

    def _ordered(self, jobs: Iterable[Job]) -> list[Job]:
        """Return jobs dearest first, those that wait and those that compute in turn."""
        dearest = sorted(jobs, key=lambda j: -self._suite.cost_s(j.task, j.phase))
        return in_turn(dearest, lambda j: self._suite.waits(j.task))

    def _run_all(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Judgement, CheckResult]]:
        for job, check, run in self._map(jobs, lambda check: (check.program, check.on_frame)):
            yield job, check, check.result(run)

    def _map(
        self, jobs: Sequence[Job], choose: Callable[[Judgement], tuple[Program, OnFrame | None]]
    ) -> Iterator[tuple[Job, Judgement, Run]]:
        checks: dict[int, Judgement] = {}

        def programs() -> Iterator[tuple[Program, OnFrame | None]]:
            for index, job in enumerate(jobs):
                checks[index] = check = self._check(job)
                yield choose(check)

        for index, run in self._sandbox.map(programs()):
            yield jobs[index], checks.pop(index), run

    def _run_alone(
        self, doubtful: Sequence[tuple[Job, CheckResult]]
    ) -> Iterator[tuple[Job, CheckResult, Judgement, CheckResult]]:
        """Run programs once more, one at a time, with limits stretched by how slow the machine is now."""
        factor = slowdown(self._suite.work_s, work_s(self._sandbox)) if doubtful else 1.0
        self.slowdown = max(self.slowdown, factor)
        for job, first in doubtful:
            check = self._check(job)
            program = replace(check.program, limits=stretched(check.program.limits, factor))
            yield job, first, check, check.result(self._sandbox.run(program, check.on_frame))

    def _probe(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Finding]]:
        """Run passes again with the entry point replaced; what still passes was tampered with."""
        for job, check, run in self._map(jobs, _probe_of):
            if run.outcome is Outcome.SANDBOX_FAILED:
                yield job, Finding(Outcome.SANDBOX_FAILED, run.error)
                continue
            shown, passed = check.tampered(run), replace(self._known[job.key], pending=False)
            yield job, replace(passed, outcome=Outcome.TAMPERING, error=shown) if shown else passed

    def _check(self, job: Job) -> Judgement:
        return self._suite.check(job.task, job.source, job.phase, all_tests=self._all_tests)

    def _remember(self, job: Job, finding: Finding) -> None:
        self._known[job.key] = finding
        if finding.outcome is not Outcome.SANDBOX_FAILED:
            self._ledger.append(finding.entry(job))


def in_turn(items: Iterable[T], waits: Callable[[T], bool]) -> list[T]:
    """Return items in their order, but one that waits and one that does not in turn while there are both."""
    kinds: tuple[list[T], list[T]] = ([], [])
    for item in items:
        kinds[waits(item)].append(item)
    computing, waiting = kinds
    shared = min(len(computing), len(waiting))
    turns = [item for pair in zip(waiting, computing, strict=False) for item in pair]
    return turns + waiting[shared:] + computing[shared:]


def _probe_of(check: Judgement) -> tuple[Program, None]:
    if check.probe is None:
        raise ValueError("a pass that needs no probe waits for one")
    return check.probe, None


def _finding(result: CheckResult, *, flaky: bool, pending: bool) -> Finding:
    return Finding(
        result.outcome,
        result.error,
        result.failed_index,
        dict(result.failed_test) if result.failed_test else None,
        result.failed,
        result.failed_names,
        round(result.cpu_s, 3),
        round(result.wall_s, 3),
        round(result.peak_mb, 1) if result.peak_mb is not None else None,
        flaky,
        pending,
    )
