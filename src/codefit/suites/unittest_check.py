"""One program against a class of unittest tests, and the reference run that it must equal.

The tests run beside the program (they replace names in its module, so no process can stand between).
A pass takes four things: the set of tests that ended well equals the reference's; nothing that tests
rely on was changed; and with the entry point replaced by a stub no test ends well that does not end well
for the reference's stub; and no test accepts a wrong expectation as well as the right one. What fails
only one of the last two is tampering.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from codefit.core.files import without_surrogates
from codefit.core.types import Outcome, Tests
from codefit.sandbox.types import Frame, Limits, Program, Run
from codefit.suites.check import CheckResult
from codefit.suites.wrong_tests import wrong_tests

OK = "ok"
STUBS, WRONG = ("raises", "none"), "wrong"
WRONG_CPU_S_MAX = 0.5  # above this for the reference, no second run with the program's own function
_CASE_CHARS = 400


@dataclass(frozen=True, slots=True)
class Known:
    """What the reference did: tests that ended well, and those that do so with a stub in its place.

    `stubbed` is None where the tests do not come to an end with a stub: then a pass is not probed.
    """

    tests: tuple[str, ...] = ()
    stubbed: Mapping[str, tuple[str, ...]] | None = None
    cpu_s: float = 0.0
    wall_s: float = 0.0
    peak_mb: float = 0.0
    failure: str | None = None


def entries_of(value: Any) -> list[tuple[str, str, str]] | None:
    """Return what the frame of a run says, [test, status, text] each; None for anything else."""
    if not isinstance(value, list):
        return None
    found = []
    for item in value:
        if not isinstance(item, list) or len(item) != 3 or not all(isinstance(x, str) for x in item):
            return None
        found.append((item[0], item[1], item[2]))
    return found


def stubbed_of(value: Any) -> dict[str, tuple[str, ...]] | None:
    """Return the tests that ended well by what replaced what; None for a frame that does not say so."""
    if not isinstance(value, dict) or set(value) != {*STUBS, WRONG}:
        return None
    if not all(isinstance(v, list) and all(isinstance(x, str) for x in v) for v in value.values()):
        return None
    return {kind: tuple(tests) for kind, tests in value.items()}


def ended_well(entries: list[tuple[str, str, str]]) -> set[str]:
    """Return the tests whose one entry says ok."""
    times = Counter(name for name, _, _ in entries)
    return {name for name, status, _ in entries if status == OK and times[name] == 1}


class UnittestCheck:
    """A program, its tests, and the judgement of what comes back; used for one run, and one of the probe."""

    def __init__(self, source: str, tests: Tests, known: Known, *, limits: Limits) -> None:
        if not known.tests:
            raise ValueError("no tests: nothing could be judged")
        self.tests = tests
        self._known = known
        self._frame: Frame | None = None
        self.program = Program(
            source, "unittest", tests.asserts, entry_point=tests.entry_point, setup=tests.setup, limits=limits
        )

    def on_frame(self, _index: int, frame: Frame) -> bool:
        """Take the one frame."""
        self._frame = frame
        return True

    def result(self, run: Run) -> CheckResult:
        """Return the judgement of a finished run."""
        total = len(self._known.tests)
        common = CheckResult(
            run.outcome,
            error=without_surrogates(run.error),
            tests=total,
            cpu_s=run.cpu_s,
            wall_s=run.wall_s,
            peak_mb=run.peak_mb,
        )
        if run.outcome is not Outcome.PASSED or self._frame is None:
            return common
        if self._frame.error is not None:
            return replace(common, outcome=Outcome.RUNTIME_ERROR, error=self._frame.error)
        entries = entries_of(self._frame.value)
        if entries is None:
            return replace(common, outcome=Outcome.TAMPERING, error="the record of the tests is not one")
        return self._judged(entries, replace(common, ran=len(entries)))

    def _judged(self, entries: list[tuple[str, str, str]], common: CheckResult) -> CheckResult:
        well, wanted = ended_well(entries), set(self._known.tests)
        if well == wanted and len(entries) == len(wanted):
            return common
        bad = [(name, status, text) for name, status, text in entries if name not in well]
        missing = sorted(wanted - {name for name, _, _ in entries})
        if not bad:
            what = (
                f"tests did not run: {', '.join(missing)}" if missing else "tests ran that are not the task's"
            )
            return replace(common, outcome=Outcome.TAMPERING, error=what)
        name, status, text = bad[0]
        outcome = Outcome.RUNTIME_ERROR if status == "error" else Outcome.WRONG_ANSWER
        failed = {"input": name, "expected": OK, "got": f"{status}: {text}"[:_CASE_CHARS] if text else status}
        error = f"{len(bad) + len(missing)} of {len(wanted)} tests: {name}: {failed['got']}"
        return replace(
            common,
            outcome=outcome,
            error=without_surrogates(error),
            failed_test={k: without_surrogates(v) for k, v in failed.items()},
            failed_names=tuple(n for n, _, _ in bad) + tuple(missing),
        )

    @property
    def probe(self) -> Program | None:
        """The program to run once more after a pass: its entry point a stub, then its tests wrong."""
        if self._known.stubbed is None:
            return None
        dear = self._known.cpu_s > WRONG_CPU_S_MAX
        return replace(self.program, stub=True, wrong=None if dear else wrong_tests(self.tests.asserts[0]))

    def tampered(self, run: Run) -> str | None:
        """Return what shows, by the run of the probe, that the tests were tampered with."""
        if run.outcome is Outcome.TAMPERING:
            return run.error
        frame = run.frames[0] if run.frames else None
        found = stubbed_of(frame.value) if frame is not None and frame.error is None else None
        known = self._known.stubbed or {}
        for kind, tests in (found or {}).items():
            forged = sorted(set(tests) - set(known.get(kind, ())))
            if forged:
                how = "meets a wrong expectation as well" if kind == WRONG else "passes without the program"
                return f"{how}: {', '.join(forged)}"
        return None
