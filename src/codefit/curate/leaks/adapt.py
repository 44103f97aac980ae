"""The same task under another signature: how a task's arguments are handed to a row's program.

A shape is a text: `order 1 0` gives the second argument, then the first; arguments that are only the length of
another one may be left out, or added. `TEXTS` are ways of writing them for a program that reads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, combinations, permutations
from typing import Any

from codefit.curate.leaks.vary import Arguments, length_arguments

AS_IS = "as is"
LENGTH_FIRST = "length first"
AS_LIST = "as list"
AS_ARGUMENTS = "as arguments"
_ORDER, _LENGTH = "order", ", length"
_MAX_ORDERED = 3


def shapes(seen: Sequence[Arguments], least: int, most: int | None) -> list[str]:
    """Return the ways in which a function of `least` to `most` positional arguments can take the task's."""
    width = len(seen[0])

    def takes(count: int) -> bool:
        return least <= count and (most is None or count <= most)

    found = [AS_IS] if takes(width) else []
    found += [_order(o) for o in _orders(width, tuple(length_arguments(seen))) if takes(len(o))]
    if takes(width + 1) and any(isinstance(v, list | tuple | str) for v in seen[0]):
        found += [f"{AS_IS}{_LENGTH}", LENGTH_FIRST]
        found += [f"{_order((1, 0))}{_LENGTH}"] if width == 2 else []
    if takes(1) and width >= 2 and len({type(v) for a in seen for v in a}) == 1 and _scalar(seen[0][0]):
        found.append(AS_LIST)
    if width == 1 and isinstance(seen[0][0], list | tuple) and len({len(a[0]) for a in seen}) == 1:
        size = len(seen[0][0])
        if size >= 2 and takes(size):
            found.append(AS_ARGUMENTS)
    return found


