"""A program's normal form: what is left of its syntax tree without names, wording and free order.

Two sources with one normal form do the same in the same way. Left out or made alike: own names,
docstrings, comments, annotations, imports (names are resolved to what they import), texts that are
only printed or raised, the sample calls below definitions, the order of functions, of keyword
arguments, of the factors of a product, of the terms of a sum with a number in it, and of both sides of
`==` and `!=`; `a > b` is `b < a`; `x += 1` is `x = x + 1`; `else` after `return` is no `else`;
a value named only to be returned is returned; `range(0, n)` is `range(n)`.

Kept: numbers, texts that are worked with, built-in and imported names, attributes that the source
does not define. Not covered: the same thing done another way (a loop for a comprehension).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from codefit.core.files import digest
from codefit.curate.code import own_tree
from codefit.curate.rewrites import Free, rewritten

_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
_SKIPPED = frozenset({"annotation", "returns", "type_comment", "type_ignores", "ctx", "kind", "type_params"})
_READS = frozenset(["input", "open", "stdin", "argv"])
_SHARED_KEYWORDS = frozenset(["end", "sep", "file", "key", "reverse", "default", "start"])
_ROUNDS = 3
_MAX_NODES = 20_000


@dataclass(frozen=True, slots=True)
class NormalForm:
    """The hash of a program's normal form, its size, and whether it makes attributes (a class with data)."""

    key: str
    nodes: int
    holds_data: bool


def normal_form(source: str) -> NormalForm | None:
    """Return the normal form of a source, None where it does not parse or is too large."""
    tree = own_tree(source)  # the rewrites change it
    if tree is None:
        return None
    try:
        names = _Names.of(tree)
        core = rewritten(_core(tree))
        nodes = sum(1 for n in ast.walk(core) if not isinstance(n, ast.expr_context))
        if nodes > _MAX_NODES:
            return None
        text = _Writer(names).module(core)
    except RecursionError:
        return None
    return NormalForm(digest(text), nodes, names.holds_data)


def _core(tree: ast.Module) -> ast.Module:
    """Return the definitions alone, where what stands around them only shows them at work."""
    body = [n for n in tree.body if not isinstance(n, ast.Import | ast.ImportFrom)]
    defined = [n for n in body if isinstance(n, (ast.ClassDef, *_FUNCTION))]
    rest = [n for n in body if not isinstance(n, (ast.ClassDef, *_FUNCTION))]
    if defined and not any(_works(n, defined) for n in rest):
        return ast.Module(list[ast.stmt](defined), [])
    return ast.Module(body, [])


def _works(statement: ast.stmt, defined: Sequence[ast.stmt]) -> bool:
    """Return True where a statement beside the definitions is part of the solution."""
    used = {n.id for d in defined for n in ast.walk(d) if isinstance(n, ast.Name)}
    for node in ast.walk(statement):
        if isinstance(node, ast.For | ast.While | ast.With | ast.Try):
            return True
        if isinstance(node, ast.Attribute) and node.attr in _READS:
            return True
        if isinstance(node, ast.Name):
            sets = isinstance(node.ctx, ast.Store) and node.id in used and not _shadowed(node.id, defined)
            if node.id in _READS or sets:
                return True
    return False


