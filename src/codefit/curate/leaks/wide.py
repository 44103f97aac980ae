"""Other kinds of arguments that hold the same: pairs for two lists, characters for a text, a constant made a parameter.

These are many, so they are tried only on the tasks that look most like a row. A shape is a text, as in `adapt`.
"""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from typing import Any

from codefit.curate.code import parse
from codefit.curate.leaks.answers import dumped, shown
from codefit.curate.leaks.vary import Arguments, length_arguments

PREFIX = "with "
_MOST_CONSTANTS = 4
_MOST_SPREAD = 4
_COMMON = (2, 10, 3)
_HUGE = 10**18
_MOST_RANGE = 1_000
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?!\w|\.\d)")

Change = Callable[[Arguments], Arguments | None]


def _first(change: Callable[[Any], Any]) -> Change:
    """Return a change of the first argument only; None from it says that it has not the kind."""

    def changed(arguments: Arguments) -> Arguments | None:
        first = change(arguments[0])
        return None if first is None else (first, *arguments[1:])

    return changed


def _each(change: Callable[[Any], Any]) -> Change:
    """Return a change of all arguments that have the kind, of which there must be one."""

    def changed(arguments: Arguments) -> Arguments | None:
        found = [change(a) for a in arguments]
        if all(f is None for f in found):
            return None
        return tuple(a if f is None else f for a, f in zip(arguments, found, strict=True))

    return changed


def _last_number(step: int) -> Change:
    def changed(arguments: Arguments) -> Arguments | None:
        places = [i for i, a in enumerate(arguments) if type(a) is int]
        if not places:
            return None
        return tuple(a + step if i == places[-1] else a for i, a in enumerate(arguments))

    return changed


def _spread(arguments: Arguments) -> Arguments | None:
    """Return the items of every short tuple or list in its place."""
    flat = [item for a in arguments for item in (a if isinstance(a, list | tuple) else (a,))]
    return tuple(flat) if 1 < len(flat) <= 2 * _MOST_SPREAD and len(flat) > len(arguments) else None


def _grouped(*groups: tuple[int, ...]) -> Change:
    """Return a change that gives the arguments at some places together, in an order."""
    width = sum(map(len, groups))

    def changed(arguments: Arguments) -> Arguments | None:
        if len(arguments) != width:
            return None
        return tuple(tuple(arguments[i] for i in g) if len(g) > 1 else arguments[g[0]] for g in groups)

    return changed


def _groups() -> dict[str, Change]:
    """Return the ways of giving two of three arguments together, two in the other order, and four as two pairs."""
    found: dict[str, Change] = {"group 10": _grouped((1, 0)), "group 01 23": _grouped((0, 1), (2, 3))}
    for i, j, k in permutations(range(3)):
        found |= {f"group {i}{j} {k}": _grouped((i, j), (k,)), f"group {k} {i}{j}": _grouped((k,), (i, j))}
    return found


def _unzipped(arguments: Arguments) -> Arguments | None:
    """Return the columns of a list of pairs as arguments."""
    rows = arguments[0]
    if not isinstance(rows, list | tuple) or not rows or not all(isinstance(r, list | tuple) for r in rows):
        return None
    width = len(rows[0])
    if not 2 <= width <= _MOST_SPREAD or any(len(r) != width for r in rows):
        return None
    return (*(list(column) for column in zip(*rows, strict=True)), *arguments[1:])


def _rows(arguments: Arguments) -> Arguments | None:
    """Return the few rows of a table as arguments."""
    rows = arguments[0]
    table = isinstance(rows, list | tuple) and all(isinstance(r, list | tuple) for r in rows)
    return (*rows, *arguments[1:]) if table and 2 <= len(rows) <= _MOST_SPREAD else None


def _zipped(arguments: Arguments) -> Arguments | None:
    """Return two lists of one length as a list of pairs."""
    first, *others = arguments
    if not others or not isinstance(first, list | tuple) or not isinstance(others[0], list | tuple):
        return None
    if len(first) != len(others[0]):
        return None
    return (list(zip(first, others[0], strict=True)), *others[1:])


def _mapped(arguments: Arguments) -> Arguments | None:
    """Return two lists, or a list of pairs, as a mapping."""
    pairs = _zipped(arguments) or arguments
    rows = pairs[0]
    if not isinstance(rows, list | tuple) or not rows:
        return None
    if not all(isinstance(r, list | tuple) and len(r) == 2 and isinstance(r[0], str | int) for r in rows):
        return None
    return (dict(rows), *pairs[1:])


