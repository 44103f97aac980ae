"""What of a row's answer can be called: its functions, methods, and the program itself as a function.

A program that reads standard input becomes a function of the text it reads. It runs inside the sandbox like
everything else; only its text is put together here.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from functools import lru_cache

from codefit.curate.code import functions, parse, shape
from codefit.curate.imports import definitions, with_imports
from codefit.curate.leaks.answers import CHANGED, PRINTED
from codefit.curate.leaks.classes import class_ways
from codefit.curate.leaks.foreign import with_runtime
from codefit.curate.leaks.lift import Lifted, lifted, reads_input
from codefit.curate.leaks.made import OBJECTS, made
from codefit.curate.leaks.packed import FIELDS, TEXT, packed

ENTRY = "codefit_answer"
_PER_ROW = 5
_OTHERS_PER_ROW, _CLASS_WAYS = 6, 10
_COMMON_NUMBERS = frozenset({0, 1, 2, 10, 100})
_LEAST_SCRIPT_NODES = 30
_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
_WRAPPER = """

def {entry}(*arguments):
    import contextlib as _c, io as _io, itertools as _i
    _printed = _io.StringIO()
    with _c.redirect_stdout(_printed):
        _value = ({call})(*arguments)
        if hasattr(_value, "cr_await"):
            import asyncio as _a
            _value = _a.run(_value)
        if hasattr(_value, "__next__"):
            _value = list(_i.islice(_value, 10_000))
    if hasattr(_value, "_fields") and isinstance(_value, tuple):
        return tuple(_value)
    if hasattr(type(_value), "__members__"):
        return _value.value if isinstance(_value.value, str) else _value.name
    for _kind in (str, list, dict, set, int, float):
        if isinstance(_value, _kind) and type(_value) not in (_kind, bool):
            _value = _kind(_value)
    _plain = isinstance(_value, (str, list, tuple, dict, set, frozenset, int, float, type(None)))
    if not _plain and "__str__" in vars(type(_value)) and type(_value).__module__ == __name__:
        return str(_value)
    if not _plain and not callable(_value) and getattr(_value, "__dict__", None):
        _state = dict(_value.__dict__)
        return next(iter(_state.values())) if len(_state) == 1 else _state
    if _value is not None:
        return _value
    if _printed.getvalue():
        return ({printed!r}, _printed.getvalue()[:4_000])
    return ({changed!r}, arguments)
"""
_READER = """
def codefit_program(text):
    import io, sys
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")
    try:
        exec(codefit_code, {{"__name__": "__main__"}})
    except SystemExit:
        pass
    finally:
        sys.stdin = before

codefit_code = compile({source!r}, "program", "exec")
"""
_PROGRAM = "codefit_program"
_HELPERS = {"codefit_fields": FIELDS, "codefit_made": OBJECTS, "codefit_text": TEXT}


@dataclass(frozen=True, slots=True)
class Callee:
    """One way to call a row's answer: `source` defines `ENTRY`, which takes `least` to `most` arguments.

    `nodes` is the size of its syntax tree, `name` what the row calls it (None for a program made a function).
    `plain` is the source without the wrapper, under the row's own name. `reads`: its one argument is the text
    on standard input. `guessed`: nothing in the program says that this is what it takes and gives
    (`Lifted.guessed`, `Way.fed`).
    """

    name: str | None
    call: str
    plain: str
    least: int
    most: int | None
    nodes: int
    shape: str
    reads: bool = False
    guessed: bool = False

    @property
    def source(self) -> str:
        """Return the source that defines `ENTRY`."""
        wrapper = _WRAPPER.format(entry=ENTRY, call=self.call, printed=PRINTED, changed=CHANGED)
        return with_runtime(self.plain + wrapper)


@lru_cache(maxsize=16_384)
def callables(source: str) -> tuple[Callee, ...]:
    """Return the last functions, methods, lambdas and functions of packed arguments of an answer, and the program.

    Empty where the syntax is nested too deep to be written down again.
    """
    try:
        return _callables(source)
    except RecursionError:
        return ()


def _callables(source: str) -> tuple[Callee, ...]:
    found = [
        Callee(
            f.name, f"Solution().{f.name}" if f.in_solution else f.name, "", f.least, f.most, f.nodes, f.shape
        )
        for f in functions(source)
        if not f.name.startswith("__")
    ]
    found = [f for f in found if f.most is None or f.most > 0][-_PER_ROW:]
    tree = parse(source)
    if tree is not None:
        found += _of_classes(tree)[-_CLASS_WAYS:] + _packed(tree)[-_OTHERS_PER_ROW:]
    if found:
        plain = definitions(source)
        found = [replace(f, plain=plain + f.plain) for f in found]
    return tuple(found + _programs(source, alone=not found))


def telling_constants(one: Callee) -> bool:
    """Return True if a function holds a number that is not in everyone's use."""
    tree = parse(one.plain)
    found = [n for n in ast.walk(tree) if isinstance(n, _FUNCTION) and n.name == one.name] if tree else []
    values = [n.value for f in found for s in f.body for n in ast.walk(s) if isinstance(n, ast.Constant)]
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    return any(abs(v) not in _COMMON_NUMBERS for v in numbers)


def _programs(source: str, alone: bool) -> list[Callee]:
    """Return the whole program as a function of what it reads, or of what it sets where it stands `alone`."""
    tree = parse(source)
    if tree is None:
        return []
    if reads_input(tree):
        text = _READER.format(source=with_runtime(with_imports(source)))
        return [Callee(None, _PROGRAM, text, 1, 1, sum(1 for _ in ast.walk(tree)), shape(tree), True)]
    ways = [way for way in lifted(source) if alone or way.nodes >= _LEAST_SCRIPT_NODES]
    return [_of_script(way) for way in ways]


def _of_script(way: Lifted) -> Callee:
    tree = parse(way.source)
    nodes = sum(1 for _ in ast.walk(tree)) if tree else way.nodes
    return Callee(
        None,
        way.name,
        way.source,
        way.width,
        way.width,
        nodes,
        shape(tree) if tree else "",
        guessed=way.guessed,
    )


def _of_classes(tree: ast.Module) -> list[Callee]:
    """Return the ways to use a program's classes, but the methods of `Solution` that are functions already."""
    known = {f"Solution().{f.name}" for f in functions(ast.unparse(tree)) if f.in_solution}
    return [
        Callee(way.name, way.call, "", way.least, way.most, way.nodes, shape(way.tree), guessed=way.fed)
        for way in class_ways(tree)
        if way.call not in known
    ]


def _packed(tree: ast.Module) -> list[Callee]:
    """Return lambdas, and functions with their packed arguments unpacked."""
    found = []
    for one in [*packed(tree), *made(tree)]:
        nodes = sum(1 for _ in ast.walk(one.tree))
        extra = "".join(text for mark, text in _HELPERS.items() if mark in one.call)
        found.append(
            Callee(
                one.name, one.call, extra, one.least, one.most, nodes, shape(one.tree), guessed=one.guessed
            )
        )
    return found
