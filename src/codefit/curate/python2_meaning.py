"""Python 2's meaning kept: names, lists and division of a source that already parses as Python 3."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from codefit.curate.code import parse

_RENAMED = {
    "xrange": "range",
    "raw_input": "input",
    "unicode": "str",
    "unichr": "chr",
    "long": "int",
    "basestring": "str",
}
_GONE = frozenset(["cmp", "apply", "buffer", "coerce", "execfile", "file", "intern", "reload"])
_GONE_MODULES = frozenset(
    ["urllib2", "urlparse", "sets", "commands", "thread", "HTMLParser", "cookielib", "httplib", "string"]
)
_MODULES = {"Queue": "queue", "StringIO": "io", "cStringIO": "io", "Tkinter": "tkinter", "cPickle": "pickle"}
_STRING_KEPT = frozenset(
    [
        "ascii_letters",
        "ascii_lowercase",
        "ascii_uppercase",
        "digits",
        "hexdigits",
        "octdigits",
        "punctuation",
        "printable",
        "whitespace",
        "Template",
        "Formatter",
        "capwords",
    ]
)
_GONE_ATTRIBUTES = frozenset(
    ["message", "func_name", "func_code", "im_func", "izip", "imap", "ifilter", "izip_longest", "maketrans"]
)
_GONE_METHODS = frozenset(
    [
        "__cmp__",
        "__nonzero__",
        "__unicode__",
        "__div__",
        "__getslice__",
        "__metaclass__",
        "next",
        "__coerce__",
    ]
)
_LISTS = frozenset(["range", "map", "filter", "zip"])
_VIEWS = frozenset(["keys", "values", "items"])
_ITERATORS = {"iterkeys": "keys", "itervalues": "values", "iteritems": "items"}
_CONSUMERS = frozenset(
    [
        "list",
        "tuple",
        "set",
        "frozenset",
        "dict",
        "sum",
        "sorted",
        "enumerate",
        "any",
        "all",
        "iter",
        "Counter",
        "min",
        "max",
        "join",
        "extend",
        "update",
        "deque",
    ]
)


@dataclass
class _Edit:
    """Replacements in a source, by byte offset."""

    source: str
    starts: list[int] = field(init=False)
    spans: list[tuple[int, int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.starts = [0]
        for line in self.source.encode().split(b"\n"):
            self.starts.append(self.starts[-1] + len(line) + 1)

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Return a node's first byte and the one after its last."""
        at = (getattr(node, name) for name in ("lineno", "col_offset", "end_lineno", "end_col_offset"))
        line, column, end_line, end_column = at
        return self.starts[line - 1] + column, self.starts[end_line - 1] + end_column

    def insert(self, at: int, text: str) -> None:
        """Insert a text before a byte."""
        self.spans.append((at, at, text))

    def wrap(self, node: ast.AST, before: str, after: str) -> None:
        """Put texts around a node."""
        start, end = self.span(node)
        self.insert(start, before)
        self.insert(end, after)

    def replace(self, start: int, end: int, text: str) -> None:
        """Replace bytes."""
        self.spans.append((start, end, text))

    def result(self) -> str | None:
        """Return the source with all replacements, None where two of them overlap.

        Of several at one place the first asked is outermost.
        """
        data = self.source.encode()
        ordered = sorted(enumerate(self.spans), key=lambda e: (e[1][0], e[1][1] > e[1][0], e[0]))
        out, at = b"", 0
        for _, (start, end, text) in ordered:
            if start < at:
                return None
            out += data[at:start] + text.encode()
            at = max(at, end)
        return (out + data[at:]).decode()


def uses_python2(tree: ast.Module) -> bool:
    """Return True if the tree uses a built-in name or a dictionary method that only Python 2 has."""
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id in _RENAMED}
    if any(isinstance(n, ast.Attribute) and n.attr in {*_ITERATORS, "has_key"} for n in ast.walk(tree)):
        return True
    if prints_by_statement(tree):
        return True
    return bool(names) and not names <= set(_bound(tree))


def prints_by_statement(tree: ast.Module) -> bool:
    """Return True for `print >>file` or a bare `print`, which parse today and print nothing."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Name(id="print")) | ast.BinOp(left=ast.Name(id="print"), op=ast.RShift()):
                return True
    return False


def modernised(source: str, tree: ast.Module, tested: bool) -> str | None:
    """Return the source with Python 2's names, lists and division as Python 3 writes them, or None."""
    bound = set(_bound(tree))
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    if any(_refused(node, bound, parents, tested) for node in ast.walk(tree)):
        return None
    edit = _Edit(source)
    true_division = "division" in source and "from __future__" in source
    for node in ast.walk(tree):
        _rename(node, bound, edit)
        if isinstance(node, ast.Call):
            _call(node, bound, parents, edit)
        elif (
            isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div) and not true_division
        ):
            _divide(node, edit)
    text = edit.result()
    if text is None:
        return None
    if "reduce" not in bound and any(isinstance(n, ast.Name) and n.id == "reduce" for n in ast.walk(tree)):
        text = "from functools import reduce\n" + text
    return text if parse(text) else None


def _bound(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]


