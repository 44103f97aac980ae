"""Classes that answer a task: what their constructor and one of their methods take becomes one function.

`Series(values).longest()` is a function of the values, as are a property, `__call__` and operators, a static or class
method, and what a class gives back after it was fed (`add(item)` for each item, then `result()`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_PER_CLASS = 6  # of those that are plain, and as many of those that are guessed
_MOST_MADE = 2
_MOST_PROPERTIES = 4
_LEAST_USE_NODES = 25  # a length or a text of what is held is in every other class
_FIELDS = ("dataclass", "NamedTuple")
_BUILT_IN = frozenset(
    {"str", "list", "tuple", "dict", "set", "frozenset", "int", "float", "UserList", "UserString"}
)
_PROPERTIES = ("property", "cached_property")
_CONTEST = "Solution"  # of contest sites: its methods are plain functions
_USES = {
    "__call__": "{o}(*{a})", "__iter__": "iter({o})", "__str__": "str({o})",
    "__contains__": "(*{a},)[0] in {o}", "__getitem__": "{o}[(*{a},)[0]]",
}  # fmt: skip
_OPERATORS = {
    "__add__": "+", "__sub__": "-", "__mul__": "*", "__matmul__": "@", "__mod__": "%", "__and__": "&",
    "__or__": "|", "__xor__": "^", "__eq__": "==", "__lt__": "<", "__le__": "<=", "__gt__": ">", "__ge__": ">=",
}  # fmt: skip
"""Methods with a notation of their own, of the object `{o}` and the arguments `{a}`, or of two objects."""


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
    """How many positional arguments must and can be given, and the keywords that must be given after them."""

    least: int
    most: int
    keywords: tuple[str, ...] = ()
    named: bool = False  # takes any keywords and nothing else, so it is given a mapping

    def given(self, first: int, count: int) -> str:
        """Return the text of a call's `count` arguments, which stand from place `first` in `a`."""
        if self.named:
            return f"**a[{first}]"
        end = first + count - len(self.keywords)
        named = [f"{name}=a[{end + i}]" for i, name in enumerate(self.keywords)]
        return ", ".join([f"*a[{first}:{end}]", *named])


def class_ways(tree: ast.Module) -> list[Way]:
    """Return the ways to use each class of a program, the largest of each last and the guessed ones before."""
    classes = {n.name: n for n in tree.body if isinstance(n, ast.ClassDef)}
    found: list[Way] = []
    for node in classes.values():
        methods = _methods(node, classes)
        made = _made(node, methods)
        ways = [] if made is None else [*_called(node.name, methods, made), *_fed(node.name, methods, made)]
        ways += [] if made is None else _all_properties(node.name, methods, made)
        for fed in (True, False):
            found += sorted((w for w in ways if w.fed is fed), key=lambda way: way.nodes)[-_PER_CLASS:]
    return sorted(found, key=lambda way: not way.fed)


def _methods(
    node: ast.ClassDef, classes: dict[str, ast.ClassDef], seen: frozenset[str] = frozenset()
) -> dict[str, ast.FunctionDef]:
    """Return the methods of a class by name, those of its bases in the same program among them."""
    found: dict[str, ast.FunctionDef] = {}
    for base in (n.id for n in node.bases if isinstance(n, ast.Name)):
        if base in classes and base not in seen:
            found |= _methods(classes[base], classes, seen | {node.name, base})
    return found | {n.name: n for n in node.body if isinstance(n, ast.FunctionDef)}


def _made(node: ast.ClassDef, methods: dict[str, ast.FunctionDef]) -> _Signature | None:
    """Return what the constructor takes; None where it cannot be told."""
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
    named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    keywords = tuple(a.arg for a, default in named if default is None)
    count = len(arguments.posonlyargs) + len(arguments.args) - own
    if count < 0:
        return None
    least = max(0, count - len(arguments.defaults)) + len(keywords)
    if arguments.kwarg and not (count or keywords or arguments.vararg):
        return _Signature(1, 1, named=True)
    if keywords:
        return _Signature(least, least, keywords)
    return _Signature(least, max(count, 1) if arguments.vararg else count)


def _called(name: str, methods: dict[str, ast.FunctionDef], made: _Signature) -> Iterator[Way]:
    """Yield the class made of the first arguments, and one of its methods called with the others."""
    for method in methods.values():
        marks = {ast.unparse(n).rpartition(".")[2] for n in method.decorator_list}
        unbound = bool(marks & {"staticmethod", "classmethod"})
        takes = _takes(method, "staticmethod" not in marks)
        if takes is None or (marks and not unbound and not marks & set(_PROPERTIES)):
            continue
        nodes = _reached(method, methods)
        if unbound:
            if takes.most and not method.name.startswith("_"):
                call = f"(lambda *a: {name}.{method.name}({takes.given(0, takes.most)}))"
                call = call if takes.keywords or takes.named else f"{name}.{method.name}"
                yield Way(method.name, call, takes.least, takes.most, nodes, method)
            continue
        if takes.most == 1 and made.least and _takes_its_like(name, method):
            one, other = (f"{name}({made.given(i * made.least, made.least)})" for i in range(2))
            sign = _OPERATORS.get(method.name)
            call = f"{one} {sign} {other}" if sign else f"{one}.{method.name}({other})"
            yield Way(method.name, f"(lambda *a: {call})", 2 * made.least, 2 * made.least, nodes, method)
            continue
        small = nodes < _LEAST_USE_NODES and method.name != "__call__"
        if method.name.startswith("_") and (small or method.name not in _USES):
            continue
        for first in _splits(made, takes):
            thing = f"{name}({made.given(0, first)})"
            used = _used(method.name, takes, first, prop=bool(marks))
            if first + takes.most:
                plain = not first and used == f"{{o}}.{method.name}(*a[0:])"
                call = f"{name}().{method.name}" if plain else f"(lambda *a: {used.format(o=thing)})"
                yield Way(method.name, call, first + takes.least, first + takes.most, nodes, method)
            if method.name == "__iter__":
                call = f"(lambda *a: list(__import__('itertools').islice({thing}, a[{first}])))"
                yield Way(method.name, call, first + 1, first + 1, nodes, method)
            if takes.most and made.most and not marks and method.name not in _USES:
                state = f"(lambda *a: [(o := {thing}), {used.format(o='o')}, o][-1])"
                yield Way(method.name, state, first + takes.least, first + takes.most, nodes, method, True)


