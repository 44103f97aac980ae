"""Answers compared loosely: what a training row's program gives, against what a task's tests expect.

The wrapped program (`callables`) gives back what its function returned; where that is None, what was
printed, or else the arguments as the call left them. A leak does not stop being one because its function
prints, returns a set for a list, or says "Yes" for True.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from enum import IntEnum
from itertools import accumulate
from typing import Any

from codefit.core.values import dump
from codefit.suites.compare import close_numbers, is_number, json_equal

PRINTED, CHANGED = "\0printed", "\0changed"
"""First items of the pair that stands for what was printed, or for the arguments after the call."""

_NEGATIVE = re.compile(
    r"\b(no|not|false|invalid|unbalanced|cannot|never|n't|isn't|doesn't|none|fail(?:ed|s)?|reject(?:ed)?|denied"
    r"|incorrect|wrong|impossible|unequal)\b",
    re.IGNORECASE,
)
_POSITIVE = re.compile(
    r"\b(yes|true|valid|balanced|found|is|are|contains|equal|matched?|pass(?:ed|es)?|ok|okay|correct|accept(?:ed)?"
    r"|possible)\b",
    re.IGNORECASE,
)
_ABSENT = re.compile(r"\b(no|not|none|nothing|null|cannot|empty|invalid)\b|n't\b", re.IGNORECASE)
_WORD = re.compile(r"[^\s,:;=\[\](){}'\"]+")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
_DIGIT = re.compile(r"\d")
_SENTENCE_WORDS = 3
_LOOSE = 1e-3
_NOTHING = ("", "[]", "()", "{}", "set()", "''", '""')
_SAID_CHARS, _MOST_JSON, _MOST_DEPTH = 200, 4_000, 50
_MOST_BITS = 10_000  # below Python's limit on int -> str


class Agreement(IntEnum):
    """How one call came out; the numbers are what the cache holds."""

    FAILED = 0
    OTHER = 1
    LOOSE = 2
    EXACT = 3


def agreement(expected: Any, got: Any, arguments: tuple[Any, ...]) -> Agreement:
    """Compare what a wrapped program gave for `arguments` with the expected value."""
    kind, got = parted(got)
    if kind:
        return _unreturned(expected, kind, got, arguments)
    if isinstance(got, str) and isinstance(expected, list | tuple) and len(expected) > 1:
        return Agreement.LOOSE if _joined(expected, got, arguments) else Agreement.OTHER
    if json_equal(expected, got):
        if isinstance(expected, bool) and not isinstance(got, bool):
            return Agreement.OTHER  # a count may be taken for a yes or no, see `forms`
        return (
            Agreement.LOOSE if isinstance(got, bool) and not isinstance(expected, bool) else Agreement.EXACT
        )
    same = (none_expected(expected, arguments) and absent(got, arguments)) or _loose(expected, got, arguments)
    return Agreement.LOOSE if same else Agreement.OTHER


def parted(got: Any) -> tuple[str, Any]:
    """Return (`PRINTED`, `CHANGED` or nothing for what was returned, the answer)."""
    if isinstance(got, list | tuple) and len(got) == 2:
        kind, value = got
        if (kind == PRINTED and isinstance(value, str)) or (
            kind == CHANGED and isinstance(value, list | tuple)
        ):
            return kind, value
    return "", got


def unwritten(expected: Any, got: Any) -> Any:
    """Return what a JSON text of a list or an object holds, where no text is expected; anything else as it is."""
    kind, value = parted(got)
    text = value.strip() if isinstance(value, str) and kind != CHANGED else ""
    if isinstance(expected, str) or text[:1] not in ("{", "[") or len(text) > _MOST_JSON:
        return got
    depths = accumulate((c in "[{") - (c in "]}") for c in text)
    if max(depths) > _MOST_DEPTH:  # what comes after goes down one call a level
        return got
    try:
        return json.loads(text)
    except ValueError:
        return got


def absent(value: Any, arguments: tuple[Any, ...] = ()) -> bool:
    """Return True for a value that says that there is none: None, -1, nothing, "not found".

    Such words may repeat numbers of the arguments only.
    """
    if value is None or (type(value) is int and value == -1):
        return True
    if isinstance(value, str):
        text = value.strip(" \t\n\0")
        if text in _NOTHING or text == "-1":
            return True
        said = len(text) <= _SAID_CHARS and bool(_ABSENT.search(text))
        return said and not set(_NUMBER.findall(text)) - set(_NUMBER.findall(" ".join(_flat(arguments))))
    if isinstance(value, list | tuple) and value:
        return all(item is None for item in value)
    return isinstance(value, list | tuple | dict | set | frozenset) and not value


def none_expected(value: Any, arguments: tuple[Any, ...]) -> bool:
    """Return True for an expected value that says that there is none; a text must be short and not be given words."""
    if isinstance(value, str) and value.strip():
        said = _words(value)
        return len(said) <= _SENTENCE_WORDS + 1 and absent(value) and not set(said) <= set(_flat(arguments))
    return absent(value)


def _unreturned(expected: Any, kind: str, value: Any, arguments: tuple[Any, ...]) -> Agreement:
    if _empty(expected) and (kind == CHANGED or str(value).strip() in _NOTHING):
        return Agreement.LOOSE
    none = none_expected(expected, arguments)
    if kind == PRINTED and none and absent(value, arguments):
        return Agreement.LOOSE
    if kind == PRINTED:
        said = isinstance(value, str) and _printed(expected, value, arguments)
        return Agreement.LOOSE if said else Agreement.OTHER
    if json_equal(list(arguments), list(value)):
        if expected is None:
            return Agreement.EXACT
        return Agreement.LOOSE if none else Agreement.OTHER
    changed = expected is not None and any(
        json_equal(expected, after) and not json_equal(before, after)
        for before, after in zip(arguments, value, strict=False)
    )
    return Agreement.LOOSE if changed else Agreement.OTHER


def _joined(expected: Any, text: str, arguments: tuple[Any, ...]) -> bool:
    """Return True if a text is the expected items one after another, and not what was given."""
    said = _words(text)
    return bool(said) and said == _flat(expected) and "".join(said) != "".join(_flat(arguments))


def _empty(value: Any) -> bool:
    return isinstance(value, str | list | tuple | dict | set | frozenset) and not value


def _loose(expected: Any, got: Any, arguments: tuple[Any, ...] = ()) -> bool:
    if isinstance(got, dict) and len(got) == 1 and json_equal(expected, *got.values()):
        return True
    wanted, given = yes_no(expected, arguments), polarity(got)
    if wanted is not None and given is not None:
        return wanted == given
    if isinstance(expected, str) != isinstance(got, str):
        return not isinstance(expected, list | tuple | dict) and shown(expected).strip() == shown(got).strip()
    if isinstance(expected, str):
        return bool(expected.strip()) and expected.strip() == str(got).strip()
    if is_number(expected) and is_number(got) and isinstance(expected, float | int):
        return bool(isinstance(expected, float) and close_numbers(expected, got, _LOOSE, _LOOSE))
    if isinstance(expected, set | frozenset | list | tuple) and isinstance(
        got, set | frozenset | list | tuple
    ):
        return _sequences(list(expected), list(got), {type(expected), type(got)})
    if isinstance(expected, dict) != isinstance(got, dict):
        return _as_pairs(expected, got)
    if isinstance(expected, list | tuple) and len(expected) == 1:
        return json_equal(expected[0], got)
    return isinstance(got, list | tuple) and len(got) == 1 and json_equal(expected, got[0])


def _as_pairs(expected: Any, got: Any) -> bool:
    """Return True if one value is a mapping and the other the list of its pairs, in order where a list is expected."""
    mapping, pairs = (expected, got) if isinstance(expected, dict) else (got, expected)
    plain = isinstance(pairs, list | tuple) and len(pairs) == len(mapping) > 0
    if not plain or not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        return False
    found, wanted = ([dumped(list(pair)) for pair in some] for some in (pairs, mapping.items()))
    return sorted(found) == sorted(wanted) if isinstance(expected, dict) else found == wanted


def _sequences(expected: list[Any], got: list[Any], types: set[type]) -> bool:
    if len(expected) != len(got):
        return False
    if types & {set, frozenset}:
        expected, got = sorted(expected, key=dumped), sorted(got, key=dumped)
    return all(json_equal(e, g) or _loose(e, g) for e, g in zip(expected, got, strict=True))


def polarity(value: Any) -> bool | None:
    """Return the yes or no that a value says, or None where it says neither."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip() and len(value) <= _SAID_CHARS:
        if _NEGATIVE.search(value):
            return False
        if _POSITIVE.search(value):
            return True
    return None