def _refused(node: ast.AST, bound: set[str], parents: dict[ast.AST, ast.AST], tested: bool) -> bool:
    """Return True for what has no certain equal in Python 3."""
    match node:
        case ast.Name(id=name) if name not in bound:
            return name in _GONE or (
                name in ("input", "round") and _called(node, parents) and not (name == "round" and tested)
            )
        case ast.Name(id=name):
            return name in _RENAMED and name in bound
        case ast.Attribute(value=ast.Name(id="string"), attr=name) if "string" in bound:
            return name not in _STRING_KEPT
        case ast.Attribute(attr=name) if name in _GONE_ATTRIBUTES:
            return True
        case ast.Call(
            func=ast.Attribute(attr="encode" | "decode"), args=[ast.Constant(value=str(codec)), *_]
        ):
            return codec in ("hex", "base64", "rot13", "string_escape")
        case ast.Call(func=ast.Attribute(attr="sort") | ast.Name(id="sorted"), args=args, keywords=keywords):
            positional = len(args) - isinstance(node.func, ast.Name)
            return positional > 0 or any(k.arg == "cmp" for k in keywords)
        case ast.Call(func=ast.Name(id="map" | "filter"), args=[ast.Constant(value=None), *_]):
            return True
    return _refused_statement(node, tested)


def _refused_statement(node: ast.AST, tested: bool) -> bool:
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return name in _GONE_METHODS or name in _RENAMED
        case ast.ImportFrom(module=module, names=names) if module == "itertools":
            return any(alias.name in _GONE_ATTRIBUTES for alias in names)
        case ast.ImportFrom(module=module):
            return module in _GONE_MODULES
        case ast.Import(names=names):
            return any(alias.name in _GONE_MODULES - {"string"} for alias in names)
        case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
            return not (tested or _float_shows(node))
    return False


def _called(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    parent = parents.get(node)
    return isinstance(parent, ast.Call) and parent.func is node


def _rename(node: ast.AST, bound: set[str], edit: _Edit) -> None:
    match node:
        case ast.Name(id=name) if name in _RENAMED and name not in bound:
            edit.replace(*edit.span(node), _RENAMED[name])
        case ast.Attribute(value=ast.Name(id="sys"), attr="maxint"):
            edit.replace(*edit.span(node), "sys.maxsize")
        case ast.ImportFrom(module=module) if module in _MODULES:
            start, _ = edit.span(node)
            edit.replace(start, start + len(f"from {module}"), f"from {_MODULES[module]}")
        case ast.Import(names=[ast.alias(name=name, asname=asname)]) if name in _MODULES:
            edit.replace(*edit.span(node), f"import {_MODULES[name]} as {asname or name}")


def _call(node: ast.Call, bound: set[str], parents: dict[ast.AST, ast.AST], edit: _Edit) -> None:
    match node.func:
        case ast.Name(id=name) if name in _LISTS and name not in bound:
            if not _consumed(node, parents):
                edit.wrap(node, "list(", ")")
        case ast.Attribute(attr=name) if name in _VIEWS and not node.args:
            if not _consumed(node, parents):
                edit.wrap(node, "list(", ")")
        case ast.Attribute(attr=name) if name in _ITERATORS and not node.args:
            _, end = edit.span(node.func)
            edit.replace(end - len(name), end, _ITERATORS[name])
        case ast.Attribute(value=value, attr="has_key") if len(node.args) == 1:
            _has_key(node, value, parents, edit)
        case ast.Attribute(value=value, attr="next") if not node.args:
            edit.insert(edit.span(node)[0], "next(")
            edit.replace(edit.span(value)[1], edit.span(node)[1], ")")


def _has_key(node: ast.Call, value: ast.expr, parents: dict[ast.AST, ast.AST], edit: _Edit) -> None:
    data = edit.source.encode()
    key, holder = (data[slice(*edit.span(part))].decode() for part in (node.args[0], value))
    if not isinstance(node.args[0], ast.Name | ast.Constant | ast.Attribute | ast.Subscript | ast.Call):
        key = f"({key})"
    bare = isinstance(parents.get(node), ast.If | ast.While | ast.Return | ast.Assign)
    edit.replace(*edit.span(node), f"{key} in {holder}" if bare else f"({key} in {holder})")


def _consumed(node: ast.Call, parents: dict[ast.AST, ast.AST]) -> bool:
    """Return True where a list or an iterator makes no difference."""
    parent = parents.get(node)
    match parent:
        case ast.For() | ast.comprehension():
            return parent.iter is node
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name in _CONSUMERS and node in parent.args
        case ast.Assign(targets=[ast.Tuple() | ast.List()]):
            return True
        case ast.Compare(ops=[ast.In() | ast.NotIn()]):
            return node in parent.comparators
        case ast.Starred():
            return True
        case ast.Subscript():
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            return name == "range" and not isinstance(parent.ctx, ast.Store)
    return False


def _float_shows(node: ast.AST) -> bool:
    """Return True if an operand of the division is certainly a float."""
    if isinstance(node, ast.BinOp):
        return _is_float(node.left) or _is_float(node.right)
    return isinstance(node, ast.AugAssign) and _is_float(node.value)


def _is_float(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=value):
            return isinstance(value, float)
        case ast.Call(func=ast.Name(id="float") | ast.Attribute(value=ast.Name(id="math"), attr="sqrt")):
            return True
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() | ast.Pow(), right=right):
            return _is_float(left) or _is_float(right)
        case ast.UnaryOp(operand=operand):
            return _is_float(operand)
    return False


def _divide(node: ast.BinOp | ast.AugAssign, edit: _Edit) -> None:
    if _float_shows(node):
        return
    first, second = (node.left, node.right) if isinstance(node, ast.BinOp) else (node.target, node.value)
    start, end = edit.span(first)[1], edit.span(second)[0]
    at = edit.source.encode().index(b"/", start, end)
    edit.insert(at, "/")
