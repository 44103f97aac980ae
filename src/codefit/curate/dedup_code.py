"""The same solution in different words: rows whose programs have one normal form.

Of the rows with one normal form the best by `preference` stays. Small programs (`return sum(x)`), and
classes that only hold data, are the same code for different tasks, so they are one only where the
requests are alike too: shared stems of what is asked, `Input:` aside, over all stems, and neither
opposite words nor other numbers. Rows whose tests expect different values stay both.
"""

from __future__ import annotations

from collections import defaultdict

from codefit.core.types import Dropped, Row
from codefit.curate.calls import contradict, known_calls
from codefit.curate.dedup_exact import preference
from codefit.curate.leaks.words import Request, opposed, request
from codefit.curate.normal_form import NormalForm, normal_form
from codefit.curate.step import Context, StepResult

_INPUT = "\n\nInput:\n"


class DedupCode:
    """Keeps the best of the rows whose answers are one program, names and wording aside."""

    name = "dedup_code"

    def run(self, rows: list[Row], ctx: Context) -> StepResult:
        """Drop rows that solve what a better row solves in the same way."""
        groups: defaultdict[str, list[tuple[Row, NormalForm]]] = defaultdict(list)
        for done, row in enumerate(rows):
            form = normal_form(row.response) if row.language in (None, "python") else None
            if form:
                groups[form.key].append((row, form))
            if done % 500 == 0:
                ctx.on_progress(done, len(rows))
        reasons: dict[str, str] = {}
        for group in groups.values():
            if len(group) > 1:
                reasons |= _repeats(group, ctx)
        dropped = [Dropped(row.id, self.name, reasons[row.id]) for row in rows if row.id in reasons]
        kept = [row for row in rows if row.id not in reasons]
        return StepResult(
            kept, dropped, {"forms": len(groups), "shared": sum(len(g) > 1 for g in groups.values())}
        )


def _repeats(group: list[tuple[Row, NormalForm]], ctx: Context) -> dict[str, str]:
    """Return row id -> reason of the rows of one normal form that repeat a better one."""
    settings = ctx.settings.dedup_code
    form = group[0][1]
    tiny = form.nodes < (settings.data_nodes if form.holds_data else settings.nodes)
    kept: list[tuple[Row, Request]] = []
    reasons: dict[str, str] = {}
    for row in sorted((row for row, _ in group), key=lambda r: preference(r, ctx)):
        asked = request(row.instruction.partition(_INPUT)[0])
        for other, wanted in kept:
            if tiny and not _alike(asked, wanted, settings.request):
                continue
            if not contradict(known_calls(row.tests), known_calls(other.tests)):
                reasons[row.id] = f"same code as {other.id}"
                break
        else:
            kept.append((row, asked))
    return reasons


def _alike(a: Request, b: Request, least: float) -> bool:
    """Return True if two requests share enough stems and do not ask for opposite things."""
    together = a.stems | b.stems
    shared = len(a.stems & b.stems) / len(together) if together else float(a.key == b.key)
    return shared >= least and not opposed(a, b)
