"""Quality: a few explainable features of a row, and their weighted mean."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator

from codefit.core.types import Row
from codefit.curate.code import docstrings, parse
from codefit.curate.step import Context, StepResult

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
_WORDS_GOOD = (6, 300)
_UNTIDY = re.compile(
    r";\s*$|\bexec\(|\beval\(|#\s*(TODO|FIXME|your code here)|^\s*\.\.\.\s*$|^.{140,}$", re.MULTILINE
)


class Quality:
    """Notes `quality` (0 to 1) and the features behind it on every row; drops nothing."""

    name = "quality"

    def run(self, rows: list[Row], ctx: Context) -> StepResult:
        """Score all rows; the report holds the mean of every feature."""
        weights = {name: w for name, w in sorted(ctx.settings.weights.items()) if w}
        sums = dict.fromkeys(weights, 0.0)
        for done, row in enumerate(rows):
            found = {name: value for name, value in features(row, ctx).items() if name in weights}
            score = sum(weights[name] * value for name, value in found.items()) / sum(weights.values())
            ctx.note(row.id, quality=round(score, 4), features={n: round(v, 3) for n, v in found.items()})
            for name, value in found.items():
                sums[name] += value
            if done % 1_000 == 0:
                ctx.on_progress(done, len(rows))
        means = {name: round(total / max(1, len(rows)), 4) for name, total in sums.items()}
        return StepResult(rows, [], {"feature_means": means})


def features(row: Row, ctx: Context) -> dict[str, float]:
    """Return the features of a row, each from 0 (poor) to 1 (good).

    structure: size of the syntax tree, halved where nothing is defined. length: tokens, on a log
    scale up to 400. naming: share of own names of two letters or more. documented: a docstring or
    comments. request: 6 to 300 words. evidence: what `verify` found. tidy: no stubs, `exec`, very
    long lines.
    """
    tree = parse(row.response) if row.language in (None, "python") else None
    words = len(row.instruction.split())
    low, high = _WORDS_GOOD
    return {
        "structure": _structure(tree),
        "length": min(1.0, math.log1p(ctx.count_tokens(row.response)) / math.log1p(_TOKENS_FULL)),
        "naming": _naming(tree),
        "documented": 1.0 if "#" in row.response or (tree and docstrings(tree)) else 0.0,
        "request": min(1.0, words / low, high / max(1, words)),
        "evidence": _EVIDENCE.get(str(ctx.fact(row.id, "verdict")), 0.0),
        "tidy": 0.0 if _UNTIDY.search(row.response) else 1.0,
    }


def _structure(tree: ast.Module | None) -> float:
    if tree is None:
        return 0.0
    nodes = list(ast.walk(tree))
    defines = any(isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) for n in nodes)
    size = min(1.0, math.log1p(len(nodes)) / math.log1p(_NODES_FULL))
    return size if defines else size / 2


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
