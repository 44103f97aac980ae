"""Rewrites of a syntax tree that keep what a program does and leave one way of writing it."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

_TERMINAL = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_NEGATED: dict[type[ast.cmpop], ast.cmpop] = {
    ast.Eq: ast.NotEq(),
    ast.NotEq: ast.Eq(),
    ast.In: ast.NotIn(),
    ast.NotIn: ast.In(),
    ast.Is: ast.IsNot(),
    ast.IsNot: ast.Is(),
}
_MIRRORED: dict[type[ast.cmpop], ast.cmpop] = {ast.Gt: ast.Lt(), ast.GtE: ast.LtE()}
_FREE_OPERATORS = (ast.Mult, ast.BitAnd, ast.BitOr, ast.BitXor)
_NUMERIC_CALLS = frozenset(["len", "int", "float", "abs", "round", "ord", "pow"])
_SAID = "…"


class Free(ast.expr):
    """Operands of one operator in free order."""

    _fields = ("op", "terms")

    def __init__(self, op: ast.AST, terms: list[ast.expr]) -> None:
        super().__init__()
        self.op, self.terms = op, terms


_HARMLESS = (ast.Name, ast.Constant, ast.Compare, Free, ast.cmpop, ast.expr_context, ast.BoolOp, ast.boolop,
             ast.UnaryOp, ast.unaryop, ast.BinOp, ast.Add, ast.Sub, ast.Mult)  # fmt: skip


def rewritten(tree: ast.Module) -> ast.Module:
    """Return the tree with every rewrite applied; the tree itself is changed."""
    found: ast.Module = _Rewriter().visit(tree)
    return found


class _Rewriter(ast.NodeTransformer):
    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for name in ("body", "orelse", "finalbody"):
            statements = getattr(node, name, None)
            if isinstance(statements, list):
                setattr(node, name, _statements(statements, keep=name == "body"))
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        value = ast.BinOp(node.target, node.op, node.value)
        found: ast.AST = self.visit(ast.Assign([node.target], value))
        return found

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if node.value is None:
            return None
        found: ast.AST | None = self.visit(ast.Assign([node.target], node.value))
        return found

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if all(type(op) in _MIRRORED for op in node.ops):
            operands = [node.left, *node.comparators][::-1]
            ops = [_MIRRORED[type(op)] for op in reversed(node.ops)]
            return ast.Compare(operands[0], ops, operands[1:])
        if len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq | ast.NotEq):
            return Free(node.ops[0], [node.left, node.comparators[0]])
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, _FREE_OPERATORS):
            return Free(node.op, _terms(node, type(node.op)))
        if isinstance(node.op, ast.Add):
            terms = _terms(node, ast.Add)
            if any(_is_number(term) for term in terms):
                return Free(node.op, terms)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        return Free(node.op, node.values) if all(map(_cannot_fail, node.values)) else node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Not) and (positive := _opposite(node)):
            return positive
        return node

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        self.generic_visit(node)
        if _is_negative(node.test) and (test := _opposite(node.test)):
            return ast.IfExp(test, node.orelse, node.body)
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        self.generic_visit(node)
        if node.orelse and _is_negative(node.test) and (test := _opposite(node.test)):
            return ast.If(test, node.orelse, node.body)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        match node:
            case ast.Call(func=ast.Name(id="range"), args=[ast.Constant(value=0), stop], keywords=[]):
                node.args = [stop]
            case ast.Call(func=ast.Name(id="range"), args=[start, stop, ast.Constant(value=1)], keywords=[]):
                node.args = [start, stop]
            case ast.Call(func=ast.Name(id="list"), args=[], keywords=[]):
                return ast.List([], ast.Load())
            case ast.Call(func=ast.Name(id="dict"), args=[], keywords=[]):
                return ast.Dict([], [])
            case ast.Call(func=ast.Name(id="print" | "input")):
                node.args = [_unsaid(arg) for arg in node.args]
        return node

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        self.generic_visit(node)
        node.exc = _unsaid(node.exc) if node.exc else None
        return node


class _Unsaid(ast.NodeTransformer):
    """Makes texts alike; the values that a text shows stay."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant(_SAID) if isinstance(node.value, str) else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        shown: list[ast.expr] = [v for v in node.values if isinstance(v, ast.FormattedValue)]
        return ast.JoinedStr(shown) if shown else ast.Constant(_SAID)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        return node  # the key of a dictionary is not said


