"""Statements that read standard input, taken out of a program: each becomes a `Read` and its parameters."""

from __future__ import annotations

import ast
import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from codefit.curate.convert.grammar import Cast, Read, Repeat, Spread, Value, Values, is_count

_STRIPS = ("strip", "rstrip", "lstrip")


class Refused(Exception):
    """The program is not of the kind that can be rewritten; says why."""


def is_line(node: ast.AST, sources: frozenset[str]) -> bool:
    """Return True for a call that gives one line of input: `input()`, `sys.stdin.readline()`, stripped or not."""
    match node:
        case ast.Call(func=ast.Name(id=name), args=[], keywords=[]):
            return name in sources
        case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="stdin"), attr="readline"), args=[]):
            return True
        case ast.Call(func=ast.Attribute(value=inner, attr=attr), args=args) if attr in _STRIPS:
            return is_line(inner, sources) and all(isinstance(a, ast.Constant) for a in args)
        case ast.Call(func=ast.Name(id="str"), args=[inner], keywords=[]):
            return is_line(inner, sources)
    return False


def line_sources(body: Sequence[ast.stmt]) -> tuple[frozenset[str], list[ast.stmt]]:
    """Return (names that read a line when called, the body without the statements that made them so).

    Other short readers (`def ints(): return list(map(int, input().split()))`) are written out where they are
    called.
    """
    sources, rest = {"input"}, []
    macros: dict[str, ast.expr] = {}
    for node in body:
        name, value = _reader(node)
        if name and value is not None and _is_source(value, frozenset(sources)):
            sources.add(name)
        elif name and isinstance(value, ast.Lambda) and _reads_in(value.body, sources | set(macros)):
            macros[name] = value.body
        else:
            rest.append(node)
    return frozenset(sources), [_Written(macros).visit(node) for node in rest] if macros else rest


