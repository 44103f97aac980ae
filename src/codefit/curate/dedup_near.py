"""Near-duplicates: the same row with small edits, by MinHash LSH with the true Jaccard checked.

A dropped row always has a kept row at the threshold or above: rows are visited from the best to
the worst, and one is dropped if it resembles a kept one. Chains of rows that drift apart
therefore lose only what resembles a kept row. The order of the input does not matter.

Two rows that ask for different numbers or for opposite things (`first`/`last`), or whose tests
expect different values of the same call, are different tasks however alike they read.
"""

from __future__ import annotations

from collections import defaultdict

from codefit.core.types import Dropped, Row
from codefit.curate.calls import contradict, known_calls
from codefit.curate.dedup_exact import preference
from codefit.curate.leaks.words import opposed, request
from codefit.curate.minhash import band_keys, bands_for, jaccard, shingle_sets, tokens
from codefit.curate.step import Context, StepResult

_MAX_COMPARED = 200
"""Kept rows compared per row: boilerplate that fills one bucket must not cost a quadratic search."""


class DedupNear:
    """Keeps the best of each group of near-duplicates, and of each group with one and the same request."""

    name = "dedup_near"

    def run(self, rows: list[Row], ctx: Context) -> StepResult:
        """Drop rows that resemble a better one."""
        ordered = sorted(rows, key=lambda row: preference(row, ctx))
        first = same_request(ordered)
        reasons = near_duplicates([row for row in ordered if row.id not in first], ctx)
        for row_id, best in first.items():
            why = f", a {reasons[best]}" if best in reasons else ""
            reasons[row_id] = f"same request as {best}{why}"
        dropped = [Dropped(row.id, self.name, reasons[row.id]) for row in rows if row.id in reasons]
        return StepResult([row for row in rows if row.id not in reasons], dropped)


def same_request(ordered: list[Row]) -> dict[str, str]:
    """Return row id -> id of the first row with the same request (case and spacing aside), if another."""
    first: dict[str, str] = {}
    found = {row.id: first.setdefault(" ".join(tokens(row.instruction)), row.id) for row in ordered}
    return {row_id: best for row_id, best in found.items() if best != row_id}


def near_duplicates(ordered: list[Row], ctx: Context) -> dict[str, str]:
    """Return row id -> reason of rows that resemble an earlier row of the list that is kept."""
    settings = ctx.settings.near_dup
    documents = [(tokens(row.instruction), tokens(row.response)) for row in ordered]
    sets = shingle_sets(documents, settings.shingle)
    keys = band_keys(sets, bands_for(settings.threshold, settings.permutations)).tolist()
    buckets: defaultdict[int, list[int]] = defaultdict(list)
    reasons: dict[str, str] = {}
    for i, row in enumerate(ordered):
        near = sorted({j for key in keys[i] for j in buckets[key]})[:_MAX_COMPARED]
        for j in near:
            similarity = jaccard(sets[i], sets[j])
            if similarity >= settings.threshold and not _different_tasks(row, ordered[j]):
                reasons[row.id] = f"near-duplicate of {ordered[j].id} (Jaccard {similarity:.2f})"
                break
        else:
            for key in keys[i] if len(sets[i]) else ():
                buckets[key].append(i)
        if i % 1_000 == 0:
            ctx.on_progress(i, len(ordered))
    return reasons


def _different_tasks(a: Row, b: Row) -> bool:
    if contradict(known_calls(a.tests), known_calls(b.tests)):
        return True
    return opposed(request(a.instruction), request(b.instruction))