def yes_no(value: Any, arguments: tuple[Any, ...]) -> bool | None:
    """Return the yes or no of an expected value; a text must be a short label, and not be words that were given."""
    if isinstance(value, str):
        said = _words(value)
        if len(said) > _SENTENCE_WORDS + 1 or _DIGIT.search(value) or set(said) <= set(_flat(arguments)):
            return None
    return polarity(value)


def dumped(value: Any) -> str:
    """Return a plain value as a text that tells it from others, of any size; the type's name for others."""
    try:
        return dump(value)
    except (TypeError, ValueError, RecursionError):
        return type(value).__name__


def shown(value: Any) -> str:
    """Return a value as Python prints it; very large numbers in another base, which nothing equals."""
    if type(value) is int and value.bit_length() > _MOST_BITS:
        return hex(value)
    try:
        return str(value)
    except ValueError:  # such a number somewhere inside
        return dumped(value)


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _printed(expected: Any, text: str, arguments: tuple[Any, ...]) -> bool:
    """Return True if a printed text ends with the expected value, after words of explanation or the arguments."""
    if isinstance(expected, bool):
        return _said(text.strip()) is expected
    if is_number(expected) and _only_number(expected, text, arguments):
        return True
    wanted, said, given = _flat(expected), _words(text), _flat(arguments)
    if not wanted or len(said) < len(wanted):
        return False
    if isinstance(expected, str) and set(wanted) <= set(given) and expected.strip() not in text:
        return False  # only the case of what was given is asked for
    if "".join(said) == "".join(given) and " ".join(text.split()) not in (shown(expected), " ".join(wanted)):
        return False  # nothing but what was given
    before, answer = said[: -len(wanted)], said[-len(wanted) :]
    before = [word for word in before if word not in given]
    if isinstance(expected, dict | set | frozenset):
        wanted, answer = sorted(wanted), sorted(answer)
    return not any(any(c.isdigit() for c in word) for word in before) and all(
        w == a or _near(w, a) for w, a in zip(wanted, answer, strict=True)
    )


