"""Digest of a value that is equal for equal values: `a == b` means the same digest.

Numbers are reduced to the smallest type that holds them (1, 1.0 and True are equal), sets and
dicts are put in an order of their own, a list differs from a tuple.
"""

from __future__ import annotations

import hashlib
import math
import struct
from typing import Any


class NotDigestible(Exception):
    """The value holds NaN or something that is not plain data, so it equals nothing."""


def canonical_digest(value: Any) -> str | None:
    """Return the digest of a value, or None for one that equals nothing (NaN, opaque inside)."""
    try:
        h = hashlib.sha256()
        _feed(h, value)
        return h.hexdigest()
    except (NotDigestible, RecursionError, OverflowError):
        return None


def _feed(h: Any, value: Any) -> None:
    kind = type(value)
    if kind is str:
        data = value.encode("utf-8", "surrogatepass")
        h.update(b"s%d:" % len(data) + data)
    elif kind is list or kind is tuple:
        h.update(b"%c%d:" % (b"l" if kind is list else b"t", len(value)))
        for item in value:
            _feed(h, item)
    elif value is None:
        h.update(b"n")
    elif kind in (bool, int, float, complex):
        h.update(_number(value))
    elif kind is bytes:
        h.update(b"b%d:" % len(value) + value)
    elif kind is set or kind is frozenset:
        h.update(b"S%d:" % len(value) + b"".join(sorted(_one(v) for v in value)))
    elif kind is dict:
        items = sorted(_one(k) + _one(v) for k, v in value.items())
        h.update(b"d%d:" % len(items) + b"".join(items))
    else:
        raise NotDigestible(kind.__name__)


def _one(value: Any) -> bytes:
    h = hashlib.sha256()
    _feed(h, value)
    return h.digest()


def _number(value: Any) -> bytes:
    if isinstance(value, complex):
        if value.imag != 0:
            return b"c" + _number(value.real) + _number(value.imag)
        value = value.real
    if isinstance(value, float):
        if math.isnan(value):
            raise NotDigestible("NaN")
        if not value.is_integer():
            return b"f" + struct.pack(">d", value)
        value = int(value)
    return b"i%x;" % int(value)
