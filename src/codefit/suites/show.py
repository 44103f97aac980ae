"""Bounded text of untrusted values, for people to read in verdicts."""

from __future__ import annotations

import reprlib
from typing import Any

_DIGITS_MAX = 1_000


class _Short(reprlib.Repr):
    """A `repr` that is bounded in width, depth and time."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 5
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdict = 12
        self.maxstring = self.maxother = 160
        self.maxlong = 80

    def repr_int(self, x: int, level: int) -> str:
        """Return the digits, or only the size: CPython refuses to print very long integers."""
        if x.bit_length() > _DIGITS_MAX * 3:
            return f"<int of {x.bit_length()} bits>"
        return super().repr_int(x, level)


def short(value: Any, limit: int = 400) -> str:
    """Return a `repr` of at most `limit` characters."""
    text = _Short().repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
