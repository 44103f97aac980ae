"""Rounds: the solutions of all rows against their tests, until each row has its answer or its reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from codefit.core.curation import VerifySettings
from codefit.core.types import Outcome, Row, Tests
from codefit.curate.call_forms import call_form
from codefit.curate.choose import Passing, ranked
from codefit.curate.imports import with_imports
from codefit.curate.runner import NEEDS_A_CHECKER, Judgement, Trial, Verdicts, run_trials
from codefit.curate.statement import Rules, rules_of
from codefit.curate.step import Progress, estimate_tokens
from codefit.sandbox import Limits, Sandbox

FLAKY = "flaky"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One reading of one solution: what is run, and the tests as this reading takes them."""

    solution: str
    source: str
    tests: Tests
    rules: Rules

    def trial(self, settings: VerifySettings, run: int) -> Trial:
        """Return the trial of its so-manieth run, counted from 0."""
        return Trial(self.source, self.tests, limits_of(settings), settings.atol, run, self.rules)


@dataclass(frozen=True, slots=True)
class Found:
    """What became of a row: its attempt with the verdict (`passed` or `needs a checker`), or a reason."""

    attempt: Attempt | None
    verdict: str
    rule: str | None = None
    passing: int = 0
    tried: int = 0
    reason: str | None = None


@dataclass
class _State:
    row: Row
    waiting: list[Attempt]
    passing: list[tuple[Attempt, Judgement]] = field(default_factory=list)
    unchecked: list[tuple[Attempt, Judgement]] = field(default_factory=list)
    failure: Judgement | None = None
    flaky: str | None = None
    tried: int = 0
    passed: int = 0
    runs: int = 1  # that the first of `passing` has passed
    confirming: bool = False

    def batch(self, first_only: bool) -> list[tuple[Attempt, int]]:
        """Return (attempt, run) pairs due in this round."""
        if self.confirming:
            return [(self.passing[0][0], self.runs)]
        return [(attempt, 0) for attempt in (self.waiting[:1] if first_only else self.waiting)]