def _rows_of_lists(arguments: Arguments) -> Arguments | None:
    """Return three or more lists of one length as one list of rows."""
    lists = len(arguments) > 2 and all(isinstance(a, list | tuple) for a in arguments)
    if not lists or len({len(a) for a in arguments}) != 1:
        return None
    return (list(zip(*arguments, strict=True)),)


def _range(more: int) -> Change:
    """Return a change of a first and a last number into the numbers between, `more` behind the last."""

    def changed(arguments: Arguments) -> Arguments | None:
        if len(arguments) != 2 or any(type(a) is not int for a in arguments):
            return None
        low, high = arguments
        return ([*range(low, high + more)],) if low <= high <= low + _MOST_RANGE else None

    return changed


def _cells(arguments: Arguments) -> Arguments | None:
    """Return a table as a mapping of (row, column) to value, and two numbers after it as such a place."""
    table, *others = arguments
    if not isinstance(table, list | tuple) or not all(isinstance(r, list | tuple) for r in table):
        return None
    cells = {(i, j): v for i, row in enumerate(table) for j, v in enumerate(row)}
    place = len(others) == 2 and all(type(o) is int for o in others)
    return (cells, tuple(others)) if place else (cells, *others)


def _lines(value: Any) -> Any:
    """Return a table as lines of a text, without spaces where all cells are single characters."""
    if (
        not isinstance(value, list | tuple)
        or not value
        or not all(isinstance(r, list | tuple) for r in value)
    ):
        return None
    rows = [[shown(v) for v in row if isinstance(v, str | int | float)] for row in value]
    between = "" if all(len(cell) == 1 for row in rows for cell in row) else " "
    return "\n".join(map(between.join, rows))


def _counted(value: Any) -> Any:
    plain = isinstance(value, list | tuple) and all(isinstance(v, str | int) for v in value)
    return dict(Counter(value)) if plain else None


def _all_in_one(arguments: Arguments) -> Arguments | None:
    """Return lists as one list of lists."""
    lists = len(arguments) > 1 and all(isinstance(a, list | tuple) for a in arguments)
    return ([list(a) for a in arguments],) if lists else None


def _flat(value: Any) -> Any:
    table = isinstance(value, list | tuple) and value and all(isinstance(r, list | tuple) for r in value)
    return [item for row in value for item in row] if table else None


def _words(value: Any) -> Any:
    return value.split() if isinstance(value, str) else None


def _characters(value: Any) -> Any:
    return list(value) if isinstance(value, str) else None


def _of_texts(between: str) -> Callable[[Any], Any]:
    def joined(value: Any) -> Any:
        plain = isinstance(value, list | tuple) and value and all(isinstance(v, str) for v in value)
        return between.join(value) if plain else None

    return joined


def _of_values(between: str) -> Callable[[Any], Any]:
    def joined(value: Any) -> Any:
        plain = (
            isinstance(value, list | tuple) and value and all(isinstance(v, str | int | float) for v in value)
        )
        return between.join(map(shown, value)) if plain else None

    return joined


def _digits(value: Any) -> Any:
    return [int(c) for c in str(value)] if type(value) is int and 0 <= value < _HUGE else None


def _number(value: Any) -> Any:
    plain = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18
    return int(value) if plain else None


def _as_digits(value: Any) -> Any:
    return str(value) if type(value) is int and abs(value) < _HUGE else None


def _set(value: Any) -> Any:
    plain = isinstance(value, list | tuple) and all(isinstance(v, str | int | float) for v in value)
    return set(value) if plain else None


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else None


def _items(value: Any) -> Any:
    return list(value.items()) if isinstance(value, dict) else None


def _values(value: Any) -> Any:
    return list(value.values()) if isinstance(value, dict) else None


def _written(arguments: Arguments) -> Arguments | None:
    """Return arguments as JSON texts."""
    try:
        return tuple(a if isinstance(a, str) else json.dumps(a) for a in arguments)
    except (TypeError, ValueError):
        return None


_CHANGES: dict[str, Change] = {
    "one more": _last_number(1),
    "one less": _last_number(-1),
    "spread items": _spread,
    **_groups(),
    "columns": _unzipped,
    "rows": _rows,
    "pairs": _zipped,
    "a mapping": _mapped,
    "lists in one": _all_in_one,
    "rows of lists": _rows_of_lists,
    "a range": _range(1),
    "a range to": _range(0),
    "cells": _cells,
    "lines": _each(_lines),
    "how often each": _first(_counted),
    "flat lists": _each(_flat),
    "words": _first(_words),
    "characters": _each(_characters),
    "joined words": _each(_of_texts(" ")),
    "joined characters": _each(_of_texts("")),
    "digits": _each(_digits),
    "texts of numbers": _each(_as_digits),
    "numbers of texts": _each(_number),
    "sets": _each(_set),
    "tuples": _each(_tuple),
    "items": _each(_items),
    "values": _each(_values),
    "JSON": _written,
    "spaces between": _each(_of_values(" ")),
    "commas between": _each(_of_values(", ")),
    "tight commas between": _each(_of_values(",")),
}
_CONSTANT, _FIRST, _WITHOUT = "a constant ", "before", "without "
_NO_LENGTH = ", no length"