def _reader(node: ast.stmt) -> tuple[str | None, ast.expr | None]:
    """Return (name, value) of an assignment; a function of one `return` counts as a lambda."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda(args=ast.arguments(args=[])) as value):
            return name, value
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Name() | ast.Attribute() as value):
            return name, value
        case ast.FunctionDef(
            name=name, args=ast.arguments(args=[]) as arguments, body=[ast.Return(value=ast.expr() as value)]
        ):
            return name, ast.Lambda(arguments, value)
    return None, None


def _reads_in(node: ast.AST, names: set[str]) -> bool:
    return any(is_line(n, frozenset(names)) for n in ast.walk(node))


class _Written(ast.NodeTransformer):
    """Replaces calls of short readers by what they return."""

    def __init__(self, macros: dict[str, ast.expr]) -> None:
        self._macros = macros

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        match node:
            case ast.Call(func=ast.Name(id=name), args=[], keywords=[]) if name in self._macros:
                written: ast.AST = self.visit(copy.deepcopy(self._macros[name]))
                return written
        return node


def _is_source(node: ast.expr, sources: frozenset[str]) -> bool:
    match node:
        case ast.Name(id=name):
            return name in sources
        case ast.Attribute(value=ast.Attribute(attr="stdin"), attr="readline"):
            return True
        case ast.Lambda(args=ast.arguments(args=[]), body=body):
            return is_line(body, sources)
    return False


def _tokens(node: ast.AST, sources: frozenset[str]) -> bool:
    match node:
        case ast.Call(
            func=ast.Attribute(value=inner, attr="split"), args=[] | [ast.Constant(value=" ")], keywords=[]
        ):
            return is_line(inner, sources)
    return False


def _cast_of(node: ast.AST) -> Cast | None:
    match node:
        case ast.Name(id="int" | "eval"):  # `eval(input())` is how 2to3 writes Python 2's `input()`
            return "int"
        case ast.Name(id="float"):
            return "float"
        case ast.Name(id="str"):
            return "str"
    return None


def _mapped(node: ast.AST, sources: frozenset[str]) -> Cast | None:
    """Return the type of an iterator or list over the values of one line."""
    if _tokens(node, sources):
        return "str"
    match node:
        case ast.Call(func=ast.Name(id="map"), args=[cast, tokens], keywords=[]) if _tokens(tokens, sources):
            return _cast_of(cast)
        case ast.Call(func=ast.Name(id="list" | "tuple"), args=[inner], keywords=[]):
            return None if is_line(inner, sources) else _mapped(inner, sources)
        case ast.ListComp(
            elt=ast.Call(func=cast, args=[ast.Name(id=item)], keywords=[]),
            generators=[ast.comprehension(target=ast.Name(id=target), iter=tokens, ifs=[])],
        ) if item == target and _tokens(tokens, sources):
            return _cast_of(cast)
    return None


def shape_of(node: ast.AST, sources: frozenset[str]) -> Value | Values | Repeat | None:
    """Return what an expression reads, where it is nothing but a read."""
    if is_line(node, sources):
        return Value("str")
    match node:
        case ast.Call(func=func, args=[line], keywords=[]) if is_line(line, sources):
            one = _cast_of(func)
            return Value(one) if one else None
        case ast.ListComp(elt=elt, generators=[ast.comprehension(target=ast.Name(), iter=turns, ifs=[])]):
            count = range_count(turns)
            item = shape_of(elt, sources)
            if count is not None and isinstance(item, Value | Values):
                return Repeat(count, item)
    is_map = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "map"
    cast = _mapped(node, sources)
    return Values(cast) if cast and not is_map else None


def range_count(node: ast.expr) -> ast.expr | None:
    """Return the count of `range(count)` where it is plain."""
    match node:
        case ast.Call(func=ast.Name(id="range"), args=[count], keywords=[]) if is_count(count):
            return count
    return None


@dataclass
class Reader:
    """Takes the reads out of the statements of one block."""

    sources: frozenset[str]
    used: set[str]
    reads: list[Read] = field(default_factory=list)

    def take(self, body: Sequence[ast.stmt]) -> list[ast.stmt]:
        """Return the block without its reads; raises `Refused` where a read is of another kind."""
        rest: list[ast.stmt] = []
        for node in body:
            rest += self._statement(node)
        names = [name for read in self.reads for name in read.names]
        if len(set(names)) < len(names):
            raise Refused("a name is read twice")
        if any(self._reads(node) for node in rest):
            raise Refused("reads in a place that is not plain")
        return rest

    def _reads(self, node: ast.AST) -> bool:
        return any(
            (isinstance(n, ast.Name) and n.id in self.sources)
            or (isinstance(n, ast.Attribute) and n.attr == "stdin")
            or (isinstance(n, ast.Name) and n.id in ("open", "eval", "exec", "stdin"))
            for n in ast.walk(node)
        )

    def _statement(self, node: ast.stmt) -> list[ast.stmt]:
        match node:
            case ast.Expr(value=value) if is_line(value, self.sources):
                self.reads.append(Read(None, Value("str")))
                return []
            case ast.Assign(targets=[ast.Tuple(elts=names) | ast.List(elts=names)], value=value) if (
                self._reads(value)
            ):
                self.reads.append(Read(None, self._spread(names, value)))
                return []
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if self._reads(value):
                return self._named(name, node, value)
            case ast.For(target=ast.Name(), iter=turns, orelse=[]) if self._reads(node) and not self._reads(
                turns
            ):
                return [self._loop(node)]
        return [node]

    def _spread(self, names: list[ast.expr], value: ast.expr) -> Spread:
        cast = _mapped(value, self.sources)
        plain = [n.value if isinstance(n, ast.Starred) else n for n in names]
        stars = [i for i, n in enumerate(names) if isinstance(n, ast.Starred)]
        if cast is None or not all(isinstance(n, ast.Name) for n in plain):
            raise Refused("unpacks something else than a line")
        ids = tuple(n.id for n in plain if isinstance(n, ast.Name))
        if len(set(ids)) < len(ids):
            raise Refused("a name is read twice")
        return Spread(ids, cast, stars[0] if stars else None)

    def _named(self, name: str, node: ast.Assign, value: ast.expr) -> list[ast.stmt]:
        """Read into the name; what is done with the value stays behind as `name = f(name)`."""
        if shape := shape_of(value, self.sources):
            self.reads.append(Read(name, shape))
            return []
        finder = _Inner(self.sources, name)
        changed = finder.visit(value)
        if finder.shape is None or finder.found > 1 or name in finder.names:
            raise Refused("reads within an expression that is not plain")
        self.reads.append(Read(name, finder.shape))
        return [ast.copy_location(ast.Assign([ast.Name(name, ast.Store())], changed), node)]

    def _loop(self, node: ast.For) -> ast.For:
        """Turn `for i in range(n): a, b = <line> …` into a loop over a parameter that holds the lines."""
        count, first = range_count(node.iter), node.body[0]
        if count is None or any(self._reads(n) for n in node.body[1:]):
            raise Refused("a loop reads in a way that is not plain")
        target, item, rest = self._first_of_loop(first)
        name = self.free_name("rows" if isinstance(item, Spread | Values) else "values")
        self.reads.append(Read(name, Repeat(count, item)))
        assert isinstance(node.target, ast.Name)
        index, over = node.target, ast.Name(name, ast.Load())
        body = [*rest, *node.body[1:]]
        used = any(isinstance(n, ast.Name) and n.id == index.id for stmt in body for n in ast.walk(stmt))
        if not used:
            return ast.copy_location(ast.For(target, over, body or [ast.Pass()], []), node)
        pair = ast.Tuple([index, target], ast.Store())
        turns = ast.Call(ast.Name("enumerate", ast.Load()), [over], [])
        return ast.copy_location(ast.For(pair, turns, body, []), node)

    def _first_of_loop(self, node: ast.stmt) -> tuple[ast.expr, Value | Values | Spread, list[ast.stmt]]:
        match node:
            case ast.Assign(targets=[ast.Tuple(elts=names) | ast.List(elts=names)], value=value):
                return ast.Tuple(names, ast.Store()), self._spread(names, value), []
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                shape = shape_of(value, self.sources)
                if isinstance(shape, Value | Values):
                    return ast.Name(name, ast.Store()), shape, []
            case ast.Expr(value=ast.Call(func=ast.Attribute(attr="append"), args=[value]) as call):
                shape = shape_of(value, self.sources)
                if isinstance(shape, Value | Values):
                    item = self.free_name("row" if isinstance(shape, Values) else "value")
                    changed = ast.Call(call.func, [ast.Name(item, ast.Load())], [])
                    return ast.Name(item, ast.Store()), shape, [ast.Expr(changed)]
        raise Refused("a loop reads in a way that is not plain")

    def free_name(self, wanted: str) -> str:
        """Return a name that the program does not use: `wanted`, or with a number."""
        name, number = wanted, 2
        while name in self.used:
            name, number = f"{wanted}{number}", number + 1
        self.used.add(name)
        return name


class _Inner(ast.NodeTransformer):
    """Replaces the one read inside an expression by a name."""

    def __init__(self, sources: frozenset[str], name: str) -> None:
        self._sources, self._name = sources, name
        self.shape: Any = None
        self.found = 0
        self.names: set[str] = set()

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, ast.ListComp) and shape_of(node, self._sources) is None:
            return self._comprehension(node)
        if isinstance(node, ast.Lambda | ast.GeneratorExp | ast.SetComp | ast.DictComp):
            if any(is_line(n, self._sources) for n in ast.walk(node)):
                self.found = 2
            return node
        shape = shape_of(node, self._sources)
        if shape is None and (cast := _mapped(node, self._sources)):
            shape = Values(cast)
        if shape is not None:
            self.shape, self.found = shape, self.found + 1
            return ast.Name(self._name, ast.Load())
        if isinstance(node, ast.Name):
            self.names.add(node.id)
        return self.generic_visit(node)

    def _comprehension(self, node: ast.ListComp) -> ast.expr:
        """Turn `[f(<line>) for _ in range(n)]` into `[f(item) for item in name]`."""
        match node.generators:
            case [ast.comprehension(target=ast.Name(id=index), iter=turns, ifs=[])] if index != "item":
                inner = _Inner(self._sources, "item")
                elt = inner.visit(copy.deepcopy(node.elt))
                count = range_count(turns)
                plain = isinstance(inner.shape, Value | Values) and inner.found == 1
                if plain and count is not None and not inner.names & {index, "item"}:
                    self.shape, self.found = Repeat(count, inner.shape), self.found + 1
                    self.names |= inner.names
                    over = ast.comprehension(
                        ast.Name("item", ast.Store()), ast.Name(self._name, ast.Load()), [], 0
                    )
                    return ast.ListComp(elt, [over])
        if any(is_line(n, self._sources) for n in ast.walk(node)):
            self.found = 2
        return node
