"""Unittest modules with wrong expectations, which an honest program cannot meet.

Tests that run beside a program hold what they expect, so a program could read it off its caller. After a
pass, a few tests run again with a literal of an assertion changed: whoever meets the changed expectation
too did not compute the first one.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from codefit.sandbox.types import WrongTests
from codefit.suites.prefix import parse

CLASS = "TestCases"
TESTS_MAX = 2
_EQUALITIES = frozenset({
    "assertEqual", "assertListEqual", "assertDictEqual", "assertTupleEqual", "assertSetEqual", "assertAlmostEqual",
    "assertSequenceEqual", "assertCountEqual", "assertEquals", "assertMultiLineEqual",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Change:
    """A literal to change, and the lines of the assertions that compare with it."""

    constant: ast.Constant
    lines: frozenset[int]


def wrong_tests(text: str) -> WrongTests | None:
    """Return the module with up to two tests made wrong, None where no expectation is a plain literal.

    Which tests is decided by a hash of the module, so that it is always the same ones. Lines stay where
    they are.
    """
    module = parse(text)
    if module is None:
        return None
    found = {name: change for name, change in _changes(module.tree)}
    chosen = sorted(found, key=lambda name: hashlib.sha256(f"{text}{name}".encode()).digest())[:TESTS_MAX]
    if not chosen:
        return None
    changes = [found[name] for name in chosen]
    lines = sorted(set().union(*(c.lines for c in changes)))
    return WrongTests(_changed(text, [c.constant for c in changes]), tuple(lines), tuple(sorted(chosen)))


def _changes(tree: ast.Module) -> Iterator[tuple[str, _Change]]:
    """Yield, for each test method that has one, the change of its first assertion with a literal."""
    for cls in tree.body:
        if not isinstance(cls, ast.ClassDef) or cls.name != CLASS:
            continue
        for method in cls.body:
            if isinstance(method, ast.FunctionDef) and method.name.startswith("test"):
                change = _first_change(method)
                if change is not None:
                    yield method.name, change


def _first_change(method: ast.FunctionDef) -> _Change | None:
    assertions = [n for n in ast.walk(method) if isinstance(n, ast.Call) and _is_equality(n)]
    named = _literals_by_name(method)
    for call in sorted(assertions, key=lambda n: (n.lineno, n.col_offset)):
        for argument in reversed(call.args[:2]):
            name = argument.id if isinstance(argument, ast.Name) else None
            literal = named.get(name) if name else argument
            constant = _leaf(literal) if literal is not None else None
            if constant is not None:
                same = [c for c in assertions if name and any(_is_name(a, name) for a in c.args[:2])] or [
                    call
                ]
                return _Change(constant, frozenset(line for c in same for line in _lines(c)))
    return None


def _is_equality(call: ast.Call) -> bool:
    return (
        isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "self"
        and call.func.attr in _EQUALITIES
        and len(call.args) >= 2
    )


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _lines(call: ast.Call) -> range:
    return range(call.lineno, (call.end_lineno or call.lineno) + 1)


def _literals_by_name(method: ast.FunctionDef) -> dict[str, ast.expr]:
    """Return the names that a method binds once, to a literal."""
    bound: dict[str, list[ast.expr | None]] = {}
    for node in ast.walk(method):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.setdefault(node.id, []).append(None)
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            bound.setdefault(node.targets[0].id, []).append(node.value)
    # an assignment was seen twice: as a name that is stored, and as a whole
    return {name: v for name, seen in bound.items() if len(seen) == 2 for v in seen if v is not None}


def _leaf(literal: ast.expr) -> ast.Constant | None:
    """Return the first constant of a literal that a change makes unequal, None where it is no literal."""
    try:
        ast.literal_eval(literal)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    leaves = [n for n in ast.walk(literal) if isinstance(n, ast.Constant) and type(n.value) in _OTHER]
    plain = [n for n in leaves if n.lineno == n.end_lineno]
    return min(plain, key=lambda n: (n.lineno, n.col_offset), default=None)


_OTHER = {
    int: lambda v: repr(v + 1),
    float: lambda v: repr(v * 2 + 1.5),
    str: lambda v: repr(v + "~"),
    bool: lambda v: repr(not v),
}


def _changed(text: str, constants: list[ast.Constant]) -> str:
    """Return the text with constants replaced, last first so that places stay true."""
    lines = text.encode().split(b"\n")
    for constant in sorted(constants, key=lambda n: (n.lineno, n.col_offset), reverse=True):
        line = lines[constant.lineno - 1]
        other = _OTHER[type(constant.value)](constant.value).encode()
        lines[constant.lineno - 1] = line[: constant.col_offset] + other + line[constant.end_col_offset :]
    return b"\n".join(lines).decode()
