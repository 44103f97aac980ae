"""Verify: rows are run against their own tests; the best solution that passes becomes the answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from codefit.core.curation import VerifySettings
from codefit.core.files import write_jsonl
from codefit.core.types import Dropped, Outcome, Row
from codefit.curate.convert import Functions, convert_rows, last_lot
from codefit.curate.pairs import function_id
from codefit.curate.rounds import FLAKY, Attempt, Found, Rounds, attempts
from codefit.curate.runner import Judgement, Trial, Verdicts, need, run_trials
from codefit.curate.step import Context, Progress, StepResult
from codefit.curate.untested import runnable, untested
from codefit.sandbox import Sandbox

_CONVERTED = "stdin to function"


class Verify:
    """Runs every row that has tests, and looks for cheap evidence on the others; wrong rows go.

    `last` is the last lot that is rewritten as a function, for callers who see the rows part by part; without
    it these rows are all. `functions` are those that could be.
    """

    name = "verify"

    def __init__(self, last: str | None = None) -> None:
        self._last = last
        self.functions = Functions(0, {})

    def run(self, rows: list[Row], ctx: Context) -> StepResult:
        """Keep rows with a passing solution as their answer, stdin rows possibly as functions, or with one.

        Notes the facts `verdict`, `checker` (the rule that accepted the answer) and `passing` (how many
        of the solutions tried pass) on the rows, `converted` on those that are functions now, and
        `function_of` on those added. Raises `CodefitError` if the sandbox itself failed on any program, when
        all others are done.
        """
        settings = ctx.settings.verify
        tested = [row for row in rows if row.tests and runnable(row)]
        others = [row for row in rows if not (row.tests and runnable(row))]
        kept: dict[str, Row] = {}
        reasons: dict[str, str] = {}
        report: dict[str, Any] = {}
        added: dict[str, Row] = {}
        with Verdicts(ctx.cache / "verdicts.jsonl" if ctx.cache else None) as verdicts:
            if tested:
                sandbox = need(ctx.sandbox, "verify")
                rounds = Rounds(tested, settings, sandbox, verdicts, ctx.on_progress)
                found = rounds.result()
                kept, reasons = _decided(tested, found, ctx)
                proven = [kept[row.id] for row in tested if row.id in kept and found[row.id].rule]
                self.functions = _functions(proven, ctx, sandbox, verdicts)
                taken = self._taken(settings)
                report = {"converted": len(taken)}
                if settings.convert == "add":
                    added = {row_id: _added(row, ctx) for row_id, row in taken.items()}
                else:
                    kept |= taken
                    for row_id in taken:
                        ctx.note(row_id, converted=_CONVERTED)
            for evidence in untested(others, ctx, verdicts):
                row_id = evidence.row.id
                ctx.note(row_id, verdict=evidence.verdict)
                if evidence.reason:
                    reasons[row_id] = evidence.reason
                else:
                    kept[row_id] = evidence.row
            verdicts.refuse_unjudged()
        shares = Counter(str(ctx.fact(row.id, "verdict", "failed")) for row in rows)
        rules = Counter(str(rule) for row in rows if (rule := ctx.fact(row.id, "checker")))
        forms = ((kept.get(row.id), added.get(row.id)) for row in rows)
        return StepResult(
            [row for pair in forms for row in pair if row],
            [Dropped(row.id, self.name, reasons[row.id]) for row in rows if row.id in reasons],
            {"verdicts": dict(sorted(shares.items())), "checkers": dict(sorted(rules.items()))} | report,
            tuple(added[row.id].id for row in rows if row.id in added),
        )

    def _taken(self, settings: VerifySettings) -> dict[str, Row]:
        """Return the functions that are taken, by the programs' row ids: at most the share of the programs."""
        found, last = self.functions, self._last
        return found.up_to(
            last_lot(found.lots(), found.programs, settings.convert_share) if last is None else last
        )


def _functions(proven: list[Row], ctx: Context, sandbox: Sandbox, verdicts: Verdicts) -> Functions:
    """Return the rows as functions; a program whose function row was read beside it needs no other."""
    settings = ctx.settings.verify
    found = convert_rows(proven, settings, sandbox, verdicts)
    if settings.convert != "add":
        return found
    rows = {k: row for k, row in found.rows.items() if function_id(k) not in ctx.function_ids}
    return Functions(found.programs, rows)


def _added(function: Row, ctx: Context) -> Row:
    """Return a function as a row of its own beside its program, and note what is known of it."""
    program, own = function.id, function_id(function.id)
    facts = {name: fact for name, fact in ctx.facts.get(program, {}).items() if name != "passing"}
    ctx.note(own, **facts | {"checker": "exact", "converted": _CONVERTED, "function_of": program})
    return replace(function, id=own, extra=dict(function.extra) | {"converted_from": program})


