"""Statements of JavaScript and Java, and what stands at the top of a text."""

from __future__ import annotations

from codefit.curate.leaks.foreign.expressions import PRIMITIVES, Expressions
from codefit.curate.leaks.foreign.tokens import Token, Unsupported
from codefit.curate.leaks.foreign.tree import Node

_MODIFIERS = frozenset(
    {"public", "private", "protected", "static", "final", "abstract", "synchronized", "const", "readonly"}
)


class Statements(Expressions):
    """Reads JavaScript."""

    def __init__(self, tokens: list[Token]) -> None:
        super().__init__(tokens)
        self.body = self.block

    def program(self) -> list[Node]:
        """Read a whole text."""
        found = []
        while self.now.kind != "end":
            found.append(self.statement())
        return found

    def block(self) -> Node:
        """Read `{ ... }`."""
        self.expect("{")
        found: list[Node | None] = []
        while not self.accept("}"):
            found.append(self.statement())
        return Node("block", "", found)

    def statement(self) -> Node:
        """Read one statement."""
        if self.at("{"):
            return self.block()
        if self.accept(";"):
            return Node("block")
        if self.now.kind == "name":
            known = getattr(self, f"_{self.now.text}", None)
            if self.now.text in _STATEMENTS and known:
                self.take()
                found: Node = known()
                return found
            declared = self.declaration()
            if declared:
                return declared
        value = self.expression()
        self.end()
        return Node("expression", "", [value])

    def declaration(self, *, no_in: bool = False) -> Node | None:
        """Read a declaration, or nothing."""
        if self.at("function"):
            return self.function()
        if not self.at("let", "const", "var"):
            return None
        self.take()
        return self.declared("", no_in=no_in)

    def declared(self, kind: str, *, no_in: bool = False) -> Node:
        """Read `a = 1, b` behind its type."""
        found: list[Node | None] = []
        while True:
            target = self._bracketed() if self.at("[", "{") else Node("name", self.name())
            array = self.java and self._brackets()
            value = None
            if self.accept("="):
                value = self.initial() if self.java and self.at("{") else self.assignment(no_in=no_in)
            found.append(Node("declared", "" if array else kind, [target, value]))
            if not self.accept(","):
                break
        if not no_in:
            self.end()
        return Node("declaration", "", found)

    def _brackets(self) -> bool:
        """Go over `[]`."""
        found = False
        while self.at("[") and self.ahead().text == "]":
            self.take()
            self.take()
            found = True
        return found

    def end(self) -> None:
        """Go over the end of a statement, which may be only the end of a line."""
        if self.accept(";") or self.at("}") or self.now.kind == "end" or (self.now.line and not self.java):
            return
        raise Unsupported(f"a statement goes on: {self.now.text!r}")

    def _test(self) -> Node:
        self.expect("(")
        found = self.expression()
        self.expect(")")
        return found

    def _if(self) -> Node:
        test, yes = self._test(), self.statement()
        return Node("if", "", [test, yes, self.statement() if self.accept("else") else None])

    def _while(self) -> Node:
        return Node("while", "", [self._test(), self.statement()])

    def _do(self) -> Node:
        body = self.statement()
        self.expect("while")
        found = Node("do", "", [body, self._test()])
        self.accept(";")
        return found

    def _for(self) -> Node:
        self.expect("(")
        first = None
        if not self.at(";"):
            first = self.declaration(no_in=True) or Node("expression", "", [self.expression(no_in=True)])
        if self.at("of", "in", ":") and first is not None:
            word = self.take().text
            items = self.expression()
            self.expect(")")
            return Node(
                "each", "in" if word == "in" else "of", [self._variable(first), items, self.statement()]
            )
        self.expect(";")
        test = None if self.at(";") else self.expression()
        self.expect(";")
        step = None if self.at(")") else self.expression()
        self.expect(")")
        return Node("for", "", [first, test, step, self.statement()])

    @staticmethod
    def _variable(first: Node) -> Node:
        inner = first.part(0)
        return inner.part(0) if first.kind == "declaration" else inner

    def _return(self) -> Node:
        bare = self.at(";", "}") or self.now.kind == "end" or (self.now.line and not self.java)
        value = None if bare else self.expression()
        self.end()
        return Node("return", "", [value])

    def _throw(self) -> Node:
        value = self.expression()
        self.end()
        return Node("throw", "", [value])

    def _break(self) -> Node:
        return self._leave("break")

    def _continue(self) -> Node:
        return self._leave("continue")

    def _leave(self, kind: str) -> Node:
        if self.now.kind == "name" and not self.now.line:
            raise Unsupported("a label")
        self.end()
        return Node(kind)

    def _try(self) -> Node:
        body, handler, name, last = self.block(), None, "", None
        if self.accept("catch"):
            if self.accept("("):
                while not self.at(")"):
                    name = self.take().text
                self.expect(")")
            handler = self.block()
        if self.accept("finally"):
            last = self.block()
        return Node("try", name, [body, handler, last])

    def _switch(self) -> Node:
        value = self._test()
        self.expect("{")
        cases: list[Node | None] = []
        while not self.accept("}"):
            tests: list[Node | None] = []
            if not self.accept("default"):
                self.expect("case")
                tests.append(self._conditional(False))
                while self.accept(","):
                    tests.append(self._conditional(False))
            self.expect(":")
            body: list[Node | None] = []
            while not self.at("case", "default", "}"):
                body.append(self.statement())
            cases.append(Node("case", "", [Node("tests", "", tests), Node("block", "", body)]))
        return Node("switch", "", [value, *cases])


