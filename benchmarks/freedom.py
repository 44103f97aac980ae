"""Right answers turned round within the freedom that a statement gives: verification must not reject them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from codefit.core.curation import VerifySettings
from codefit.core.types import Row
from codefit.curate.rounds import attempts
from codefit.curate.runner import Judgement, Verdicts, run_trials
from codefit.sandbox import Sandbox

TOLERANCE = re.compile(
    r"(?:relative|absolute)\W+(?:\w+\W+){0,3}(?:error|inaccuracy)|within 10|differs from the correct", re.I
)
ANY_ORDER = re.compile(
    r"(?:return|print|output)\w*[^.\n]{0,60}\b(?:in|is) (?:any|arbitrary)(?: arbitrary)? order|order (?:of[^.]{0,30} )?"
    r"(?:in the output )?does(?:n't| not) matter",
    re.I,
)
_NOT_OUTPUT = re.compile(r"reorder|rearrange|concatenat|perform|complete|can order|fairs", re.I)


def named(rows: list[Row], pattern: re.Pattern[str]) -> list[Row]:
    """Return the rows whose statement has the pattern in a sentence about the output, by an own, plain reading."""
    kept = []
    for row in rows:
        sentences = re.split(r"(?<=[.!?])\s+|\n\n", row.instruction)
        if any(pattern.search(s) and not _NOT_OUTPUT.search(s) for s in sentences):
            kept.append(row)
    return kept


def false_rejections(rows: list[Row], found: dict[str, dict[str, Any]], sandbox: Sandbox) -> dict[str, Any]:
    """Count right answers that are called wrong, where the statement names a tolerance or any order."""
    tolerant, ordered = named(rows, TOLERANCE), named(rows, ANY_ORDER)
    wanted = {row.id for row in [*tolerant, *ordered]}
    lines = {k: v for k, v in found.items() if v["row_id"] in wanted}
    outcomes = Counter(
        "needs a checker" if (v["error"] or "").startswith("needs") else v["outcome"] for v in lines.values()
    )
    calls = [row for row in ordered if row.tests and row.tests.kind == "calls"]
    free = [(row, _within(row, "tolerance")) for row in tolerant]
    free += [(row, _within(row, "order")) for row in calls]
    passing = {v["row_id"] for v in lines.values() if v["outcome"] == "passed"}
    changed = [
        replace(row, solutions=(source,), response=source)
        for row, source in ((row, make(_passing(row, found))) for row, make in free if row.id in passing)
    ]
    verdicts = judge([(row, row.solutions[0]) for row in changed], sandbox)
    not_passed = [
        (row.id, v.outcome.value, v.failed_test)
        for row, v in zip(changed, verdicts, strict=True)
        if not v.passed
    ]
    return {
        "rows_naming_a_tolerance": len(tolerant),
        "rows_naming_any_order": len(ordered),
        "solutions": len(lines),
        "outcomes": dict(outcomes),
        "called_wrong": [
            {"row": k, "failed_test": v["failed_test"]}
            for k, v in lines.items()
            if v["outcome"] == "wrong_answer"
        ],
        "within_the_freedom": {
            "programs": len(changed),
            "rejected": len(not_passed),
            "rejected_programs": not_passed,
        },
    }


def _passing(row: Row, found: dict[str, dict[str, Any]]) -> str:
    solutions = row.solutions or (row.response,)
    return next(
        s for i, s in enumerate(solutions) if found.get(f"{row.id}#{i}", {}).get("outcome") == "passed"
    )


def _within(row: Row, freedom: str) -> Callable[[str], str]:
    """Return what makes a passing program answer otherwise, within what its statement allows."""
    return lambda source: freed(row, source, freedom)


_FREE_STDIN = """
import os, re, sys, tempfile
screen, printed = os.dup(1), tempfile.TemporaryFile()
os.dup2(printed.fileno(), 1)
try:
    exec(compile({source!r}, "solution.py", "exec"), {{"__name__": "__main__"}})
except SystemExit:
    pass
sys.stdout.flush()
os.dup2(screen, 1)
printed.seek(0)
def changed(match):
    return repr(float(match[0]) {moved})
os.write(1, re.sub(r'(?<![\\w.])-?\\d+\\.\\d+(?![\\w.])', changed, printed.read().decode()).encode())
"""
_FREE_CALL = """
{source}

def _freed(value):
    return {freed}

_inner = {name}
def {plain}(*arguments):
    return _freed(_inner(*arguments))
"""
_FREE_METHOD = """
{source}

def _freed(value):
    return {freed}

_inner = Solution.{plain}
def _outer(self, *arguments):
    return _freed(_inner(self, *arguments))
Solution.{plain} = _outer
"""


def freed(row: Row, source: str, freedom: str) -> str:
    """Return the program with its numbers moved by a quarter of the tolerance, or its list turned round."""
    assert row.tests is not None
    power = re.search(r"10\s*\^?\s*\{?\s*-\s*(\d{1,2})\b|1e-(\d)", row.instruction)
    moved = f"+ {10.0 ** -int(power[1] or power[2]) / 4 if power else 1e-10}"
    if row.tests.kind == "stdin":
        return _FREE_STDIN.format(source=source, moved=moved)
    plain = (row.tests.entry_point or "").rpartition(".")[2]
    change = f"value {moved} if isinstance(value, float) else value"
    if freedom == "order":
        change = "list(reversed(value)) if isinstance(value, list) else value"
    form = _FREE_METHOD if (row.tests.entry_point or "").startswith("Solution.") else _FREE_CALL
    return form.format(source=source, freed=change, name=plain, plain=plain)


def judge(pairs: list[tuple[Row, str]], sandbox: Sandbox) -> list[Judgement]:
    """Return our verdict on each program under its row's tests: a pass by any reading of them is one."""
    settings = VerifySettings(max_tests=1_000_000)
    groups = [
        [a.trial(settings, 0) for a in attempts(replace(row, solutions=(), response=source), settings)]
        for row, source in pairs
    ]
    with Verdicts() as verdicts:
        found = run_trials((t for group in groups for t in group), sandbox, verdicts)
    best = []
    for group in groups:
        judgements = [found[t.key] for t in group]
        best.append(next((j for j in judgements if j.passed), judgements[0]))
    return best
