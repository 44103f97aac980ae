"""Answers in another form than the task's: as a pair the other way round, in a sentence, with more beside it.

A function that returns the index before the value, or the pairs that the task only counts, still shows how the
task is done. Each call says in which forms its answer is the expected one; a form counts where all calls have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntFlag, auto
from functools import reduce
from operator import or_
from typing import Any

from codefit.core.files import digest
from codefit.curate.leaks.answers import (
    CHANGED,
    PRINTED,
    Agreement,
    absent,
    agreement,
    dumped,
    none_expected,
    parted,
    polarity,
    yes_no,
)
from codefit.curate.leaks.places import FROM_END, FROM_START, in_order, places, same_number, says, words
from codefit.suites.compare import close_numbers, is_number, json_equal

_MOST_PARTS, _LEAST_LIST, _LEAST_UNORDERED, _MOST_TIMES = 4, 2, 3, 1_000
_LABEL_CHARS, _OPENING = 40, ("[", "(", "{")
_ROUNDED_CHARS, _LARGE, _HUGE = 24, 10, 1e15


class Form(IntFlag):
    """How an answer holds the expected value where it is not the value itself."""

    NONE = 0
    SWAPPED = auto()
    FIRST = auto()
    LAST = auto()
    COUNT = auto()
    ABOVE = auto()
    BELOW = auto()
    NOT = auto()
    NUMBER = auto()
    FLAT = auto()
    JOINED = auto()
    ROUNDED = auto()
    SCALED = auto()
    TRUTHY = auto()
    BASE = auto()
    IN_ORDER = auto()
    LAST_ITEM = auto()
    LABEL = auto()
    UNORDERED = auto()
    AT = auto()
    START_1 = auto()
    START_2 = auto()
    START_3 = auto()
    START_4 = auto()
    START_5 = auto()
    START_6 = auto()
    START_7 = auto()
    START_8 = auto()
    END_1 = auto()
    END_2 = auto()
    END_3 = auto()
    END_4 = auto()

    @property
    def text(self) -> str:
        """Return the form in words."""
        return _TEXTS.get(self, "in a sentence or a table")


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
    Form.FLAT: "nested in another way",
    Form.JOINED: "in pieces, or with other spaces and case",
    Form.ROUNDED: "rounded",
    Form.SCALED: "as a percentage",
    Form.TRUTHY: "as something or nothing",
    Form.BASE: "in another base",
    Form.IN_ORDER: "with words between",
    Form.LAST_ITEM: "last of a list",
    Form.LABEL: "as two words of its own",
    Form.UNORDERED: "in another order",
    Form.AT: "by the place in what was given",
}
FORMS = tuple(form for form in Form if form)
FROM_STARTS = FORMS[FORMS.index(Form.START_1) :][:FROM_START]
FROM_ENDS = FORMS[FORMS.index(Form.END_1) :][:FROM_END]
WRITTEN = frozenset((*FROM_STARTS, *FROM_ENDS))
"""The value at one place of a longer text."""
WHOLE = WRITTEN | {Form.FLAT, Form.JOINED, Form.ROUNDED, Form.SCALED, Form.BASE, Form.IN_ORDER}
"""Forms that hold all of the value."""
PARTS = Form(
    sum({Form.COUNT, Form.TRUTHY, Form.FIRST, Form.LAST, Form.LABEL, Form.LAST_ITEM, Form.NUMBER, Form.NOT})
)
"""Forms that hold less than the value, or more: they show little by themselves."""
LOOSE = PARTS | Form.JOINED | Form.SCALED | Form.UNORDERED | Form.AT
"""Forms that may come about by accident."""
NOTHING = Form(
    sum(
        WHOLE
        | {Form.SWAPPED, Form.ABOVE, Form.BELOW, Form.FIRST, Form.LAST, Form.COUNT, Form.LAST_ITEM}
        | {Form.UNORDERED, Form.AT}
    )
)
"""Forms in which nothing stands for nothing."""


def forms(expected: Any, got: Any, arguments: tuple[Any, ...]) -> Form:
    """Return all forms in which an answer is the expected value; none where one is nested too deeply to compare."""
    try:
        return _forms(expected, got, arguments)
    except RecursionError:
        return Form.NONE


def _forms(expected: Any, got: Any, arguments: tuple[Any, ...]) -> Form:
    kind, value = parted(got)
    beside = Form.NONE if kind else _beside(expected, value)
    if isinstance(expected, bool):
        return beside or _of_boolean(expected, kind, value, arguments)
    unchanged = kind == CHANGED and json_equal(list(arguments), list(value))
    said = yes_no(expected, arguments) if isinstance(expected, str) else None
    beside |= Form.NONE if said is None else _of_boolean(said, kind, value, arguments) & Form.TRUTHY
    if none_expected(expected, arguments) and (absent(value, arguments) or unchanged):
        return NOTHING | beside
    found = [beside, _written(expected, kind, value, arguments)]
    if not kind and _by_place(expected, value, arguments):
        found.append(Form.AT)
    if is_number(expected) and not isinstance(expected, complex):
        found.append(_of_number(expected, kind, value))
    elif isinstance(expected, str):
        found.append(Form.JOINED if _pieces(expected, value, arguments) else Form.NONE)
    elif isinstance(expected, list | tuple | dict | set | frozenset):
        found.append(Form.FLAT if _nested_otherwise(expected, kind, value, arguments) else Form.NONE)
    if not kind and _in_another_order(expected, value, arguments):
        found.append(Form.UNORDERED)
    if _ends_with(expected, value, arguments):
        found.append(Form.LAST_ITEM)
    if isinstance(expected, list | tuple):
        found.append(_swapped(expected, got, arguments))
    return _together(found)


def _together(found: Sequence[Form]) -> Form:
    """Return several forms as one; most answers hold none, and joining flags takes longer than finding them."""
    some = [form for form in found if form is not Form.NONE]
    return reduce(or_, some) if some else Form.NONE


def _of_boolean(expected: bool, kind: str, value: Any, arguments: tuple[Any, ...]) -> Form:
    if isinstance(value, int) and not isinstance(value, bool):
        found = Form.NUMBER if value == expected else Form.NONE
        return found | (Form.TRUTHY if (value not in (0, -1)) is expected else Form.NONE)
    said = polarity(value)
    found = Form.NOT if said is not None and said is not expected else Form.NONE
    there = kind != CHANGED and not absent(value, arguments)
    return found | (Form.TRUTHY if there is expected and not isinstance(value, bool) else Form.NONE)


def _ends_with(expected: Any, value: Any, arguments: tuple[Any, ...]) -> bool:
    """Return True if a list ends with a value, and is not what was given in another order, as a sorted list is."""
    if not isinstance(value, list) or len(value) < _LEAST_LIST or not _equal(expected, value[-1]):
        return False
    items = sorted(map(dumped, value))
    return not any(isinstance(a, list | tuple) and sorted(map(dumped, a)) == items for a in arguments)


def label(expected: Any, got: Any) -> str:
    """Return a mark of a short text that was given where yes or no is expected; empty for others."""
    kind, value = parted(got)
    if not isinstance(expected, bool) or kind == CHANGED or isinstance(value, bool):
        return ""
    short = isinstance(value, str) and 0 < len(value.strip()) <= _LABEL_CHARS
    return digest(value.strip())[:4] if short else ""


def _beside(expected: Any, value: Any) -> Form:
    """Return in which of a few values the expected one is."""
    parts: Any = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(value, tuple | dict) or not 2 <= len(parts) <= _MOST_PARTS:
        return Form.NONE
    if isinstance(expected, list | tuple) and 2 <= len(expected) < len(parts):
        wanted, count = list(expected), len(expected)
        found = Form.FIRST if json_equal(wanted, list(parts[:count])) else Form.NONE
        return found | (Form.LAST if json_equal(wanted, list(parts[-count:])) else Form.NONE)
    ends = ((Form.FIRST, parts[0]), (Form.LAST, parts[-1]))
    return _together([form for form, part in ends if _equal(expected, part)])


def _equal(expected: Any, part: Any) -> bool:
    return json_equal(expected, part) and isinstance(expected, bool) == isinstance(part, bool)


def _written(expected: Any, kind: str, value: Any, arguments: tuple[Any, ...]) -> Form:
    """Return at which places of a text that was printed or returned the expected value stands."""
    if kind == CHANGED or not isinstance(value, str) or not says(value, expected, arguments):
        return Form.NONE
    starts, ends = places(expected, value, arguments)
    ordered = (Form.IN_ORDER,) if in_order(expected, value, arguments) else ()
    return _together([*ordered, *(FROM_STARTS[i] for i in starts), *(FROM_ENDS[i] for i in ends)])


def _swapped(expected: list[Any] | tuple[Any, ...], got: Any, arguments: tuple[Any, ...]) -> Form:
    if len(expected) == 2:
        same = agreement(expected[::-1], got, arguments) >= Agreement.LOOSE
    else:
        same = not expected and agreement(expected, got, arguments) >= Agreement.LOOSE
    return Form.SWAPPED if same else Form.NONE


def _of_number(expected: int | float, kind: str, value: Any) -> Form:
    found: list[Form] = []
    if isinstance(expected, int):
        if isinstance(value, int) and not isinstance(value, bool) and abs(value - expected) == 1:
            found.append(Form.ABOVE if value > expected else Form.BELOW)
        if _count(kind, value) == expected:
            found.append(Form.COUNT)
        if isinstance(value, str) and _in_base(expected, value):
            found.append(Form.BASE)
    if _finite(expected) and _finite(value):
        if isinstance(expected, float) and _rounded(expected, value):
            found.append(Form.ROUNDED)
        if any(close_numbers(expected * by, value, 1e-3, 1e-6) for by in (100, 0.01)):
            found.append(Form.SCALED)
    return _together(found)


def _finite(value: Any) -> bool:
    """Return True for a number that can be calculated with, whatever else it is compared with."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return plain and -_HUGE < value < _HUGE


