"""The same task under another signature: how a task's arguments are handed to a row's function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from codefit.curate.leaks.vary import Arguments, length_arguments

AS_IS = "as is"
SWAPPED = "swapped"
WITHOUT_LENGTH = "without length"
WITH_LENGTH = "with length"
LENGTH_FIRST = "length first"
AS_LIST = "as list"
AS_ARGUMENTS = "as arguments"
TEXTS = ("lines", "sized lines", "one line", "sizes first", "one case")
"""How arguments are written for a program that reads: see `written`."""


def shapes(seen: Sequence[Arguments], least: int, most: int | None) -> list[str]:
    """Return the ways in which a function of so many positional arguments can take the task's arguments."""
    width = len(seen[0])
    found = []

    def takes(count: int) -> bool:
        return least <= count and (most is None or count <= most)

    if takes(width):
        found.append(AS_IS)
        if width == 2:
            found.append(SWAPPED)
    if takes(width - 1) and length_arguments(seen):
        found.append(WITHOUT_LENGTH)
    if takes(width + 1) and width == 1 and isinstance(seen[0][0], list | tuple | str):
        found += [WITH_LENGTH, LENGTH_FIRST]
    if takes(1) and width >= 2 and len({type(v) for a in seen for v in a}) == 1 and _scalar(seen[0][0]):
        found.append(AS_LIST)
    if width == 1 and isinstance(seen[0][0], list | tuple) and len({len(a[0]) for a in seen}) == 1:
        size = len(seen[0][0])
        if size >= 2 and takes(size):
            found.append(AS_ARGUMENTS)
    return found


def adapted(arguments: Arguments, shape: str, seen: Sequence[Arguments]) -> Arguments | None:
    """Return the arguments in a shape, or None where they do not have it."""
    if shape in TEXTS:
        text = written(arguments, shape)
        return None if text is None else (text,)
    if shape == SWAPPED:
        return arguments[::-1]
    if shape == WITHOUT_LENGTH:
        left_out = next(iter(length_arguments(seen)), None)
        return None if left_out is None else tuple(a for i, a in enumerate(arguments) if i != left_out)
    if shape in (WITH_LENGTH, LENGTH_FIRST):
        size: tuple[Any, ...] = (len(arguments[0]),)
        return size + arguments if shape == LENGTH_FIRST else arguments + size
    if shape == AS_LIST:
        return (list(arguments),)
    if shape == AS_ARGUMENTS:
        return tuple(arguments[0])
    return arguments


def text_shapes(seen: Sequence[Arguments]) -> list[str]:
    """Return the ways of writing the arguments as standard input that differ from each other."""
    found: dict[str, str] = {}
    for shape in TEXTS:
        text = written(seen[0], shape)
        if text is not None:
            found.setdefault(text, shape)
    return list(found.values())


def written(arguments: Arguments, shape: str) -> str | None:
    """Return arguments as the text of standard input, or None where they can't be written so.

    `lines`: each on a line, lists parted by spaces. `sized lines`: lists behind a line with their length.
    `one line`: all on one line. `sizes first`: lengths of the lists and all single values on the first line.
    `one case`: `sized lines` behind a line that says that there is one test case.
    """
    lists = [a for a in arguments if isinstance(a, list | tuple)]
    if not all(map(_writable, arguments)):
        return None
    if shape == "one line":
        return None if lists or len(arguments) < 2 else " ".join(map(str, arguments)) + "\n"
    if shape == "sizes first":
        if not lists or len(lists) == len(arguments) == 1:
            return None
        sizes = [str(len(a)) for a in lists] + [
            _line(a) for a in arguments if not isinstance(a, list | tuple)
        ]
        return "\n".join([" ".join(sizes), *(_lines(a) for a in lists)]) + "\n"
    sized = shape in ("sized lines", "one case")
    lines = [
        f"{len(a)}\n{_lines(a)}" if sized and isinstance(a, list | tuple) else _lines(a) for a in arguments
    ]
    return ("1\n" if shape == "one case" else "") + "\n".join(lines) + "\n"


def _writable(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_scalar(v) or (isinstance(v, list | tuple) and all(map(_scalar, v))) for v in value)
    return _scalar(value)


def _lines(value: Any) -> str:
    if isinstance(value, list | tuple) and value and isinstance(value[0], list | tuple):
        return "\n".join(map(_line, value))
    return _line(value)


def _line(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _scalar(value: Any) -> bool:
    return isinstance(value, int | float | str)
