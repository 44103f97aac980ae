"""Python source as data: parsed under a bound, its functions, names and a form without names."""

from __future__ import annotations

import ast
import builtins
import warnings
from dataclasses import dataclass
from functools import lru_cache

from codefit.core.files import digest

MAX_SOURCE_CHARS = 200_000
_BUILTINS = frozenset(dir(builtins))
_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
_WITH_DOCSTRING = frozenset((ast.Module, ast.ClassDef, *_FUNCTION))
_NAMED = frozenset((ast.Name, ast.arg, ast.ClassDef, ast.ExceptHandler, *_FUNCTION))
_SKIPPED_FIELDS = frozenset(
    {"annotation", "returns", "type_comment", "type_ignores", "decorator_list", "ctx", "kind"}
)


@dataclass(frozen=True, slots=True)
class Function:
    """A function at top level, or a method of `class Solution` (`in_solution`).

    `shape` hashes the code with all names of its own replaced, docstring and annotations left
    out; `nodes` counts syntax nodes. `least` and `most` bound the positional arguments.
    """

    name: str
    least: int
    most: int | None
    shape: str
    nodes: int
    in_solution: bool = False

    @property
    def entry_point(self) -> str:
        """Return the name as the sandbox calls it."""
        return f"Solution.{self.name}" if self.in_solution else self.name

    def takes(self, count: int) -> bool:
        """Return True if the function can be called with so many positional arguments."""
        return self.least <= count and (self.most is None or count <= self.most)


def parse(source: str) -> ast.Module | None:
    """Parse source of at most 200,000 characters; None where it does not parse."""
    return parse_or_error(source)[0]


def own_tree(source: str) -> ast.Module | None:
    """Return a tree that may be changed; None where the source does not parse."""
    return _parsed(source)[0]


@lru_cache(maxsize=64)
def parse_or_error(source: str) -> tuple[ast.Module | None, str | None]:
    """Return (tree, None), or (None, what is wrong and in which line). Trees are shared: never change one."""
    return _parsed(source)


def _parsed(source: str) -> tuple[ast.Module | None, str | None]:
    if len(source) > MAX_SOURCE_CHARS:
        return None, "too long to parse"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source), None
    except SyntaxError as e:
        return None, f"{e.msg} (line {e.lineno})"
    except (ValueError, RecursionError, MemoryError) as e:
        return None, f"{type(e).__name__}: {e}"[:200]


def defines(tree: ast.Module) -> bool:
    """Return True if a function or a class is defined anywhere in the tree."""
    return any(isinstance(n, (ast.ClassDef, *_FUNCTION)) for n in ast.walk(tree))


def docstrings(tree: ast.Module) -> list[str]:
    """Return the docstrings of a module, its functions and classes, in order."""
    nodes = [n for n in ast.walk(tree) if isinstance(n, (ast.Module, ast.ClassDef, *_FUNCTION))]
    return [text for n in nodes for text in (ast.get_docstring(n),) if text]


@lru_cache(maxsize=65_536)
def functions(source: str) -> tuple[Function, ...]:
    """Return the functions of a source, in order; empty where it does not parse."""
    tree = parse(source)
    if tree is None:
        return ()
    try:
        found = [_function(n, False) for n in tree.body if isinstance(n, _FUNCTION)]
        for cls in (n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Solution"):
            found += [_function(n, True) for n in cls.body if isinstance(n, _FUNCTION)]
    except RecursionError:
        return ()
    return tuple(found)


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef, in_solution: bool) -> Function:
    arguments = node.args
    count = len(arguments.posonlyargs) + len(arguments.args) - in_solution
    least = max(0, count - len(arguments.defaults))
    if any(default is None for default in arguments.kw_defaults):
        least = 10_000  # needs a keyword: cannot be called with positional arguments
    return Function(
        name=node.name,
        least=least,
        most=None if arguments.vararg else count,
        shape=shape(node),
        nodes=_size(node),
        in_solution=in_solution,
    )


def shape(node: ast.AST) -> str:
    """Hash a syntax tree with its own names numbered by first use, docstrings and annotations out.

    Built-in names, attributes and imported modules keep their names, so `sum(xs)` and `len(xs)` differ.
    """
    tokens: list[str] = []
    _collect(node, {}, tokens)
    return digest("\x1f".join(tokens))


def _size(node: ast.AST) -> int:
    """Count the nodes of a tree."""
    waiting, count = [node], 0
    while waiting:
        count += 1
        for value in vars(waiting.pop()).values():
            if isinstance(value, ast.AST):
                waiting.append(value)
            elif isinstance(value, list):
                waiting += [item for item in value if isinstance(item, ast.AST)]
    return count


class _ToldFields(dict[type[ast.AST], tuple[str, ...]]):
    """The fields of each kind of node that its shape is made of, looked up once."""

    def __missing__(self, kind: type[ast.AST]) -> tuple[str, ...]:
        self[kind] = tuple(name for name in kind._fields if name not in _SKIPPED_FIELDS)
        return self[kind]


_TOLD_FIELDS = _ToldFields()


def _collect(node: ast.AST, numbers: dict[str, int], tokens: list[str]) -> None:
    kind = type(node)
    tokens.append(kind.__name__)
    for name in _TOLD_FIELDS[kind]:
        value = getattr(node, name, None)
        if value is None:
            continue
        tokens.append(name)
        if name == "body" and kind in _WITH_DOCSTRING:
            value = _without_docstring(value)
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, ast.AST):
                _collect(item, numbers, tokens)
            else:
                tokens.append(_leaf(kind, name, item, numbers))


def _leaf(kind: type[ast.AST], field: str, value: object, numbers: dict[str, int]) -> str:
    named = kind in _NAMED and field in ("id", "arg", "name")
    if named and isinstance(value, str) and value not in _BUILTINS:
        return f"#{numbers.setdefault(value, len(numbers))}"
    return (
        f"{type(value).__name__}:{value:x}" if isinstance(value, int) else f"{type(value).__name__}:{value!r}"
    )


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    text = (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    )
    return body[1:] if text and len(body) > 1 else body
