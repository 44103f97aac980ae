"""Answers in another form than the task's: as a pair the other way round, with more beside it, counted from 1.

A function that returns the index before the value, or the pairs that the task only counts, still shows how the
task is done. Each call says in which forms its answer is the expected one; a form counts where all calls have it.
"""

from __future__ import annotations

from enum import IntFlag
from typing import Any

from codefit.curate.leaks.answers import CHANGED, PRINTED, Agreement, agreement, polarity
from codefit.suites.compare import json_equal

_MOST_PARTS = 4


class Form(IntFlag):
    """How an answer holds the expected value where it is not the value itself."""

    NONE = 0
    SWAPPED = 1
    FIRST = 2
    LAST = 4
    COUNT = 8
    ABOVE = 16
    BELOW = 32
    NOT = 64
    NUMBER = 128

    @property
    def text(self) -> str:
        """Return the form in words."""
        return _TEXTS[self]


_TEXTS = {
    Form.NONE: "as it is",
    Form.SWAPPED: "the other way round",
    Form.FIRST: "first of several values",
    Form.LAST: "last of several values",
    Form.COUNT: "as the things themselves, which the task counts",
    Form.ABOVE: "one too large",
    Form.BELOW: "one too small",
    Form.NOT: "negated",
    Form.NUMBER: "as a number",
}
FORMS = tuple(form for form in Form if form)


def forms(expected: Any, got: Any, arguments: tuple[Any, ...]) -> Form:
    """Return all forms in which an answer is the expected value."""
    kind, value = _parted(got)
    beside = Form.NONE if kind else _beside(expected, value)
    if isinstance(expected, bool):
        if beside:
            return beside
        if isinstance(value, int) and not isinstance(value, bool):
            return Form.NUMBER if value == expected else Form.NONE
        said = polarity(value)
        return Form.NOT if said is not None and said is not expected else Form.NONE
    if isinstance(expected, list | tuple):
        return beside | _swapped(expected, got, arguments)
    found = beside
    if isinstance(expected, int):
        found |= _of_number(expected, kind, value)
    return found


def _beside(expected: Any, value: Any) -> Form:
    """Return in which of a few values the expected one is."""
    parts: Any = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(value, tuple | dict) or not 2 <= len(parts) <= _MOST_PARTS:
        return Form.NONE
    found = Form.FIRST if _equal(expected, parts[0]) else Form.NONE
    return found | (Form.LAST if _equal(expected, parts[-1]) else Form.NONE)


def _equal(expected: Any, part: Any) -> bool:
    return json_equal(expected, part) and isinstance(expected, bool) == isinstance(part, bool)


def _parted(got: Any) -> tuple[str, Any]:
    """Return (how an answer was given, the answer)."""
    if isinstance(got, list | tuple) and len(got) == 2 and got[0] in (PRINTED, CHANGED):
        return got[0], got[1]
    return "", got


def _swapped(expected: list[Any] | tuple[Any, ...], got: Any, arguments: tuple[Any, ...]) -> Form:
    if len(expected) == 2:
        same = agreement(expected[::-1], got, arguments) >= Agreement.LOOSE
    else:
        same = not expected and agreement(expected, got, arguments) >= Agreement.LOOSE
    return Form.SWAPPED if same else Form.NONE


def _of_number(expected: int, kind: str, value: Any) -> Form:
    found = Form.NONE
    if isinstance(value, int) and not isinstance(value, bool):
        found |= Form.ABOVE if value == expected + 1 else Form.NONE
        found |= Form.BELOW if value == expected - 1 else Form.NONE
    count = _count(kind, value)
    return found | (Form.COUNT if count == expected else Form.NONE)


def _count(kind: str, value: Any) -> int:
    """Return how many things an answer holds, printed ones on a line each; -1 where it holds one."""
    if kind == PRINTED:
        return sum(bool(line.strip()) for line in str(value).splitlines())
    if kind == CHANGED:
        return 0  # nothing returned, nothing printed
    return len(value) if isinstance(value, list | tuple | set | frozenset | dict) else -1