class Rounds:
    """Tries rows' solutions, all rows of a round at once.

    `solutions: first` tries a row's solutions one after another until one has passed `runs` times;
    `best` tries all of them once and lets the best of the passing ones (`choose`) run again. A solution
    that fails a later run is flaky, and the next one is taken. Tokens are estimated, whatever counts them
    elsewhere: the choice is the same for every model and in every worker.
    """

    def __init__(
        self,
        rows: list[Row],
        settings: VerifySettings,
        sandbox: Sandbox,
        verdicts: Verdicts,
        progress: Progress,
    ) -> None:
        self._settings, self._sandbox, self._verdicts = settings, sandbox, verdicts
        self._progress = progress
        self._found: dict[str, Found] = {}
        self._states = [_State(row, list(attempts(row, settings))) for row in rows]

    def result(self) -> Mapping[str, Found]:
        """Return row id -> what became of it; a row whose program the sandbox failed is not in it."""
        total, waiting = len(self._states), self._states
        while waiting:
            due = {id(s): s.batch(self._settings.solutions == "first") for s in waiting}
            trials = {k: [a.trial(self._settings, run) for a, run in batch] for k, batch in due.items()}
            decided = total - len(waiting)

            def report(done: int, of: int, decided: int = decided) -> None:
                self._progress(decided + done * (total - decided) // max(1, of), total)

            every = (trial for group in trials.values() for trial in group)
            found = run_trials(every, self._sandbox, self._verdicts, report)
            waiting = [s for s in waiting if not self._settle(s, [found[t.key] for t in trials[id(s)]])]
        return self._found

    def _settle(self, state: _State, judgements: list[Judgement]) -> bool:
        """Return True when nothing is left to try."""
        if any(j.outcome is Outcome.SANDBOX_FAILED for j in judgements):
            return True
        if state.confirming:
            self._confirm(state, judgements[0])
        else:
            self._sort(state, judgements)
        state.confirming = bool(state.passing)
        if state.passing and state.runs >= self._settings.runs:
            attempt, judgement = state.passing[0]
            self._found[state.row.id] = Found(attempt, "passed", judgement.checker, state.passed, state.tried)
            return True
        if state.passing or state.waiting:
            return False
        self._found[state.row.id] = self._without_pass(state)
        return True

    def _sort(self, state: _State, judgements: list[Judgement]) -> None:
        """Put the attempts of a round where their verdicts belong; the passing ones in order, best first."""
        tried, state.waiting = state.waiting[: len(judgements)], state.waiting[len(judgements) :]
        state.tried += len({a.solution for a in tried})
        passing: dict[str, tuple[Attempt, Judgement]] = {}
        for attempt, judgement in zip(tried, judgements, strict=True):
            if judgement.passed:
                passing.setdefault(attempt.solution, (attempt, judgement))
            elif judgement.unchecked:
                state.unchecked.append((attempt, judgement))
            else:
                state.failure = state.failure or judgement
        found = list(passing.values())
        state.passed += len(found)
        shown = [Passing(a.source, j.checker or "exact", j.seconds) for a, j in found]
        state.passing = [found[i] for i in ranked(shown, estimate_tokens)]

    def _confirm(self, state: _State, judgement: Judgement) -> None:
        if judgement.passed:
            state.runs += 1
            return
        state.flaky = (
            state.flaky or f"{FLAKY}: passed {state.runs} of {state.runs + 1} runs; {reason_of(judgement)}"
        )
        state.passing.pop(0)
        state.passed -= 1
        state.runs = 1

    def _without_pass(self, state: _State) -> Found:
        """Say what a row is that no solution passed: without a checker it is not known to be wrong."""
        if state.unchecked:
            attempt, judgement = state.unchecked[0]
            why = None if self._settings.unchecked == "keep" else reason_of(judgement, NEEDS_A_CHECKER)
            return Found(attempt, NEEDS_A_CHECKER, None, 0, state.tried, why)
        failure = state.flaky or (reason_of(state.failure) if state.failure else "has no solution")
        return Found(None, "failed", None, 0, state.tried, failure)


def attempts(row: Row, settings: VerifySettings) -> Iterator[Attempt]:
    """Yield the attempts of a row in the order they are tried.

    TACO writes the value of a function as `[value]` in some rows and as `value` in others, so
    where all expected values are lists of one, both readings are tried.
    """
    assert row.tests is not None
    tests, rules = first_tests(row.tests, settings.max_tests), rules_of(row.instruction)
    for solution in (row.solutions or (row.response,))[: settings.max_solutions]:
        source, called = call_form(with_imports(solution), tests, in_place=rules.in_place)
        yield Attempt(solution, source, called, rules)
        if tests.kind == "calls" and all(isinstance(o, list) and len(o) == 1 for o in tests.outputs):
            bare = replace(called, outputs=tuple(o[0] for o in tests.outputs))
            yield Attempt(solution, source, bare, rules)


def first_tests(tests: Tests, count: int) -> Tests:
    """Return the first `count` tests."""
    return replace(
        tests, asserts=tests.asserts[:count], inputs=tests.inputs[:count], outputs=tests.outputs[:count]
    )


def limits_of(settings: VerifySettings) -> Limits:
    """Return the sandbox limits of a recipe's settings; a program has ten tests' time in all, at least."""
    whole = settings.test_cpu_s * max(10, settings.max_tests)
    return Limits(cpu_s=whole, test_cpu_s=settings.test_cpu_s, memory_mb=settings.memory_mb)


def reason_of(judgement: Judgement, name: str | None = None) -> str:
    """Say in one line why a program did not pass, with its first failing test."""
    parts = [] if name else [judgement.outcome.value]
    if judgement.error:
        parts.append(judgement.error)
    if judgement.failed_test:
        parts.append("; ".join(f"{k} {v}" for k, v in judgement.failed_test.items() if v is not None))
    return " ".join(": ".join(parts).split())[:400]
