"""Near-duplicates: the same row with small edits, by MinHash LSH with the true similarity checked.

A dropped row always resembles a kept one: rows are visited from the best to the worst, and one is
dropped if it resembles a kept one. Chains of rows that drift apart therefore lose only what
resembles a kept row. The order of the input does not matter. The method: `codefit.curate.near`.

Two rows that ask for different numbers or for opposite things (`first`/`last`), or whose tests
expect different values of the same call, are different tasks however alike they read. A program and the
function added beside it (`curate.pairs`) are left to `select`.
"""

from __future__ import annotations

import re

import numpy as np

from codefit.core.types import Dropped, Row
from codefit.curate.calls import contradict, known_calls
from codefit.curate.dedup_exact import preference
from codefit.curate.leaks.words import opposed, request
from codefit.curate.near import Rule, Texts, find
from codefit.curate.pairs import is_pair
from codefit.curate.step import Context, StepResult

_TOKEN = re.compile(r"[^\W_]+|[^\w\s]")


class DedupNear:
    """Keeps the best of each group of near-duplicates, and of each group with one and the same request."""

    name = "dedup_near"

    def run(self, rows: list[Row], ctx: Context) -> StepResult:
        """Drop rows that resemble a better one."""
        ordered = sorted(rows, key=lambda row: preference(row, ctx))
        first = same_request(ordered)
        reasons = near_duplicates([row for row in ordered if row.id not in first], ctx)
        for row_id, best in first.items():
            reasons[row_id] = same_request_reason(best, reasons.get(best))
        dropped = [Dropped(row.id, self.name, reasons[row.id]) for row in rows if row.id in reasons]
        return StepResult([row for row in rows if row.id not in reasons], dropped)


def same_request(ordered: list[Row]) -> dict[str, str]:
    """Return row id -> id of the first row with the same request (case and spacing aside), if another."""
    first: dict[str, str] = {}
    found = {row.id: first.setdefault(request_words(row), row.id) for row in ordered}
    return {row_id: best for row_id, best in found.items() if best != row_id}


def request_words(row: Row) -> str:
    """Return the request's words and signs: the same for requests that are one, case and spacing aside."""
    return " ".join(_TOKEN.findall(row.instruction.lower()))


def near_duplicates(ordered: list[Row], ctx: Context) -> dict[str, str]:
    """Return row id -> reason of rows that resemble an earlier row of the list that is kept."""
    ctx.on_progress(0, len(ordered))
    found = find(
        Texts.of((row.instruction, row.response) for row in ordered),
        np.arange(len(ordered)),
        Rule(**ctx.settings.near_dup.model_dump()),
        different=lambda better, worse: different_tasks(ordered[better], ordered[worse]),
    )
    ctx.on_progress(len(ordered), len(ordered))
    return {
        ordered[i].id: near_reason(ordered[keeper].id, similarity)
        for i, (keeper, similarity) in enumerate(zip(*found.as_lists(), strict=True))
        if keeper >= 0
    }


def near_reason(best: str, similarity: float) -> str:
    """Return why a row goes that resembles a better one."""
    return f"near-duplicate of {best} (Jaccard {similarity:.2f})"


def same_request_reason(best: str, why: str | None) -> str:
    """Return why a row goes that repeats a better one's request; `why` the better one goes itself, if it does."""
    return f"same request as {best}" + (f", a {why}" if why else "")


def different_tasks(a: Row, b: Row) -> bool:
    """Return True if two rows ask for different things, however alike they read, or in two forms on purpose."""
    if is_pair(a.id, b.id) or contradict(known_calls(a.tests), known_calls(b.tests)):
        return True
    return opposed(request(a.instruction), request(b.instruction))
