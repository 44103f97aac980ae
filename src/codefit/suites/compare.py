"""Comparison of decoded plain data, in the grader's process.

Everything compared here came through the sandbox's codec, so the types are exact and `==` runs
no foreign code. The numbers of the tolerant comparison are numpy's `allclose` with
rtol = 1e-7: |got - expected| <= atol + rtol * |expected|.
"""

from __future__ import annotations

import cmath
from typing import Any, Protocol

RTOL = 1e-7
_MOST_BITS = 10_000  # below Python's limit on int -> str
_NUMBERS = (bool, int, float, complex)


class Comparer(Protocol):
    """Decide whether `got` is right for test `index`; never raises for what the program returned."""

    def __call__(self, index: int, inputs: Any, expected: Any, got: Any) -> bool: ...


def is_number(value: Any) -> bool:
    """Return True for bool, int, float and complex."""
    return isinstance(value, _NUMBERS)


def equal(expected: Any, got: Any) -> bool:
    """Compare as `==` does: 1 == 1.0 == True, a list never equals a tuple, NaN equals nothing."""
    try:
        return bool(got == expected)
    except RecursionError:
        return False


def close(expected: Any, got: Any, atol: float, rtol: float = RTOL) -> bool:
    """Compare numbers and nested sequences of numbers of the same shape within a tolerance.

    Infinities must be equal; NaN equals nothing; anything but a number or a sequence is not close.
    """
    if isinstance(expected, (list, tuple)):
        return (
            isinstance(got, (list, tuple))
            and len(got) == len(expected)
            and all(close(e, g, atol, rtol) for e, g in zip(expected, got, strict=True))
        )
    if not (is_number(expected) and is_number(got)):
        return False
    return close_numbers(expected, got, atol, rtol)


def close_numbers(expected: complex, got: complex, atol: float, rtol: float = RTOL) -> bool:
    """Compare two numbers within atol + rtol * |expected|."""
    try:
        if got == expected:
            return True
        if not (cmath.isfinite(expected) and cmath.isfinite(got)):
            return False
        return abs(got - expected) <= atol + rtol * abs(expected)
    except OverflowError:
        return False


def wants_tolerance(expected: Any) -> bool:
    """Return True for a float and for a non-empty list or tuple of floats only."""
    if isinstance(expected, float):
        return True
    return (
        isinstance(expected, (list, tuple))
        and bool(expected)
        and all(isinstance(item, float) for item in expected)
    )


def judge_value(expected: Any, got: Any, atol: float) -> bool:
    """Accept an equal value, or one of the same type and length within `atol` where that is not 0."""
    if equal(expected, got):
        return True
    return atol != 0 and type(got) is type(expected) and close(expected, got, atol)


class PlainComparer:
    """Equality, with tolerance 1e-6 where the expected value is made of floats.

    `json_values`: the expected values come from JSON, which has neither tuples nor sets nor
    integer keys, so a tuple equals the list of its items and nested floats are tolerant too.
    """

    def __init__(self, atol: float = 0.0, *, json_values: bool = False) -> None:
        self.atol = atol
        self.json_values = json_values

    def __call__(self, index: int, inputs: Any, expected: Any, got: Any) -> bool:
        if self.json_values:
            return json_equal(expected, got, self.atol or 1e-6)
        atol = self.atol or (1e-6 if wants_tolerance(expected) else 0.0)
        return judge_value(expected, got, atol)


def json_equal(expected: Any, got: Any, atol: float = 1e-6) -> bool:
    """Compare a Python value with one that went through JSON."""
    if isinstance(expected, (list, tuple)):
        return (
            isinstance(got, (list, tuple))
            and len(got) == len(expected)
            and all(json_equal(e, g, atol) for e, g in zip(expected, got, strict=True))
        )
    if isinstance(expected, dict):
        if not isinstance(got, dict) or len(got) != len(expected):
            return False
        keyed = {_json_key(k): v for k, v in got.items()}
        return all(
            (key := _json_key(k)) in keyed and json_equal(v, keyed[key], atol) for k, v in expected.items()
        )
    if isinstance(expected, float) and is_number(got):
        return close_numbers(expected, got, atol)
    return equal(expected, got)


def _json_key(key: Any) -> Any:
    if isinstance(key, bool):
        return "true" if key else "false"
    if key is None:
        return "null"
    if isinstance(key, int) and key.bit_length() > _MOST_BITS:
        return hex(key)  # str refuses so many digits
    return str(key) if isinstance(key, (int, float)) else key
