"""Functions that take their arguments packed or by keyword, and lambdas, as functions of plain positional arguments.

`f(record)` that reads `record["text"]` and `record["letter"]` is a function of the text and the letter, `f(grid)` that
reads `grid.rows` one of the rows, `f(records)` that reads `r["name"]` and `r["points"]` of each one of a list of pairs,
and `f(*, items, text)` one of items and text.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

_MOST_FIELDS = 4
_SPLITS = {"split": " ", "rsplit": " ", "partition": "", "rpartition": "", "splitlines": "\n"}
_OVER_ITEMS = frozenset(
    {"sorted", "max", "min", "filter", "map", "enumerate", "groupby", "reversed", "sum", "list"}
)


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
            found += [*_function(node), *_of_text(node)]
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
    items = {name: () if names else _item_fields(name, node) for name, names in fields.items()}
    known = {name: names or items[name] for name, names in fields.items()}
    given = [a for n, a in enumerate(plain) if n < len(plain) - len(node.args.defaults) or known[a.arg]]
    if not needed and not any(known.values()):
        return
    for turned in (False, True) if any(len(names) == 2 for names in items.values()) else (False,):
        read = {name: names[::-1] if turned else names for name, names in items.items()}
        call, places = _call(node.name, given, needed, fields, read)
        yield Packed(node.name, f"(lambda *a: {call})", places, places, node)


def _call(
    name: str, given: list[ast.arg], needed: list[ast.arg],
    fields: dict[str, tuple[str, ...]], items: dict[str, tuple[str, ...]],
) -> tuple[str, int]:  # fmt: skip
    """Return the text of a call whose arguments stand in `a`, and how many they are."""
    texts: list[str] = []
    places = 0
    for argument in [*given, *needed]:
        names, of_items = fields[argument.arg], items[argument.arg]
        width = len(names) or 1
        text = f"a[{places}]"
        if names:
            text = f"codefit_fields({names!r}, a[{places}:{places + width}])"
        elif of_items:
            text = f"[codefit_fields({of_items!r}, r) for r in {text}]"
        texts.append(f"{argument.arg}={text}" if argument in needed else text)
        places += width
    call = f"{name}({', '.join(texts)})"
    return f"codefit_plain({call})" if any(items.values()) else call, places


def _item_fields(name: str, node: ast.FunctionDef) -> tuple[str, ...]:
    """Return the fields that a function reads of each item of a parameter, in order; none where it reads no such."""
    loops = [n for n in ast.walk(node) if isinstance(n, ast.For | ast.comprehension)]
    over = {id(n.iter) for n in loops}
    for n in ast.walk(node):
        if isinstance(n, ast.Call) and getattr(n.func, "id", getattr(n.func, "attr", "")) in _OVER_ITEMS:
            over |= {id(a) for a in n.args}
    if not any(id(n) in over for n in ast.walk(node) if isinstance(n, ast.Name) and n.id == name):
        return ()
    variables = {t.id for n in loops for t in ast.walk(n.target) if isinstance(t, ast.Name)}
    for n in ast.walk(node):
        if isinstance(n, ast.Lambda) and len(n.args.args) == 1:
            variables.add(n.args.args[0].arg)
    read = [f for v in sorted(variables) for f in _read(v, node)]
    names = tuple(dict.fromkeys(text for _, _, text in sorted(read)))
    return names if 2 <= len(names) <= _MOST_FIELDS else ()


def _fields(name: str, node: ast.FunctionDef) -> tuple[str, ...]:
    """Return the fields that a function reads of a parameter, in order; none where it does other things with it."""
    names = tuple(dict.fromkeys(text for _, _, text in sorted(_read(name, node))))
    return names if len(names) <= _MOST_FIELDS else ()


def _read(name: str, node: ast.FunctionDef) -> list[tuple[int, int, str]]:
    """Return line, column and name of each field that is read of a variable; none where its methods are called."""
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
                return []
        elif isinstance(n, ast.Attribute) and _is(n.value, name) and id(n) not in called:
            found.append((*place, n.attr))
    return found


def _of_text(node: ast.FunctionDef) -> Iterator[Packed]:
    """Yield a function that takes apart a text at marks of its own, given the parts with these marks between."""
    plain = [*node.args.posonlyargs, *node.args.args]
    least = len(plain) - len(node.args.defaults)
    marks = _separators(node)
    if not marks or not least or node.args.vararg or node.args.kwonlyargs:
        return
    name = plain[0].arg
    over = {id(n.iter) for n in ast.walk(node) if isinstance(n, ast.For | ast.comprehension)}
    if any(id(n) in over for n in ast.walk(node) if isinstance(n, ast.Name) and n.id == name):
        text = f"[codefit_text(x, {marks!r}) for x in a[0]]"
    else:
        text = f"codefit_text(a[0], {marks!r})"
        if least == 1:
            call = f"(lambda *a: {node.name}(codefit_text(a, {marks!r})))"
            yield Packed(node.name, call, 2, _MOST_FIELDS, node, guessed=True)
    call = f"(lambda *a: {node.name}({text}, *a[1:]))"
    yield Packed(node.name, call, least, len(plain), node, guessed=True)


def _separators(node: ast.FunctionDef) -> tuple[str, ...]:
    """Return at which marks a function splits texts, in order; none where it splits at spaces and lines only."""
    found: list[tuple[int, int, str]] = []
    for n in ast.walk(node):
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute) and n.func.attr in _SPLITS:
            first = n.args[0] if n.args else None
            mark = first.value if isinstance(first, ast.Constant) else _SPLITS[n.func.attr]
            if isinstance(mark, str) and mark:
                found.append((n.func.end_lineno or 0, n.func.end_col_offset or 0, mark))
    marks = tuple(dict.fromkeys(mark for _, _, mark in sorted(found)))
    return marks if len(marks) <= 2 and any(mark.strip() for mark in marks) else ()


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


TEXT = '''

def codefit_text(value, marks):
    """Write a value as a text, its parts with the marks between: the first outside, the second inside."""
    if isinstance(value, tuple) and len(value) == 1 and isinstance(value[0], (list, tuple, dict)):
        value = value[0]
    if isinstance(value, dict):
        value = list(value.items())
    if not isinstance(value, (list, tuple)):
        return str(value)
    nested = any(isinstance(part, (list, tuple)) for part in value)
    inner = marks[1:] if len(marks) > 1 else ("",) if nested else marks
    outer = marks[0] if marks else ""
    return outer.join(codefit_text(part, inner) for part in value)
'''


FIELDS = '''

class codefit_fields(dict):
    """Fields that can be read as items and as attributes."""

    def __init__(self, names, values):
        dict.__init__(self, zip(names, values))
        self.__dict__.update(self)

    def __iter__(self):
        return iter(self.values())


def codefit_plain(value):
    """Return a value with the values of such fields in their place."""
    if isinstance(value, codefit_fields):
        return tuple(value.values())
    if type(value) in (list, tuple):
        return type(value)(map(codefit_plain, value))
    if hasattr(value, "__next__"):
        return map(codefit_plain, value)
    return value
'''
