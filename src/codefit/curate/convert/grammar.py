"""What a program reads, line by line, as data: parsed from test inputs by us, never by the program."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Cast = Literal["int", "float", "str"]
_CASTS: dict[Cast, Callable[[str], Any]] = {"int": int, "float": float, "str": str}
_MAX_DIGITS = 4_000
_MAX_ITEMS = 200_000
_OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
}
_WHOLE = re.compile(r"[+-]?\d+")


@dataclass(frozen=True, slots=True)
class Value:
    """One line holding one value."""

    cast: Cast


@dataclass(frozen=True, slots=True)
class Values:
    """One line of values separated by blanks."""

    cast: Cast


@dataclass(frozen=True, slots=True)
class Spread:
    """One line of values for several names; `star` is the index of the one that takes the rest."""

    names: tuple[str, ...]
    cast: Cast
    star: int | None = None


@dataclass(frozen=True, slots=True)
class Repeat:
    """As many lines as an expression over earlier names says, each of one shape."""

    count: ast.expr
    item: Value | Values | Spread


Shape: TypeAlias = Value | Values | Spread | Repeat


@dataclass(frozen=True, slots=True)
class Read:
    """One statement that reads: the name it fills (None for `Spread`, which has its own, and for skipped lines)."""

    name: str | None
    shape: Shape

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names that the statement fills."""
        if self.name is not None:
            return (self.name,)
        return self.shape.names if isinstance(self.shape, Spread) else ()


class Unreadable(ValueError):
    """A test input is not as the program reads it."""


class Lines:
    """The lines of one test input, taken one after another."""

    def __init__(self, text: str) -> None:
        self._lines = text.rstrip().split("\n")
        self._next = 0

    def take(self) -> str:
        """Return the next line; raises `Unreadable` at the end."""
        if self._next >= len(self._lines):
            raise Unreadable("the input ends early")
        self._next += 1
        return self._lines[self._next - 1].rstrip("\r")

    def finished(self) -> bool:
        """Return True if all lines were taken."""
        return self._next >= len(self._lines)


def parse_reads(reads: Sequence[Read], lines: Lines) -> dict[str, Any]:
    """Return name -> value as the reads take them; raises `Unreadable`."""
    values: dict[str, Any] = {}
    for read in reads:
        try:
            value = _parse(read.shape, lines, values)
        except (ValueError, KeyError, OverflowError) as e:
            raise Unreadable(str(e)) from e
        if isinstance(read.shape, Spread):
            values |= dict(zip(read.shape.names, value, strict=True))
        elif read.name is not None:
            values[read.name] = value
    return values


def _parse(shape: Shape, lines: Lines, values: Mapping[str, Any]) -> Any:
    match shape:
        case Value(cast=cast):
            return _cast(lines.take().strip() if cast != "str" else lines.take().rstrip(), cast)
        case Values(cast=cast):
            return [_cast(token, cast) for token in lines.take().split()]
        case Spread(names=names, cast=cast, star=star):
            return _spread([_cast(t, cast) for t in lines.take().split()], len(names), star)
        case Repeat(count=count, item=item):
            times = _number(count, values)
            if not 0 <= times <= _MAX_ITEMS:
                raise Unreadable(f"{times} lines")
            return [_parse(item, lines, values) for _ in range(times)]


def _cast(text: str, cast: Cast) -> Any:
    if len(text) > _MAX_DIGITS and cast != "str":
        raise Unreadable("a long number")
    if cast == "int" and not _WHOLE.fullmatch(text.strip()):
        raise Unreadable(f"not a whole number: {text[:40]}")
    return _CASTS[cast](text)


def _spread(values: list[Any], names: int, star: int | None) -> list[Any]:
    if star is None:
        if len(values) != names:
            raise Unreadable(f"{len(values)} values for {names} names")
        return values
    after = names - star - 1
    if len(values) < names - 1:
        raise Unreadable(f"{len(values)} values for {names} names")
    end = len(values) - after
    return [*values[:star], values[star:end], *values[end:]]


def _number(node: ast.expr, values: Mapping[str, Any]) -> int:
    match node:
        case ast.Constant(value=int() as value):
            return value
        case ast.Name(id=name):
            value = values[name]
            if isinstance(value, int):
                return value
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_number(left, values), _number(right, values))
    raise Unreadable("a count that is not plain")


def is_count(node: ast.expr) -> bool:
    """Return True for expressions that `Repeat` can count with: names, numbers, + - *."""
    match node:
        case ast.Constant(value=int()) | ast.Name():
            return True
        case ast.BinOp(left=left, op=op, right=right):
            return type(op) in _OPERATORS and is_count(left) and is_count(right)
    return False
