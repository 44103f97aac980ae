"""Judging of many programs: base tests first, plus tests where they passed, each program once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from codefit.core.files import Ledger, digest
from codefit.core.types import Outcome, Task
from codefit.sandbox.sandbox import Sandbox
from codefit.sandbox.types import OnFrame, Program
from codefit.suites.base import Phase, Suite
from codefit.suites.check import Check, CheckResult

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
    """What is remembered of a judged job. `flaky` says that running it again alone changed it."""

    outcome: Outcome
    error: str | None = None
    failed_index: int | None = None
    failed_test: dict[str, Any] | None = None
    failed: tuple[int, ...] = ()
    cpu_s: float = 0.0
    peak_mb: float | None = None
    flaky: bool = False

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
            "cpu_s": self.cpu_s,
            "peak_mb": self.peak_mb,
            "flaky": self.flaky,
        }


def from_entry(entry: dict[str, Any]) -> Finding:
    """Return the finding of a line of the ledger; raises `KeyError` or `ValueError` for another's line."""
    return Finding(
        Outcome(entry["outcome"]),
        entry["error"],
        entry["failed_index"],
        entry["failed_test"],
        tuple(entry["failed"]),
        float(entry["cpu_s"]),
        entry["peak_mb"],
        bool(entry["flaky"]),
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
        """Return what is known of a job."""
        return self._known.get(job.key)

    def judge(self, jobs: Sequence[Job], progress: Progress | None = None) -> None:
        """Judge all jobs that are not known yet; dearest first, then the doubtful ones alone.

        A timeout is run once more with nothing beside it, and so is a failure of the sandbox.
        """
        unique = {j.key: j for j in jobs if j.key not in self._known}
        waiting = sorted(unique.values(), key=lambda j: -self._suite.cost_s(j.task, j.phase))
        total, done = len(waiting), 0
        doubtful: list[tuple[Job, CheckResult]] = []
        for job, result in self._run_all(waiting):
            if result.outcome in _AGAIN:
                doubtful.append((job, result))
                continue
            done += 1
            self._remember(job, result, flaky=False)
            if progress:
                progress(job.phase, done, total)
        for job, first in doubtful:
            result = self._run_alone(job)
            self._remember(job, result, flaky=result.outcome is not first.outcome)
            done += 1
            if progress:
                progress(job.phase, done, total)

    def _run_all(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, CheckResult]]:
        checks: dict[int, Check] = {}

        def programs() -> Iterator[tuple[Program, OnFrame | None]]:
            for index, job in enumerate(jobs):
                checks[index] = check = self._check(job)
                yield check.program, check.on_frame

        for index, run in self._sandbox.map(programs()):
            yield jobs[index], checks.pop(index).result(run)

    def _run_alone(self, job: Job) -> CheckResult:
        check = self._check(job)
        return check.result(self._sandbox.run(check.program, check.on_frame))

    def _check(self, job: Job) -> Check:
        return self._suite.check(job.task, job.source, job.phase, all_tests=self._all_tests)

    def _remember(self, job: Job, result: CheckResult, *, flaky: bool) -> None:
        finding = Finding(
            result.outcome,
            result.error,
            result.failed_index,
            dict(result.failed_test) if result.failed_test else None,
            result.failed,
            round(result.cpu_s, 3),
            round(result.peak_mb, 1) if result.peak_mb is not None else None,
            flaky,
        )
        self._known[job.key] = finding
        if finding.outcome is not Outcome.SANDBOX_FAILED:
            self._ledger.append(finding.entry(job))
