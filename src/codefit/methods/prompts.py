"""Which rows a model is asked again, and the tests that its answers must pass.

A curated row's own answer must pass its tests first: that proves the tests, tells which reading of them is meant, and
makes the answer a reference. Where a row has few tests of calls, more are made of it: inputs changed from its
own (`curate.leaks.vary`, after evalplus), valued by the reference in the sandbox.

Not covered: more tests for programs that read and print, and for methods of classes with data. A changed input
may lie outside what the request means; an answer that differs from the reference there is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from codefit.core.curation import VerifySettings
from codefit.core.files import Ledger, digest
from codefit.core.sampling import SampleSettings
from codefit.core.types import Dropped, Outcome, Row, Tests
from codefit.core.values import dump, load
from codefit.curate.call_forms import call_form
from codefit.curate.calls import calls_of
from codefit.curate.examples import examples_of
from codefit.curate.leaks.vary import variations
from codefit.curate.rounds import Attempt, attempts, first_tests, limits_of, reason_of
from codefit.curate.runner import HARNESS, Trial, Verdicts, refuse_unjudged, run_trials
from codefit.curate.statement import Rules, rules_of
from codefit.curate.untested import runnable
from codefit.sandbox import Program, Run, Sandbox

STEP = "sample"
_REVISION = "more-1"
_LONGEST = 2_000  # characters of an input or value as JSON
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A row that is asked, with the tests and rules for an answer; `made` of the tests were made here.

    `proven`: the row's own answer passes the tests. Of the others no answer is known that does.
    """

    row: Row
    tests: Tests
    rules: Rules
    made: int = 0
    proven: bool = True

    def trial(self, program: str, verify: VerifySettings, run: int = 0) -> Trial:
        """Return the trial of a program's so-manieth run, counted from 0; the program runs as it is written."""
        source, tests = call_form(program, self.tests, in_place=self.rules.in_place)
        return Trial(source, tests, limits_of(verify), verify.atol, run, self.rules)


@dataclass(frozen=True, slots=True)
class Found:
    """The prompts in asking order, candidates that are none with reasons, and the rows that were no candidates."""

    prompts: list[Prompt]
    dropped: list[Dropped]
    others: list[Row]


def find_prompts(
    rows: Sequence[Row],
    failed: Sequence[Row],
    settings: SampleSettings,
    verify: VerifySettings,
    sandbox: Sandbox,
    verdicts: Verdicts,
    made: Ledger,
    *,
    seed: int,
    progress: Progress = lambda done, total: None,
) -> Found:
    """Return the rows to ask, in an order that the seed and their ids decide.

    `failed` are rows that no solution of theirs passes. `verdicts` and `made` remember what ran. Raises
    `CodefitError` if the sandbox itself fails.
    """
    tested = {row.id: c for row in rows if (c := _candidate(row, settings, verify))}
    unproven = {row.id: _as_asked(row, verify) for row in failed}
    everyone = [*tested.values(), *unproven.values()]
    ordered = sorted(everyone, key=lambda row: digest("sample prompts", str(seed), row.id))
    asked = ordered[: settings.prompts]
    known = [row for row in asked if row.id in tested]
    proven, reasons = _proven(known, verify, sandbox, verdicts, progress)
    found = {p.row.id: p for p in _with_more(proven, settings, verify, sandbox, verdicts, made)}
    prompts = [found.get(row.id) or _unproven(row) for row in asked if row.id not in reasons]
    dropped = [Dropped(row.id, STEP, reasons[row.id]) for row in asked if row.id in reasons]
    dropped += [Dropped(row.id, STEP, "over sample.prompts") for row in ordered[len(asked) :]]
    return Found(prompts, dropped, [row for row in rows if row.id not in tested])


def _candidate(row: Row, settings: SampleSettings, verify: VerifySettings) -> Row | None:
    """Return the row with the tests that its answer is tried on, None for a row that is not asked."""
    if not runnable(row) or not row.response.strip():
        return None
    tests = row.tests if row.tests and len(row.tests) else None
    if tests is None and "examples" in settings.rows:
        examples = examples_of(row.instruction, row.response)
        tests = examples.tests if examples else None
    elif "tests" not in settings.rows:
        tests = None
    if tests is None or tests.kind == "unittest":
        return None
    return _as_asked(replace(row, tests=tests), verify)


def _as_asked(row: Row, verify: VerifySettings) -> Row:
    assert row.tests is not None
    return replace(row, tests=_as_calls(first_tests(row.tests, verify.max_tests)), solutions=())


def _unproven(row: Row) -> Prompt:
    assert row.tests is not None
    return Prompt(row, row.tests, rules_of(row.instruction), proven=False)


def _as_calls(tests: Tests) -> Tests:
    """Return assertions that are plain calls as calls, so that values are compared outside the program."""
    if tests.kind != "asserts" or tests.setup or not tests.entry_point:
        return tests
    calls = calls_of(tests)
    named = all(f"{tests.entry_point}(" in statement for statement in tests.asserts)
    if not calls or not named:
        return tests
    return Tests(
        "calls",
        tests.entry_point,
        inputs=tuple(list(a) for a, _ in calls),
        outputs=tuple(v for _, v in calls),
    )


