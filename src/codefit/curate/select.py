"""Select: the budget is filled greedily by quality and by what each row adds to those taken.

The gain of a row is (1 - d) * quality + d * novelty, where novelty is the mean over the row's
features (words of the request, edges of the syntax tree) of sqrt(c + 1) - sqrt(c), c being how
often a feature was taken before. Gains only fall, so the lazy greedy algorithm (Minoux 1978)
gives the same result as the full one in near-linear time.
"""

from __future__ import annotations

import ast
import heapq
import math
from collections import Counter

from codefit.core.curation import SelectSettings
from codefit.core.files import digest
from codefit.core.types import Dropped, Row
from codefit.curate.code import parse
from codefit.curate.leaks.words import request
from codefit.curate.step import Context, StepResult

_MAX_FEATURES = 200


class Select:
    """Takes rows up to the budget; without a budget and shares it keeps all."""

    name = "select"

    def run(self, rows: list[Row], ctx: Context) -> StepResult:
        """Keep the selected rows in their order; the same seed gives the same rows in any order."""
        settings = ctx.settings.select
        tokens = {row.id: ctx.row_tokens(row) for row in rows}
        if settings.rows is None and settings.tokens is None and not settings.max_share:
            return StepResult(rows, [], {"tokens": sum(tokens.values())})
        purse = _Purse(settings, len(rows), sum(tokens.values()))
        reasons: dict[str, str] = {}
        for row in _by_gain(rows, ctx):
            why = purse.refuse(row, tokens[row.id])
            if why:
                reasons[row.id] = why
        kept = [row for row in rows if row.id not in reasons]
        dropped = [Dropped(row.id, self.name, reasons[row.id]) for row in rows if row.id in reasons]
        return StepResult(kept, dropped, {"tokens": sum(tokens[row.id] for row in kept)})


class _Purse:
    """What is left of the budget, in rows and tokens, overall and per source."""

    def __init__(self, settings: SelectSettings, rows: int, tokens: int) -> None:
        self._rows = min(settings.rows or rows, rows)
        self._tokens = min(settings.tokens or tokens, tokens)
        self._in_tokens = settings.tokens is not None
        self._shares = settings.max_share
        self._taken_rows: Counter[str] = Counter()
        self._taken_tokens: Counter[str] = Counter()

    def refuse(self, row: Row, tokens: int) -> str | None:
        """Take a row and return None, or say why it does not fit."""
        if self._taken_rows.total() >= self._rows or self._taken_tokens.total() + tokens > self._tokens:
            return "over the budget"
        share = self._shares.get(row.source)
        if share is not None:
            over = self._taken_rows[row.source] + 1 > share * self._rows
            if self._in_tokens:
                over = self._taken_tokens[row.source] + tokens > share * self._tokens
            if over:
                return f"over the share of {row.source}"
        self._taken_rows[row.source] += 1
        self._taken_tokens[row.source] += tokens
        return None


def _by_gain(rows: list[Row], ctx: Context) -> list[Row]:
    """Return all rows in the order in which the greedy algorithm takes them."""
    weight = ctx.settings.select.diversity
    quality = {row.id: float(ctx.fact(row.id, "quality", 0.0)) for row in rows}
    wanted = {row.id: diversity_features(row) for row in rows} if weight else {}
    taken: Counter[str] = Counter()

    def gain(row: Row) -> float:
        if not weight:
            return quality[row.id]
        found = wanted[row.id]
        novelty = sum(math.sqrt(taken[f] + 1) - math.sqrt(taken[f]) for f in found) / max(1, len(found))
        return (1 - weight) * quality[row.id] + weight * novelty

    heap = [(-gain(row), digest(str(ctx.seed), row.id), i) for i, row in enumerate(rows)]
    heapq.heapify(heap)
    order: list[Row] = []
    while heap:
        _, tie, i = heapq.heappop(heap)
        now = -gain(rows[i])
        if heap and (now, tie) > heap[0][:2]:
            heapq.heappush(heap, (now, tie, i))
            continue
        order.append(rows[i])
        taken.update(wanted.get(rows[i].id, ()))
        if len(order) % 1_000 == 0:
            ctx.on_progress(len(order), len(rows))
    return order


def diversity_features(row: Row) -> list[str]:
    """Return what a row is about: stems of its request and parent-child edges of its syntax tree."""
    found = {f"w:{stem}" for stem in request(row.instruction).stems}
    tree = parse(row.response) if row.language in (None, "python") else None
    for node in ast.walk(tree) if tree else ():
        for child in ast.iter_child_nodes(node):
            found.add(f"e:{type(node).__name__}>{type(child).__name__}")
        if isinstance(node, ast.Attribute):
            found.add(f"a:{node.attr}")
    return sorted(found)[:_MAX_FEATURES]
