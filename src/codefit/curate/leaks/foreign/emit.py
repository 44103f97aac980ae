"""JavaScript and Java as Python text: statements and functions."""

from __future__ import annotations

from codefit.curate.leaks.foreign.names import assigned, bound, python_name, targets
from codefit.curate.leaks.foreign.tokens import Unsupported
from codefit.curate.leaks.foreign.tree import Node
from codefit.curate.leaks.foreign.values import Values

_FLOATS = frozenset({"double", "float", "Double", "Float"})


class Emitter(Values):
    """Writes programs."""

    def __init__(self, *, java: bool) -> None:
        super().__init__(java=java)
        self._steps: list[list[str]] = []
        self._returns: list[str] = [""]

    def program(self, nodes: list[Node]) -> str:
        """Return a whole program as Python text."""
        self.scopes = [bound(nodes)]
        self.floats = [set()]
        main = False
        for node in _functions_first(nodes):
            if node.kind == "function" and node.text:
                main = main or (self.java and node.text == "main")
                self._top(node)
            elif not self._named_function(node):
                self.statement(node)
        if main:
            self.line("main()")
        return "\n".join(self.lines) + "\n"

    def _top(self, node: Node) -> None:
        if self.java and node.text == "main":
            node = Node("function", "main", [Node("parameters"), node.part(1)])
            self.define(node, "main")
            return
        self.line("@cfx_plain")
        self.define(node, python_name(node.text))

    def _named_function(self, node: Node) -> bool:
        """Write `const f = () => ...` as a definition."""
        if node.kind != "declaration" or len(node.parts) != 1:
            return False
        target, value = node.part(0).part(0), node.part(0).parts[1]
        if target.kind != "name" or value is None or value.kind != "function":
            return False
        self.line("@cfx_plain")
        self.define(value, python_name(target.text))
        return True

    def define(self, node: Node, name: str) -> None:
        """Write a function."""
        parameters, body = node.part(0), node.part(1)
        names, opening = self._parameters(parameters)
        own = bound([body]) | {n for p in parameters.all for n in targets(p)}
        free = assigned([body]) - own
        outer = {n for scope in self.scopes[1:] for n in scope}
        self.line(f"def {name}({', '.join(names)}):")
        self.depth += 1
        self.scopes.append(own | (free - outer - self.scopes[0]))
        self.floats.append({p.text for p in parameters.all if self._kind(p) in _FLOATS})
        self._returns.append(parameters.text)
        steps, self._steps = self._steps, []
        for word, chosen in (("nonlocal", free & outer), ("global", (free - outer) & self.scopes[0])):
            if chosen:
                self.line(f"{word} {', '.join(sorted(map(python_name, chosen)))}")
        for text in opening:
            self.line(text)
        self.block(body)
        self._steps = steps
        self._returns.pop()
        self.floats.pop()
        self.scopes.pop()
        self.depth -= 1

    @staticmethod
    def _kind(parameter: Node) -> str:
        return parameter.part(0).text if parameter.kind == "name" and parameter.parts else ""

    def _parameters(self, parameters: Node) -> tuple[list[str], list[str]]:
        """Return the parameters, and lines that give them their defaults, parts and kinds."""
        names, opening = [], []
        for one in parameters.all:
            goal = one.part(0) if one.kind in ("assign", "spread") else one
            name = python_name(goal.text) if goal.kind == "name" else self.fresh()
            names.append(
                f"*{name}" if one.kind == "spread" else f"{name}=None" if one.kind == "assign" else name
            )
            if one.kind == "spread":
                opening.append(f"{name} = list({name})")
            if one.kind == "assign":
                opening.append(f"{name} = {self.value(one.part(1))} if {name} is None else {name}")
            if goal.kind != "name":
                opening.append(self.store(goal, name))
            if self._kind(one) in _FLOATS:
                opening.append(f"{name} = float({name})")
            if self._kind(one) == "char":
                opening.append(f"{name} = cfx_Char({name})")
        return names, opening

    def block(self, node: Node) -> None:
        """Write the statements of a block, or one that stands alone."""
        before = len(self.lines)
        for inner in _functions_first(node.all) if node.kind == "block" else [node]:
            self.statement(inner)
        if len(self.lines) == before:
            self.line("pass")

    def _inner(self, node: Node) -> None:
        self.depth += 1
        self.block(node)
        self.depth -= 1

    def statement(self, node: Node) -> None:
        """Write a statement."""
        way = getattr(self, f"_write_{node.kind}", None)
        if way is None:
            raise Unsupported(node.kind)
        way(node)

    def _write_block(self, node: Node) -> None:
        self.block(node)

    def _write_function(self, node: Node) -> None:
        self.define(node, python_name(node.text))

    def _write_expression(self, node: Node) -> None:
        inner = node.part(0)
        if inner.kind == "comma":
            for part in inner.all:
                self._write_expression(Node("expression", "", [part]))
            return
        if inner.kind == "update":
            inner = Node("update", inner.text[::-1] if inner.text[0] == "x" else inner.text, inner.parts)
        text = self.value(inner)
        plain = inner.kind in ("assign", "update") and inner.part(0).kind == "name"
        self.line(text[1:-1].replace(" := ", " = ", 1) if plain and text[0] == "(" else text)

    def _write_declaration(self, node: Node) -> None:
        for one in node.all:
            target, value = one.part(0), one.parts[1]
            if one.text in _FLOATS and target.kind == "name":
                self.floats[-1].add(target.text)
            text = self.value(value) if value is not None else "None"
            if target.kind != "name":
                self.line(self.store(target, text))
                continue
            if value is not None and target.text in self.floats[-1]:
                text = f"float({text})"
            elif value is not None and one.text == "char":
                text = f"cfx_Char({text})"
            self.line(f"{python_name(target.text)} = {text}")

    def _write_if(self, node: Node) -> None:
        self.line(f"if {self.test(node.part(0))}:")
        self._inner(node.part(1))
        if node.parts[2] is not None:
            self.line("else:")
            self._inner(node.part(2))

    def _write_while(self, node: Node) -> None:
        self._loop(self.test(node.part(0)), node.part(1), [])

    def _loop(self, test: str, body: Node, steps: list[str]) -> None:
        self.line(f"while {test}:")
        self._steps.append(steps)
        self._inner(body)
        self._steps.pop()
        self.depth += 1
        for step in steps:
            self.line(step)
        self.depth -= 1

    def _write_do(self, node: Node) -> None:
        test = self.test(node.part(1))
        self._loop("True", node.part(0), [f"if not {test}: break"])

    def _write_for(self, node: Node) -> None:
        first, test, step, body = node.parts
        if first is not None:
            self.statement(first)
        wanted = self.test(test) if test is not None else "True"
        self._loop(wanted, body or Node("block"), self._captured(step))

    def _captured(self, step: Node | None) -> list[str]:
        """Return the lines of the step of a loop."""
        if step is None:
            return []
        lines, self.lines, depth, self.depth = self.lines, [], self.depth, 0
        self._write_expression(Node("expression", "", [step]))
        found, self.lines, self.depth = self.lines, lines, depth
        return found

    def _write_each(self, node: Node) -> None:
        target, items, body = node.part(0), node.part(1), node.part(2)
        helper = "cfx_keys" if node.text == "in" and not self.java else "cfx_items"
        name = python_name(target.text) if target.kind == "name" else self.fresh()
        self.line(f"for {name} in {helper}({self.value(items)}):")
        self.depth += 1
        if target.kind != "name":
            self.line(self.store(target, name))
        self._steps.append([])
        self.block(body)
        self._steps.pop()
        self.depth -= 1

    def _write_return(self, node: Node) -> None:
        value = node.parts[0]
        text = self.value(value) if value is not None else ""
        if text and self._returns[-1] in _FLOATS:
            text = f"float({text})"
        self.line(f"return {text}".rstrip())

    def _write_break(self, node: Node) -> None:
        self._leave("break", [])

    def _write_continue(self, node: Node) -> None:
        self._leave("continue", self._steps[-1] if self._steps else [])

    def _leave(self, word: str, steps: list[str]) -> None:
        if not self._steps:
            raise Unsupported(f"{word} outside of a loop")
        for step in steps:
            self.line(step)
        self.line(word)

    def _write_throw(self, node: Node) -> None:
        self.line(f"raise cfx_Thrown({self.value(node.part(0))})")

    def _write_try(self, node: Node) -> None:
        body, handler, last = node.parts
        self.line("try:")
        self._inner(body or Node("block"))
        if handler is not None:
            self.line(f"except Exception as {python_name(node.text) if node.text else self.fresh()}:")
            self._inner(handler)
        if last is not None:
            self.line("finally:")
            self._inner(last)

    def _write_switch(self, node: Node) -> None:
        name = self.fresh()
        self.line(f"{name} = {self.value(node.part(0))}")
        waiting: list[Node] = []
        word, ended = "if", False
        for case in node.all[1:]:
            tests, body = case.part(0), case.part(1)
            if ended:
                raise Unsupported("a case behind the default")
            waiting += tests.all
            default = not tests.parts
            if not body.parts and not default:
                continue
            kept = self._without_break(body, case is node.parts[-1])
            checks = " or ".join(f"cfx_same({name}, {self.value(test)})" for test in waiting)
            ended = default
            line = "else:" if default and word == "elif" else f"{word} {'True' if default else checks}:"
            self.line(line)
            self._inner(kept)
            waiting, word = [], "elif"

    @staticmethod
    def _without_break(body: Node, last: bool) -> Node:
        """Return the statements of a case without the `break` at the end; it may not run into the next case."""
        parts = body.all
        if len(parts) == 1 and parts[0].kind == "block":
            parts = parts[0].all
        if parts and parts[-1].kind == "break":
            parts, last = parts[:-1], True
        if any(map(_leaves, parts)):
            raise Unsupported("a break inside of a case")
        if last or (parts and parts[-1].kind in ("return", "continue", "throw")):
            return Node("block", "", [*parts])
        raise Unsupported("a case that runs into the next")


def _functions_first(nodes: list[Node]) -> list[Node]:
    """Return statements in the order in which they count: functions may be called before they stand there."""
    return sorted(nodes, key=lambda node: node.kind != "function")


def _leaves(node: Node) -> bool:
    """Return True if a statement leaves the `switch` it stands in by `break`."""
    if node.kind in ("while", "do", "for", "each", "function", "switch"):
        return False
    return node.kind == "break" or any(map(_leaves, node.all))