def _proven(
    rows: Sequence[Row], verify: VerifySettings, sandbox: Sandbox, verdicts: Verdicts, progress: Progress
) -> tuple[list[tuple[Row, Attempt]], dict[str, str]]:
    """Return the rows with the attempt that passed, and row id -> why the others are not asked."""
    tried = {row.id: list(attempts(row, verify)) for row in rows}
    trials = {row_id: [a.trial(verify, 0) for a in group] for row_id, group in tried.items()}
    found = run_trials((t for group in trials.values() for t in group), sandbox, verdicts, progress)
    verdicts.refuse_unjudged()
    proven, reasons = [], {}
    for row in rows:
        judged = [found[t.key] for t in trials[row.id]]
        passed = next((a for a, j in zip(tried[row.id], judged, strict=True) if j.passed), None)
        if passed:
            proven.append((row, passed))
        else:
            reasons[row.id] = f"its own answer fails its tests: {reason_of(judged[0])}"
    return proven, reasons


def _with_more(
    proven: Sequence[tuple[Row, Attempt]],
    settings: SampleSettings,
    verify: VerifySettings,
    sandbox: Sandbox,
    verdicts: Verdicts,
    made: Ledger,
) -> list[Prompt]:
    """Return the prompts, those with few tests with more of them where the reference gives plain values twice."""
    prompts = [Prompt(row, _read_as(row, attempt), attempt.rules) for row, attempt in proven]
    wanted = {i: inputs for i, p in enumerate(prompts) if (inputs := _more_inputs(p, settings))}
    values = _values({i: (proven[i][1], wanted[i]) for i in wanted}, verify, sandbox, made)
    longer = {i: p for i, calls in values.items() if (p := _longer(prompts[i], calls))}
    again = {i: p.trial(proven[i][0].response, verify) for i, p in longer.items()}
    found = run_trials(again.values(), sandbox, verdicts)
    verdicts.refuse_unjudged()
    return [longer[i] if i in again and found[again[i].key].passed else p for i, p in enumerate(prompts)]


def _read_as(row: Row, attempt: Attempt) -> Tests:
    """Return the row's tests in the reading that its answer passed, as yet for any program."""
    assert row.tests is not None
    same = row.tests.kind != "calls" or attempt.tests.outputs == row.tests.outputs
    return row.tests if same else replace(row.tests, outputs=attempt.tests.outputs)


def _more_inputs(prompt: Prompt, settings: SampleSettings) -> list[tuple[Any, ...]]:
    tests = prompt.tests
    if tests.kind != "calls" or len(tests) >= settings.least_tests or prompt.rules.in_place:
        return []
    seen = [tuple(i) for i in tests.inputs]
    return variations(seen, settings.least_tests - len(tests), f"{_REVISION} {prompt.row.id}")


def _values(
    wanted: dict[int, tuple[Attempt, list[tuple[Any, ...]]]],
    verify: VerifySettings,
    sandbox: Sandbox,
    made: Ledger,
) -> dict[int, list[tuple[tuple[Any, ...], Any]]]:
    """Return place -> (arguments, value) pairs that the reference gave; known ones are not run."""
    known = {e["key"]: load(e["calls"]) for e in made.entries}
    keys = {
        i: digest(_REVISION, HARNESS, a.source, str(a.tests.entry_point), repr(inputs))
        for i, (a, inputs) in wanted.items()
    }
    todo = [i for i, key in keys.items() if key not in known]
    failed = 0
    for n, run in sandbox.map((_reference(*wanted[i], verify), None) for i in todo):
        if run.outcome is Outcome.SANDBOX_FAILED:
            failed += 1
            continue
        calls = list(_plain(wanted[todo[n]][1], run))
        made.append({"key": keys[todo[n]], "calls": dump(calls)})
        known[keys[todo[n]]] = calls
    refuse_unjudged(failed)
    return {i: known[key] for i, key in keys.items()}


def _reference(attempt: Attempt, inputs: list[tuple[Any, ...]], verify: VerifySettings) -> Program:
    tests = attempt.tests
    return Program(
        attempt.source, "calls", tuple(inputs), entry_point=tests.entry_point, setup=tests.setup,
        limits=limits_of(verify),
    )  # fmt: skip


def _plain(inputs: list[tuple[Any, ...]], run: Run) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield the calls that gave a plain value of bounded length; what raises is no input of the function."""
    for arguments, frame in zip(inputs, run.frames, strict=False):
        if frame.error:
            continue
        try:
            text = dump((arguments, frame.value))
        except (TypeError, ValueError, RecursionError):  # a value that is no plain data
            continue
        if len(text) <= _LONGEST:
            yield arguments, frame.value


def _longer(prompt: Prompt, calls: Sequence[tuple[tuple[Any, ...], Any]]) -> Prompt | None:
    if not calls:
        return None
    tests = prompt.tests
    inputs = (*tests.inputs, *(list(a) for a, _ in calls))
    outputs = (*tests.outputs, *(v for _, v in calls))
    return replace(prompt, tests=replace(tests, inputs=inputs, outputs=outputs), made=len(calls))