def _orders(width: int, lengths: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return orders of the arguments other than the own one, with and without the redundant ones."""
    left_out = chain.from_iterable(combinations(lengths, n) for n in range(len(lengths) + 1))
    found = []
    for out in left_out:
        places = [i for i in range(width) if i not in out]
        if 1 <= len(places) <= _MAX_ORDERED:
            found += list(permutations(places))
        elif places:
            found.append(tuple(places))
    return [order for order in found if order != tuple(range(width))]


def _order(places: tuple[int, ...]) -> str:
    return f"{_ORDER} {' '.join(map(str, places))}"


def is_order(shape: str) -> bool:
    """Return True if a shape only orders the arguments, redundant ones left out."""
    return shape.startswith(_ORDER) and not shape.endswith(_LENGTH)


def adapted(arguments: Arguments, shape: str, seen: Sequence[Arguments]) -> Arguments | None:
    """Return the arguments in a shape, or None where they do not have it."""
    if shape in TEXTS:
        text = written(arguments, shape, tuple(length_arguments(seen)))
        return None if text is None else (text,)
    if shape == LENGTH_FIRST:
        return (_length(arguments), *arguments)
    if shape.endswith(_LENGTH):
        given = adapted(arguments, shape.removesuffix(_LENGTH), seen)
        return None if given is None else (*given, _length(arguments))
    if shape.startswith(_ORDER):
        return tuple(arguments[int(i)] for i in shape.split()[1:])
    if shape == AS_LIST:
        return (list(arguments),)
    if shape == AS_ARGUMENTS:
        return tuple(arguments[0])
    return arguments


def restored(arguments: Arguments, shape: str, seen: Sequence[Arguments]) -> Arguments | None:
    """Return the task's arguments of which the given ones are the shape: the way back of `adapted`, or None."""
    if shape in TEXTS or not arguments:
        return None
    if shape == LENGTH_FIRST:
        return arguments[1:]
    if shape.endswith(_LENGTH):
        return restored(arguments[:-1], shape.removesuffix(_LENGTH), seen)
    if shape == AS_LIST:
        same = isinstance(arguments[0], list | tuple) and len(arguments[0]) == len(seen[0])
        return tuple(arguments[0]) if same else None
    if shape == AS_ARGUMENTS:
        return (list(arguments),)
    if not shape.startswith(_ORDER):
        return arguments
    places = [int(i) for i in shape.split()[1:]]
    if len(places) != len(arguments):
        return None
    back: dict[int, Any] = dict(zip(places, arguments, strict=True))
    for i, of in length_arguments(seen).items():
        back.setdefault(i, len(back[of]) if isinstance(back.get(of), list | tuple | str) else None)
    return tuple(back[i] for i in range(len(seen[0]))) if len(back) == len(seen[0]) else None


def _length(arguments: Arguments) -> int:
    return next((len(a) for a in arguments if isinstance(a, list | tuple | str)), 0)


def _lines(values: Sequence[Any]) -> str:
    return "\n".join(map(_block, values))


def _sized_lines(values: Sequence[Any]) -> str:
    return "\n".join(f"{_size(v)}\n{_block(v)}" if _is_list(v) else str(v) for v in values)


def _one_line(values: Sequence[Any]) -> str:
    return " ".join(map(str, values)) if len(values) > 1 and not any(map(_is_list, values)) else ""


def _sizes_first(values: Sequence[Any]) -> str:
    lists, singles = _parted(values)
    head = " ".join([*map(_size, lists), *map(str, singles)])
    return "\n".join([head, *map(_block, lists)]) if lists else ""


def _singles_first(values: Sequence[Any]) -> str:
    lists, singles = _parted(values)
    return "\n".join([*map(str, singles), *map(_block, lists)]) if lists and singles else ""


def _one_case(write: Callable[[Sequence[Any]], str]) -> Callable[[Sequence[Any]], str]:
    return lambda values: f"1\n{write(values)}"


TEXTS: dict[str, Callable[[Sequence[Any]], str]] = {
    "lines": _lines,
    "sized lines": _sized_lines,
    "one line": _one_line,
    "sizes first": _sizes_first,
    "singles first": _singles_first,
    "one case": _one_case(_sized_lines),
    "one case, sizes first": _one_case(_sizes_first),
}
"""Ways of writing arguments as standard input: each on a line, lists parted by spaces; lists behind a line with
their length; all on one line; lengths and single values on the first line; single values before lists; and
behind a line that says that there is one test case."""


def text_shapes(seen: Sequence[Arguments]) -> list[str]:
    """Return the ways of writing the arguments that differ from each other."""
    found: dict[str, str] = {}
    lengths = tuple(length_arguments(seen))
    for shape in TEXTS:
        text = written(seen[0], shape, lengths)
        if text is not None:
            found.setdefault(text, shape)
    return list(found.values())


def written(arguments: Arguments, shape: str, lengths: tuple[int, ...] = ()) -> str | None:
    """Return arguments as the text of standard input, or None where they can't be written so.

    Arguments at the places `lengths`, which only say how long another one is, are left to the shape.
    """
    values = [a for i, a in enumerate(arguments) if i not in lengths]
    if not values or not all(map(_writable, values)):
        return None
    text = TEXTS[shape](values)
    return f"{text}\n" if text.strip("1\n") or text == "1\n1" else None


def _parted(values: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    return [v for v in values if _is_list(v)], [v for v in values if not _is_list(v)]


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _is_table(value: Any) -> bool:
    return _is_list(value) and bool(value) and _is_list(value[0])


def _size(value: Any) -> str:
    same = _is_table(value) and len({len(row) for row in value}) == 1
    return f"{len(value)} {len(value[0])}" if same else str(len(value))


def _block(value: Any) -> str:
    if _is_table(value):
        return "\n".join(" ".join(map(str, row)) for row in value)
    return " ".join(map(str, value)) if _is_list(value) else str(value)


def _writable(value: Any) -> bool:
    if _is_table(value):
        return all(_is_list(row) and all(map(_scalar, row)) for row in value)
    return all(map(_scalar, value)) if _is_list(value) else _scalar(value)


def _scalar(value: Any) -> bool:
    return isinstance(value, int | float | str)