def _said(text: str) -> bool | None:
    """Return the yes or no of a printed text: a sentence that denies nothing says yes."""
    found = polarity(text)
    sentence = found is None and len(_words(text)) >= _SENTENCE_WORDS and not _NUMBER.search(text)
    return True if sentence and len(text) <= _SAID_CHARS else found


def _only_number(expected: Any, text: str, arguments: tuple[Any, ...]) -> bool:
    """Return True if the expected number is the only one in a text apart from those given."""
    said, given = Counter(_NUMBER.findall(text)), Counter(_NUMBER.findall(" ".join(_flat(arguments))))
    left = list((said - given).elements())
    return len(left) == 1 and (left[0] == shown(expected) or _near(shown(expected), left[0]))


def leaves(value: Any) -> Iterator[Any]:
    """Yield the plain values inside a value: items, keys with their values, sets in one order in every process."""
    if isinstance(value, dict):
        for pair in value.items():
            for part in pair:
                yield from leaves(part)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in sorted(value, key=dumped) if isinstance(value, set | frozenset) else value:
            yield from leaves(item)
    else:
        yield value


def _flat(value: Any) -> list[str]:
    """Return the words of a plain value as a program prints it."""
    return [word for leaf in leaves(value) for word in _words(shown(leaf))]


def _near(wanted: str, said: str) -> bool:
    try:
        return "." in wanted and close_numbers(float(wanted), float(said), _LOOSE, _LOOSE)
    except ValueError:
        return False
