"""Unittest modules with wrong expectations, which an honest program cannot meet.

Tests that run beside a program hold what they expect, so a program could read it off its caller, or see
to it that no assertion fails. After a pass the tests run again, each with an assertion made wrong: by
another literal, or, where it has none, by the opposite assertion, or by one more that does not hold.
Whoever passes those as well did not compute what was asked. The module stays what it was in every other
way, so that a program cannot tell which of the two it meets.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from codefit.sandbox.types import WrongTests
from codefit.suites.prefix import parse

CLASS = "TestCases"
_EQUALITIES = frozenset({
    "assertEqual", "assertListEqual", "assertDictEqual", "assertTupleEqual", "assertSetEqual", "assertAlmostEqual",
    "assertSequenceEqual", "assertCountEqual", "assertEquals", "assertMultiLineEqual",
})  # fmt: skip
_PAIRS = (
    ("assertTrue", "assertFalse"),
    ("assertEqual", "assertNotEqual"),
    ("assertIn", "assertNotIn"),
    ("assertIsInstance", "assertNotIsInstance"),
    ("assertIsNone", "assertIsNotNone"),
    ("assertIs", "assertIsNot"),
    ("assertGreater", "assertLessEqual"),
    ("assertLess", "assertGreaterEqual"),
)
_NOT_SO = "; self.assertIsNone(self)"
_SIMPLE = (ast.Expr, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Assert, ast.Delete)
_OPPOSITE = {a: b for pair in _PAIRS for a, b in (pair, pair[::-1])}


@dataclass(frozen=True, slots=True)
class _Change:
    """A place of the text and what to put there; the assertions that become wrong.

    `certain` says that the test always comes to one of them, and so cannot end well.
    """

    line: int
    start: int
    end: int
    text: str
    lines: frozenset[int]
    certain: bool


def wrong_tests(text: str) -> WrongTests | None:
    """Return the module with each test made wrong that can be, None where none can.

    Lines stay where they are.
    """
    module = parse(text)
    if module is None:
        return None
    changes = dict(_changes(module.tree))
    if not changes:
        return None
    lines = sorted(set().union(*(c.lines for c in changes.values())))
    certain = sorted(name for name, c in changes.items() if c.certain)
    return WrongTests(_changed(text, [*changes.values()]), tuple(lines), tuple(certain))


def _changes(tree: ast.Module) -> Iterator[tuple[str, _Change]]:
    """Yield the change of each test method that can be made wrong."""
    for cls in tree.body:
        if not isinstance(cls, ast.ClassDef) or cls.name != CLASS:
            continue
        for method in cls.body:
            if isinstance(method, (ast.FunctionDef, ast.AsyncFunctionDef)) and method.name.startswith("test"):
                change = _other_literal(method) or _opposite(method) or _one_more(method)
                if change is not None:
                    yield method.name, change


_Method = ast.FunctionDef | ast.AsyncFunctionDef


def _assertions(method: _Method) -> list[ast.Call]:
    """Return the calls of a method's own assertions, in the order of the text."""
    calls = [n for n in ast.walk(method) if isinstance(n, ast.Call) and _assertion(n)]
    return sorted(calls, key=lambda n: (n.lineno, n.col_offset))


def _assertion(call: ast.Call) -> str | None:
    """Return the name of the assertion that is called, None for any other call."""
    match call.func:
        case ast.Attribute(value=ast.Name(id="self"), attr=name) if name.startswith("assert"):
            return name
    return None


def _other_literal(method: _Method) -> _Change | None:
    """Change the literal that the first assertion of equality with one compares with."""
    assertions = [c for c in _assertions(method) if _assertion(c) in _EQUALITIES and len(c.args) >= 2]
    named = _literals_by_name(method)
    for call in assertions:
        for argument in reversed(call.args[:2]):
            name = argument.id if isinstance(argument, ast.Name) else None
            literal = named.get(name) if name else argument
            constant = _leaf(literal) if literal is not None else None
            if constant is None:
                continue
            same = [c for c in assertions if name and any(_is_name(a, name) for a in c.args[:2])] or [call]
            assert constant.end_col_offset is not None
            return _Change(
                constant.lineno,
                constant.col_offset,
                constant.end_col_offset,
                ast.unparse(ast.Constant(_OTHER[type(constant.value)](constant.value))),
                frozenset(line for c in same for line in _lines(c)),
                _is_certain(method, same),
            )
    return None


def _opposite(method: _Method) -> _Change | None:
    """Put the opposite in the place of the first assertion that has one."""
    for call in _assertions(method):
        name, function = _assertion(call), call.func
        if name not in _OPPOSITE or function.end_lineno is None or function.end_col_offset is None:
            continue
        end = function.end_col_offset
        lines = frozenset(_lines(call))
        return _Change(
            function.end_lineno, end - len(name), end, _OPPOSITE[name], lines, _is_certain(method, [call])
        )
    return None


def _one_more(method: _Method) -> _Change | None:
    """Put an assertion that does not hold behind the last statement."""
    last: ast.stmt = method.body[-1]
    while isinstance(last, (ast.With, ast.AsyncWith)):
        if _is_about_exceptions(last):
            return None
        last = last.body[-1]
    if not isinstance(last, _SIMPLE) or last.end_lineno is None or last.end_col_offset is None:
        return None
    end = last.end_col_offset
    return _Change(last.end_lineno, end, end, _NOT_SO, frozenset(), True)


def _is_about_exceptions(block: ast.With | ast.AsyncWith) -> bool:
    """Return True for `with self.assertRaises(…)`: what stands last in it is never passed."""
    return any(isinstance(i.context_expr, ast.Call) and _assertion(i.context_expr) for i in block.items)


def _is_certain(method: _Method, calls: list[ast.Call]) -> bool:
    """Return True if one of the calls is a statement that the method always comes to."""
    pending: list[ast.stmt] = [*method.body]
    while pending:
        statement = pending.pop()
        if isinstance(statement, ast.Expr) and statement.value in calls:
            return True
        if isinstance(statement, (ast.With, ast.AsyncWith)) and not _is_about_exceptions(statement):
            pending += statement.body
    return False


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _lines(call: ast.Call) -> range:
    return range(call.lineno, (call.end_lineno or call.lineno) + 1)


def _literals_by_name(method: _Method) -> dict[str, ast.expr]:
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


def other_literal(literal: ast.expr) -> ast.expr | None:
    """Return a literal that is unequal to this one, None where it is no literal that has one."""
    constant = _leaf(literal)
    if constant is None:
        return None
    copies: dict[int, Any] = {}
    changed = copy.deepcopy(literal, copies)
    copies[id(constant)].value = _OTHER[type(constant.value)](constant.value)
    return changed


_OTHER: dict[type, Callable[[Any], Any]] = {
    int: lambda v: v + 1,
    float: lambda v: v * 2 + 1.5,
    str: lambda v: v + "~",
    bool: lambda v: not v,
}


def _changed(text: str, changes: list[_Change]) -> str:
    """Return the text with its changes, last first so that places stay true."""
    lines = text.encode().split(b"\n")
    for c in sorted(changes, key=lambda c: (c.line, c.start), reverse=True):
        line = lines[c.line - 1]
        lines[c.line - 1] = line[: c.start] + c.text.encode() + line[c.end :]
    return b"\n".join(lines).decode()