def _decided(
    rows: list[Row], found: Mapping[str, Found], ctx: Context
) -> tuple[dict[str, Row], dict[str, str]]:
    """Return (row id -> row with its answer, row id -> why it goes) and note the facts."""
    kept: dict[str, Row] = {}
    reasons: dict[str, str] = {}
    for row in rows:
        what = found.get(row.id)
        if what is None:
            continue
        if what.attempt and not what.reason:
            kept[row.id] = replace(row, response=what.attempt.source)
            ctx.note(row.id, verdict=what.verdict)
        if what.rule:
            ctx.note(row.id, checker=what.rule, passing=f"{what.passing} of {what.tried}")
        if what.reason:
            reasons[row.id] = what.reason
            ctx.note(row.id, verdict="failed" if what.attempt is None else what.verdict)
    return kept, reasons


def verify_rows(
    rows: Iterable[Row],
    sandbox: Sandbox,
    out: Path,
    *,
    settings: VerifySettings | None = None,
    on_progress: Progress = lambda done, total: None,
) -> dict[str, int]:
    """Run rows' solutions, up to `max_solutions` each, against the row's own tests: `out/verdicts.jsonl`.

    One line per row and solution: row_id, solution (index), outcome, checker (the rule that accepted),
    error, failed_test, seconds. A solution that passes is run again until it has passed `runs` times; one
    that fails then has the outcome of the failure and an error that begins with `flaky`. A row with tests
    and no solution is `no_code`. `not_run` are rows without tests, and, with an error that begins with
    `needs a checker`, programs whose outputs the tests cannot tell right or wrong.

    Returns the number of lines per outcome; run it again after a kill and it goes on where it was.
    `sandbox_failed` says nothing about a program, is not remembered, and is tried again by the next call;
    any of it must end non-zero.
    """
    settings = settings or VerifySettings()
    cases = [(row, i, group) for row in rows for i, group in enumerate(_cases(row, settings))]
    with Verdicts(out / "cache" / "verdicts.jsonl") as verdicts:
        trials = [tuple(a.trial(settings, 0) for a in group) for *_, group in cases]
        found = run_trials((t for group in trials for t in group), sandbox, verdicts, on_progress)
        best = [_best([found[t.key] for t in group]) for group in trials]
        again: list[tuple[Trial, ...]] = []
        for (*_, group), (chosen, judgement) in zip(cases, best, strict=True):
            passed = judgement is not None and judgement.passed
            again.append(
                tuple(group[chosen].trial(settings, n) for n in range(1, settings.runs)) if passed else ()
            )
        found = run_trials((t for group in again for t in group), sandbox, verdicts, on_progress)
    lines = [
        _line(row, i, judgement, [found[t.key] for t in group])
        for (row, i, _), (_, judgement), group in zip(cases, best, again, strict=True)
    ]
    write_jsonl(out / "verdicts.jsonl", lines)
    return dict(sorted(Counter(line["outcome"] for line in lines).items()))


def _cases(row: Row, settings: VerifySettings) -> list[list[Attempt]]:
    """Return the attempts of each solution of a row; one empty list for a row without tests or solutions."""
    if row.tests is None or not len(row.tests):
        return [[]]
    solutions = (row.solutions or (row.response,))[: settings.max_solutions]
    if not any(s.strip() for s in solutions):
        return [[]]
    return [list(attempts(replace(row, solutions=(), response=s), settings)) for s in solutions]


_TELLING = (Outcome.PASSED, Outcome.SANDBOX_FAILED)


def _best(judgements: list[Judgement]) -> tuple[int, Judgement | None]:
    """Return (index, verdict) of the most favourable reading of a solution."""
    for wanted in _TELLING:
        for i, judgement in enumerate(judgements):
            if judgement.outcome is wanted:
                return i, judgement
    return 0, judgements[0] if judgements else None


def _line(row: Row, index: int, judgement: Judgement | None, later: list[Judgement]) -> dict[str, Any]:
    line: dict[str, Any] = {"row_id": row.id, "solution": index}
    if judgement is None:
        fault = row.extra.get("tests_fault")  # shown to people; nothing is decided by it
        nothing = {"checker": None, "failed_test": None, "seconds": None}
        if row.tests:
            return line | {"outcome": Outcome.NO_CODE.value, "error": "no solution"} | nothing
        return line | {"outcome": "not_run", "error": f"no tests: {fault}" if fault else "no tests"} | nothing
    fault = next((i for i, j in enumerate(later) if not j.passed), None)
    error = judgement.error
    if fault is not None and later[fault].outcome is Outcome.SANDBOX_FAILED:
        judgement, error = later[fault], later[fault].error
    elif fault is not None:
        judgement = later[fault]
        error = f"{FLAKY}: passed {fault + 1} of {fault + 2} runs"
        error += f"; {judgement.error}" if judgement.error else ""
    return line | {
        "outcome": judgement.outcome.value,
        "checker": judgement.checker,
        "error": error,
        "failed_test": judgement.failed_test,
        "seconds": judgement.seconds,
    }
