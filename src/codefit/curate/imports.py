"""Imports that contest sites give for free, and sources cut down to their definitions."""

from __future__ import annotations

import ast
import builtins
from functools import lru_cache
from importlib import import_module

from codefit.curate.code import parse

_BUILTINS = frozenset(dir(builtins))
_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
_KNOWN_IMPORTS = {
    "typing": "List Dict Tuple Set Optional Union Any Callable Iterable Iterator Sequence Deque DefaultDict",
    "collections": "defaultdict deque Counter OrderedDict namedtuple",
    "itertools": "accumulate chain combinations count cycle groupby islice pairwise permutations product repeat "
    "starmap takewhile zip_longest",
    "functools": "cache lru_cache reduce cmp_to_key",
    "math": "inf gcd sqrt ceil floor comb isqrt log2 factorial lcm atan2 hypot pi",
    "heapq": "heappush heappop heapify heapreplace heappushpop nlargest nsmallest",
    "bisect": "bisect_left bisect_right insort bisect",
    "operator": "itemgetter attrgetter xor or_ and_",
    "string": "ascii_lowercase ascii_uppercase",
    "datetime": "datetime timedelta",
}
_MODULES = (
    "math",
    "re",
    "collections",
    "itertools",
    "functools",
    "heapq",
    "bisect",
    "random",
    "string",
    "sys",
    "base64",
    "copy",
    "csv",
    "datetime",
    "decimal",
    "fractions",
    "hashlib",
    "json",
    "os",
    "statistics",
    "time",
)
_SHORT = {"np": "numpy", "pd": "pandas", "plt": "matplotlib.pyplot"}
_AMBIGUOUS = frozenset(
    [
        "count",
        "product",
        "repeat",
        "chain",
        "cycle",
        "comb",
        "cache",
        "reduce",
        "accumulate",
        "permutations",
        "combinations",
    ]
)
_HOME = {name: module for module, names in _KNOWN_IMPORTS.items() for name in names.split()}


def missing_imports(source: str) -> list[str]:
    """Return the import lines of well-known standard names that a source uses but never binds.

    Contest sites import these for their users, so solutions copied from there lack them. A name that
    may be the user's own (`count`, `string`) counts only where it is used as the standard one is.
    """
    tree = parse(source)
    if tree is None:
        return []
    bound, used = _names(tree)
    missing = sorted(used - bound)
    modules, functions = _uses(tree)
    lines = [f"import {name}" for name in missing if name in modules and name not in _SHORT]
    lines += [f"import {_SHORT[name]} as {name}" for name in missing if name in _SHORT and name in modules]
    by_module: dict[str, list[str]] = {}
    for name in missing:
        if name in _HOME and name not in modules and (name not in _AMBIGUOUS or name in functions):
            by_module.setdefault(_HOME[name], []).append(name)
    return lines + [f"from {m} import {', '.join(names)}" for m, names in sorted(by_module.items())]


def _names(tree: ast.Module) -> tuple[set[str], set[str]]:
    """Return (names bound anywhere, names read); a star import binds everything read."""
    bound, used = set(_BUILTINS), set[str]()
    star = False
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, (ast.ClassDef, *_FUNCTION)):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.alias):
            star = star or node.name == "*"
            bound.add((node.asname or node.name).partition(".")[0])
    return (bound | used if star else bound), used


def _uses(tree: ast.Module) -> tuple[set[str], set[str]]:
    """Return (modules of which an existing attribute is used, names that are called or decorate)."""
    modules: set[str] = set()
    functions: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = node.value.id
            if name in _SHORT or (name in _MODULES and hasattr(import_module(name), node.attr)):
                modules.add(name)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            functions.add(node.func.id)
        elif isinstance(node, _FUNCTION):
            functions |= {d.id for d in node.decorator_list if isinstance(d, ast.Name)}
    return modules, functions


def with_imports(source: str) -> str:
    """Return the source with its missing well-known imports in front (after `from __future__`)."""
    lines = missing_imports(source)
    if not lines or "from __future__" in source:
        return source
    return "\n".join(lines) + "\n\n" + source.lstrip("\n")


_DEFINING = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.Assign, ast.AnnAssign, *_FUNCTION)


@lru_cache(maxsize=16_384)
def definitions(source: str) -> str:
    """Return the source's imports, definitions and assignments, without top-level calls and loops.

    So a script that reads input or prints at its end can be loaded for its functions. Empty where
    it does not parse, or is nested too deep to be written down again.
    """
    tree = parse(with_imports(source))
    if tree is None:
        return ""
    body = [
        n for n in tree.body if isinstance(n, _DEFINING) and not (isinstance(n, ast.Assign) and _interacts(n))
    ]
    try:
        return ast.unparse(ast.Module(list[ast.stmt](body), []))
    except RecursionError:
        return ""


def _interacts(node: ast.AST) -> bool:
    names = {n.func.id for n in ast.walk(node) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    return bool(names & {"input", "open", "exit"})


def imported(tree: ast.Module | None) -> tuple[str, ...]:
    """Return the top-level modules that a program imports, by name."""
    names: set[str] = set()
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return tuple(sorted(names))
