"""Wrong solutions by small changes: operators, comparisons, constants, bounds, branches, returned values."""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Iterator

_SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.And: ast.Or, ast.Or: ast.And, ast.BitXor: ast.BitOr, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
_MIRROR = {"min": "max", "max": "min", "any": "all", "all": "any"}


def mutants(source: str, seed: int) -> Iterator[tuple[str, str]]:
    """Yield (kind, program) of all single changes in a shuffled order; none where the source does not parse."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return
    places = [(i, kind) for i, node in enumerate(ast.walk(tree)) for kind in _kinds(node)]
    random.Random(seed).shuffle(places)
    for index, kind in places:
        changed = copy.deepcopy(tree)
        node = next(n for i, n in enumerate(ast.walk(changed)) if i == index)
        _apply(node, kind)
        try:
            yield kind, ast.unparse(ast.fix_missing_locations(changed))
        except (ValueError, RecursionError):
            continue


def _kinds(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp) and type(node.op) in _SWAPS:
        yield "operator"
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _SWAPS:
        yield "comparison"
    if isinstance(node, ast.Constant) and type(node.value) is int and abs(node.value) < 1_000_000:
        yield "constant"
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) > 1:
        yield "text"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id == "range" and node.args:
            yield "bound"
        if node.func.id in _MIRROR:
            yield "mirror"
    if isinstance(node, ast.If):
        yield "branch"


def _apply(node: ast.AST, kind: str) -> None:
    if kind == "operator":
        node.op = _SWAPS[type(node.op)]()
    elif kind == "comparison":
        node.ops[0] = _SWAPS[type(node.ops[0])]()
    elif kind == "constant":
        node.value += 1
    elif kind == "text":
        node.value = node.value[:-1]
    elif kind == "bound":
        end = node.args[0] if len(node.args) == 1 else node.args[1]
        changed = ast.BinOp(copy.deepcopy(end), ast.Sub(), ast.Constant(1))
        node.args[0 if len(node.args) == 1 else 1] = changed
    elif kind == "mirror":
        node.func.id = _MIRROR[node.func.id]
    elif kind == "branch":
        node.test = ast.UnaryOp(ast.Not(), node.test)
