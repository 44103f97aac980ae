"""Select: the budget is filled greedily by quality and by what each row adds to those taken.

The gain of a row is (1 - d) * quality + d * novelty, where novelty is the mean over the row's
features (words of the request, topics, libraries, edges of the syntax tree) of w (sqrt(c + 1) - sqrt(c)),
c being how often a feature was taken before and w the root of the number of rows that have it, over
its mean: a concave function over features, which stands for facility location at a near-linear price.
With these weights each feature is wanted in proportion to how common it is, so that rare words
do not draw the choice to outliers. Gains only fall, so the lazy greedy algorithm (Minoux 1978) gives
the same result as the full one.

Quotas per source, topic and library are limits. The difficulty mix is a wish: first the levels are
filled to their parts; what a level lacks is then filled from the other rows, in order of gain.

Of a program and the function added beside it (`curate.pairs`) only the one that scores better is a
candidate, the function where they are equal, unless the recipe says `pairs: both`.
"""

from __future__ import annotations

import ast
import heapq
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from codefit.core.files import digest
from codefit.core.types import Dropped, Row
from codefit.curate.code import parse
from codefit.curate.leaks.words import request
from codefit.curate.pairs import program_id
from codefit.curate.quotas import OVER_LEVEL, Purse, Stratum, stratum
from codefit.curate.step import Context, StepResult

_MAX_FEATURES = 200
_OVER = "over the budget"


class Select:
    """Takes rows up to the budget; without a budget and shares it keeps all, of a pair the better one."""

    name = "select"

    def run(self, rows: list[Row], ctx: Context) -> StepResult:
        """Keep the selected rows in their order; the same seed gives the same rows in any order."""
        settings = ctx.settings.select
        reasons = _worse_forms(rows, ctx) if settings.pairs == "one" else {}
        candidates = [row for row in rows if row.id not in reasons]
        strata = {row.id: stratum(row, ctx) for row in candidates}
        wishes = (settings.max_share, settings.difficulty, settings.topics, settings.libraries)
        if settings.rows is not None or settings.tokens is not None or any(wishes):
            reasons |= _refused(candidates, list(strata.values()), ctx)
        elif not reasons:
            return StepResult(rows, [], _report(list(strata.values())))
        kept = [row for row in rows if row.id not in reasons]
        dropped = [Dropped(row.id, self.name, reasons[row.id]) for row in rows if row.id in reasons]
        report = _report([strata[row.id] for row in kept]) | {"effect": _effect(rows, reasons, ctx)}
        return StepResult(kept, dropped, report)


def _worse_forms(rows: Sequence[Row], ctx: Context) -> dict[str, str]:
    """Return row id -> reason of the row of each pair of program and function that scores less."""
    score = {row.id: float(ctx.fact(row.id, "quality", 0.0)) for row in rows}
    reasons: dict[str, str] = {}
    for function in score:
        program = program_id(function)
        if program in score:
            worse, better = sorted((program, function), key=lambda form: (score[form], form == function))
            reasons[worse] = (
                f"same problem as {better} (score {score[better]:.3f} against {score[worse]:.3f})"
            )
    return reasons


def _refused(rows: Sequence[Row], strata: Sequence[Stratum], ctx: Context) -> dict[str, str]:
    """Return row id -> reason of the rows that are not taken."""
    purse = Purse(ctx.settings.select, strata)
    greedy = _Greedy(rows, ctx)
    reasons: dict[str, str] = {}
    waiting = list(range(len(rows)))
    for by_level in (True, False):
        for i in greedy.ordered(waiting):
            why = purse.refuse(strata[i], by_level=by_level)
            if why is None:
                greedy.take(i)
                reasons.pop(rows[i].id, None)
            else:
                reasons[rows[i].id] = why
            if purse.full:
                break
        waiting = [i for i in waiting if reasons.get(rows[i].id, "").startswith(OVER_LEVEL)]
        if purse.full or not waiting:
            break
    untouched = {row.id for i, row in enumerate(rows) if i not in greedy.taken} - set(reasons)
    return reasons | dict.fromkeys(sorted(untouched), _OVER)