def _unsaid(node: ast.expr) -> ast.expr:
    found: ast.expr = _Unsaid().visit(node)
    return found


def _statements(statements: Sequence[Any], keep: bool) -> list[Any]:
    """Return a block's statements without those that do nothing, `else` after `return` unfolded."""
    if any(not isinstance(s, ast.stmt) for s in statements):
        return list(statements)  # match cases
    out = [s for s in statements if not _does_nothing(s)]
    for i in reversed(range(len(out))):
        node = out[i]
        if not isinstance(node, ast.If) or not _ends(node.body):
            continue
        other = node.orelse or out[i + 1 :]
        rest = out[i + 1 :] if node.orelse else []
        if _is_negative(node.test) and _ends(other) and (test := _opposite(node.test)):
            node = ast.If(test, other, node.body)
            other = node.orelse
        out[i:] = [ast.If(node.test, node.body, []), *other, *rest]
    out = _returned_at_once(out)
    return out or ([ast.Pass()] if keep else [])


def _does_nothing(node: ast.stmt) -> bool:
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _ends(statements: Sequence[ast.stmt]) -> bool:
    return bool(statements) and isinstance(statements[-1], _TERMINAL)


def _returned_at_once(statements: list[Any]) -> list[Any]:
    match statements:
        case [
            *before,
            ast.Assign(targets=[ast.Name(id=name)], value=value),
            ast.Return(value=ast.Name(id=returned)),
        ] if name == returned:
            return [*before, ast.Return(value)]
    return statements


def _terms(node: ast.expr, op: type[ast.operator]) -> list[ast.expr]:
    """Return the operands of a chain of one operator."""
    if isinstance(node, Free) and isinstance(node.op, op):
        return node.terms
    if isinstance(node, ast.BinOp) and isinstance(node.op, op):
        return [*_terms(node.left, op), *_terms(node.right, op)]
    return [node]


def _is_number(node: ast.expr) -> bool:
    """Return True if the value is certainly a number, so that a sum with it is one of numbers."""
    match node:
        case ast.Constant(value=value):
            return isinstance(value, int | float | complex)
        case ast.Call(func=ast.Name(id=name)):
            return name in _NUMERIC_CALLS
        case ast.BinOp(op=ast.Sub() | ast.Div() | ast.FloorDiv() | ast.Pow()):
            return (
                _is_number(node.left) or _is_number(node.right) or isinstance(node.op, ast.FloorDiv | ast.Pow)
            )
        case ast.UnaryOp(op=ast.USub()):
            return True
        case Free(op=ast.Add()):
            return True
    return False


def _cannot_fail(node: ast.expr) -> bool:
    """Return True for a comparison of names and constants, which may be asked in any order."""
    return all(isinstance(n, _HARMLESS) for n in ast.walk(node))


def _is_negative(node: ast.expr) -> bool:
    match node:
        case ast.UnaryOp(op=ast.Not()) | Free(op=ast.NotEq()):
            return True
        case ast.Compare(ops=[ast.NotIn() | ast.IsNot()]):
            return True
    return False


def _opposite(node: ast.expr) -> ast.expr | None:
    """Return a test that is true where this one is false, None where only `not` says it."""
    match node:
        case ast.UnaryOp(op=ast.Not(), operand=ast.Compare() | Free() as inner):
            return _opposite(inner)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return None if not isinstance(operand, ast.expr) else operand
        case Free(op=ast.Eq() | ast.NotEq() as op, terms=terms):
            return Free(_NEGATED[type(op)], terms)
        case ast.Compare(ops=[op]) if type(op) in _NEGATED:
            return ast.Compare(node.left, [_NEGATED[type(op)]], node.comparators)
    return None
