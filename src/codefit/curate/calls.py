"""Tests as facts: which arguments give which value, whatever the function is called."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from codefit.core.files import digest
from codefit.core.types import Tests
from codefit.core.values import dump
from codefit.curate.code import parse

_LONG_CHARS = 400

Call = tuple[tuple[Any, ...], Any]
"""(arguments, expected value)."""


@lru_cache(maxsize=65_536)
def _assert_call(statement: str) -> Call | None:
    tree = parse(statement.strip())
    node = tree.body[0] if tree and len(tree.body) == 1 else None
    if not isinstance(node, ast.Assert):
        return None
    test: ast.expr = node.test
    expected: ast.expr = ast.Constant(True)
    match test:
        case ast.Compare(left=left, ops=[ast.Eq() | ast.Is()], comparators=[right]):
            test, expected = left, right
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            test, expected = operand, ast.Constant(False)
    if not isinstance(test, ast.Call) or test.keywords:
        return None
    try:
        return tuple(ast.literal_eval(a) for a in test.args), ast.literal_eval(expected)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def calls_of(tests: Tests | None) -> list[Call] | None:
    """Return all tests as calls, or None where one of them is not a plain call with a plain value."""
    if tests is None or tests.kind == "stdin":
        return None
    if tests.kind == "calls":
        if len(tests.inputs) != len(tests.outputs):
            return None
        return [(tuple(i), o) for i, o in zip(tests.inputs, tests.outputs, strict=True)]
    found = [_assert_call(statement) for statement in tests.asserts]
    complete = [call for call in found if call is not None]
    return complete if len(complete) == len(found) else None


def stated_calls(tests: Tests) -> list[Call]:
    """Return the tests that are plain calls with plain values; others are left out."""
    if tests.kind == "asserts":
        return [call for call in map(_assert_call, tests.asserts) if call]
    return calls_of(tests) or []


def known_calls(tests: Tests | None, least_chars: int = 0) -> Mapping[str, str]:
    """Return arguments -> expected value as hashes; inputs -> outputs for programs.

    Tests that are not plain calls are left out, and so are arguments shorter than `least_chars` as JSON.
    """
    if tests is None:
        return {}
    if tests.kind == "stdin":
        pairs: Sequence[Call] = list(zip(((i,) for i in tests.inputs), tests.outputs, strict=True))
    else:
        pairs = stated_calls(tests)
    known: dict[str, str] = {}
    for arguments, expected in pairs:
        key = fingerprint(arguments, least_chars)
        if key is not None:
            known[key] = fingerprint(expected) or ""
    return known


def fingerprint(value: Any, least_chars: int = 0) -> str | None:
    """Hash a plain value, lists and tuples alike (JSON cannot tell them apart).

    None for other values, and for those shorter than `least_chars` as JSON.
    """
    try:
        text = dump(_listed(value))
        return digest(text) if len(text) >= least_chars else None
    except (TypeError, ValueError, RecursionError):
        return None


def _listed(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_listed(v) for v in value]
    if isinstance(value, dict):
        return {k: _listed(v) for k, v in value.items()}
    return value


def contradict(a: Mapping[str, str], b: Mapping[str, str]) -> bool:
    """Return True if some call has another value in the other tests."""
    return any(b.get(key, value) != value for key, value in a.items())


def telling(calls: Sequence[Call], count: int) -> list[Call]:
    """Return the `count` calls with the longest arguments: empty and small ones fit many functions."""
    return sorted(calls, key=lambda call: -min(_chars(call[0]), _LONG_CHARS))[:count]


def _chars(arguments: tuple[Any, ...]) -> int:
    """Return how long plain arguments are as text; numbers of any size have one."""
    try:
        return len(dump(arguments))
    except (TypeError, ValueError, RecursionError):
        return 0


def magnitude(value: Any) -> float:
    """Return the largest number or length in a plain value."""
    if isinstance(value, int | float):
        return abs(value) if value == value else 0.0
    if isinstance(value, list | tuple | set | frozenset):
        return max(map(magnitude, value), default=0.0)
    if isinstance(value, dict):
        return max((magnitude(v) for pair in value.items() for v in pair), default=0.0)
    return float(len(value)) if isinstance(value, str) else 0.0
