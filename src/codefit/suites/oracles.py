"""How evalplus judges a value, in our words: tolerance, and the special rules of a few tasks."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from codefit.core.errors import InputError
from codefit.sandbox.codec import Digest
from codefit.suites.canonical import canonical_digest
from codefit.suites.compare import equal, is_number, judge_value

ORACLES = ("0.2", "0.3")
FLOAT_ATOL = 1e-6


@cache
def _table() -> dict[str, list[dict[str, Any]]]:
    text = files("codefit.suites").joinpath("data/special_oracles.json").read_text(encoding="utf-8")
    return {family: rules for family, rules in json.loads(text).items() if family != "about"}


def special_rule(family: str, entry_point: str | None, oracle: str) -> str | None:
    """Return the name of the rule that judges an entry point beside equality, if there is one."""
    if oracle not in ORACLES:
        raise InputError(f"unknown oracle version {oracle!r}", todo=f"use one of {', '.join(ORACLES)}")
    for row in _table().get(family, []):
        if entry_point in row["entry_points"] and row["since"] <= oracle:
            return str(row["rule"])
    return None


def tolerances(atol: float, wants_atol: Sequence[bool]) -> tuple[float, ...]:
    """Return the absolute tolerance of each test.

    A task without one gets 1e-6 from the first test on whose expected value is a float or a
    non-empty list or tuple of floats: that it stays for the tests behind is evalplus' way.
    """
    found = []
    for wants in wants_atol:
        atol = FLOAT_ATOL if atol == 0 and wants else atol
        found.append(atol)
    return tuple(found)


def _same_items(expected: Any, got: Any, _inputs: Any) -> bool:
    """Compare as sets; through digests, since hashes of ints can be made to collide by the program."""
    want, have = _items(expected), _items(got)
    return want is not None and want == have


def _items(value: Any) -> set[str] | None:
    if not isinstance(value, (list, tuple, set, frozenset, dict, str)):
        return None
    digests = {canonical_digest(item) for item in value}
    return {d for d in digests if d is not None} if None not in digests else None


def _not_none(expected: Any, got: Any, _inputs: Any) -> bool:
    return bool(got == expected if isinstance(got, bool) else expected == (got is not None))


def _pyramid_area(_expected: Any, got: Any, inputs: Any) -> bool:
    edge, height = inputs
    slant = math.sqrt((edge / 2) ** 2 + height**2)
    return is_number(got) and bool(got == round(edge**2 + 2 * edge * slant))


def _padded_digits(_expected: Any, got: Any, inputs: Any) -> bool:
    first, second = (str(n) for n in inputs)
    width = max(len(first), len(second))
    pairs = zip(first.zfill(width), second.zfill(width), strict=True)
    return is_number(got) and bool(got == sum(abs(int(a) - int(b)) for a, b in pairs))


_ALSO: dict[str, Callable[[Any, Any, Any], bool]] = {
    "always": lambda _e, _g, _i: True,
    "zero_too": lambda _e, got, _i: is_number(got) and bool(got == 0),
    "pyramid_area_too": _pyramid_area,
    "padded_digits_too": _padded_digits,
}
_INSTEAD: dict[str, Callable[[Any, Any, Any], bool]] = {
    "set_equality": _same_items,
    "not_none": _not_none,
}


def _is_root(inputs: Any, got: Any, atol: float) -> bool:
    coefficients = inputs[0]
    if not is_number(got) or isinstance(got, complex):
        return False
    return bool(abs(sum(c * math.pow(got, i) for i, c in enumerate(coefficients))) <= atol)


class EvalplusComparer:
    """Judge values as evalplus' oracle 0.3 (or 0.2) does.

    `atols[i]` is the absolute tolerance of test i. Equality is `==` on plain data; where that
    fails and the tolerance is not 0, same type, same length and closeness with rtol 1e-7.
    Differs from evalplus on purpose: opaque objects and subclasses equal nothing (except that
    they are not None), and shapes are never broadcast.
    """

    def __init__(self, rule: str | None, atols: Sequence[float]) -> None:
        self.rule, self.atols = rule, tuple(atols)

    def __call__(self, index: int, inputs: Any, expected: Any, got: Any) -> bool:
        atol = self.atols[index]
        if self.rule == "root_of_polynomial":
            return _is_root(inputs, got, atol)
        if isinstance(expected, Digest):
            return bool(expected == got)
        if self.rule in _INSTEAD:
            exact = _INSTEAD[self.rule](expected, got, inputs)
            return exact or (atol != 0 and not equal(expected, got) and judge_value(expected, got, atol))
        if judge_value(expected, got, atol):
            return True
        return self.rule in _ALSO and _ALSO[self.rule](expected, got, inputs)


def may_digest(rule: str | None, atol: float) -> bool:
    """Return True if values are judged by equality alone (but for floats), so that digests suffice."""
    return rule is None and atol == 0
