"""Tests that stand as assert lines in a prompt or a column."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable

from codefit.core.types import Tests
from codefit.suites.literals import is_literal

_MAX_ASSERT_CHARS = 20_000


def find_asserts(*texts: str) -> Tests | None:
    """Return the assert lines in the texts that state one call's value, or None.

    A line counts if it parses as `assert f(…) == literal`, `assert f(…)` or `assert not f(…)`
    (also behind a bullet or inside backticks); the called name of the first is the entry point,
    and lines about other functions are left out. Nothing is executed.
    """
    found: dict[str, str] = {}
    for text in texts:
        for line in text.splitlines():
            if "assert" in line:
                statement = line.strip(" \t-*>•`")
                name = asserted_call(statement)
                if name:
                    found.setdefault(statement, name)
    if not found:
        return None
    entry_point = next(iter(found.values()))
    return Tests("asserts", entry_point, tuple(s for s, name in found.items() if name == entry_point))


def asserted_call(statement: str) -> str | None:
    """Return the name of the function whose value a one-line assert states, or None."""
    if not statement.startswith("assert") or len(statement) > _MAX_ASSERT_CHARS:
        return None
    tree = parse(statement)
    if tree is None or len(tree.body) != 1 or not isinstance(tree.body[0], ast.Assert):
        return None
    test = tree.body[0].test
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test = test.operand
    elif isinstance(test, ast.Compare):
        if (
            len(test.ops) != 1
            or not isinstance(test.ops[0], ast.Eq | ast.Is)
            or not is_literal(test.comparators[0])
        ):
            return None
        test = test.left
    if not isinstance(test, ast.Call) or not isinstance(test.func, ast.Name):
        return None
    return test.func.id if all(map(is_literal, _arguments(test))) else None


def _arguments(call: ast.Call) -> Iterable[ast.expr]:
    return [*call.args, *(k.value for k in call.keywords)]


def parse(text: str) -> ast.Module | None:
    """Parse Python source without warnings; None where it does not parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
