"""Assertions made wrong, which a program that passes the right ones cannot meet.

For assertions that are decided beside the program: after a pass they run again so, and whoever meets them
too saw to it that assertions hold, returned what equals everything, or read off what was expected.
"""

from __future__ import annotations

import ast
import copy

from codefit.sandbox.types import WrongAsserts
from codefit.suites.prefix import parse
from codefit.suites.wrong_tests import other_literal


def wrong_asserts(tests: tuple[str, ...], setup: str) -> tuple[WrongAsserts, tuple[int, ...]]:
    """Return tests and setup with every assertion made wrong, and the tests that are certain to fail then.

    A test is certain where it comes to an assertion whatever the program does. One that asserts nothing is
    left as it is; a call of a function of the setup counts as the assertions of that function.
    """
    wrong_setup, checks = _wrong_text(setup)
    found = [_wrong_text(text, checks) for text in tests]
    certain = tuple(i for i, (_, names) in enumerate(found) if "" in names)
    return WrongAsserts(wrong_setup, tuple(text for text, _ in found)), certain


def wrong_expression(text: str) -> str:
    """Return an expression that is False where one assertion holds; raises `ValueError` for other texts."""
    match ast.parse(text.strip()).body:
        case [ast.Assert(test=test)]:
            return f"bool({ast.unparse(_wrong(test))})"
    raise ValueError("not one assertion")


def _wrong_text(text: str, checks: frozenset[str] = frozenset()) -> tuple[str, frozenset[str]]:
    """Return a text with wrong assertions, and what of it is certain to fail: functions, and "" for itself."""
    module = parse(text)
    if module is None:
        return text, frozenset()
    tree = copy.deepcopy(module.tree)
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef)]
    certain = {f.name for f in functions if _comes_to_one(f.body, checks)}
    if _comes_to_one(tree.body, checks):
        certain.add("")
    changed = [n for n in ast.walk(tree) if isinstance(n, ast.Assert)]
    for node in changed:
        node.test = _wrong(node.test)
    return ast.unparse(ast.fix_missing_locations(tree)) if changed else text, frozenset(certain)


def _comes_to_one(body: list[ast.stmt], checks: frozenset[str]) -> bool:
    """Return True if statements surely come to an assertion, or to a call of one of `checks`."""
    for statement in body:
        match statement:
            case ast.Assert():
                return True
            case ast.Expr(value=ast.Call(func=ast.Name(id=name))) if name in checks:
                return True
            case ast.For(iter=ast.Call(func=ast.Name(id="range"), args=[ast.Constant()]), body=inner):
                pass
            case ast.For(iter=ast.List(elts=[_, *_]) | ast.Tuple(elts=[_, *_]), body=inner):
                pass
            case ast.Return() | ast.Raise() | ast.If() | ast.While() | ast.Try():
                return False
            case _:
                continue
        if _comes_to_one(inner, checks):
            return True
    return False


def _wrong(test: ast.expr) -> ast.expr:
    """Return a condition that is false where this one is true, keeping its shape where it can."""
    match test:
        case ast.BoolOp(op=ast.And(), values=values):
            return ast.BoolOp(ast.And(), [_wrong(v) for v in values])
        case ast.BoolOp(op=ast.Or(), values=values):
            return ast.BoolOp(ast.Or(), [_surely_wrong(v) for v in values])
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
            return _unequal(left, right)
        case _:
            return ast.UnaryOp(ast.Not(), test)


def _surely_wrong(operand: ast.expr) -> ast.expr:
    """Return what is false for an operand of `or`, of which nobody knows whether it is true."""
    return ast.BoolOp(ast.And(), [operand, _wrong(operand)])


def _unequal(left: ast.expr, right: ast.expr) -> ast.expr:
    """Return the comparison with another literal, else with something that holds the right side."""
    for node, other in ((left, right), (right, left)):
        changed = other_literal(other)
        if changed is not None:
            return ast.Compare(node, [ast.Eq()], [changed])
    return ast.Compare(left, [ast.Eq()], [ast.Tuple([right, ast.Constant(0)], ast.Load())])
