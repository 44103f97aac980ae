"""Scripts without a function that could be called, turned into one.

A script that sets its inputs (`a = [3, 1, 2]`) and prints is the answer to the same task as a function of
those inputs: the statements that set them become parameters. Nothing is run here.
"""

from __future__ import annotations

import ast
from functools import lru_cache

from codefit.curate.code import parse
from codefit.curate.imports import with_imports

NAME = "lifted_program"
_MAX_PARAMETERS = 4
_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
_KEPT_OUTSIDE = (ast.Import, ast.ImportFrom, ast.ClassDef, *_FUNCTION)
_READERS = frozenset({"input", "raw_input", "readline"})


@lru_cache(maxsize=16_384)
def lifted(source: str) -> tuple[str, int] | None:
    """Return (source with a function `lifted_program`, its number of parameters), or None."""
    tree = parse(with_imports(source))
    if tree is None:
        return None
    outside: list[ast.stmt] = [n for n in tree.body if isinstance(n, _KEPT_OUTSIDE)]
    body = [n for n in tree.body if not isinstance(n, _KEPT_OUTSIDE)]
    names, rest = _parameters(body)
    if not 1 <= len(names) <= _MAX_PARAMETERS or not rest or any(map(reads_input, rest)) or not _speaks(rest):
        return None
    function = ast.FunctionDef(
        NAME,
        ast.arguments([], [ast.arg(name) for name in names], None, [], [], None, []),
        [*rest, ast.Pass()],
        [],
    )
    module = ast.Module([*outside, function], [])
    try:
        return ast.unparse(ast.fix_missing_locations(module)), len(names)
    except (ValueError, RecursionError):
        return None


def _parameters(body: list[ast.stmt]) -> tuple[list[str], list[ast.stmt]]:
    """Return (names set to constants, the other statements)."""
    chosen = [n for n in body if isinstance(n, ast.Assign) and _is_input(n.value)]
    names: list[str] = []
    for node in chosen:
        assert isinstance(node, ast.Assign)
        target = node.targets[0]
        targets = target.elts if isinstance(target, ast.Tuple) else [target]
        if len(node.targets) != 1 or not all(isinstance(t, ast.Name) for t in targets):
            return [], []
        if isinstance(target, ast.Tuple) and not isinstance(node.value, ast.Tuple):
            return [], []
        names += [t.id for t in targets if isinstance(t, ast.Name)]
    if len(set(names)) < len(names):
        return [], []
    return names, [n for n in body if n not in chosen]


def reads_input(node: ast.AST) -> bool:
    """Return True if a program reads standard input, as far as its syntax shows."""
    for n in ast.walk(node):
        if isinstance(n, ast.Call):
            name = n.func.id if isinstance(n.func, ast.Name) else getattr(n.func, "attr", "")
            if name in _READERS:
                return True
        if isinstance(n, ast.Attribute) and n.attr == "stdin":
            return True
    return False


def _is_input(node: ast.expr) -> bool:
    """Return True for a constant that is more than the start of a counter or a collection."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return not isinstance(value, bool) and value not in (0, 1, "", None, [], {}, (), 0.0)


def _speaks(body: list[ast.stmt]) -> bool:
    return any(
        isinstance(n, ast.Return) or (isinstance(n, ast.Name) and n.id == "print")
        for statement in body
        for n in ast.walk(statement)
    )
