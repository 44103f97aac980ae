"""Names in the Python text, and which of them belong to which function."""

from __future__ import annotations

import keyword
from collections.abc import Iterator

from codefit.curate.leaks.foreign.tree import Node

PREFIX = "cfx_"
_TAKEN = frozenset({"print", "len", "float", "main", "True", "False", "None", "range"})


def python_name(name: str) -> str:
    """Return a name as Python and the helpers leave it free."""
    plain = name.replace("$", "_dollar_")
    return f"{plain}_" if keyword.iskeyword(plain) or plain in _TAKEN or plain.startswith(PREFIX) else plain


def bound(function: list[Node]) -> set[str]:
    """Return the names that statements declare, inner functions left out."""
    found: set[str] = set()
    for node in _walk(function):
        if node.kind == "declared" or node.kind == "each":
            found |= set(targets(node.part(0)))
        elif node.kind in ("function", "try") and node.text:
            found.add(node.text)
    return found


def assigned(function: list[Node]) -> set[str]:
    """Return the names that statements set, inner functions left out."""
    found: set[str] = set()
    for node in _walk(function):
        if node.kind == "assign":
            found |= set(targets(node.part(0)))
        elif node.kind == "update" and node.part(0).kind == "name":
            found.add(node.part(0).text)
    return found


def targets(node: Node) -> Iterator[str]:
    """Yield the names in the target of an assignment."""
    if node.kind == "name":
        yield node.text
    elif node.kind in ("array", "object", "spread"):
        for part in node.all:
            yield from targets(part)
    elif node.kind == "pair":
        yield from targets(node.part(1))
    elif node.kind == "assign":
        yield from targets(node.part(0))


def _walk(nodes: list[Node]) -> Iterator[Node]:
    for node in nodes:
        yield node
        if node.kind != "function":
            yield from _walk(node.all)
