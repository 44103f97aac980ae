"""Functions that are not called with plain values: those that change their argument, and those on nodes.

Contest sites give linked lists and trees as lists, and define `ListNode` and `TreeNode` themselves. The
wrapper that turns them to and fro runs beside the program, which could replace it; it could as well
return what it likes, so nothing is decided there.

Not covered: lists with a cycle, nodes with other fields, trees written in another order than by levels.
"""

from __future__ import annotations

import ast
from dataclasses import replace

from codefit.core.types import Tests
from codefit.curate.code import parse

_SOLUTION = "Solution."
_NODES = ("ListNode", "TreeNode")
_CLASSES = {
    "ListNode": "class ListNode:\n    def __init__(self, val=0, next=None):\n        self.val = val\n"
    "        self.next = next\n",
    "TreeNode": "class TreeNode:\n    def __init__(self, val=0, left=None, right=None):\n        self.val = val\n"
    "        self.left = left\n        self.right = right\n",
}
_WRAPPER = """
def _list_node(values):
    head = None
    for value in reversed(values):
        node = ListNode(value)
        node.next, head = head, node
    return head

def _tree_node(values):
    nodes = [None if value is None else TreeNode(value) for value in values]
    places = [(node, side) for node in nodes if node for side in ("left", "right")]
    for (parent, side), child in zip(places, nodes[1:]):
        setattr(parent, side, child)
    return nodes[0] if nodes else None

def _values(node, left=100_000):
    found = []
    while node is not None and left:
        found.append(node.val)
        node, left = node.next, left - 1
    return found

def _levels(root, left=100_000):
    found, level = [], [root]
    while level and left > 0:
        left -= len(level)
        found += [None if node is None else node.val for node in level]
        level = [child for node in level if node for child in (node.left, node.right)]
    while found and found[-1] is None:
        found.pop()
    return found

def _called(*arguments):
    made = [make(a) if make and isinstance(a, list) else a for make, a in zip({make}, arguments)]
    value = {call}(*made)
    if value is None and {changes}:
        value = made[0]
    show = {show}
    return show(value) if show else value
"""
_MAKE = {"ListNode": "_list_node", "TreeNode": "_tree_node", None: "None"}
_SHOW = {"ListNode": "_values", "TreeNode": "_levels", None: "None"}


def call_form(source: str, tests: Tests, *, in_place: bool) -> tuple[str, Tests]:
    """Return the program and the tests as they have to be run.

    `in_place`: a function that returns None is worth its first argument after the call. Parameters and results
    annotated with `ListNode` or `TreeNode` are made of lists, and become lists again; a class that the program
    does not define is put before it.
    """
    if tests.kind != "calls" or not tests.entry_point or not tests.inputs:
        return source, tests
    makes, show = _annotations(source, tests.entry_point)
    nodes = {name for name in (*makes, show) if name}
    if not (in_place or nodes):
        return source, tests
    if in_place and show is None and makes:
        show = makes[0]
    tree = parse(source)
    defined = {n.name for n in tree.body if isinstance(n, ast.ClassDef)} if tree else set()
    classes = "\n\n".join(_CLASSES[name] for name in _NODES if name in nodes - defined)
    count = max(len(arguments) for arguments in tests.inputs)
    makes += [None] * (count - len(makes))
    method = tests.entry_point.removeprefix(_SOLUTION)
    call = f"Solution().{method}" if tests.entry_point.startswith(_SOLUTION) else method
    wrapper = _WRAPPER.format(
        make="[" + ", ".join(_MAKE[m] for m in makes) + "]", call=call, changes=in_place, show=_SHOW[show]
    )
    wrapped = replace(tests, entry_point="_called", setup=f"{tests.setup}\n{wrapper}")
    return (f"{classes}\n\n{source}" if classes else source), wrapped


def _annotations(source: str, entry_point: str) -> tuple[list[str | None], str | None]:
    """Return the node classes that a function's parameters and result are annotated with."""
    if not any(name in source for name in _NODES):
        return [], None
    name = entry_point.rpartition(".")[2]
    for node in ast.walk(parse(source) or ast.Module([], [])):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            arguments = node.args.args[1:] if entry_point.startswith(_SOLUTION) else node.args.args
            return [_node(a.annotation) for a in arguments], _node(node.returns)
    return [], None


def _node(annotation: ast.expr | None) -> str | None:
    """Return the class of `ListNode`, `Optional[ListNode]`, `ListNode | None`, `"ListNode"`; None for others."""
    text = ast.unparse(annotation) if annotation is not None else ""
    text = (
        text.replace("'", "")
        .replace(" ", "")
        .removesuffix("|None")
        .removeprefix("Optional[")
        .removesuffix("]")
    )
    return text if text in _NODES else None
