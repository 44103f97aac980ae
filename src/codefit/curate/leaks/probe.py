"""Probes: one program and many calls, to see cheaply which of them give the expected value."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path

from codefit.core.files import Ledger, digest
from codefit.core.types import Outcome
from codefit.curate.calls import Call, fingerprint
from codefit.curate.runner import HARNESS, refuse_unjudged
from codefit.curate.step import Progress
from codefit.sandbox import Limits, Program, Run, Sandbox
from codefit.suites.compare import json_equal

LIMITS = Limits(cpu_s=20.0, test_cpu_s=1.0, memory_mb=512)
_PROBE_LIMITS = Limits(cpu_s=20.0, test_cpu_s=0.25, memory_mb=256)
_MAX_RESTARTS = 4
# Ends that one call may have brought about. Which of them comes first is a matter of milliseconds,
# so they must lead to the same answer.
_ONE_CALL = (Outcome.TIMEOUT, Outcome.MEMORY_LIMIT, Outcome.OUTPUT_LIMIT)


class Probe:
    """A program, its function, and calls with labels; `right` fills up as calls come back."""

    def __init__(self, source: str, entry_point: str, calls: Sequence[tuple[Hashable, Call]]) -> None:
        self.source, self.entry_point = source, entry_point
        self.labels = [label for label, _ in calls]
        self._calls = [call for _, call in calls]
        prints = (f"{fingerprint(arguments)}={fingerprint(value)}" for arguments, value in self._calls)
        self.key = digest(HARNESS, source, entry_point, *prints)
        self.right: list[bool] = []

    def program(self) -> Program:
        """Return the program over the calls that have not been made yet."""
        arguments = tuple(a for a, _ in self._calls[len(self.right) :])
        return Program(self.source, "calls", arguments, entry_point=self.entry_point, limits=_PROBE_LIMITS)

    def take(self, run: Run) -> bool:
        """Judge the frames of a run; True when all calls are made or the program is hopeless.

        A call that never came back counts as wrong, and the next run starts behind it.
        """
        for frame in run.frames:
            expected = self._calls[len(self.right)][1]
            self.right.append(frame.error is None and json_equal(expected, frame.value))
        if run.outcome is Outcome.PASSED or (not run.frames and run.outcome not in _ONE_CALL):
            return True
        self.right.append(False)
        return len(self.right) >= len(self._calls)

    def outcome(self) -> list[bool]:
        """Return per call whether it gave the expected value; calls never made did not."""
        return (self.right + [False] * len(self._calls))[: len(self._calls)]


class Prober:
    """Runs probes and remembers what came out, in memory and in an append-only file."""

    def __init__(self, sandbox: Sandbox, path: Path | None, progress: Progress) -> None:
        self._sandbox, self._progress = sandbox, progress
        self._ledger = Ledger(path) if path else None
        entries = self._ledger.entries if self._ledger else []
        self._known: dict[str, list[bool]] = {e["key"]: e["right"] for e in entries if "key" in e}

    def right(self, probes: Iterable[Probe]) -> set[tuple[str, str, Hashable]]:
        """Return (source, entry point, label) of the calls that gave the expected value.

        Raises `CodefitError` if the sandbox itself failed on any of them, when all others are done.
        """
        probes = list(probes)
        self._run({p.key: p for p in probes if p.key not in self._known})
        return {
            (p.source, p.entry_point, label)
            for p in probes
            for label, right in zip(p.labels, self._known[p.key], strict=True)
            if right
        }

    def close(self) -> None:
        """Close the file."""
        if self._ledger:
            self._ledger.close()

    def _run(self, new: dict[str, Probe]) -> None:
        waiting = list(new.values())
        done, total = 0, len(waiting)
        failed: set[str] = set()
        for _ in range(_MAX_RESTARTS):
            left: list[Probe] = []
            for i, run in self._sandbox.map((p.program(), None) for p in waiting):
                if run.outcome is Outcome.SANDBOX_FAILED:
                    failed.add(waiting[i].key)
                    left.append(waiting[i])
                    continue
                if not waiting[i].take(run):
                    left.append(waiting[i])
                    continue
                self._settle(waiting[i])
                done += 1
                self._progress(done, total)
            waiting = left
        for probe in waiting:
            if probe.key not in failed:
                self._settle(probe)
        refuse_unjudged(sum(probe.key in failed for probe in waiting))

    def _settle(self, probe: Probe) -> None:
        self._known[probe.key] = probe.outcome()
        if self._ledger:
            self._ledger.append({"key": probe.key, "right": probe.outcome()})
