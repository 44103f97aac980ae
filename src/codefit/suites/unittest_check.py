"""One program against a class of unittest tests, and the reference run that it must equal.

The tests run beside the program (they replace names in its module, so no process can stand between).
A pass takes four things: the set of tests that ended well equals the reference's; nothing that tests
rely on was changed; no test accepts a wrong expectation as well as the right one; and with the entry point
replaced by a stub no test ends well that does not end well for the reference's stub. Who fails only one of
the last two, or does not let it come to its end, has tampered with the tests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from codefit.core.files import without_surrogates
from codefit.core.types import Outcome, Tests
from codefit.sandbox.types import Frame, Limits, Program, Run
from codefit.suites.check import CheckResult
from codefit.suites.wrong_tests import wrong_tests

OK = "ok"
STUBS, WRONG = ("raises", "none"), "wrong"
WRONG_CPU_S_MAX = 2.0  # above this for the reference, no second run with the program's own function
PROBE_WALL_FACTOR = 3.0  # the tests run up to three times
_CASE_CHARS = 400


@dataclass(frozen=True, slots=True)
class Known:
    """What the reference did: tests that ended well, and those that do so where they should not.

    `stubbed` says which, by kind: with a stub in the reference's place, or with a wrong expectation. A kind
    is missing where the tests do not come to an end; without any, a pass is not probed.
    """

    tests: tuple[str, ...] = ()
    stubbed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
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


def stubbed_of(run: Run, program: Program) -> dict[str, tuple[str, ...]]:
    """Return what the frames of a probe say, the tests that ended well by kind; a kind may be missing."""
    kinds = [[WRONG]] * (program.wrong is not None) + [[*STUBS]]
    found: dict[str, tuple[str, ...]] = {}
    for names, frame in zip(kinds, run.frames, strict=False):
        value = {WRONG: frame.value} if names == [WRONG] else frame.value
        for name in names if frame.error is None and isinstance(value, dict) else ():
            tests = value.get(name)
            if isinstance(tests, list) and all(isinstance(t, str) for t in tests):
                found[name] = tuple(tests)
    return found


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
        """The program to run once more after a pass: its tests wrong, then its entry point a stub."""
        if not self._known.stubbed:
            return None
        dear = self._known.cpu_s > WRONG_CPU_S_MAX or WRONG not in self._known.stubbed
        limits = self.program.limits
        if limits.wall_s is not None:
            limits = replace(limits, wall_s=PROBE_WALL_FACTOR * limits.wall_s)
        wrong = None if dear else wrong_tests(self.tests.asserts[0])
        return replace(self.program, stub=True, wrong=wrong, limits=limits)

    def tampered(self, run: Run) -> str | None:
        """Return what shows, by the run of the probe, that the tests were tampered with."""
        if run.outcome is Outcome.TAMPERING:
            return run.error
        program = self.probe
        assert program is not None
        found = stubbed_of(run, program)
        for kind, tests in found.items():
            forged = sorted(set(tests) - set(self._known.stubbed.get(kind, tests)))
            if forged:
                how = "meets a wrong expectation as well" if kind == WRONG else "passes without the program"
                return f"{how}: {', '.join(forged)}"
        wanted = {k for k in self._known.stubbed if k != WRONG or program.wrong is not None}
        limited = run.outcome in (Outcome.TIMEOUT, Outcome.MEMORY_LIMIT)
        if wanted <= set(found) or (limited and WRONG in found):  # the limit is for one run of the tests
            return None
        return f"did not come to the end of its probe: {run.error or run.outcome.value}"
