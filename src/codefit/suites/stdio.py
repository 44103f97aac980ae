"""Comparison of what a program printed with what it should print, routed by kind."""

from __future__ import annotations

import re
from typing import Any

from codefit.suites.compare import close_numbers

_FLOAT = re.compile(r"[+-]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][+-]?\d+)?")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
STDOUT_TOLERANCE = 1e-6


def as_text(value: Any) -> str:
    """Return the text of a stdin or stdout field: a string, or a list of lines."""
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)):
        return "\n".join(as_text(item) for item in value) + "\n"
    return str(value)


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")]


def same_output(expected: str, got: str, tolerance: float = STDOUT_TOLERANCE) -> bool:
    """Return True if the output is right.

    The first rule that accepts decides: equal lines but for trailing blanks; equal tokens;
    tokens equal, where those that are written as decimal fractions in `expected` may differ by
    `tolerance`, absolute or relative. Whole numbers and words have no tolerance.

    Not covered: tasks with several right answers, which need a checker of their own.
    """
    if _lines(expected) == _lines(got):
        return True
    want, have = expected.split(), got.split()
    return len(want) == len(have) and all(
        w == h or _same_fraction(w, h, tolerance) for w, h in zip(want, have, strict=True)
    )


def _same_fraction(expected: str, got: str, tolerance: float) -> bool:
    if len(got) > 400 or not (_FLOAT.fullmatch(expected) and _NUMBER.fullmatch(got)):
        return False
    return close_numbers(float(expected), float(got), tolerance, tolerance)
