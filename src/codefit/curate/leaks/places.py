"""Where in a text a value stands: a program that says "3 of 5 words are long" still gives the 3.

A text is taken as its words and, for numbers, as its numbers. Places are counted from both ends, since what a program
repeats of its input may be of any length.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from codefit.curate.leaks.answers import leaves, shown
from codefit.suites.compare import is_number

FROM_START, FROM_END = 8, 4
_WORD = re.compile(r"[^\s,:;=\[\](){}'\"|]+")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w])")
_MOST_CHARS = 2_000
_DECIMALS = 2
_MOST_ITEMS, _MOST_NUMBERS = 6, 4


def places(expected: Any, text: str, arguments: tuple[Any, ...]) -> tuple[list[int], list[int]]:
    """Return the places of a value in a text, counted from its start and from its end, both from 0.

    A number must be one of a few, those that were given aside where they are repeated as they were.
    Booleans stand nowhere: words for yes and no are told elsewhere.
    """
    if isinstance(expected, bool) or len(text) > _MOST_CHARS:
        return [], []
    if is_number(expected) and not isinstance(expected, complex):
        found = _NUMBER.findall(text)
        given = [word for a in arguments for word in words(a) if _NUMBER.fullmatch(word)]
        repeated = any(found[i : i + len(given)] == given for i in range(len(found) - len(given) + 1))
        if len(found) - len(given) * (repeated and len(given) > 1) > _MOST_NUMBERS:
            return [], []
        return _counted([i for i, number in enumerate(found) if same_number(expected, number)], 1, len(found))
    wanted, said = words(expected), words(text)
    if not wanted:
        return [], []
    width = len(wanted)
    starts = [i for i in range(len(said) - width + 1) if said[i : i + width] == wanted]
    return _counted(starts, width, len(said))


def in_order(expected: Any, text: str, arguments: tuple[Any, ...]) -> bool:
    """Return True if several values stand in a text one after another, with no other numbers but those given."""
    if not isinstance(expected, list | tuple | dict) or not 2 <= len(expected) <= _MOST_ITEMS:
        return False
    wanted, said = words(expected), words(text)
    waiting = iter(said)
    if not all(word in waiting for word in wanted):
        return False
    given = {word for a in arguments for word in words(a)}
    numbers = {word for word in said if _NUMBER.fullmatch(word)}
    return numbers <= {*wanted, *given} and not set(wanted) <= given


def echo(expected: Any, arguments: tuple[Any, ...]) -> bool:
    """Return True if a value is, up to case and kind, a large part of what was given: it shows no work."""
    wanted, given = words(expected), [word for a in arguments for word in words(a)]
    if not given:
        return True  # nothing to work on
    if not wanted:
        return False
    if "".join(wanted) in ("".join(given), "".join(given[1:]), "".join(given[:-1])):
        return True
    part, whole = "\0".join(("", *wanted, "")), "\0".join(("", *given, ""))
    return len(given) <= 2 * len(wanted) and part in whole


def says(text: str, expected: Any, arguments: tuple[Any, ...]) -> bool:
    """Return True if a text of some length at most has words of its own: more than what went in and came out."""
    if len(text) > _MOST_CHARS:
        return False
    said = {word for word in words(text) if word.isalpha() and len(word) > 1}
    return bool(said) and not said <= {*words(expected), *(word for a in arguments for word in words(a))}


def words(value: Any) -> list[str]:
    """Return the words of a plain value as a program writes it, without case and closing marks."""
    said = (word for leaf in leaves(value) for word in _WORD.findall(shown(leaf).lower()))
    return [word.rstrip(".!?") or word for word in said]


def same_number(expected: Any, said: str) -> bool:
    """Return True if a number was written down, perhaps with two decimals only."""
    try:
        number = float(said)
        if isinstance(expected, int) and "." not in said and "e" not in said:
            return int(said) == expected
        decimals = len(said.partition(".")[2])
        off = 0.51 * 10.0**-decimals if 1 <= decimals <= _DECIMALS else 1e-3 * max(1.0, abs(expected))
        return abs(number - float(expected)) <= off
    except (ValueError, OverflowError):
        return False


def _counted(starts: Sequence[int], width: int, count: int) -> tuple[list[int], list[int]]:
    ends = [count - width - i for i in starts]
    return [i for i in starts if i < FROM_START], [i for i in ends if i < FROM_END]