class _Greedy:
    """The rows by gain, which falls as rows are taken."""

    def __init__(self, rows: Sequence[Row], ctx: Context) -> None:
        self._weight = ctx.settings.select.diversity
        self._quality = [float(ctx.fact(row.id, "quality", 0.0)) for row in rows]
        self._ties = [digest(str(ctx.seed), row.id) for row in rows]
        self._progress, self._total = ctx.on_progress, len(rows)
        ids: dict[str, int] = {}
        self._features = [
            np.array([ids.setdefault(f, len(ids)) for f in diversity_features(row, ctx)], dtype=np.int64)
            for row in (rows if self._weight else ())
        ]
        self._weights = _weights(self._features, len(ids))
        self._counts = np.zeros(len(ids))
        self._adds = self._weights.copy()
        self.taken: set[int] = set()

    def _gain(self, i: int) -> float:
        if not self._weight:
            return self._quality[i]
        found = self._features[i]
        novelty = float(self._adds[found].mean()) if len(found) else 0.0
        return (1 - self._weight) * self._quality[i] + self._weight * novelty

    def take(self, i: int) -> None:
        """Count a row's features as taken."""
        self.taken.add(i)
        if self._weight:
            found = self._features[i]
            self._counts[found] += 1
            counts = self._counts[found]
            self._adds[found] = self._weights[found] * (np.sqrt(counts + 1) - np.sqrt(counts))
        if len(self.taken) % 1_000 == 0:
            self._progress(len(self.taken), self._total)

    def ordered(self, among: Sequence[int]) -> Any:
        """Yield rows by falling gain; the caller may `take` each before it asks for the next."""
        heap = [(-self._gain(i), self._ties[i], i) for i in among]
        heapq.heapify(heap)
        while heap:
            _, tie, i = heapq.heappop(heap)
            now = (-self._gain(i), tie, i)
            if heap and now > heap[0]:
                heapq.heappush(heap, now)
            else:
                yield i


def _weights(features: Sequence[np.ndarray[Any, Any]], count: int) -> np.ndarray[Any, Any]:
    """Return each feature's weight; over the rows, the mean of a row's mean weight is 1."""
    rows = np.zeros(count)
    for found in features:
        rows[found] += 1
    weights = np.sqrt(rows)
    # An exact sum, so that the order of the rows cannot change the last digit.
    mean = math.fsum(float(weights[f].mean()) for f in features if len(f)) / max(1, len(features))
    return weights / mean if mean else weights


def diversity_features(row: Row, ctx: Context) -> list[str]:
    """Return what a row is about: stems of its request, topics, libraries and edges of its syntax tree."""
    found = {f"w:{stem}" for stem in request(row.instruction).stems}
    found |= {f"t:{topic}" for topic in ctx.fact(row.id, "topics", ())}
    found |= {f"l:{library}" for library in ctx.fact(row.id, "libraries", ())}
    tree = parse(row.response) if row.language in (None, "python") else None
    for node in ast.walk(tree) if tree else ():
        for child in ast.iter_child_nodes(node):
            found.add(f"e:{type(node).__name__}>{type(child).__name__}")
        if isinstance(node, ast.Attribute):
            found.add(f"a:{node.attr}")
    return sorted(found)[:_MAX_FEATURES]


def _report(taken: Sequence[Stratum]) -> dict[str, Any]:
    """Return the tokens of the selected rows and how they spread."""

    def counted(names: Counter[str]) -> dict[str, int]:
        return dict(sorted(names.items(), key=lambda kv: (-kv[1], kv[0])))

    return {
        "tokens": sum(s.tokens for s in taken),
        "levels": counted(Counter(s.level for s in taken)),
        "topics": counted(Counter(s.topic for s in taken)),
        "libraries": counted(Counter(name for s in taken for name in s.libraries)),
    }


def _effect(rows: Sequence[Row], reasons: dict[str, str], ctx: Context) -> dict[str, Any]:
    """Return per quality feature its mean among kept and dropped rows."""
    out: dict[str, Any] = {}
    found = [(row.id in reasons, ctx.fact(row.id, "features", {})) for row in rows]
    for name in sorted({name for _, values in found for name in values}):
        sides = [[v[name] for gone, v in found if gone is side and name in v] for side in (False, True)]
        means = [round(sum(side) / len(side), 4) if side else None for side in sides]
        out[name] = {"kept": means[0], "dropped": means[1]}
    return out
