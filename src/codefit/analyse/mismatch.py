"""In what way a wrong value is wrong: clusters for failures that raise nothing."""

from __future__ import annotations

import ast
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

KINDS = (
    "none",
    "other_type",
    "opposite_truth",
    "wrong_sign",
    "off_by_one",
    "rounding",
    "letter_case_or_space",
    "same_items_other_order",
    "other_length",
    "some_items_wrong",
    "other_value",
    "unread",
)
_CLOSE = 1e-2


def kind_of(failed: Mapping[str, Any]) -> str:
    """Return how a test's `got` differs from its `expected`, both as Python writes them.

    The first of `KINDS` that fits counts; `unread` where one of them is no literal, as where a
    long value was cut.
    """
    try:
        expected, got = (ast.literal_eval(str(failed[key])) for key in ("expected", "got"))
    except (KeyError, ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return "unread"
    if got is None:
        return "none"
    if _number(expected) and _number(got):
        return _numbers(expected, got)
    if type(expected) is not type(got):
        return "other_type"
    if isinstance(expected, bool):
        return "opposite_truth"
    if isinstance(expected, str):
        same = "".join(expected.split()).lower() == "".join(got.split()).lower()
        return "letter_case_or_space" if same else "other_value"
    if isinstance(expected, list | tuple):
        return _sequences(expected, got)
    return "other_value"


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numbers(expected: Any, got: Any) -> str:
    if expected and got == -expected:
        return "wrong_sign"
    if isinstance(expected, int) and isinstance(got, int) and abs(expected - got) == 1:
        return "off_by_one"
    try:
        near = math.isclose(expected, got, rel_tol=_CLOSE) or abs(expected - got) < 1
    except OverflowError:
        near = False
    # two different whole numbers are no rounding of one another
    if near and (isinstance(expected, float) or isinstance(got, float)):
        return "rounding"
    return "other_value"


def _sequences(expected: Any, got: Any) -> str:
    if len(expected) != len(got):
        return "other_length"
    if sorted(map(repr, expected)) == sorted(map(repr, got)):
        return "same_items_other_order"
    equal = sum(e == g for e, g in zip(expected, got, strict=True))
    return "some_items_wrong" if equal else "other_value"


def wrong_values(verdicts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Count the kinds of wrong values among verdicts that name their first failing test."""
    kinds = Counter(
        kind_of(v["failed_test"])
        for v in verdicts
        if isinstance(v.get("failed_test"), Mapping) and v["failed_test"].get("expected") is not None
        and v["failed_test"].get("got") is not None
    )  # fmt: skip
    return {"n": sum(kinds.values()), "kinds": {k: kinds[k] for k in KINDS if kinds[k]}}
