"""Expressions of JavaScript and Java, read by precedence."""

from __future__ import annotations

from collections.abc import Callable

from codefit.curate.leaks.foreign.tokens import Unsupported, template_parts, tokens, unescaped
from codefit.curate.leaks.foreign.tree import Node, Reader

_BINARY = {
    "??": 1, "||": 2, "&&": 3, "|": 4, "^": 5, "&": 6,
    "==": 7, "!=": 7, "===": 7, "!==": 7,
    "<": 8, ">": 8, "<=": 8, ">=": 8, "instanceof": 8, "in": 8,
    "<<": 9, ">>": 9, ">>>": 9, "+": 10, "-": 10, "*": 11, "/": 11, "%": 11, "**": 12,
}  # fmt: skip
_ASSIGN = frozenset(
    {"=", "+=", "-=", "*=", "/=", "%=", "**=", "<<=", ">>=", ">>>=", "&=", "|=", "^=", "&&=", "||=", "??="}
)
_UNARY = frozenset({"!", "-", "+", "~", "typeof", "void", "delete"})
PRIMITIVES = frozenset({"int", "long", "double", "float", "char", "boolean", "byte", "short", "bool", "void"})
_MOST_DEPTH = 200


class Expressions(Reader):
    """Reads expressions; `body` reads the block of a function."""

    java = False
    body: Callable[[], Node]
    _depth = 0

    def expression(self, *, no_in: bool = False) -> Node:
        """Read an expression, commas included."""
        first = self.assignment(no_in=no_in)
        if not self.at(","):
            return first
        parts: list[Node | None] = [first]
        while self.accept(","):
            parts.append(self.assignment(no_in=no_in))
        return Node("comma", "", parts)

    def assignment(self, *, no_in: bool = False) -> Node:
        """Read an expression without commas."""
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise Unsupported("nested too deeply")
        try:
            return self._arrow() or self._assigned(no_in)
        finally:
            self._depth -= 1

    def _assigned(self, no_in: bool) -> Node:
        left = self._conditional(no_in)
        if self.now.kind == "operator" and self.now.text in _ASSIGN:
            operator = self.take().text
            return Node("assign", operator, [left, self.assignment(no_in=no_in)])
        return left

    def _conditional(self, no_in: bool) -> Node:
        test = self._binary(0, no_in)
        if not self.accept("?"):
            return test
        yes = self.assignment()
        self.expect(":")
        return Node("ternary", "", [test, yes, self.assignment(no_in=no_in)])

    def _operator(self, no_in: bool) -> str:
        """Return the binary operator that comes next; shifts come as single signs, since types end in them too."""
        text = self.now.text if self.now.kind in ("operator", "name") else ""
        if text == ">":
            for shift in (">>>", ">>"):
                following = [self.ahead(n) for n in range(1, len(shift))]
                if all(t.text == ">" and not t.line for t in following):
                    return shift
        return "" if no_in and text == "in" else text

    def _binary(self, least: int, no_in: bool) -> Node:
        left = self._unary()
        while (power := _BINARY.get(operator := self._operator(no_in), 0)) > least:
            for _ in range(len(operator) if operator in (">>", ">>>") else 1):
                self.take()
            if operator == "instanceof":
                left = Node("instanceof", self._type_name(), [left])
            elif operator == "**":
                left = Node("binary", operator, [left, self._binary(power - 1, no_in)])
            else:
                kind = "logical" if operator in ("&&", "||", "??") else "binary"
                left = Node(kind, operator, [left, self._binary(power, no_in)])
        return left

    def _type_name(self) -> str:
        name = self.name()
        self.generics()
        return name

    def generics(self) -> None:
        """Go over `<...>` behind a type."""
        if not (self.java and self.at("<")):
            return
        depth = 0
        while True:
            token = self.take()
            if token.kind == "end" or token.text in (";", "{", "("):
                raise Unsupported("a type without an end")
            depth += (token.text == "<") - (token.text == ">")
            if not depth:
                return

    def _unary(self) -> Node:
        if self.now.kind in ("operator", "name") and self.now.text in _UNARY:
            operator = self.take().text
            return Node("unary", operator, [self._unary()])
        if self.at("++", "--"):
            operator = self.take().text
            return Node("update", f"{operator}x", [self._unary()])
        if self.java and (cast := self._cast()):
            return cast
        found = self._postfix()
        if self.at("++", "--") and not self.now.line:
            return Node("update", f"x{self.take().text}", [found])
        return found

    def _cast(self) -> Node | None:
        """Read `(type) value`, or nothing."""
        start = self.place
        if self.accept("(") and self.now.kind == "name":
            name = self.take().text
            try:
                self.generics()
            except Unsupported:
                self.place = start
                return None
            while self.at("[") and self.ahead().text == "]":
                self.take()
                self.take()
            if self.accept(")") and (name in PRIMITIVES or (name[0].isupper() and self._starts_value())):
                return Node("cast", name, [self._unary()])
        self.place = start
        return None

    def _starts_value(self) -> bool:
        return self.now.kind in ("name", "number", "string") or self.at("(")

    def _postfix(self) -> Node:
        found = self._new() if self.at("new") else self._primary()
        while True:
            if self.accept("."):
                self.generics()
                found = Node("member", self.take().text, [found])
            elif self.accept("?."):
                found = self._optional(found)
            elif self.at("["):
                self.take()
                found = Node("index", "", [found, self.expression()])
                self.expect("]")
            elif self.at("("):
                found = Node("call", "", [found, *self.arguments()])
            elif self.java and self.accept("::"):
                found = Node("reference", self.take().text, [found])
            else:
                return found

    def _optional(self, found: Node) -> Node:
        if self.at("["):
            self.take()
            inner = self.expression()
            self.expect("]")
            return Node("index", "?", [found, inner])
        if self.at("("):
            raise Unsupported("an optional call")
        return Node("member", self.name(), [found, Node("optional")])

    def arguments(self) -> list[Node]:
        """Read `(a, b)`."""
        self.expect("(")
        return self._listed(")")

    def _listed(self, end: str) -> list[Node]:
        found: list[Node] = []
        while not self.accept(end):
            if self.accept("..."):
                found.append(Node("spread", "", [self.assignment()]))
            elif self.at(","):
                found.append(Node("name", "undefined"))
            else:
                found.append(self.assignment())
            if not self.at(end):
                self.expect(",")
        return found

    def _new(self) -> Node:
        self.expect("new")
        name = self.name()
        while self.accept("."):
            name = self.name()
        self.generics()
        if self.at("["):
            return self._new_array(name)
        given = self.arguments() if self.at("(") else []
        if self.java and self.at("{"):
            raise Unsupported("a class without a name")
        return Node("new", name, [*given])

    def _new_array(self, name: str) -> Node:
        sizes: list[Node | None] = []
        while self.accept("["):
            if not self.at("]"):
                sizes.append(self.expression())
            self.expect("]")
        if self.at("{"):
            return self.initial()
        return Node("sized", name, sizes)

    def initial(self) -> Node:
        """Read `{1, 2}` as an array."""
        self.expect("{")
        found: list[Node | None] = []
        while not self.accept("}"):
            found.append(self.initial() if self.at("{") else self.assignment())
            if not self.at("}"):
                self.expect(",")
        return Node("array", "", found)

    def _primary(self) -> Node:
        token = self.now
        if token.kind == "string":
            self.take()
            return Node(
                "char" if self.java and token.text[0] == "'" else "string", unescaped(token.text[1:-1])
            )
        if token.kind in ("number", "pattern"):
            self.take()
            return Node(token.kind, token.text)
        if token.kind == "template":
            self.take()
            return Node("template", "", [self._template_part(*part) for part in template_parts(token.text)])
        if token.kind == "name":
            if self.at("function"):
                return self.function()
            if self.at("class", "async", "await", "yield", "import"):
                raise Unsupported(token.text)
            return Node("name", self.take().text)
        return self._bracketed()

    def _template_part(self, code: bool, text: str) -> Node:
        if not code:
            return Node("string", text)
        inner = type(self)(tokens(text))
        return inner.expression()

    def _bracketed(self) -> Node:
        if self.accept("("):
            inner = self.expression()
            self.expect(")")
            return inner
        if not self.java and self.accept("["):
            return Node("array", "", [*self._listed("]")])
        if not self.java and self.accept("{"):
            return self._object()
        raise Unsupported(f"no expression: {self.now.text!r}")

    def _object(self) -> Node:
        pairs: list[Node | None] = []
        while not self.accept("}"):
            pairs.append(self._pair())
            if not self.at("}"):
                self.expect(",")
        return Node("object", "", pairs)

    def _pair(self) -> Node:
        if self.accept("..."):
            return Node("spread", "", [self.assignment()])
        if self.accept("["):
            key = self.assignment()
            self.expect("]")
        else:
            token = self.take()
            if token.kind not in ("name", "string", "number"):
                raise Unsupported("no key")
            key = Node("string", unescaped(token.text[1:-1]) if token.kind == "string" else token.text)
            if token.kind == "name" and self.at(",", "}", "="):
                value = Node("name", token.text)
                return Node("pair", "", [key, Node("assign", "=", [value, self.assignment()])]
                            if self.accept("=") else [key, value])  # fmt: skip
        if self.at("("):
            return Node("pair", "", [key, self._function_rest("")])
        self.expect(":")
        return Node("pair", "", [key, self.assignment()])

    def function(self) -> Node:
        """Read `function name(a, b) { ... }`."""
        self.expect("function")
        if self.at("*"):
            raise Unsupported("a generator")
        return self._function_rest(self.name() if self.now.kind == "name" else "")

    def _function_rest(self, name: str) -> Node:
        return Node("function", name, [self.parameters(), self.body()])

    def parameters(self) -> Node:
        """Read `(a, [b, c], d = 1, ...rest)`."""
        self.expect("(")
        return Node("parameters", "", [*self._listed(")")])

    def _arrow(self) -> Node | None:
        """Read `(a, b) => value`, in Java with `->`, or nothing."""
        sign = "->" if self.java else "=>"
        if self.now.kind == "name" and self.ahead().text == sign:
            parameters = Node("parameters", "", [Node("name", self.take().text)])
        elif self.at("(") and self.tokens[self._closing()].text == sign:
            parameters = self._lambda_parameters()
        else:
            return None
        self.expect(sign)
        if self.at("{"):
            return Node("function", "", [parameters, self.body()])
        value = self.assignment()
        return Node("function", "", [parameters, Node("block", "", [Node("return", "", [value])])])

    def _lambda_parameters(self) -> Node:
        if not self.java:
            return self.parameters()
        self.expect("(")
        found: list[Node | None] = []
        while not self.accept(")"):
            words = [self.name()]
            while self.now.kind == "name":
                words.append(self.take().text)
            found.append(Node("name", words[-1]))
            self.accept(",")
        return Node("parameters", "", found)

    def _closing(self) -> int:
        """Return the place behind the bracket that closes the one that comes next."""
        depth = 0
        for place in range(self.place, len(self.tokens)):
            token = self.tokens[place]
            if token.kind == "operator":
                depth += (token.text in ("(", "[", "{")) - (token.text in (")", "]", "}"))
            if not depth:
                return min(place + 1, len(self.tokens) - 1)
        return len(self.tokens) - 1
