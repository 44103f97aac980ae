"""Statements that print, turned into ones that return."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Literal

from codefit.curate.convert.reading import Refused

Form = Literal["value", "items", "lines"]
"""What a test's printed output is: one value, the items of one line, or one value a line."""

_EXITS = ("exit", "quit")


def is_print(node: ast.AST) -> bool:
    """Return True for a statement that calls `print`."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
        and node.value.func.id == "print"
    )


def _is_exit(node: ast.stmt) -> bool:
    match node:
        case ast.Expr(value=ast.Call(func=ast.Name(id=name))):
            return name in _EXITS
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="sys"), attr="exit"))):
            return True
        case ast.Return(value=None):
            return True
    return False


def printed(node: ast.stmt) -> tuple[ast.expr, Form]:
    """Return (the value to return instead, its form) of a print statement."""
    assert isinstance(node, ast.Expr)
    assert isinstance(node.value, ast.Call)
    call = node.value
    for keyword in call.keywords:
        plain = {"end": "\n", "sep": " ", "flush": True}.get(keyword.arg or "")
        given = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
        if given is None or (given != plain and not (keyword.arg == "end" and given == "")):
            raise Refused("prints with a separator of its own")
        if keyword.arg == "sep" and given != " ":
            raise Refused("prints with a separator of its own")
    match call.args:
        case [ast.Starred(value=value)]:
            return _listed(value), "items"
        case [
            ast.Call(
                func=ast.Attribute(value=ast.Constant(value=" " | "\n" as by), attr="join"), args=[inner]
            )
        ]:
            listed = _joined(inner)
            if listed is not None:
                return listed, "items" if by == " " else "lines"
            return call.args[0], "value"
        case [value] if not isinstance(value, ast.Starred):
            return value, "value"
        case []:
            raise Refused("prints an empty line")
        case values if not any(isinstance(v, ast.Starred) for v in values):
            return ast.List(list(values), ast.Load()), "items"
    raise Refused("prints in a way that is not plain")


def _listed(value: ast.expr) -> ast.expr:
    if isinstance(value, ast.List | ast.ListComp):
        return value
    return ast.Call(ast.Name("list", ast.Load()), [value], [])


def _joined(node: ast.expr) -> ast.expr | None:
    """Return the list whose items are made into text and joined."""
    match node:
        case ast.Call(func=ast.Name(id="map"), args=[ast.Name(id="str"), value]):
            return _listed(value)
        case ast.Call(func=ast.Name(id="list"), args=[inner]):
            return _joined(inner)
        case (
            ast.ListComp(elt=ast.Call(func=ast.Name(id="str"), args=[elt]), generators=loops)
            | ast.GeneratorExp(elt=ast.Call(func=ast.Name(id="str"), args=[elt]), generators=loops)
        ):
            return ast.ListComp(elt, loops)
    return None


class Returner:
    """Rewrites a block that prints once, last, on every way through it."""

    def __init__(self, *, in_loop: bool) -> None:
        self._in_loop = in_loop  # the block was the body of the loop over test cases
        self.forms: set[Form] = set()

    def block(self, body: Sequence[ast.stmt]) -> list[ast.stmt]:
        """Return the block with `return`s; raises `Refused` where a way does not end in one print."""
        out: list[ast.stmt] = []
        body = list(body)
        for i, node in enumerate(body):
            rest = body[i + 1 :]
            if is_print(node):
                if rest and not (len(rest) == 1 and self._ends(rest[0])):
                    raise Refused("prints more than once")
                return [*out, self._return(node)]
            if isinstance(node, ast.Return) and node.value is not None:
                self.forms.add("value")
                return [*out, node]
            if isinstance(node, ast.If) and _prints(node):
                if not rest:
                    if not node.orelse:
                        raise Refused("may print nothing")
                    changed = ast.If(node.test, self.block(node.body), self.block(node.orelse))
                    return [*out, ast.copy_location(changed, node)]
                out.append(self._early(node))
                continue
            if isinstance(node, ast.For | ast.While) and _prints(node):
                out += self._search(node, last=not rest)
                if not rest:
                    return out
                continue
            if _prints(node):
                raise Refused("prints in a place that is not plain")
            out.append(node)
        raise Refused("does not end in a print")

    def _ends(self, node: ast.stmt) -> bool:
        return _is_exit(node) or (self._in_loop and isinstance(node, ast.Continue))

    def _return(self, node: ast.stmt) -> ast.Return:
        value, form = printed(node)
        self.forms.add(form)
        return ast.copy_location(ast.Return(value), node)

    def _early(self, node: ast.If) -> ast.If:
        """Rewrite `if …: print(x); exit()`, with other branches alike or without a print."""
        body = self._leaving(node.body)
        orelse = self._leaving(node.orelse)
        return ast.copy_location(ast.If(node.test, body, orelse), node)

    def _leaving(self, body: list[ast.stmt]) -> list[ast.stmt]:
        if not any(map(_prints, body)):
            return body
        if len(body) == 1 and isinstance(body[0], ast.If):
            return [self._early(body[0])]
        if len(body) >= 2 and is_print(body[-2]) and self._ends(body[-1]):
            if any(map(_prints, body[:-2])):
                raise Refused("prints more than once")
            return [*body[:-2], self._return(body[-2])]
        raise Refused("prints and goes on")

    def _search(self, node: ast.For | ast.While, *, last: bool) -> list[ast.stmt]:
        """Rewrite a loop that prints what it finds and stops; `else:` prints what is not found."""
        body = [self._within(n, breaks=last or bool(node.orelse)) for n in node.body]
        if any(map(_prints, body)):
            raise Refused("prints in a loop")
        if last and not node.orelse:
            raise Refused("may print nothing")
        orelse = self.block(node.orelse) if node.orelse and last else []
        if node.orelse and not last:
            raise Refused("prints in a place that is not plain")
        if isinstance(node, ast.For):
            changed: ast.stmt = ast.For(node.target, node.iter, body, [])
        else:
            changed = ast.While(node.test, body, [])
        return [ast.copy_location(changed, node), *orelse]

    def _within(self, node: ast.stmt, *, breaks: bool) -> ast.stmt:
        if not isinstance(node, ast.If) or not _prints(node):
            return node
        return ast.copy_location(
            ast.If(node.test, self._found(node.body, breaks), self._found(node.orelse, breaks)), node
        )

    def _found(self, body: list[ast.stmt], breaks: bool) -> list[ast.stmt]:
        ends = bool(body) and (_is_exit(body[-1]) or (breaks and isinstance(body[-1], ast.Break)))
        if ends and len(body) >= 2 and is_print(body[-2]):
            return [*body[:-2], self._return(body[-2])]
        return [self._within(n, breaks=breaks) for n in body]


def _prints(node: ast.AST) -> bool:
    return any(isinstance(n, ast.Name) and n.id == "print" for n in ast.walk(node))


class Collector(ast.NodeTransformer):
    """Rewrites every `print(x)` into `name.append(x)`, and every way out into `return name`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        if is_print(node) and isinstance(node.value, ast.Call):
            value, form = printed(node)
            if form != "value" or node.value.keywords:
                raise Refused("prints several lines of several values")
            target = ast.Attribute(ast.Name(self._name, ast.Load()), "append", ast.Load())
            return ast.copy_location(ast.Expr(ast.Call(target, [value], [])), node)
        if _is_exit(node):
            return ast.copy_location(ast.Return(ast.Name(self._name, ast.Load())), node)
        return node

    def visit_Return(self, node: ast.Return) -> ast.Return:
        return ast.Return(ast.Name(self._name, ast.Load())) if node.value is None else node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        if _prints(node):
            raise Refused("prints in a helper")
        return node