def constants(reference: str, prompt: str) -> list[float]:
    """Return the numbers that a task names, in its reference and its words: each may be a row's parameter."""
    tree = parse(reference)
    values = [n.value for n in (ast.walk(tree) if tree else ()) if isinstance(n, ast.Constant)]
    found: list[float] = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    words = re.sub(r"^\s*(assert|>>>).*$", "", prompt, flags=re.MULTILINE)
    found += [float(t) if "." in t else int(t[:18]) for t in _NUMBER.findall(words)]
    kept = [c for c in dict.fromkeys(found) if c not in (0, 1) and abs(c) < _HUGE]
    return [*kept, *(c for c in _COMMON if c not in kept)][:_MOST_CONSTANTS]


def wide_shapes(seen: Sequence[Arguments], named: Sequence[float], least: int, most: int | None) -> list[str]:
    """Return the shapes of other kinds in which a function of `least` to `most` arguments can take the task's.

    `named` are the numbers that the task names.
    """
    width = len(seen[0])

    def takes(count: int) -> bool:
        return least <= count and (most is None or count <= most)

    lengths = _lengths(seen)
    ways = [("", list(seen))]
    if lengths and len(lengths) < width:
        ways.append((_NO_LENGTH, [_left(a, lengths) for a in seen]))
    found: list[str] = []
    for ending, base in ways:
        for name, change in _CHANGES.items():
            given = [change(a) for a in base]
            widths = {len(g) for g in given if g is not None}
            changed = any(g != a for g, a in zip(given, base, strict=True))
            if None not in given and all(map(takes, widths)) and changed:
                found.append(f"{PREFIX}{name}{ending}")
    if takes(width + 1) and least == width + 1:
        for value in named:
            found += [f"{PREFIX}{_CONSTANT}{value!r}", f"{PREFIX}{_CONSTANT}{value!r} {_FIRST}"]
    if width > 1 and takes(width - 1):
        found += [f"{PREFIX}{_WITHOUT}{i}" for i in range(width) if len({dumped(a[i]) for a in seen}) == 1]
    return found


def widened(arguments: Arguments, shape: str, seen: Sequence[Arguments]) -> Arguments | None:
    """Return the arguments in a shape of `wide_shapes`, or None where they do not have it."""
    name = shape.removeprefix(PREFIX)
    if name.startswith(_CONSTANT):
        text, _, first = name.removeprefix(_CONSTANT).partition(" ")
        value = float(text) if "." in text or "e" in text else int(text)
        return (value, *arguments) if first else (*arguments, value)
    if name.startswith(_WITHOUT):
        place = int(name.removeprefix(_WITHOUT))
        same = dumped(arguments[place]) == dumped(seen[0][place])
        return tuple(a for i, a in enumerate(arguments) if i != place) if same else None
    if name.endswith(_NO_LENGTH):
        lengths = _lengths(seen)
        if not all(_measures(arguments[i], arguments[of]) for i, of in lengths.items()):
            return None
        name, arguments = name.removesuffix(_NO_LENGTH), _left(arguments, lengths)
    return _CHANGES[name](arguments)


def _lengths(seen: Sequence[Arguments]) -> dict[int, int]:
    """Return place of an argument -> place of the one whose length, or whose rows' length, it is."""
    found = length_arguments(seen)
    width = len(seen[0])
    for i in range(width):
        for of in range(width):
            rows = [(a[i], a[of][0]) for a in seen if isinstance(a[of], list | tuple) and a[of]]
            same = all(isinstance(row, list | tuple) and count == len(row) for count, row in rows)
            if i not in found and i != of and len(rows) == len(seen) and same:
                found[i] = of
    return found


def _measures(count: Any, items: Any) -> bool:
    """Return True if a number may be left out: it is the length of a list, or of its rows, or one off."""
    rows = items[0] if isinstance(items, list | tuple) and items else None
    sizes = [len(v) for v in (items, rows) if isinstance(v, list | tuple | str)]
    return type(count) is int and any(abs(count - size) <= 1 for size in sizes)


def _left(arguments: Arguments, lengths: Mapping[int, int]) -> Arguments:
    return tuple(a for i, a in enumerate(arguments) if i not in lengths)
