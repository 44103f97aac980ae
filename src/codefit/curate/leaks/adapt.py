"""The same task under another signature: how a task's arguments are handed to a row's program.

A shape is a text: `order 1 0` gives the second argument, then the first; arguments that are only the length of
another one may be left out, or added. `layout.TEXTS` are ways of writing them for a program that reads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, combinations, permutations
from typing import Any

from codefit.curate.leaks.layout import TEXTS, is_scalar, written
from codefit.curate.leaks.vary import Arguments, length_arguments
from codefit.curate.leaks.wide import PREFIX, widened

AS_IS = "as is"
LENGTH_FIRST = "length first"
AS_LIST = "as list"
AS_ARGUMENTS = "as arguments"
AS_TUPLE, AS_WORDS, AS_COMMAS, AS_TEXT = "as tuple", "as words", "as words with commas", "as text"
LAST_RESORTS = frozenset({AS_TUPLE, AS_WORDS, AS_COMMAS, AS_TEXT})
"""Shapes of another kind than the task's own arguments, for programs that refuse these."""
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
    if takes(1) and width >= 2 and len({type(v) for a in seen for v in a}) == 1 and is_scalar(seen[0][0]):
        found.append(AS_LIST)
    lengths = length_arguments(seen)
    if (width == 1 or lengths == {1: 0}) and all(isinstance(a[0], list | tuple) for a in seen):
        sizes = {len(a[0]) for a in seen}
        if max(sizes) >= 2 and all(map(takes, sizes)):
            found.append(AS_ARGUMENTS)
    return found + _last_resorts(seen) if takes(1) else found


def _last_resorts(seen: Sequence[Arguments]) -> list[str]:
    first = seen[0]
    if len(first) >= 2:
        return [AS_TUPLE]
    if all(isinstance(a[0], list | tuple) and all(map(is_scalar, a[0])) for a in seen):
        return [AS_WORDS, AS_COMMAS]
    return [AS_TEXT] if isinstance(first[0], int) and not isinstance(first[0], bool) else []


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


def is_last_resort(shape: str) -> bool:
    """Return True if a shape gives another kind of arguments than the task's own."""
    return shape in LAST_RESORTS or shape.startswith(PREFIX)


def adapted(arguments: Arguments, shape: str, seen: Sequence[Arguments]) -> Arguments | None:
    """Return the arguments in a shape, or None where they do not have it."""
    if shape in TEXTS:
        text = written(arguments, shape, tuple(length_arguments(seen)))
        return None if text is None else (text,)
    if shape.startswith(PREFIX):
        return widened(arguments, shape, seen)
    if shape == LENGTH_FIRST:
        return (_length(arguments), *arguments)
    if shape.endswith(_LENGTH):
        given = adapted(arguments, shape.removesuffix(_LENGTH), seen)
        return None if given is None else (*given, _length(arguments))
    if shape.startswith(_ORDER):
        return tuple(arguments[int(i)] for i in shape.split()[1:])
    packed = _PACKED.get(shape)
    return packed(arguments) if packed else arguments


_PACKED: dict[str, Callable[[Arguments], Arguments]] = {
    AS_LIST: lambda a: (list(a),),
    AS_ARGUMENTS: lambda a: tuple(a[0]),
    AS_TUPLE: lambda a: (a,),
    AS_WORDS: lambda a: (" ".join(map(str, a[0])),),
    AS_COMMAS: lambda a: (", ".join(map(str, a[0])),),
    AS_TEXT: lambda a: (str(a[0]),),
}


def restored(arguments: Arguments, shape: str, seen: Sequence[Arguments]) -> Arguments | None:
    """Return the task's arguments of which the given ones are the shape: the way back of `adapted`, or None."""
    if shape in TEXTS or is_last_resort(shape) or not arguments:
        return None
    if shape == LENGTH_FIRST:
        return arguments[1:]
    if shape.endswith(_LENGTH):
        return restored(arguments[:-1], shape.removesuffix(_LENGTH), seen)
    if shape == AS_LIST:
        same = isinstance(arguments[0], list | tuple) and len(arguments[0]) == len(seen[0])
        return tuple(arguments[0]) if same else None
    if shape == AS_ARGUMENTS:
        return (list(arguments), len(arguments))[: len(seen[0])]
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
