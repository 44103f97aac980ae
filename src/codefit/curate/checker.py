"""Checkers: whether an output is right by the rules of its statement, and by which of them.

The rules are tried from the strictest to the loosest, and the loosest that any test needed is the
name a verdict carries: `exact` (lines but for blanks at their ends; equal values), `tokens` (equal
words, white space aside), `tolerance 1e-06`, `any case`, `any order`. Beyond what the statement
says, only numbers written as decimal fractions have a tolerance.

Where a statement has several right answers, an output that none of the rules accepts proves nothing:
such a program is neither right nor wrong here, it needs a checker of its own.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

from codefit.curate.statement import Rules
from codefit.suites.compare import close_numbers, equal, is_number, json_equal

STRICTEST_FIRST = ("exact", "tokens", "tolerance", "any case", "any order")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_WHOLE = re.compile(r"[+-]?\d+")
_MAX_NUMBER_CHARS = 400
DEFAULT_TOLERANCE = 1e-6
_DECLINES = frozenset({"-1", "no", "none", "impossible", "no solution", "not possible", "nie"})
"""Outputs that say that there is no answer: having one or not is never a matter of taste."""


class Checker:
    """Judges one program's outputs, test by test; used for one run.

    `rule` is the loosest rule that an accepted test needed. `open_tests` counts tests whose output was
    none that the rules accept, where the statement has several right answers: those are let pass so
    that the other tests run, and the caller must not take the program for right.
    """

    def __init__(self, rules: Rules, atol: float, *, printed: bool) -> None:
        self._rules, self._atol, self._printed = rules, atol or DEFAULT_TOLERANCE, printed
        self.rule = "exact"
        self.open_tests = 0
        self.first_open: tuple[int, Any] | None = None

    def __call__(self, index: int, inputs: Any, expected: Any, got: Any) -> bool:
        """Return True if the output is right, or cannot be judged (counted in `open_tests`)."""
        if self._printed and not isinstance(got, str):
            return False
        accept, may_be_right = (accepted_text, open_text) if self._printed else (accepted_value, open_value)
        rule = accept(expected, got, self._rules, self._atol)
        if rule is not None:
            self.rule = max(self.rule, rule, key=looseness)
            return True
        if not may_be_right(expected, got, self._rules):
            return False
        self.open_tests += 1
        self.first_open = self.first_open or (index, got)
        return True


def looseness(rule: str) -> int:
    """Return how loose a rule is: 0 for `exact`; unknown names count as strict."""
    return next((i for i, name in enumerate(STRICTEST_FIRST) if rule.startswith(name)), 0)


def accepted_text(expected: str, got: str, rules: Rules, atol: float) -> str | None:
    """Return the strictest rule by which printed output is right, or None."""
    if _lines(expected) == _lines(got):
        return "exact"
    want, have = expected.split(), got.split()
    if want == have:
        return "tokens"
    if len(want) != len(have):
        return None
    tolerance = rules.tolerance or atol
    if _all_close(want, have, rules, tolerance):
        return f"tolerance {tolerance:.0e}"
    if rules.any_case:
        expected, got = expected.casefold(), got.casefold()
        if _all_close(expected.split(), got.split(), rules, tolerance):
            return "any case"
    elif rules.said and all(w == h or _as_said(w, h, rules.said) for w, h in zip(want, have, strict=True)):
        return "any case"
    if rules.any_order and _same_but_order(expected, got, rules):
        return "any order"
    return None


def _as_said(expected: str, got: str, said: tuple[str, ...]) -> bool:
    """Return True if the statement's own word was printed, and the test has it in a case it does not have there."""
    return got in said and expected not in said and expected.casefold() == got.casefold()


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")]


def _all_close(want: list[str], have: list[str], rules: Rules, tolerance: float) -> bool:
    return all(w == h or _close_token(w, h, rules, tolerance) for w, h in zip(want, have, strict=True))


def _close_token(expected: str, got: str, rules: Rules, tolerance: float) -> bool:
    """Compare two numbers as text; two whole numbers are equal or different, never close."""
    if max(len(expected), len(got)) > _MAX_NUMBER_CHARS or not tolerance:
        return False
    if not (_NUMBER.fullmatch(expected) and _NUMBER.fullmatch(got)):
        return False
    if _WHOLE.fullmatch(expected) and (rules.tolerance is None or _WHOLE.fullmatch(got)):
        return False
    want, have = float(expected), float(got)
    finite = math.isfinite(want) and math.isfinite(have)
    return finite and close_numbers(want, have, tolerance, tolerance if rules.relative else 0.0)


