"""A few lint rules over the syntax tree: faults that a reader of training code would mark."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator

_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
_BUILTINS = frozenset(name for name in dir(builtins) if name.islower())
_TERMINAL = (ast.Return, ast.Raise, ast.Continue, ast.Break)


def faults(tree: ast.Module) -> list[str]:
    """Return the rules that a source breaks, one entry each time, sorted.

    `bare-except`, `silent-except`, `mutable-default`, `unused-import`, `unused-variable`,
    `shadowed-builtin`, `none-comparison`, `bool-comparison`, `star-import`, `eval`, `unreachable`,
    `self-assignment`. Not covered: everything that needs types.
    """
    nodes = list(ast.walk(tree))
    found = [rule for node in nodes for rule in _of_node(node)]
    if imported := _imported(nodes):
        texts = {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
        found += ["unused-import"] * len(imported - _read(nodes) - texts)
    for function in (n for n in nodes if isinstance(n, _FUNCTION)):
        inside = list(ast.walk(function))
        if assigned := _assigned(inside):
            found += ["unused-variable"] * len(assigned - _read(inside) - _shared(inside))
    return sorted(found)


def _of_node(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.ExceptHandler():
            yield from ["bare-except"] if node.type is None else []
            yield from ["silent-except"] if isinstance(node.body[0], ast.Pass) else []
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            if any(isinstance(d, ast.List | ast.Dict | ast.Set) for d in node.args.defaults):
                yield "mutable-default"
            if any(a.arg in _BUILTINS for a in (*node.args.args, *node.args.kwonlyargs)):
                yield "shadowed-builtin"
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Name(id=same)) if name == same:
            yield "self-assignment"
        case ast.Assign(targets=[ast.Name(id=name)]) if name in _BUILTINS:
            yield "shadowed-builtin"
        case ast.Compare(
            ops=[ast.Eq() | ast.NotEq()], comparators=[ast.Constant(value=None | bool() as value)]
        ):
            yield "none-comparison" if value is None else "bool-comparison"
        case ast.ImportFrom(names=[ast.alias(name="*")]):
            yield "star-import"
        case ast.Call(func=ast.Name(id="eval" | "exec")):
            yield "eval"
    body = getattr(node, "body", None)
    if isinstance(body, list) and any(isinstance(s, _TERMINAL) for s in body[:-1]):
        yield "unreachable"


def _imported(nodes: list[ast.AST]) -> set[str]:
    imports = [n for n in nodes if isinstance(n, ast.Import | ast.ImportFrom)]
    names = [
        a for n in imports for a in n.names if a.name != "*" and getattr(n, "module", "") != "__future__"
    ]
    return {(a.asname or a.name).partition(".")[0] for a in names}


def _read(nodes: list[ast.AST]) -> set[str]:
    return {n.id for n in nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Store)}


def _assigned(nodes: list[ast.AST]) -> set[str]:
    """Return names that plain assignments bind; loop variables and parts of tuples may stay unused."""
    targets = [t for n in nodes if isinstance(n, ast.Assign) for t in n.targets]
    return {t.id for t in targets if isinstance(t, ast.Name) and not t.id.startswith("_")}


def _shared(nodes: list[ast.AST]) -> set[str]:
    return {name for n in nodes if isinstance(n, ast.Global | ast.Nonlocal) for name in n.names}
