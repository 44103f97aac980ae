"""Expressions of JavaScript and Java as Python text."""

from __future__ import annotations

from abc import ABC, abstractmethod

from codefit.curate.leaks.foreign.names import python_name, targets
from codefit.curate.leaks.foreign.tokens import Unsupported
from codefit.curate.leaks.foreign.tree import Node

_NATIVE = {"-": "-", "*": "*", "**": "**", "<": "<", ">": ">", "<=": "<=", ">=": ">="}
_HELPED = {"+": "add", "/": "div", "%": "mod", "in": "has_key"}
_BITS = frozenset({"|", "&", "^", "<<", ">>", ">>>"})
_CONSTANTS = {
    "true": "True", "false": "False", "null": "None", "undefined": "None",
    "NaN": "cfx_nan", "Infinity": "cfx_inf",
}  # fmt: skip
_SPACES = frozenset(
    {
        "Math",
        "Number",
        "Object",
        "Array",
        "String",
        "JSON",
        "Integer",
        "Long",
        "Double",
        "Boolean",
        "Character",
    }
    | {"Arrays", "Collections", "List", "Map", "Set", "Objects", "Float", "Collectors", "IntStream"}
)
_BARE = frozenset(
    {"parseInt", "parseFloat", "isNaN", "isFinite", "Number", "String", "Boolean", "Array", "BigInt"}
)
_FLOATS = frozenset({"double", "float", "Double", "Float"})
_WHOLE = frozenset({"int", "long", "short", "byte", "Integer", "Long"})
_SAYS = frozenset({"println", "print", "log", "info", "WriteLine", "Write"})