def _shadowed(name: str, defined: Sequence[ast.stmt]) -> bool:
    """Return True where every function that uses a top-level name has one of its own."""
    for function in defined:
        nodes = list(ast.walk(function))
        if any(isinstance(n, ast.Name) and n.id == name for n in nodes):
            own = {n.arg for n in nodes if isinstance(n, ast.arg)}
            own |= {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
            if name not in own:
                return False
    return True


@dataclass
class _Names:
    """Which names and attributes a source makes itself, and what its imports stand for."""

    own: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    imported: dict[str, str] = field(default_factory=dict)
    holds_data: bool = False

    @classmethod
    def of(cls, tree: ast.Module) -> _Names:
        names = cls()
        for node in ast.walk(tree):
            match node:
                case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                    names.own.add(name)
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    names.own.add(name)
                case (
                    ast.ExceptHandler(name=str(name))
                    | ast.MatchAs(name=str(name))
                    | ast.MatchStar(name=str(name))
                ):
                    names.own.add(name)
                case ast.Attribute(attr=name, ctx=ast.Store()):
                    names.attributes.add(name)
                    names.holds_data = True
                case ast.Import(names=aliases):
                    for alias in aliases:
                        names.imported[(alias.asname or alias.name).partition(".")[0]] = (
                            alias.name if alias.asname else alias.name.partition(".")[0]
                        )
                case ast.ImportFrom(module=str(module), names=aliases):
                    names.imported.update({a.asname or a.name: f"{module}.{a.name}" for a in aliases})
        for cls_node in (n for n in ast.walk(tree) if isinstance(n, ast.ClassDef)):
            names.attributes |= {n.name for n in cls_node.body if isinstance(n, _FUNCTION)}
        names.attributes = {a for a in names.attributes if not a.startswith("__")}
        return names


class _Writer:
    """Writes a tree as text, its own names as numbers by first use, its free order as sorted."""

    def __init__(self, names: _Names) -> None:
        self._names = names
        self._numbers: dict[str, int] | None = None
        self._final: dict[str, int] = {}
        self._memo: dict[int, str] = {}

    def module(self, tree: ast.Module) -> str:
        """Return the normal form as text."""
        text = self._written(tree)
        for _ in range(_ROUNDS):  # the order of equals depends on numbers, numbers on order
            numbers: dict[str, int] = {}
            self._number(tree, numbers)
            if numbers == self._numbers:
                break
            self._numbers = numbers
            self._memo.clear()
            text = self._written(tree)
        return text

    def _number(self, node: ast.AST, numbers: dict[str, int]) -> None:
        """Number the own names below a node by first use in the sorted order."""
        for name in _own_of(node):
            if self._is_own(node, name):
                numbers.setdefault(self._space(node) + name, len(numbers))
        for child in self._children(node):
            self._number(child, numbers)

    def _children(self, node: ast.AST) -> Iterator[ast.AST]:
        for name, value in ast.iter_fields(node):
            if name in _SKIPPED or value is None:
                continue
            items = [v for v in (value if isinstance(value, list) else [value]) if isinstance(v, ast.AST)]
            yield from self._ordered(node, name, items)

    def _ordered(self, node: ast.AST, name: str, items: list[ast.AST]) -> list[ast.AST]:
        free = (
            (name == "keywords")
            or (name == "elts" and isinstance(node, ast.Set))
            or (name in ("free", "terms") and isinstance(node, Free))
        )
        if free:
            return sorted(items, key=self._written)
        if name == "body" and isinstance(node, ast.Module | ast.ClassDef):
            return self._functions_sorted(items)
        return items

    def _functions_sorted(self, items: list[ast.AST]) -> list[ast.AST]:
        """Return statements with each run of functions in the order of their normal forms."""
        out: list[ast.AST] = []
        run: list[ast.AST] = []
        for item in items:
            if isinstance(item, _FUNCTION):
                run.append(item)
            else:
                out += sorted(run, key=self._written)
                out.append(item)
                run = []
        return out + sorted(run, key=self._written)

    def _written(self, node: ast.AST) -> str:
        if id(node) not in self._memo:
            self._memo[id(node)] = self._write(node)
        return self._memo[id(node)]

    def _write(self, node: ast.AST) -> str:
        if isinstance(node, ast.Name) and not self._is_own(node, node.id):
            return f"<{self._names.imported.get(node.id, node.id)}>"
        if isinstance(node, ast.Attribute) and (path := self._path(node)):
            return f"<{path}>"
        parts = [type(node).__name__]
        for name, value in ast.iter_fields(node):
            if name in _SKIPPED or value is None:
                continue
            if isinstance(value, ast.AST):
                parts.append(f"{name}={self._written(value)}")
            elif isinstance(value, list):
                asts = [v for v in value if isinstance(v, ast.AST)]
                shown = [self._written(v) for v in self._ordered(node, name, asts)]
                shown += [self._leaf(node, v) for v in value if not isinstance(v, ast.AST)]
                parts.append(f"{name}=[{','.join(shown)}]")
            else:
                parts.append(f"{name}={self._leaf(node, value)}")
        return f"({' '.join(parts)})"

    def _path(self, node: ast.Attribute) -> str | None:
        """Return the dotted name of an attribute of an imported module."""
        value = node.value
        if (
            isinstance(value, ast.Name)
            and value.id in self._names.imported
            and value.id not in self._names.own
        ):
            return f"{self._names.imported[value.id]}.{node.attr}"
        if isinstance(value, ast.Attribute) and (path := self._path(value)):
            return f"{path}.{node.attr}"
        return None

    def _leaf(self, node: ast.AST, value: object) -> str:
        if isinstance(value, str) and value in _own_of(node) and self._is_own(node, value):
            if self._numbers is None:
                return "#"
            return f"#{self._numbers.get(self._space(node) + value, '')}"
        return (
            f"{type(value).__name__}:{value:x}"
            if isinstance(value, int)
            else f"{type(value).__name__}:{value!r}"
        )

    def _is_own(self, node: ast.AST, name: str) -> bool:
        if isinstance(node, ast.Attribute):
            return name in self._names.attributes
        if isinstance(node, ast.keyword):
            return name in self._names.own and name not in _SHARED_KEYWORDS
        return name in self._names.own or name in self._names.attributes

    def _space(self, node: ast.AST) -> str:
        method = isinstance(node, _FUNCTION) and node.name in self._names.attributes
        return "." if isinstance(node, ast.Attribute) or method else ""


def _own_of(node: ast.AST) -> tuple[str, ...]:
    """Return the names that a node itself holds and that may be the source's own."""
    match node:
        case ast.Name(id=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)) | ast.Attribute(attr=name):
            return (name,)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return (name,)
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            return (name,)
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            return tuple(names)
    return ()