def _same_but_order(expected: str, got: str, rules: Rules) -> bool:
    """Compare lines that may change places, or the items within each line; a count above them stays."""
    want, have = _lines(expected), _lines(got)
    if len(want) != len(have):
        return False
    pairs = [(w.split(), h.split()) for w, h in zip(want, have, strict=True)]
    if rules.any_order == "items" and all(sorted(w) == sorted(h) for w, h in pairs):
        return True
    head = pairs[0]
    if len(head[0]) == 1 and len(pairs) > 1 and any(len(w) > 1 for w, _ in pairs):
        if head[0] != head[1]:
            return False
        pairs = pairs[1:]
    return Counter(tuple(w) for w, _ in pairs) == Counter(tuple(h) for _, h in pairs)


def open_text(expected: str, got: str, rules: Rules) -> bool:
    """Return True if printed output may be right although no rule accepts it.

    So it is where the statement has several right answers, or lets the order free, which mostly goes with
    building something. Printing nothing, that there is no answer where there is one, or words where numbers
    are asked for is wrong.
    """
    if not (rules.several or rules.any_order):
        return False
    want, have = (" ".join(text.split()).casefold() for text in (expected, got))
    if (not have and want) or not (rules.several or " " in want):
        return False
    if want in _DECLINES or have in _DECLINES:
        return False
    return not all(map(_NUMBER.fullmatch, want.split())) or all(map(_NUMBER.fullmatch, have.split()))


def accepted_value(expected: Any, got: Any, rules: Rules, atol: float) -> str | None:
    """Return the strictest rule by which a returned value is right, or None; tuples are lists."""
    if equal(_plain(got), _plain(expected)):
        return "exact"
    tolerance = rules.tolerance or atol
    if json_equal(expected, got, tolerance) or (rules.tolerance and _close(expected, got, rules)):
        return f"tolerance {tolerance:.0e}" if _has_float((expected, got)) else "exact"
    if rules.any_order and isinstance(expected, list | tuple):
        items = sorted(got, key=_order_key) if isinstance(got, list | tuple | set | frozenset) else None
        want = sorted(expected, key=_order_key)
        if items is not None and json_equal(want, items, tolerance):
            return "any order"
    return None


def open_value(expected: Any, got: Any, rules: Rules) -> bool:
    """Return True if a value may be right although no rule accepts it.

    Where the statement has several right answers, any value of the expected kind that is as empty as the
    expected one; where it lets the order free, one that only differs in the order inside its items.
    """
    if not _kin(expected, got):
        return False
    if rules.several:
        return not _says_none(expected) and not _says_none(got)
    return bool(rules.any_order) and isinstance(expected, list | tuple) and _deep(expected) == _deep(got)


def _has_float(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_float, value.values()))
    return isinstance(value, float) or (isinstance(value, list | tuple) and any(map(_has_float, value)))


def _plain(value: Any) -> Any:
    """Return the value with tuples as lists, which JSON cannot tell apart."""
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


def _close(expected: Any, got: Any, rules: Rules) -> bool:
    if isinstance(expected, list | tuple):
        return (
            isinstance(got, list | tuple)
            and len(got) == len(expected)
            and all(_close(e, g, rules) for e, g in zip(expected, got, strict=True))
        )
    if not (is_number(expected) and is_number(got)) or isinstance(expected, bool) or isinstance(got, bool):
        return equal(expected, got)
    if isinstance(expected, int) and isinstance(got, int):
        return expected == got
    tolerance = rules.tolerance or 0.0
    return close_numbers(expected, got, tolerance, tolerance if rules.relative else 0.0)


def _order_key(value: Any) -> tuple[int, Any, str]:
    """Return a key that sorts plain values of any kinds: numbers by size, the rest by their text."""
    if isinstance(value, int | float) and math.isfinite(value):
        return 0, value, ""
    return 1, 0, repr(_plain(value))


def _deep(value: Any) -> Any:
    if isinstance(value, list | tuple | set | frozenset):
        return sorted((_deep(v) for v in value), key=_order_key)
    return value


def _kin(expected: Any, got: Any) -> bool:
    if is_number(expected) and is_number(got):
        return isinstance(expected, bool) == isinstance(got, bool)
    kinds = (list, tuple, set, frozenset)
    return type(expected) is type(got) or (isinstance(expected, kinds) and isinstance(got, kinds))


def _says_none(value: Any) -> bool:
    """Return True for values that say that there is no answer."""
    if value is None or value == -1 or (isinstance(value, str | list | tuple) and not value):
        return True
    return isinstance(value, list | tuple) and all(v == -1 for v in value)
