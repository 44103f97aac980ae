"""Quality: a few explainable features of a row, and their weighted mean."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from codefit.core.types import Row
from codefit.curate.code import defines, docstrings, parse
from codefit.curate.difficulty import cyclomatic, difficulty, level_of
from codefit.curate.lint import faults
from codefit.curate.step import Context, StepResult
from codefit.curate.topics import libraries, topics
from codefit.curate.wording import clarity, completeness

_EVIDENCE = {
    "passed": 1.0,
    "example holds": 0.75,
    "example runs": 0.6,
    "loads": 0.5,
    "example fails": 0.25,
    "unproven": 0.25,
    "needs a checker": 0.25,
}
_NODES_FULL = 150
_TOKENS_FULL = 400
_FAULTS_FULL = 4
_COMMENTS_GOOD = 0.3
_COMPLEXITY_GOOD = (3, 12)
_KNOWN_ALREADY = 0.1
_UNTIDY = re.compile(r";\s*$|#\s*(TODO|FIXME|your code here)|^\s*\.\.\.\s*$|^.{140,}$", re.MULTILINE)


class Quality:
    """Notes `quality` (0 to 1), its features, difficulty, topics and libraries on every row; drops nothing."""

    name = "quality"

    def run(self, rows: list[Row], ctx: Context) -> StepResult:
        """Score all rows; the report says for every feature what it does."""
        weights = {name: w for name, w in sorted(ctx.settings.weights.items()) if w}
        views = ctx.model_view(rows) if ctx.model_view else {}
        seen = _ranked({row_id: view["ifd"] for row_id, view in views.items() if "ifd" in view})
        seen |= {row_id: _between(view["pass_rate"]) for row_id, view in views.items() if "pass_rate" in view}
        found: list[dict[str, float]] = []
        for done, row in enumerate(rows):
            tree = parse(row.response) if row.language in (None, "python") else None
            values = {n: v for n, v in features(row, ctx, tree).items() if n in weights}
            if "model" in weights and row.id in seen:
                values["model"] = seen[row.id]
            found.append(values)
            self._note(row, values, tree, ctx, weights)
            if row.id in views:
                ctx.note(row.id, model_view=dict(views[row.id]))
            if done % 1_000 == 0:
                ctx.on_progress(done, len(rows))
        return StepResult(rows, [], _report(found, weights, _taken(len(rows), ctx)))

    @staticmethod
    def _note(
        row: Row,
        values: Mapping[str, float],
        tree: ast.Module | None,
        ctx: Context,
        weights: Mapping[str, float],
    ) -> None:
        hard = difficulty(row, tree)
        ctx.note(
            row.id,
            quality=round(_score(values, weights), 4),
            features={n: round(v, 3) for n, v in values.items()},
            difficulty=round(hard, 3),
            level=level_of(hard),
            topics=list(topics(row, tree)),
            libraries=list(libraries(row, tree)),
        )


def features(row: Row, ctx: Context, tree: ast.Module | None = None) -> dict[str, float]:
    """Return the features of a row, each from 0 (poor) to 1 (good).

    structure: size of the syntax tree, halved where nothing is defined. length: tokens, on a log
    scale up to 400. naming: share of own names of two letters or more. documented: a docstring or
    comments. comments: comment lines up to 30 % of the lines. lint: 1 less a quarter per fault.
    complexity: 3 to 12 decisions in the worst function. clarity, complete: see `wording`. evidence:
    what `verify` found. tidy: no statement ended by `;`, no stub, no line of 140 characters.
    """
    if tree is None and row.language in (None, "python"):
        tree = parse(row.response)
    return {
        "structure": _structure(tree),
        "length": min(1.0, math.log1p(ctx.count_tokens(row.response)) / math.log1p(_TOKENS_FULL)),
        "naming": _naming(tree),
        "documented": 1.0 if "#" in row.response or (tree and docstrings(tree)) else 0.0,
        "comments": _comments(row.response),
        "lint": max(0.0, 1 - len(faults(tree)) / _FAULTS_FULL) if tree else 0.0,
        "complexity": _complexity(tree),
        "clarity": clarity(row.instruction),
        "complete": completeness(row, tree),
        "evidence": _EVIDENCE.get(str(ctx.fact(row.id, "verdict")), 0.0),
        "tidy": 0.0 if _UNTIDY.search(row.response) else 1.0,
    }


def _score(values: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """Return the weighted mean of the features that a row has."""
    total = sum(weights[name] for name in values)
    return sum(weights[name] * value for name, value in values.items()) / total if total else 0.0


def _ranked(ifd: Mapping[str, float]) -> dict[str, float]:
    """Return the feature `model` from the instruction-following difficulty (Li et al. 2024, arXiv 2308.12032).

    0 where the request does not help (1 or above) and in the lowest tenth (known already), else the
    row's rank among all.
    """
    ordered = sorted(ifd, key=lambda row_id: (ifd[row_id], row_id))
    ranks = {row_id: (i + 0.5) / len(ordered) for i, row_id in enumerate(ordered)}
    return {r: rank if ifd[r] < 1 and rank >= _KNOWN_ALREADY else 0.0 for r, rank in ranks.items()}


def _between(pass_rate: float) -> float:
    """Return the feature `model` from the share of the model's own answers that pass.

    1 where half of them do, 0 where all or none do: both leave nothing to learn from (Yu et al. 2025, DAPO,
    arXiv 2503.14476, filter the same prompts out).
    """
    return 1 - abs(2 * pass_rate - 1)


def _structure(tree: ast.Module | None) -> float:
    if tree is None:
        return 0.0
    size = min(1.0, math.log1p(sum(1 for _ in ast.walk(tree))) / math.log1p(_NODES_FULL))
    return size if defines(tree) else size / 2


def _complexity(tree: ast.Module | None) -> float:
    if tree is None:
        return 0.0
    low, high = _COMPLEXITY_GOOD
    found = cyclomatic(tree)
    return min(1.0, found / low, high / found)


def _comments(text: str) -> float:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    share = sum(line.startswith("#") for line in lines) / len(lines) if lines else 0.0
    return 1 - max(0.0, share - _COMMENTS_GOOD) / (1 - _COMMENTS_GOOD)


def _naming(tree: ast.Module | None) -> float:
    names = set(_own_names(tree)) if tree else set()
    return sum(len(name) > 1 for name in names) / len(names) if names else 0.0


def _own_names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name


def _taken(rows: int, ctx: Context) -> int:
    """Return how many rows the effect of a feature is measured on: the budget, or the better half."""
    budget = ctx.settings.select.rows
    return budget if budget and budget < rows else (rows + 1) // 2


def _report(found: Sequence[Mapping[str, float]], weights: Mapping[str, float], taken: int) -> dict[str, Any]:
    """Return per feature: weight, mean, rank correlation with the score, share of the best rows left without it."""
    scores = np.array([_score(values, weights) for values in found])
    best = _best(scores, taken)
    effect: dict[str, Any] = {}
    for name in sorted(weights):
        have = [i for i, values in enumerate(found) if name in values]
        if not have:
            continue
        values = np.array([found[i][name] for i in have])
        other = {n: w for n, w in weights.items() if n != name}
        without = np.array([_score({n: v for n, v in f.items() if n != name}, other) for f in found])
        effect[name] = {
            "weight": weights[name],
            "mean": round(float(values.mean()), 4),
            "rank_correlation": spearman(values, scores[have]),
            "best_kept_without": round(len(best & _best(without, taken)) / max(1, len(best)), 4),
        }
    return {"features": effect, "best_rows": taken}


def _best(scores: np.ndarray[Any, Any], count: int) -> set[int]:
    return set(np.argsort(-scores, kind="stable")[:count].tolist())


def spearman(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float | None:
    """Return Spearman's rank correlation with mean ranks for ties, None where one side is constant."""
    x, y = _mean_ranks(a), _mean_ranks(b)
    if len(x) < 2 or not x.std() or not y.std():
        return None
    return round(float(np.corrcoef(x, y)[0, 1]), 4)


def _mean_ranks(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    means: np.ndarray[Any, Any] = (last - (counts - 1) / 2)[inverse]
    return means
