"""Rows without tests: what cheap evidence says for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from codefit.core.types import Outcome, Row
from codefit.curate.examples import Examples, example_call, examples_of
from codefit.curate.imports import with_imports
from codefit.curate.rounds import limits_of, reason_of
from codefit.curate.runner import Judgement, Trial, Verdicts, need, run_trials
from codefit.curate.step import Context

UNPROVEN = {
    "EOFError": "reads input",
    "ModuleNotFoundError": "needs a module",
    "FileNotFoundError": "needs a file",
    "ConnectionError": "needs a network",
    "URLError": "needs a network",
    "gaierror": "needs a network",
}
"""Errors while loading that say nothing against a program without tests."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The verdict on a row without tests, the row with what was run as its answer, and why it goes if it does.

    Verdicts: `example holds`; `example fails` (a guessed example only: an explicit one drops the row);
    `example runs` (the input given in the request raises nothing); `loads`; `unproven`; `failed`; `not_run`.
    """

    row: Row
    verdict: str
    reason: str | None = None


def runnable(row: Row) -> bool:
    """Return True if the row's answer is a Python program."""
    return row.language in (None, "python")


def untested(rows: list[Row], ctx: Context, verdicts: Verdicts) -> Iterator[Evidence]:
    """Yield the evidence for rows without tests, by the recipe's policy."""
    policy = ctx.settings.verify.untested
    if policy != "loads":
        why = "has no tests" if policy == "drop" else None
        yield from (Evidence(row, "not_run", why) for row in rows)
        return
    yield from (Evidence(row, "not_run") for row in rows if not runnable(row))
    programs = [row for row in rows if runnable(row)]
    if not programs:
        return
    settings = ctx.settings.verify
    limits = limits_of(settings)
    loads = {row.id: Trial(with_imports(row.response), None, limits) for row in programs}
    examples = {row.id: examples_of(row.instruction, row.response) for row in programs}
    more = {row.id: _example_trial(row, examples[row.id], loads[row.id], settings.atol) for row in programs}
    trials = [*loads.values(), *(t for t in more.values() if t)]
    found = run_trials(trials, need(ctx.sandbox, "verify"), verdicts, ctx.on_progress)
    for row in programs:
        trial = more[row.id]
        shown = found[trial.key] if trial else None
        yield _evidence(row, loads[row.id].source, found[loads[row.id].key], examples[row.id], shown)


def _example_trial(row: Row, examples: Examples | None, loads: Trial, atol: float) -> Trial | None:
    if examples:
        return replace(loads, tests=examples.tests, atol=atol)
    call = example_call(row.instruction, row.response)
    return replace(loads, source=f"{loads.source}\n\n{call}") if call else None


def _evidence(
    row: Row, source: str, loads: Judgement, examples: Examples | None, shown: Judgement | None
) -> Evidence:
    ran = replace(row, response=source)
    if not loads.passed:
        kind = (loads.error or "").split(":", 1)[0].rpartition(".")[2]
        if loads.outcome is Outcome.RUNTIME_ERROR and kind in UNPROVEN:
            return Evidence(ran, "unproven")
        return Evidence(row, "failed", f"does not load: {reason_of(loads)}")
    if examples and shown:
        if shown.passed:
            return Evidence(ran, "example holds")
        if examples.explicit:
            return Evidence(row, "failed", f"example fails: {reason_of(shown)}")
        return Evidence(ran, "example fails")
    return Evidence(ran, "example runs" if shown and shown.passed else "loads")
