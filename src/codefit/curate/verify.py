"""Verify: rows are run against their own tests; the first solution that passes becomes the answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from codefit.core.curation import VerifySettings
from codefit.core.files import write_jsonl
from codefit.core.types import Dropped, Outcome, Row, Tests
from codefit.curate.imports import with_imports
from codefit.curate.runner import Judgement, Trial, Verdicts, need, run_trials
from codefit.curate.step import Context, Progress, StepResult
from codefit.sandbox import Limits, Sandbox

UNPROVEN = {
    "EOFError": "reads input",
    "ModuleNotFoundError": "needs a module",
    "FileNotFoundError": "needs a file",
    "ConnectionError": "needs a network",
    "URLError": "needs a network",
    "gaierror": "needs a network",
}
"""Errors while loading that say nothing against a program without tests."""


class Verify:
    """Runs every row that has tests, and checks that the others load; wrong rows go."""

    name = "verify"

    def run(self, rows: list[Row], ctx: Context) -> StepResult:
        """Keep rows with a passing solution as their answer; notes the fact `verdict` on each row.

        Raises `CodefitError` if the sandbox itself failed on any program, when all others are done.
        """
        settings = ctx.settings.verify
        tested = [row for row in rows if row.tests and runnable(row)]
        untested = [row for row in rows if not (row.tests and runnable(row))]
        kept: dict[str, Row] = {}
        reasons: dict[str, str] = {}
        with Verdicts(ctx.cache / "verdicts.jsonl" if ctx.cache else None) as verdicts:
            if tested:
                run = Rounds(tested, settings, need(ctx.sandbox, "verify"), verdicts, ctx.on_progress)
                kept, reasons = run.result()
            for row_id in kept:
                ctx.note(row_id, verdict="passed")
            for row, verdict, reason in _untested(untested, ctx, verdicts):
                ctx.note(row.id, verdict=verdict)
                if reason:
                    reasons[row.id] = reason
                else:
                    kept[row.id] = row
            verdicts.refuse_unjudged()
        shares = Counter(str(ctx.fact(row.id, "verdict", "failed")) for row in rows)
        return StepResult(
            [kept[row.id] for row in rows if row.id in kept],
            [Dropped(row.id, self.name, reasons[row.id]) for row in rows if row.id in reasons],
            {"verdicts": dict(sorted(shares.items()))},
        )


def runnable(row: Row) -> bool:
    """Return True if the row's answer is a Python program."""
    return row.language in (None, "python")


@dataclass
class _State:
    row: Row
    trials: list[tuple[str, Tests]]
    first_failure: Judgement | None = None
    passed_runs: int = 0