class Values(ABC):
    """Writes expressions; functions among them are written as definitions before the statement."""

    def __init__(self, *, java: bool) -> None:
        self.java = java
        self.lines: list[str] = []
        self.depth = 0
        self.scopes: list[set[str]] = [set()]
        self.floats: list[set[str]] = [set()]
        self._count = 0

    def line(self, text: str) -> None:
        """Write a line at the present depth."""
        self.lines.append("    " * self.depth + text)

    def fresh(self) -> str:
        """Return a name that nothing else has."""
        self._count += 1
        return f"cfx_t{self._count}"

    @abstractmethod
    def define(self, node: Node, name: str) -> None:
        """Write a function."""

    def value(self, node: Node) -> str:
        """Return an expression as Python text."""
        way = getattr(self, f"_{node.kind}", None)
        if way is None:
            raise Unsupported(node.kind)
        return str(way(node))

    def test(self, node: Node) -> str:
        """Return an expression that stands for a yes or no."""
        plain = node.kind == "binary" and node.text in ("<", ">", "<=", ">=", "==", "===", "!=", "!==")
        plain = plain or (node.kind == "unary" and node.text == "!")
        if node.kind == "logical" and node.text != "??":
            word = "and" if node.text == "&&" else "or"
            return f"({self.test(node.part(0))} {word} {self.test(node.part(1))})"
        return self.value(node) if plain or self.java else f"cfx_true({self.value(node)})"

    def _name(self, node: Node) -> str:
        known = any(node.text in scope for scope in self.scopes)
        if not known and node.text in _CONSTANTS:
            return _CONSTANTS[node.text]
        if not known and node.text in _BARE:
            return f"cfx_bare[{node.text!r}]"
        if node.text in ("this", "super", "arguments"):
            raise Unsupported(node.text)
        return python_name(node.text)

    def _number(self, node: Node) -> str:
        text = node.text.replace("_", "").rstrip("n")
        if text[:2].lower() in ("0x", "0b"):
            return str(int(text.rstrip("lL"), 0))
        plain = text.rstrip("lLfFdD")
        whole = "." not in plain and "e" not in plain.lower()
        if whole and text[-1] not in "fFdD":
            return str(int(plain))
        number = float(plain)
        return str(int(number)) if number.is_integer() and not self.java else repr(number)

    def _string(self, node: Node) -> str:
        return repr(node.text)

    def _char(self, node: Node) -> str:
        return f"cfx_Char({node.text!r})" if len(node.text) == 1 else repr(node.text)

    def _template(self, node: Node) -> str:
        return f"cfx_joined({', '.join(map(self.value, node.all))})"

    def _pattern(self, node: Node) -> str:
        body, _, flags = node.text[1:].rpartition("/")
        return f"cfx_Pattern({body!r}, {flags!r})"

    def _array(self, node: Node) -> str:
        return f"[{', '.join(self.values(node.all))}]"

    def values(self, nodes: list[Node]) -> list[str]:
        """Return the members of a list or call."""
        return [
            f"*cfx_items({self.value(n.part(0))})" if n.kind == "spread" else self.value(n) for n in nodes
        ]

    def _object(self, node: Node) -> str:
        parts = []
        for part in node.all:
            if part.kind == "spread":
                parts.append(f"**cfx_fields({self.value(part.part(0))})")
            else:
                key = part.part(0)
                text = repr(key.text) if key.kind == "string" else f"cfx_key({self.value(key)})"
                parts.append(f"{text}: {self.value(part.part(1))}")
        return f"{{{', '.join(parts)}}}"

    def _function(self, node: Node) -> str:
        name = self.fresh()
        self.define(node, name)
        return name

    def _reference(self, node: Node) -> str:
        return f"cfx_reference({node.part(0).text!r}, {node.text!r})"

    def _spread(self, node: Node) -> str:
        return f"*cfx_items({self.value(node.part(0))})"

    def _comma(self, node: Node) -> str:
        return f"cfx_last({', '.join(self.values(node.all))})"

    def _ternary(self, node: Node) -> str:
        test, yes, no = node.all
        return f"({self.value(yes)} if {self.test(test)} else {self.value(no)})"

    def _logical(self, node: Node) -> str:
        if self.java and node.text != "??":
            return self.test(node)
        name, left = self.fresh(), self.value(node.part(0))
        right = self.value(node.part(1))
        if node.text == "??":
            return f"({right} if ({name} := {left}) is None else {name})"
        if node.text == "&&":
            return f"({right} if cfx_true({name} := {left}) else {name})"
        return f"({name} if cfx_true({name} := {left}) else {right})"

    def _binary(self, node: Node) -> str:
        return self.operation(node.text, self.value(node.part(0)), self.value(node.part(1)))

    def operation(self, operator: str, left: str, right: str) -> str:
        """Return a binary operation."""
        if operator in _NATIVE:
            return f"({left} {_NATIVE[operator]} {right})"
        if operator in ("==", "==="):
            return f"cfx_same({left}, {right})"
        if operator in ("!=", "!=="):
            return f"(not cfx_same({left}, {right}))"
        if operator in _BITS:
            return f"cfx_bits({operator!r}, {left}, {right})"
        helper = _HELPED.get(operator)
        if helper is None:
            raise Unsupported(operator)
        return f"cfx_{'j' if self.java and helper in ('div', 'add') else ''}{helper}({left}, {right})"

    def _unary(self, node: Node) -> str:
        inner = node.part(0)
        if node.text == "!":
            return f"(not {self.test(inner)})"
        if node.text == "typeof":
            return f"cfx_typeof({self.value(inner)})"
        if node.text == "delete" and inner.kind in ("index", "member"):
            return f"cfx_delete({self.value(inner.part(0))}, {self._place(inner)})"
        if node.text == "-":
            return f"(-{self.value(inner)})"
        if node.text == "~":
            return f"cfx_bits('^', {self.value(inner)}, -1)"
        if node.text == "+":
            return f"cfx_number({self.value(inner)})"
        return "None"

    def _instanceof(self, node: Node) -> str:
        return f"cfx_instance({self.value(node.part(0))}, {node.text!r})"

    def _cast(self, node: Node) -> str:
        inner = self.value(node.part(0))
        if node.text in _FLOATS:
            return f"float({inner})"
        if node.text in _WHOLE:
            return f"cfx_int({inner})"
        return f"cfx_Char({inner})" if node.text == "char" else inner

    def _sized(self, node: Node) -> str:
        zero = {"boolean": "False", "bool": "False", "char": "cfx_Char(0)", "double": "0.0", "float": "0.0"}
        start = zero.get(node.text, "0" if node.text in _WHOLE else "None")
        return f"cfx_sized({start}, {', '.join(map(self.value, node.all))})"

    def _new(self, node: Node) -> str:
        if node.text == "Scanner":
            return "cfx_input()"
        return f"cfx_new({', '.join([repr(node.text), *self.values(node.all)])})"

    def _place(self, node: Node) -> str:
        return repr(node.text) if node.kind == "member" else self.value(node.part(1))

    def _member(self, node: Node) -> str:
        owner = node.part(0)
        if owner.kind == "name" and owner.text in _SPACES and not self._local(owner.text):
            return f"cfx_constant[{f'{owner.text}.{node.text}'!r}]"
        if owner.kind == "name" and owner.text == "this" and self.java:
            return python_name(node.text)
        if node.text == "length" and len(node.parts) == 1:
            return f"len({self.value(owner)})"
        optional = ", True" if len(node.parts) > 1 else ""
        return f"cfx_get({self.value(owner)}, {node.text!r}{optional})"

    def _index(self, node: Node) -> str:
        optional = ", True" if node.text else ""
        helper = "at" if self.java else "get"
        return f"cfx_{helper}({self.value(node.part(0))}, {self.value(node.part(1))}{optional})"

    def _local(self, name: str) -> bool:
        return any(name in scope for scope in self.scopes)

    def _call(self, node: Node) -> str:
        called, given = node.part(0), self.values(node.all[1:])
        if called.kind != "member":
            return f"{self.value(called)}({', '.join(given)})"
        owner = called.part(0)
        if called.text in _SAYS and self._is_console(owner):
            return self._said(called.text, given)
        if owner.kind == "name" and not self._local(owner.text):
            if owner.text in _SPACES:
                helper = "jstatic" if self.java else "static"
                return f"cfx_{helper}({', '.join([repr(f'{owner.text}.{called.text}'), *given])})"
            if self.java and (owner.text == "this" or owner.text[0].isupper()):
                return f"{python_name(called.text)}({', '.join(given)})"
        optional = "optional_" if len(called.parts) > 1 else "jcall" if self.java else "call"
        helper = "optional_call" if optional == "optional_" else optional
        return f"cfx_{helper}({', '.join([self.value(owner), repr(called.text), *given])})"

    def _is_console(self, owner: Node) -> bool:
        out = owner.kind == "member" and owner.text == "out" and owner.part(0).text == "System"
        return out or (owner.kind == "name" and owner.text in ("console", "Console"))

    def _said(self, way: str, given: list[str]) -> str:
        texts = [f"cfx_shown({text})" if text[0] != "*" else text for text in given]
        return f"print({', '.join(texts + ([] if way not in ('print', 'Write') else ['end=' + repr('')]))})"

    def _assign(self, node: Node) -> str:
        target, operator = node.part(0), node.text[:-1]
        if operator in ("&&", "||", "??"):
            value = self._logical(Node("logical", operator, node.parts))
        elif operator:
            value = self.operation(operator, self.value(target), self.value(node.part(1)))
        else:
            value = self.value(node.part(1))
        return self.store(target, value)

    def store(self, target: Node, value: str) -> str:
        """Return an expression that sets a target and gives the value."""
        if target.kind == "name":
            value = f"float({value})" if target.text in self.floats[-1] else value
            return f"({python_name(target.text)} := {value})"
        if target.kind in ("member", "index"):
            owner = target.part(0)
            if target.kind == "member" and owner.text == "this" and self.java:
                return f"({python_name(target.text)} := {value})"
            return f"cfx_set({self.value(owner)}, {self._place(target)}, {value})"
        if target.kind in ("array", "object"):
            return self._unpacked(target, value)
        raise Unsupported(f"{target.kind} as a target")

    def _unpacked(self, target: Node, value: str) -> str:
        """Return an expression that sets the parts of a pattern."""
        name = self.fresh()
        parts = [f"({name} := {value})"]
        for place, part in enumerate(target.all):
            if target.kind == "array" and part.kind == "spread":
                parts.append(self.store(part.part(0), f"cfx_items({name})[{place}:]"))
                continue
            if target.kind == "object" and part.kind != "pair":
                raise Unsupported("the rest of an object")
            key = repr(part.part(0).text) if target.kind == "object" else str(place)
            goal = part.part(1) if target.kind == "object" else part
            found = f"cfx_get({name}, {key})"
            if goal.kind == "assign":
                inner = self.fresh()
                default = self.value(goal.part(1))
                found = f"({default} if ({inner} := {found}) is None else {inner})"
                goal = goal.part(0)
            if list(targets(goal)) != ["undefined"]:
                parts.append(self.store(goal, found))
        return f"cfx_first({', '.join(parts)})"

    def _update(self, node: Node) -> str:
        target = node.part(0)
        step = "1" if "+" in node.text else "-1"
        before = self.value(target)
        stored = self.store(target, f"cfx_step({before}, {step})")
        return f"cfx_first({before}, {stored})" if node.text[0] == "x" else stored
