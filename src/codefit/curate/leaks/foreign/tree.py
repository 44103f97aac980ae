"""Syntax trees of JavaScript and Java, as far as they are understood, and a reader of tokens."""

from __future__ import annotations

from dataclasses import dataclass, field

from codefit.curate.leaks.foreign.tokens import Token, Unsupported


@dataclass(slots=True)
class Node:
    """One construct: its kind, its name, operator or literal, and its parts (None where one is left out)."""

    kind: str
    text: str = ""
    parts: list[Node | None] = field(default_factory=list)

    def part(self, place: int) -> Node:
        """Return a part that must be there."""
        found = self.parts[place]
        if found is None:
            raise Unsupported(f"{self.kind} without its part {place}")
        return found

    @property
    def all(self) -> list[Node]:
        """Return the parts that are there."""
        return [part for part in self.parts if part is not None]


class Reader:
    """Walks over tokens."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.place = 0

    @property
    def now(self) -> Token:
        """Return the token that comes next."""
        return self.tokens[self.place]

    def ahead(self, count: int = 1) -> Token:
        """Return a later token."""
        return self.tokens[min(self.place + count, len(self.tokens) - 1)]

    def at(self, *texts: str) -> bool:
        """Return True if the next token is one of these operators or words."""
        return self.now.kind in ("operator", "name") and self.now.text in texts

    def take(self) -> Token:
        """Return the next token and go on."""
        token = self.now
        self.place = min(self.place + 1, len(self.tokens) - 1)
        return token

    def accept(self, *texts: str) -> bool:
        """Go over the next token if it is one of these."""
        if self.at(*texts):
            self.take()
            return True
        return False

    def expect(self, text: str) -> None:
        """Go over a token that must come next."""
        if not self.accept(text):
            raise Unsupported(f"{text} expected, not {self.now.text!r}")

    def name(self) -> str:
        """Return the name that must come next."""
        if self.now.kind != "name":
            raise Unsupported(f"a name expected, not {self.now.text!r}")
        return self.take().text
