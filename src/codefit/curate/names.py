"""Names that a Python source uses and certainly never defines."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator

from codefit.curate.code import parse
from codefit.curate.imports import with_imports

_GIVEN = frozenset(dir(builtins)) | {
    "__file__", "__path__", "__annotations__", "__builtins__", "__class__", "__module__", "__qualname__",
}  # fmt: skip
_TRICKS = frozenset(["exec", "eval", "globals", "locals", "vars", "setattr", "__import__", "get_ipython"])
_WORD = re.compile(r"\w+")


def undefined_names(source: str, request: str, tree: ast.Module | None = None) -> list[str]:
    """Return the names that are read but bound nowhere in the source, sorted; only certain ones.

    A name is not certain where the source has a star import or builds names itself (`exec`,
    `globals()`, …), where it is a well-known name that `with_imports` adds, or where the request
    holds it as a word (code that continues code of the request). Not covered: a name that is bound
    in another scope, or too late. `tree` saves parsing the source once more.
    """
    if not (missing := _missing(tree or parse(source))):
        return []
    missing = _missing(parse(with_imports(source)))
    return sorted(missing - set(_WORD.findall(request))) if missing else []


def _missing(tree: ast.Module | None) -> set[str]:
    """Return the names that are read but bound nowhere; none where names may be bound unseen."""
    bound, read = set(_GIVEN), set[str]()
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        else:
            bound.update(_binds(node))
    return set() if "*" in bound or read & _TRICKS else read - bound


def _binds(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.arg(arg=name):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.alias(name=name, asname=asname):
            yield (asname or name).partition(".")[0]
        case ast.ExceptHandler(name=name) | ast.MatchAs(name=name) | ast.MatchStar(name=name) if name:
            yield name
        case ast.MatchMapping(rest=str(name)):
            yield name
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            yield from names
        case _ if type(node).__name__ in ("TypeVar", "ParamSpec", "TypeVarTuple"):  # Python 3.12 syntax
            yield getattr(node, "name")  # noqa: B009
