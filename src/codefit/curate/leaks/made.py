"""Functions that give a function, an endless series, or take objects, as functions of plain positional arguments.

`without(kind)(items)` is one of the kind and the items, a generator of all star numbers one of a number's place, and
`distance(p: Point, q: Point)` one of two pairs, or of four numbers.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codefit.curate.leaks.packed import Packed

_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
_MANY = frozenset({"list", "List", "Sequence", "Iterable", "tuple", "Tuple", "set", "Set", "Collection"})


def made(tree: ast.Module) -> list[Packed]:
    """Return these functions of a program as expressions."""
    classes = set(_classes(tree))
    found: list[Packed] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            found += [*_curried(node), *_endless(node), *_of_objects(node, classes)]
    return found


def _classes(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and _makes(node.value):
            yield from (t.id for t in node.targets if isinstance(t, ast.Name))


def _makes(call: ast.Call) -> bool:
    """Return True if a call makes a class of named fields."""
    return _last_name(call.func) in ("namedtuple", "NamedTuple")


def _least(node: ast.FunctionDef) -> int:
    return len(node.args.posonlyargs) + len(node.args.args) - len(node.args.defaults)


def _curried(node: ast.FunctionDef) -> Iterator[Packed]:
    """Yield a function that returns a function of its own, called with what is left of the arguments."""
    inner = {n.name: n.args for n in node.body if isinstance(n, ast.FunctionDef)}
    for n in node.body:
        value = n.value if isinstance(n, ast.Return) else None
        own = inner.get(value.id) if isinstance(value, ast.Name) else getattr(value, "args", None)
        if not isinstance(own, ast.arguments):
            continue
        first, then = _least(node), len(own.posonlyargs) + len(own.args)
        least = first + then - len(own.defaults)
        most = None if own.vararg else first + then
        if least:
            call = f"(lambda *a: {node.name}(*a[:{first}])(*a[{first}:]))"
            yield Packed(node.name, call, least, most, node)


def _endless(node: ast.FunctionDef) -> Iterator[Packed]:
    """Yield a generator that needs no arguments as a function of the place of the value, or of how many are wanted."""
    yields = any(isinstance(n, ast.Yield) for n in ast.walk(node))
    if not yields or _least(node) or node.args.vararg:
        return
    for start in (1, 0):
        place = f"n - {start}" if start else "n"
        call = f"(lambda n: next(__import__('itertools').islice({node.name}(), {place}, None)))"
        yield Packed(node.name, call, 1, 1, node, guessed=True)
    call = f"(lambda n: list(__import__('itertools').islice({node.name}(), n)))"
    yield Packed(node.name, call, 1, 1, node, guessed=True)


def _of_objects(node: ast.FunctionDef, classes: set[str]) -> Iterator[Packed]:
    """Yield a function that takes objects of the program's classes, given the parts of each as one argument."""
    plain = [*node.args.posonlyargs, *node.args.args]
    kinds = [_kind(a.annotation, classes) for a in plain]
    if not any(kinds) or node.args.vararg:
        return
    texts = []
    for i, kind in enumerate(kinds):
        name, many = kind or ("", False)
        one = f"codefit_made({name}, {{}})"
        texts.append(
            f"[{one.format('x')} for x in a[{i}]]" if many else one.format(f"a[{i}]") if name else f"a[{i}]"
        )
    call = f"(lambda *a: {node.name}({', '.join(texts)}))"
    yield Packed(node.name, call, len(plain), len(plain), node)


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _kind(annotation: ast.expr | None, classes: set[str]) -> tuple[str, bool] | None:
    """Return (class, whether there are many of it) of an annotation; None for plain values."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        annotation = ast.Name(annotation.value, ast.Load())
    if isinstance(annotation, ast.Name):
        return (annotation.id, False) if annotation.id in classes else None
    if isinstance(annotation, ast.Subscript) and _last_name(annotation.value) in _MANY:
        parts = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
        kind = _kind(parts[0], classes) if parts else None
        return (kind[0], True) if kind else None
    return None


OBJECTS = '''

def codefit_made(kind, parts):
    """Make an object of its parts, missing ones as None; of one value that has no parts."""
    parts = list(parts.values()) if isinstance(parts, dict) else parts
    parts = list(parts) if isinstance(parts, (list, tuple)) else [parts]
    for missing in range(4):
        try:
            return kind(*parts, *[None] * missing)
        except TypeError:
            continue
    return kind(parts)
'''
