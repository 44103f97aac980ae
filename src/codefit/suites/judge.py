"""Judging of many programs: base tests first, plus tests where they passed, each program once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from codefit.core.files import Ledger, digest
from codefit.core.types import Outcome, Task
from codefit.sandbox.sandbox import Sandbox
from codefit.sandbox.types import OnFrame, Program, Run
from codefit.suites.base import Phase, Suite
from codefit.suites.check import CheckResult, Judgement
from codefit.suites.schedule import Schedule
from codefit.suites.speed import slowdown, stretched, work_s

IDLE_SHARE = 0.05  # of a core: who uses less was waiting, however busy the machine
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


Follow = Callable[[Job, Finding], Job | None]


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

    def judge(
        self, jobs: Sequence[Job], progress: Progress | None = None, follow: Follow | None = None
    ) -> None:
        """Judge all jobs that are not known yet, and those that `follow` a finding; dearest first.

        A timeout is run once more with a core to itself, unless it came of waiting, which others did not
        cause; so is a failure of the sandbox. A pass of tests that are decided beside the program is probed.
        """
        run = _JudgeRun(self, self._suite, self._sandbox, progress, follow)
        for job in jobs:
            run.add(job)
        run.to_the_end()
        self.slowdown = max(self.slowdown, run.slowdown)

    def known(self, job: Job) -> Finding | None:
        """Return what is known of a job, a pass that waits for its probe included."""
        return self._known.get(job.key)

    def check(self, job: Job) -> Judgement:
        """Return a new check of a job's program."""
        return self._suite.check(job.task, job.source, job.phase, all_tests=self._all_tests)

    def remember(self, job: Job, finding: Finding) -> None:
        """Keep what was found; the sandbox's own failures are not written down."""
        self._known[job.key] = finding
        if finding.outcome is not Outcome.SANDBOX_FAILED:
            self._ledger.append(finding.entry(job))


class _Step(Enum):
    """Why a program runs: to be judged, or to be probed; each once more by itself where time ran out."""

    FIRST = "first"
    ALONE = "alone"
    PROBE = "probe"
    PROBE_ALONE = "probe alone"


@dataclass(slots=True)
class _Running:
    job: Job
    step: _Step
    check: Judgement | None = None
    before: CheckResult | None = None


class _JudgeRun:
    """One go through jobs and what follows from them."""

    def __init__(
        self, judge: Judge, suite: Suite, sandbox: Sandbox, progress: Progress | None, follow: Follow | None
    ) -> None:
        self._judge, self._suite, self._sandbox = judge, suite, sandbox
        self._progress, self._follow = progress, follow
        self._schedule: Schedule[_Running] = Schedule(sandbox.jobs)
        self._started: list[_Running] = []
        self._seen: set[str] = set()
        self._counts: dict[Phase, list[int]] = {"base": [0, 0], "plus": [0, 0]}
        self.slowdown = 1.0

    def add(self, job: Job) -> None:
        """Schedule a job unless it is known; then what follows from it."""
        if job.key in self._seen:
            return
        self._seen.add(job.key)
        known = self._judge.known(job)
        if known is not None and not known.pending:
            self._add_followers(job, known)
            return
        self._counts[job.phase][1] += 1
        self._push(_Running(job, _Step.FIRST if known is None else _Step.PROBE))

    def _push(self, item: _Running) -> None:
        job = item.job
        # what follows a base test may be far dearer than it, so that both start early
        cost_s = self._suite.cost_s(job.task, job.phase)
        if self._follow and job.phase == "base" and job.task.plus is not None:
            cost_s = max(cost_s, self._suite.cost_s(job.task, "plus"))
        self._schedule.push(item, cost_s, waits=self._suite.waits(job.task))

    def _add_followers(self, job: Job, finding: Finding) -> None:
        following = self._follow(job, finding) if self._follow else None
        if following is not None:
            self.add(following)

    def to_the_end(self) -> None:
        """Run everything that is scheduled, and what comes up meanwhile."""
        for index, run in self._sandbox.map(self._programs()):
            item = self._started[index]
            self._schedule.ended(alone=item.step in (_Step.ALONE, _Step.PROBE_ALONE))
            assert item.check is not None
            if item.step is _Step.PROBE and run.outcome is Outcome.TIMEOUT:
                self._schedule.push_alone(_Running(item.job, _Step.PROBE_ALONE))
            elif item.step in (_Step.PROBE, _Step.PROBE_ALONE):
                self._probed(item.job, item.check, run)
            else:
                self._ended(item, item.check, item.check.result(run))
            item.check = None  # its tests are large

    def _programs(self) -> Iterator[tuple[Program, OnFrame | None]]:
        return _Mapped(self._schedule, self._start)

    def _start(self, item: _Running) -> tuple[Program, OnFrame | None]:
        item.check = check = self._judge.check(item.job)
        self._started.append(item)
        if item.step in (_Step.PROBE, _Step.PROBE_ALONE):
            assert check.probe is not None
            return check.probe, None
        if item.step is _Step.ALONE:
            factor = slowdown(self._suite.work_s, work_s(self._sandbox))
            self.slowdown = max(self.slowdown, factor)
            return replace(check.program, limits=stretched(check.program.limits, factor)), check.on_frame
        return check.program, check.on_frame

    def _ended(self, item: _Running, check: Judgement, result: CheckResult) -> None:
        job = item.job
        if item.step is _Step.FIRST and _is_doubtful(result):
            self._schedule.push_alone(_Running(job, _Step.ALONE, before=result))
            return
        flaky = item.before is not None and item.before.outcome is not result.outcome
        pending = result.passed and check.probe is not None
        finding = _finding(result, flaky=flaky, pending=pending)
        self._judge.remember(job, finding)
        if pending:
            self._push(_Running(job, _Step.PROBE))
        else:
            self._finished(job, finding)

    def _probed(self, job: Job, check: Judgement, run: Run) -> None:
        """Take a pass for what it is worth: what passes without the entry point was tampered with."""
        passed = self._judge.known(job)
        assert passed is not None
        if run.outcome is Outcome.SANDBOX_FAILED:
            finding = Finding(Outcome.SANDBOX_FAILED, run.error)
        else:
            shown = check.tampered(run)
            finding = replace(passed, pending=False)
            finding = replace(finding, outcome=Outcome.TAMPERING, error=shown) if shown else finding
        self._judge.remember(job, finding)
        self._finished(job, finding)

    def _finished(self, job: Job, finding: Finding) -> None:
        count = self._counts[job.phase]
        count[0] += 1
        if self._progress:
            self._progress(job.phase, count[0], count[1])
        self._add_followers(job, finding)


class _Mapped(Iterator[tuple[Program, OnFrame | None]]):
    """Maps an iterator that may be empty for now, which a generator could not go on from."""

    def __init__(
        self, items: Iterator[_Running], start: Callable[[_Running], tuple[Program, OnFrame | None]]
    ) -> None:
        self._items, self._start = items, start

    def __next__(self) -> tuple[Program, OnFrame | None]:
        return self._start(next(self._items))


def _is_doubtful(result: CheckResult) -> bool:
    waited = result.cpu_s < IDLE_SHARE * result.wall_s
    return result.outcome is Outcome.SANDBOX_FAILED or (result.outcome is Outcome.TIMEOUT and not waited)


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