def _rounded(expected: float, value: float) -> bool:
    """Return True if a number is another one to one or two decimals, or a large one to whole numbers."""
    if abs(expected) >= _LARGE and value == int(value):
        return abs(value - expected) < 1
    text = str(value)
    return len(text) < _ROUNDED_CHARS and same_number(expected, text)


def _in_base(expected: int, text: str) -> bool:
    digits = text.strip().lower()
    for base, prefix in ((2, "0b"), (16, "0x"), (8, "0o")):
        try:
            if 0 < len(digits) < _ROUNDED_CHARS * 3 and int(digits.removeprefix(prefix), base) == expected:
                return True
        except ValueError:
            continue
    return False


def _count(kind: str, value: Any) -> int:
    """Return how many things an answer holds, printed ones on a line each; -1 where it holds one."""
    if kind == PRINTED:
        return sum(bool(line.strip()) for line in str(value).splitlines())
    if kind == CHANGED:
        return 0  # nothing returned, nothing printed
    return len(value) if isinstance(value, list | tuple | set | frozenset | dict) else -1


def _pieces(expected: str, value: Any, arguments: tuple[Any, ...]) -> bool:
    """Return True if pieces make up a text, or it is the same up to spaces and case; not what was given."""
    if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        return any(between.join(value) == expected for between in ("", " ", ", ", ",", "\n"))
    plain = _letters(expected)
    if expected[:1] in _OPENING and isinstance(value, str) and words(expected) == words(value):
        return True
    given = [_letters(a) for a in arguments if isinstance(a, str)]
    return (
        isinstance(value, str)
        and bool(plain)
        and plain == _letters(value)
        and not any(plain in g for g in given)
    )


