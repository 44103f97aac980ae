"""Assertions split into an expression for the sandbox and an expectation for the grader.

`assert f(2) == 4` becomes the expression `f(2)`, whose value leaves the sandbox as data, and
the expected value 4, which the sandbox never sees.

Not covered: an assertion that cannot be split is evaluated as a whole beside the program, which
could then interfere with it. `Split.trusting` says so, for each assertion.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from codefit.suites.compare import close_numbers, is_number, judge_value
from codefit.suites.literals import NotConstant, constant

Accept = Callable[[Any, float], bool]


@dataclass(frozen=True, slots=True)
class Split:
    """`expression` is evaluated beside the program; `accept(value, atol)` decides in the grader."""

    expression: str
    expected: Any
    accept: Accept
    trusting: bool = False


def split_assert(text: str) -> Split | None:
    """Split one assert statement; None when the text is not a single assert statement."""
    try:
        body = ast.parse(text.strip()).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if len(body) != 1 or not isinstance(body[0], ast.Assert):
        return None
    return split_test(body[0].test)


def split_test(test: ast.expr) -> Split:
    """Split the condition of an assertion."""
    return _split_constant(test) or _split_compare(test) or _split_close(test) or _split_truth(test)


def _split_constant(test: ast.expr) -> Split | None:
    """`assert True` stands in published tests; it says nothing about the program."""
    try:
        holds = bool(constant(test))
    except NotConstant:
        return None
    return Split("None", holds, lambda _v, _a: holds)


def _split_truth(test: ast.expr) -> Split:
    negated = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
    inner = test.operand if isinstance(test, ast.UnaryOp) and negated else test
    if isinstance(inner, ast.Call):
        return Split(ast.unparse(inner), not negated, lambda v, _a: bool(v) is not negated)
    return Split(f"bool({ast.unparse(test)})", True, lambda v, _a: v is True, trusting=True)


def _split_compare(test: ast.expr) -> Split | None:
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return None
    left, op, right = test.left, test.ops[0], test.comparators[0]
    distance = _split_distance(left, op, right)
    if distance is not None:
        return distance
    for node, other in ((left, right), (right, left)):
        try:
            expected = constant(other)
        except NotConstant:
            continue
        accept = _accept(op, expected, swapped=node is right)
        return Split(ast.unparse(node), expected, accept) if accept else None
    return None


def _accept(op: ast.cmpop, expected: Any, *, swapped: bool) -> Accept | None:
    match op:
        case ast.Eq():
            return lambda v, atol: judge_value(expected, v, atol)
        case ast.NotEq():
            return lambda v, _a: _plain(v) and bool(v != expected)
        case ast.Is() if expected is None or isinstance(expected, bool):
            return lambda v, _a: v is expected
        case ast.IsNot() if expected is None or isinstance(expected, bool):
            return lambda v, _a: v is not expected
        case ast.In() if not swapped and isinstance(expected, (list, tuple, set, frozenset)):
            return lambda v, _a: any(judge_value(e, v, 0.0) for e in expected)
        case ast.Lt() | ast.LtE() | ast.Gt() | ast.GtE() if is_number(expected):
            return _ordering(op, expected, swapped)
        case _:
            return None


def _plain(value: Any) -> bool:
    return value is None or isinstance(
        value, (bool, int, float, complex, str, bytes, list, tuple, set, frozenset, dict)
    )


def _ordering(op: ast.cmpop, bound: Any, swapped: bool) -> Accept:
    def accept(value: Any, _atol: float) -> bool:
        if not isinstance(value, (bool, int, float)):
            return False
        low, high = (bound, value) if swapped else (value, bound)
        match op:
            case ast.Lt():
                return bool(low < high)
            case ast.LtE():
                return bool(low <= high)
            case ast.Gt():
                return bool(low > high)
            case _:
                return bool(low >= high)

    return accept


def _split_distance(left: ast.expr, op: ast.cmpop, right: ast.expr) -> Split | None:
    """Split `abs(f(x) - 0.5) < 1e-6`: the difference must be taken in the grader."""
    if not isinstance(op, (ast.Lt, ast.LtE)):
        return None
    match left:
        case ast.Call(func=ast.Name(id="abs"), args=[ast.BinOp(left=a, op=ast.Sub(), right=b)], keywords=[]):
            pass
        case _:
            return None
    for node, other in ((a, b), (b, a)):
        try:
            expected, bound = constant(other), constant(right)
        except NotConstant:
            continue
        if is_number(expected) and is_number(bound):
            return Split(ast.unparse(node), expected, partial(_within, expected, bound, op))
    return None


def _within(expected: Any, bound: Any, op: ast.cmpop, value: Any, _atol: float) -> bool:
    if not is_number(value):
        return False
    try:
        distance = abs(value - expected)
    except OverflowError:
        return False
    return bool(distance < bound if isinstance(op, ast.Lt) else distance <= bound)


def _split_close(test: ast.expr) -> Split | None:
    """Split `math.isclose(f(x), 0.5, rel_tol=…, abs_tol=…)`."""
    if not isinstance(test, ast.Call) or len(test.args) != 2:
        return None
    name = test.func.attr if isinstance(test.func, ast.Attribute) else getattr(test.func, "id", None)
    if name != "isclose":
        return None
    try:
        options = {k.arg: float(constant(k.value)) for k in test.keywords}
    except (NotConstant, TypeError, ValueError):
        return None
    if not set(options) <= {"rel_tol", "abs_tol"}:
        return None
    relative, absolute = options.get("rel_tol", 1e-9), options.get("abs_tol", 0.0)
    for node, other in ((test.args[0], test.args[1]), (test.args[1], test.args[0])):
        try:
            expected = constant(other)
        except NotConstant:
            continue
        if is_number(expected):
            return Split(ast.unparse(node), expected, partial(_isclose, expected, relative, absolute))
    return None


def _isclose(expected: Any, relative: float, absolute: float, value: Any, _atol: float) -> bool:
    if not is_number(value):
        return False
    try:
        bound = max(relative * max(abs(expected), abs(value)), absolute)
    except OverflowError:
        return False
    return close_numbers(expected, value, bound, 0.0)
