"""Classes that answer a task: what their constructor and one of their methods take becomes one function.

`Series(values).longest()` is a function of the values, as are a property, `__call__`, a static or class method, and
what a class gives back after it was fed (`add(item)` for each item, then `result()`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
_PER_CLASS = 6
_MOST_MADE = 2
_FIELDS = ("dataclass", "NamedTuple")
_BUILT_IN = frozenset(
    {"str", "list", "tuple", "dict", "set", "frozenset", "int", "float", "UserList", "UserString"}
)
_PROPERTIES = ("property", "cached_property")


@dataclass(frozen=True, slots=True)
class Way:
    """One way to use a class: the expression `call` takes `least` to `most` arguments; `nodes` is what runs.

    `fed`: one method takes the arguments, another gives the value.
    """

    name: str
    call: str
    least: int
    most: int
    nodes: int
    tree: ast.AST
    fed: bool = False


@dataclass(frozen=True, slots=True)
class _Signature:
    """How many positional arguments must and can be given."""

    least: int
    most: int


def class_ways(tree: ast.Module) -> list[Way]:
    """Return the ways to use each class of a program, the largest of each last."""
    classes = {n.name: n for n in tree.body if isinstance(n, ast.ClassDef)}
    found: list[Way] = []
    for node in classes.values():
        methods = _methods(node, classes)
        made = _made(node, methods)
        ways = [] if made is None else [*_called(node.name, methods, made), *_fed(node.name, methods, made)]
        found += sorted(ways, key=lambda way: way.nodes)[-_PER_CLASS:]
    return found


def _methods(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> dict[str, ast.FunctionDef]:
    """Return the methods of a class by name, those of its bases in the same program among them."""
    found: dict[str, ast.FunctionDef] = {}
    for base in (n.id for n in node.bases if isinstance(n, ast.Name)):
        if base in classes and base != node.name and not classes[base].bases:
            found |= _methods(classes[base], {})
    return found | {n.name: n for n in node.body if isinstance(n, ast.FunctionDef)}


def _made(node: ast.ClassDef, methods: dict[str, ast.FunctionDef]) -> _Signature | None:
    """Return what the constructor takes; None where it cannot be told or needs keywords."""
    if "__init__" in methods:
        return _takes(methods["__init__"], 1)
    marks = [ast.unparse(n) for n in (*node.decorator_list, *node.bases)]
    if _BUILT_IN.intersection(mark.partition("[")[0] for mark in marks):
        return _Signature(1, 1)
    if not any(mark in text for mark in _FIELDS for text in marks):
        return _Signature(0, 0)
    fields = [n for n in node.body if isinstance(n, ast.AnnAssign)]
    return _Signature(sum(n.value is None for n in fields), len(fields))


def _takes(method: ast.FunctionDef, own: int) -> _Signature | None:
    arguments = method.args
    if any(default is None for default in arguments.kw_defaults):
        return None
    count = len(arguments.posonlyargs) + len(arguments.args) - own
    least = max(0, count - len(arguments.defaults))
    return _Signature(least, max(count, 1) if arguments.vararg else count) if count >= 0 else None


def _called(name: str, methods: dict[str, ast.FunctionDef], made: _Signature) -> Iterator[Way]:
    """Yield the class made of the first arguments, and one of its methods called with the others."""
    for method in methods.values():
        if method.name.startswith("_") and method.name != "__call__":
            continue
        marks = {ast.unparse(n).rpartition(".")[2] for n in method.decorator_list}
        unbound = bool(marks & {"staticmethod", "classmethod"})
        takes = _takes(method, "staticmethod" not in marks)
        if takes is None or (marks and not unbound and not marks & set(_PROPERTIES)):
            continue
        nodes = _reached(method, methods)
        if unbound:
            if takes.most:
                yield Way(method.name, f"{name}.{method.name}", takes.least, takes.most, nodes, method)
            continue
        for first in _splits(made, takes):
            target = "" if method.name == "__call__" else f".{method.name}"
            suffix = "" if marks else f"(*a[{first}:])"
            call = f"(lambda *a: {name}(*a[:{first}]){target}{suffix})" if first else f"{name}(){target}"
            if first + takes.most:
                yield Way(method.name, call, first + takes.least, first + takes.most, nodes, method)
            if takes.most and made.most and not marks:
                state = f"(lambda *a: [(o := {name}(*a[:{first}])), o{target}(*a[{first}:]), o][-1])"
                yield Way(method.name, state, first + takes.least, first + takes.most, nodes, method, True)


def _splits(made: _Signature, takes: _Signature) -> list[int]:
    """Return how many arguments the constructor may be given; optional ones where the method takes none."""
    if takes.most:
        return sorted({made.least, made.most}) if made.most <= _MOST_MADE else [made.least]
    return [made.least or made.most] if made.most else []


def _fed(name: str, methods: dict[str, ast.FunctionDef], made: _Signature) -> Iterator[Way]:
    """Yield the class fed by one method, all at once or item by item, and asked by another."""
    if made.least:
        return
    public = [m for m in methods.values() if not m.name.startswith("_")]
    feeders = [m for m in public if not m.decorator_list and not _gives(m) and (t := _takes(m, 1)) and t.most]
    for feeder in feeders:
        takes = _takes(feeder, 1)
        for getter in public:
            asked = _takes(getter, 1)
            marks = {ast.unparse(n).rpartition(".")[2] for n in getter.decorator_list}
            if getter is feeder or not _gives(getter) or asked is None or asked.least or takes is None:
                continue
            if marks - set(_PROPERTIES):
                continue
            end = f"o.{getter.name}" + ("" if marks else "()")
            nodes = _reached(feeder, methods) + _reached(getter, methods)
            at_once = f"(lambda *a: [(o := {name}()), o.{feeder.name}(*a), {end}][-1])"
            yield Way(getter.name, at_once, max(takes.least, 1), takes.most, nodes, getter, True)
            if takes.least <= 1:
                each = f"(lambda a: [(o := {name}()), [o.{feeder.name}(x) for x in a], {end}][-1])"
                yield Way(getter.name, each, 1, 1, nodes, getter, True)


def _gives(method: ast.FunctionDef) -> bool:
    """Return True if a method returns, yields or prints something that is not the object itself."""
    for n in ast.walk(method):
        value = n.value if isinstance(n, ast.Return) else None
        if value is not None and not (isinstance(value, ast.Name) and value.id == "self"):
            return True
        if isinstance(n, ast.Yield) or (isinstance(n, ast.Name) and n.id == "print"):
            return True
    return False


def _reached(method: ast.FunctionDef, methods: dict[str, ast.FunctionDef]) -> int:
    """Return the size of a method with those that it reaches through the object or the class."""
    waiting: Sequence[str] = [method.name]
    known: set[str] = set()
    while waiting:
        known |= set(waiting)
        used = [n.attr for name in waiting for n in ast.walk(methods[name]) if isinstance(n, ast.Attribute)]
        waiting = sorted({name for name in used if name in methods} - known)
    return sum(1 for name in known for _ in ast.walk(methods[name]))
