"""Evaluation of the constant side of an assertion without running anything."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

_SIZE_MAX = 100_000
_BITS_MAX = 4_096


class NotConstant(Exception):
    """The expression is not made of constants that can be folded safely."""


_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_CALLS: dict[str, Callable[..., Any]] = {
    "set": set,
    "frozenset": frozenset,
    "list": list,
    "tuple": tuple,
    "dict": dict,
    "sorted": sorted,
    "float": float,
    "len": len,
}


def is_literal(node: ast.expr) -> bool:
    """Return True if an expression is a plain value as it stands."""
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def constant(node: ast.expr) -> Any:
    """Return the value of an expression of literals, arithmetic on them and set/list/tuple calls.

    Raises `NotConstant` for anything else, and for results of unreasonable size.
    """
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        pass
    try:
        return _fold(node)
    except (ArithmeticError, TypeError, ValueError, RecursionError) as e:
        raise NotConstant(str(e)) from e


def _fold(node: ast.expr) -> Any:
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -constant(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _arithmetic(type(op), constant(left), constant(right))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _CALLS:
            return _CALLS[name](*(constant(a) for a in args))
        case ast.List(elts=items):
            return [constant(i) for i in items]
        case ast.Tuple(elts=items):
            return tuple(constant(i) for i in items)
        case ast.Set(elts=items):
            return {constant(i) for i in items}
        case ast.Dict(keys=keys, values=values) if None not in keys:
            return {constant(k): constant(v) for k, v in zip(keys, values, strict=True) if k is not None}
        case _:
            raise NotConstant(ast.dump(node)[:80])


def _arithmetic(op: type[ast.operator], left: Any, right: Any) -> Any:
    sized = [x for x in (left, right) if isinstance(x, (str, bytes, list, tuple))]
    counts = [x for x in (left, right) if isinstance(x, int)]
    if sized and counts and op is ast.Mult and len(sized[0]) * max(counts) > _SIZE_MAX:
        raise NotConstant("too long")
    if any(x.bit_length() > _BITS_MAX for x in counts):
        raise NotConstant("too large")
    if op is ast.Pow and (len(counts) == 2) and left.bit_length() * abs(right) > _BITS_MAX:
        raise NotConstant("too large")
    if sized and op is ast.Mod:
        raise NotConstant("string formatting")
    return _BINARY[op](left, right)
