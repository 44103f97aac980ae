"""Primitives: the smallest operations of the micro world, each as code, as words and as a closure.

The closure computes expected values; the code is only ever text here. That both say the same is
checked where programs may run: in the sandbox, by the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

Constant = int | str
ConstantKind = Literal["none", "digit", "three", "few", "letter", "mark"]
ValueType = Literal["int", "str", "pair"]
Fn = Callable[[Any, Any], Any]

LETTERS = "aeiounrstlmd"
MARKS = "-+:/_"


@dataclass(frozen=True, slots=True)
class Bug:
    """A systematic mistake in one primitive: the wrong code and its meaning."""

    code: str
    fn: Fn


@dataclass(frozen=True, slots=True)
class Prim:
    """One operation.

    `code` is a format string over `{x}` (the element or the list) and `{c}` (the constant).
    `phrases` name it in requests: for filters as `adjective|clause` around the noun (`=noun|clause`
    replaces the noun), for maps and reductions around `{F}`. `verb` is the imperative form,
    `single` the form for one number in a conditional, `terse` the short form of code comments.
    `hard` primitives carry most of the planted mistakes.
    """

    name: str
    code: str
    fn: Fn
    phrases: tuple[str, ...]
    const: ConstantKind = "none"
    bugs: tuple[Bug, ...] = ()
    hard: bool = False
    verb: str = ""
    single: tuple[str, ...] = ()
    takes: tuple[ValueType, ...] = ("int",)
    gives: ValueType = "int"
    terse: str = ""

    def render(self, template: str, x: str, constant: Constant | None) -> str:
        """Fill a code template; `{c}` becomes a Python literal and `{p}` the literal one below it."""
        before = constant - 1 if isinstance(constant, int) else ""
        literal = f'"{constant}"' if isinstance(constant, str) else constant
        return template.format(x=x, c=literal, p=before)

    def say(self, phrase: str, constant: Constant | None, F: str = "") -> str:
        """Fill a phrase; a text constant is quoted as in prose."""
        return phrase.format(F=F, c=f"'{constant}'" if isinstance(constant, str) else constant)


def draw_constant(kind: ConstantKind, rng: Random) -> Constant | None:
    """Draw a constant of a kind: a digit from 2 or from 3 (where 2 is a primitive of its own), few, text."""
    if kind == "digit":
        return rng.randint(2, 9)
    if kind == "three":
        return rng.randint(3, 9)
    if kind == "few":
        return rng.randint(2, 4)
    if kind == "letter":
        return rng.choice(LETTERS)
    if kind == "mark":
        return rng.choice(MARKS)
    return None
