"""Seeds: every random choice has a name, and its stream depends on that name only."""

from __future__ import annotations

import random

from codefit.core.files import digest


def subseed(seed: int, *names: str | int) -> int:
    """Return a 63-bit seed for one named use, independent of every other name."""
    return int(digest(str(seed), *(str(n) for n in names)), 16) >> 1


def rng(seed: int, *names: str | int) -> random.Random:
    """Return a generator for one named use."""
    return random.Random(subseed(seed, *names))