def _letters(text: str) -> str:
    return "".join(text.casefold().split())


def _nested_otherwise(expected: Any, kind: str, value: Any, arguments: tuple[Any, ...]) -> bool:
    """Return True if a collection has the words of another, in order or under keys, and is not what was given."""
    if kind or not isinstance(value, list | tuple | dict | set | frozenset):
        return False
    wanted = _without_none(words(expected))
    if wanted and not isinstance(expected, dict) and wanted == _repeated(value):
        return True
    if not wanted or not (isinstance(value, dict) or wanted == _without_none(words(value))):
        return False
    given = [words(a) for a in arguments]
    if wanted in given or wanted == [w for a in given for w in a]:
        return False
    if not isinstance(value, dict):
        return True
    readings = [words(value), words(list(value)), words(list(value.values()))]
    if sorted(wanted) in map(sorted, given):  # the order is what was asked for
        return any(wanted == _without_none(reading) for reading in readings)
    return any(sorted(wanted) == sorted(_without_none(reading)) for reading in readings)


def _repeated(value: Any) -> list[str]:
    """Return the words of items with how often each comes, that often each: of a mapping, or of pairs; else nothing."""
    pairs = list(value.items()) if isinstance(value, dict) else value
    if not isinstance(pairs, list | tuple) or not all(
        isinstance(p, list | tuple) and len(p) == 2 and type(p[1]) is int and 0 < p[1] <= _MOST_TIMES
        for p in pairs
    ):
        return []
    return [word for item, times in pairs for word in words(item) * times]


def _in_another_order(expected: Any, value: Any, arguments: tuple[Any, ...]) -> bool:
    """Return True if a collection has the same items in another order; not where the order is what was asked for."""
    if not isinstance(expected, list | tuple) or not isinstance(value, list | tuple | set | frozenset):
        return False
    if not _LEAST_UNORDERED <= len(expected) == len(value):
        return False
    items = _unordered(expected)
    return items == _unordered(value) and not any(items == _unordered(a) for a in arguments)


def _unordered(value: Any) -> Any:
    """Return a value as a text in which the order of items, and of theirs, does not count."""
    if isinstance(value, list | tuple | set | frozenset):
        return f"[{','.join(sorted(map(_unordered, value)))}]"
    return dumped(value)


def _by_place(expected: Any, value: Any, arguments: tuple[Any, ...]) -> bool:
    """Return True if the place of the expected item in what was given is told, or the item for its place."""
    rows = [a for a in arguments if isinstance(a, list | tuple | str)]
    if isinstance(expected, list | tuple) and isinstance(value, list | tuple):
        same = len(expected) == len(value) >= 2
        return same and any(all(map(_item_at, [row] * len(value), value, expected)) for row in rows)
    return any(_item_at(row, value, expected) or _item_at(row, expected, value) for row in rows)


def _item_at(row: Any, place: Any, item: Any) -> bool:
    return type(place) is int and 0 <= place < len(row) and _equal(item, row[place])


def _without_none(said: list[str]) -> list[str]:
    return [word for word in said if word != "none"]
