"""Functions that take their arguments packed or by keyword, and lambdas, as functions of plain positional arguments.

`f(record)` that reads `record["text"]` and `record["letter"]` is a function of the text and the letter, `f(grid)` that
reads `grid.rows` one of the rows, and `f(*, items, text)` one of items and text.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

_MOST_FIELDS = 4


@dataclass(frozen=True, slots=True)
class Packed:
    """A function or lambda `name` as an expression that takes `least` to `most` positional arguments.

    `guessed`: nothing says that this is what it is for.
    """

    name: str
    call: str
    least: int
    most: int | None
    tree: ast.AST
    guessed: bool = False


def packed(tree: ast.Module) -> list[Packed]:
    """Return what else than plain functions can be called in a program."""
    found: list[Packed] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            found += _function(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Lambda):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name):
                found.append(_lambda(target.id, target.id, node.value))
        elif isinstance(node, ast.Expr):
            found += [
                _lambda("lambda", f"({ast.unparse(n)})", n)
                for n in ast.walk(node)
                if isinstance(n, ast.Lambda) and n is node.value
            ]
    return found


def _lambda(name: str, call: str, node: ast.Lambda) -> Packed:
    arguments = node.args
    count = len(arguments.posonlyargs) + len(arguments.args)
    most = None if arguments.vararg else count
    return Packed(name, call, max(0, count - len(arguments.defaults)), most, node.body)


def _function(node: ast.FunctionDef) -> Iterator[Packed]:
    """Yield a function with keywords as places, and with fields in the place of a parameter that has them."""
    plain = [*node.args.posonlyargs, *node.args.args]
    needed = [
        a for a, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if default is None
    ]
    if node.args.vararg or len(plain) + len(needed) == 0:
        return
    fields = {a.arg: _fields(a.arg, node) for a in [*plain, *needed]}
    given = [a for n, a in enumerate(plain) if n < len(plain) - len(node.args.defaults) or fields[a.arg]]
    if not needed and not any(fields.values()):
        return
    texts: list[str] = []
    places = 0
    for argument in [*given, *needed]:
        names = fields[argument.arg]
        width = len(names) or 1
        values = f"a[{places}:{places + width}]"
        text = f"codefit_fields({names!r}, {values})" if names else f"a[{places}]"
        texts.append(f"{argument.arg}={text}" if argument in needed else text)
        places += width
    yield Packed(node.name, f"(lambda *a: {node.name}({', '.join(texts)}))", places, places, node)


def _fields(name: str, node: ast.FunctionDef) -> tuple[str, ...]:
    """Return the fields that a function reads of a parameter, in order; none where it does other things with it."""
    called = {id(n.func) for n in ast.walk(node) if isinstance(n, ast.Call)}
    found: list[tuple[int, int, str]] = []
    for n in ast.walk(node):
        place = (getattr(n, "lineno", 0), getattr(n, "col_offset", 0))
        if isinstance(n, ast.Subscript) and _is(n.value, name) and isinstance(n.ctx, ast.Load):
            if isinstance(n.slice, ast.Constant) and isinstance(n.slice.value, str):
                found.append((*place, n.slice.value))
        elif isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute) and _is(n.func.value, name):
            first = n.args[0] if n.args else None
            if n.func.attr == "get" and isinstance(first, ast.Constant) and isinstance(first.value, str):
                found.append((*place, first.value))
            else:
                return ()
        elif isinstance(n, ast.Attribute) and _is(n.value, name) and id(n) not in called:
            found.append((*place, n.attr))
    names = tuple(dict.fromkeys(text for _, _, text in sorted(found)))
    return names if len(names) <= _MOST_FIELDS else ()


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


FIELDS = '''

class codefit_fields(dict):
    """Fields that can be read as items and as attributes."""

    def __init__(self, names, values):
        dict.__init__(self, zip(names, values))
        self.__dict__.update(self)

    def __iter__(self):
        return iter(self.values())
'''
