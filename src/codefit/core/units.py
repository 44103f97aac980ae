"""Memory sizes with explicit units: MB is 10^6 bytes, MiB is 2^20, GB is 10^9, GiB is 2^30."""

from __future__ import annotations

import re

MIB = 2**20
CONTEXT = 450 * MIB  # CUDA context and libraries, outside torch's allocator; assumed
_MOST = 2**60
_UNITS = {"mb": 10**6, "mib": MIB, "gb": 10**9, "gib": 2**30}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]+)\s*")


def parse_bytes(text: str) -> int:
    """Return the bytes of a size such as `7000MiB` or `8GB`; raises `ValueError` without a unit.

    More than 2^60 bytes is refused as well: no machine has that.
    """
    match = _SIZE.fullmatch(text)
    if not match or match[2].lower() not in _UNITS:
        raise ValueError(
            f"'{text[:40]}' is not a size; write a number with MB, MiB, GB or GiB, such as 7000MiB"
        )
    size = float(match[1]) * _UNITS[match[2].lower()]
    if size > _MOST:
        raise ValueError(f"'{text[:40]}' is more than any machine has; write a size such as 7000MiB")
    return int(size)


def mib(n_bytes: float) -> float:
    """Return bytes as MiB, rounded to one decimal."""
    return round(n_bytes / MIB, 1)