_STATEMENTS = frozenset({"if", "while", "do", "for", "return", "throw", "break", "continue", "try", "switch"})


class JavaStatements(Statements):
    """Reads Java, and what of C and C# looks like it: classes with static methods and fields, or bare methods."""

    java = True

    def program(self) -> list[Node]:
        """Read a whole text; classes are opened, so that their members stand at the top."""
        found: list[Node] = []
        while self.now.kind != "end":
            if self.accept("import", "package", "using"):
                while not self.accept(";"):
                    self._some()
            elif not self.accept(";"):
                found += self._member()
        return found

    def _some(self) -> None:
        if self.take().kind == "end":
            raise Unsupported("an end too early")

    def _modifiers(self) -> None:
        while self.at("@") or self.now.text in _MODIFIERS:
            if self.take().text == "@":
                self.name()
                if self.at("("):
                    self.arguments()

    def _member(self) -> list[Node]:
        self._modifiers()
        if self.accept("class", "interface", "namespace"):
            return self._class()
        if self.accept("enum", "record"):
            raise Unsupported("an enum")
        if self.at("<"):
            self.generics()
        start = self.place
        if self.now.kind == "name" and self.ahead().text == "(" and self.now.text[0].isupper():
            raise Unsupported("a constructor")
        kind = self.type()
        if kind is not None and self.now.kind == "name" and self.ahead().text == "(":
            return self._method(kind)
        self.place = start
        return [self.statement()]

    def _class(self) -> list[Node]:
        self.name()
        while not self.accept("{"):
            self._some()
        found: list[Node] = []
        while not self.accept("}"):
            if not self.accept(";"):
                found += self._member()
        return found

    def _method(self, kind: str) -> list[Node]:
        name = self.name()
        self.expect("(")
        names: list[Node | None] = []
        while not self.accept(")"):
            self._modifiers()
            if self.type() is None:
                raise Unsupported("a parameter without a type")
            rest = self.accept("...")
            one = Node("name", self.name())
            self._brackets()
            names.append(Node("spread", "", [one]) if rest else one)
            self.accept(",")
        while not self.at("{"):
            if self.at(";"):
                return []
            self._some()
        return [Node("function", name, [Node("parameters", kind, names), self.block()])]

    def declaration(self, *, no_in: bool = False) -> Node | None:
        """Read a declaration, or nothing."""
        start = self.place
        self._modifiers()
        kind = self.type()
        if (
            kind is not None
            and self.now.kind == "name"
            and self.ahead().text in ("=", ";", ",", ":", "[", "in")
        ):
            return self.declared(kind, no_in=no_in)
        self.place = start
        return None

    def type(self) -> str | None:
        """Read a type and return its name, empty for arrays; None where there is none."""
        if self.now.kind != "name" or self.now.text in ("new", "return", "throw", "else", "case"):
            return None
        name = self.take().text
        while self.at(".") and self.ahead().kind == "name":
            self.take()
            name = self.take().text
        try:
            self.generics()
        except Unsupported:
            return None
        array = self._brackets()
        if self.at("*", "&") and name in PRIMITIVES:
            raise Unsupported("a pointer")
        return "" if array else name