class Rounds:
    """Tries each row's solutions one after another, all rows of a round at once."""

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
        self._limits = limits_of(settings)
        self._kept: dict[str, Row] = {}
        self._reasons: dict[str, str] = {}
        self._states = [_State(row, list(attempts(row, settings))) for row in rows]

    def result(self) -> tuple[dict[str, Row], dict[str, str]]:
        """Return (row id -> row with its verified answer, row id -> why none passed).

        A row whose program the sandbox failed is in neither.
        """
        total, waiting = len(self._states), self._states
        while waiting:
            trials = {id(s): self._trial(s) for s in waiting}
            decided = total - len(waiting)

            def report(done: int, of: int, decided: int = decided) -> None:
                self._progress(decided + done * (total - decided) // max(1, of), total)

            found = run_trials(trials.values(), self._sandbox, self._verdicts, report)
            waiting = [s for s in waiting if not self._settle(s, found[trials[id(s)].key])]
        return self._kept, self._reasons

    def _trial(self, state: _State) -> Trial:
        source, tests = state.trials[0]
        return Trial(source, tests, self._limits, self._settings.atol, state.passed_runs)

    def _settle(self, state: _State, judgement: Judgement) -> bool:
        """Return True when nothing is left to try."""
        if judgement.outcome is Outcome.SANDBOX_FAILED:
            return True
        if judgement.passed:
            state.passed_runs += 1
            if state.passed_runs < self._settings.runs:
                return False
            self._kept[state.row.id] = replace(state.row, response=state.trials[0][0])
            return True
        state.first_failure = state.first_failure or judgement
        state.passed_runs = 0
        state.trials.pop(0)
        if state.trials:
            return False
        self._reasons[state.row.id] = reason_of(state.first_failure)
        return True


def attempts(row: Row, settings: VerifySettings) -> Iterator[tuple[str, Tests]]:
    """Yield (program, tests) in the order they are tried.

    TACO writes the value of a function as `[value]` in some rows and as `value` in others, so
    where all expected values are lists of one, both readings are tried.
    """
    assert row.tests is not None
    tests = first_tests(row.tests, settings.max_tests)
    for solution in (row.solutions or (row.response,))[: settings.max_solutions]:
        source = with_imports(solution)
        yield source, tests
        if tests.kind == "calls" and all(isinstance(o, list) and len(o) == 1 for o in tests.outputs):
            yield source, replace(tests, outputs=tuple(o[0] for o in tests.outputs))


def first_tests(tests: Tests, count: int) -> Tests:
    """Return the first `count` tests."""
    return replace(
        tests, asserts=tests.asserts[:count], inputs=tests.inputs[:count], outputs=tests.outputs[:count]
    )


def limits_of(settings: VerifySettings) -> Limits:
    """Return the sandbox limits of a recipe's settings; a program has ten tests' time in all, at least."""
    whole = settings.test_cpu_s * max(10, settings.max_tests)
    return Limits(cpu_s=whole, test_cpu_s=settings.test_cpu_s, memory_mb=settings.memory_mb)


def reason_of(judgement: Judgement) -> str:
    """Say in one line why a program did not pass, with its first failing test."""
    parts = [judgement.outcome.value]
    if judgement.error:
        parts.append(judgement.error)
    if judgement.failed_test:
        parts.append("; ".join(f"{k} {v}" for k, v in judgement.failed_test.items() if v is not None))
    return " ".join(": ".join(parts).split())[:400]


def _untested(rows: list[Row], ctx: Context, verdicts: Verdicts) -> Iterator[tuple[Row, str, str | None]]:
    """Yield (row, verdict, reason to drop) of rows without tests, by the recipe's policy."""
    policy = ctx.settings.verify.untested
    if policy != "loads":
        why = "has no tests" if policy == "drop" else None
        yield from ((row, "not_run", why) for row in rows)
        return
    programs = [row for row in rows if runnable(row)]
    yield from ((row, "not_run", None) for row in rows if not runnable(row))
    if not programs:
        return
    limits = limits_of(ctx.settings.verify)
    trials = {row.id: Trial(with_imports(row.response), None, limits) for row in programs}
    found = run_trials(trials.values(), need(ctx.sandbox, "verify"), verdicts, ctx.on_progress)
    for row in programs:
        judgement = found[trials[row.id].key]
        kind = (judgement.error or "").split(":", 1)[0].rpartition(".")[2]
        if judgement.passed:
            yield replace(row, response=trials[row.id].source), "loads", None
        elif judgement.outcome is Outcome.RUNTIME_ERROR and kind in UNPROVEN:
            yield replace(row, response=trials[row.id].source), "unproven", None
        else:
            yield row, "failed", f"does not load: {reason_of(judgement)}"


def verify_rows(
    rows: Iterable[Row],
    sandbox: Sandbox,
    out: Path,
    *,
    settings: VerifySettings | None = None,
    on_progress: Progress = lambda done, total: None,
) -> dict[str, int]:
    """Run rows' solutions, up to `max_solutions` each, against the row's own tests: `out/verdicts.jsonl`.

    One line per row and solution: row_id, solution (index), outcome, error, failed_test, seconds.
    Rows without tests are listed as `not_run`. Returns the number of lines per outcome; run it
    again after a kill and it goes on where it was. `sandbox_failed` says nothing about a program,
    is not remembered, and is tried again by the next call; any of it must end non-zero.
    """
    settings = settings or VerifySettings()
    limits = limits_of(settings)
    cases = [(row, i, *case) for row in rows for i, case in enumerate(_cases(row, settings))]
    trials = [tuple(Trial(source, t, limits, settings.atol) for t in tests) for _, _, source, tests in cases]
    with Verdicts(out / "cache" / "verdicts.jsonl") as verdicts:
        found = run_trials((t for group in trials for t in group), sandbox, verdicts, on_progress)
    lines = [
        _line(row, i, [found[t.key] for t in group])
        for (row, i, _, _), group in zip(cases, trials, strict=True)
    ]
    write_jsonl(out / "verdicts.jsonl", lines)
    return dict(sorted(Counter(line["outcome"] for line in lines).items()))


def _cases(row: Row, settings: VerifySettings) -> list[tuple[str, list[Tests]]]:
    if row.tests is None or not len(row.tests):
        return [(row.response, [])]
    grouped: list[tuple[str, list[Tests]]] = []
    for solution in (row.solutions or (row.response,))[: settings.max_solutions]:
        one = replace(row, solutions=(), response=solution)
        found = list(attempts(one, settings))
        grouped.append((found[0][0], [tests for _, tests in found]))
    return grouped


def _line(row: Row, index: int, judgements: list[Judgement]) -> dict[str, Any]:
    line: dict[str, Any] = {"row_id": row.id, "solution": index}
    if not judgements:
        return line | {"outcome": "not_run", "error": "no tests", "failed_test": None, "seconds": None}
    telling = (Outcome.PASSED, Outcome.SANDBOX_FAILED)
    best = next((j for wanted in telling for j in judgements if j.outcome is wanted), judgements[0])
    return line | {
        "outcome": best.outcome.value,
        "error": best.error,
        "failed_test": best.failed_test,
        "seconds": best.seconds,
    }