def _used(name: str, takes: _Signature, first: int, *, prop: bool) -> str:
    """Return the text that uses a method of `{o}` with the arguments from place `first`."""
    if prop:
        return f"{{o}}.{name}"
    if takes.keywords or takes.named:
        return f"{{o}}.{name}({takes.given(first, takes.most)})"
    return _USES.get(name, f"{{o}}.{name}(*{{a}})").replace("{a}", f"a[{first}:]")


def _takes_its_like(name: str, method: ast.FunctionDef) -> bool:
    """Return True if a method takes another object of its class."""
    last = [*method.args.posonlyargs, *method.args.args][-1]
    said = ast.unparse(last.annotation).strip("'\"") if last.annotation else ""
    return said in (name, "Self") or (not said and last.arg == "other") or method.name in _OPERATORS


def _splits(made: _Signature, takes: _Signature) -> list[int]:
    """Return how many arguments the constructor may be given; optional ones where the method takes none."""
    if takes.most:
        return sorted({made.least, made.most}) if made.most <= _MOST_MADE else [made.least]
    return [made.least or made.most] if made.most and not made.named else [made.least]


def _all_properties(name: str, methods: dict[str, ast.FunctionDef], made: _Signature) -> Iterator[Way]:
    """Yield what all public properties of a class say together, by name."""
    found = [
        m for m in methods.values()
        if not m.name.startswith("_")
        and {ast.unparse(n).rpartition(".")[2] for n in m.decorator_list} & set(_PROPERTIES)
    ]  # fmt: skip
    count = made.least or made.most
    if 2 <= len(found) <= _MOST_PROPERTIES and count:
        said = ", ".join(f"{m.name!r}: o.{m.name}" for m in found)
        nodes = sum(_reached(m, methods) for m in found)
        call = f"(lambda *a: [(o := {name}({made.given(0, count)})), {{{said}}}][-1])"
        yield Way("all properties", call, count, count, nodes, found[-1])


def _attributes(methods: dict[str, ast.FunctionDef]) -> list[str]:
    """Return the public attributes that a constructor sets to what is not one of its arguments."""
    if "__init__" not in methods:
        return []
    return [
        target.attr
        for n in ast.walk(methods["__init__"])
        if isinstance(n, ast.Assign | ast.AnnAssign) and not isinstance(n.value, ast.Name)
        for target in (n.targets if isinstance(n, ast.Assign) else [n.target])
        if isinstance(target, ast.Attribute) and not target.attr.startswith("_")
    ]


def _fed(name: str, methods: dict[str, ast.FunctionDef], made: _Signature) -> Iterator[Way]:
    """Yield the class fed by one method, all at once or item by item, and asked by another or by what feeding gave."""
    first = made.least
    if first > _MOST_MADE or name == _CONTEST:
        return
    thing = f"(o := {name}({made.given(0, first)}))"
    public = [m for m in methods.values() if not m.name.startswith("_") or m.name in _USES]
    for feeder in public:
        takes = _takes(feeder, 1)
        if takes is None or not takes.most or takes.keywords or feeder.decorator_list or feeder.name in _USES:
            continue
        item = "x" if takes.least <= 1 else "*x"
        each = f"[o.{feeder.name}({item}) for x in a[{first}]]"
        nodes = _reached(feeder, methods)
        for attribute in _attributes(methods) if takes.least <= 1 and nodes >= _LEAST_USE_NODES else ():
            for way in (each, f"o.{feeder.name}(a[{first}])"):
                call = f"(lambda *a: [{thing}, {way}, o.{attribute}][-1])"
                yield Way(attribute, call, first + 1, first + 1, nodes, feeder, True)
        if _gives(feeder):
            yield Way(
                feeder.name, f"(lambda *a: [{thing}, {each}][-1])", first + 1, first + 1, nodes, feeder, True
            )
            continue
        for getter in public:
            asked = _takes(getter, 1)
            marks = {ast.unparse(n).rpartition(".")[2] for n in getter.decorator_list}
            if getter is feeder or not _gives(getter) or asked is None or marks - set(_PROPERTIES):
                continue
            nodes = _reached(feeder, methods) + _reached(getter, methods)
            prop = bool(marks)
            if not asked.least:
                end = _used(getter.name, _Signature(0, 0), first + takes.most, prop=prop).format(o="o")
                fed = f"o.{feeder.name}(*a[{first}:{first + takes.most}])"
                call = f"(lambda *a: [{thing}, {fed}, {end}][-1])"
                least, most = first + max(takes.least, 1), first + takes.most
                yield Way(getter.name, call, least, most, nodes, getter, True)
            end = _used(getter.name, asked, first + 1, prop=prop).format(o="o")
            call = f"(lambda *a: [{thing}, {each}, {end}][-1])"
            least, most = first + 1 + asked.least, first + 1 + asked.most
            yield Way(getter.name, call, least, most, nodes, getter, True)


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
