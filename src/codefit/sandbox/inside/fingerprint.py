"""Digest of a value that is too long to send: equal values (`==`) have equal digests.

Computed beside the program, for its own values only, so there is nothing to steal: forging a digest
takes the value. Numbers are reduced to the smallest type that holds them (1, 1.0 and True are equal),
sets and dicts get an order of their own. Long runs of scalars go through the C serialiser in blocks,
which is what makes a hundred million of them affordable.
"""

from __future__ import annotations

import hashlib
import marshal
import math
from collections.abc import Callable
from itertools import chain, islice
from typing import Any

from codefit.sandbox.codec import Digest, is_numpy_scalar

_sha256, _dumps, _isnan = hashlib.sha256, marshal.dumps, math.isnan
_PLAIN = frozenset({int, str, bytes, type(None)})
_SCALARS = _PLAIN | {bool, float, complex}
_SEQUENCES: dict[Any, bytes] = {list: b"l", tuple: b"t"}
_BLOCK = 2048
_WITHOUT_REFERENCES = 2  # marshal's version whose bytes depend on the value alone

Update = Callable[[bytes], None]


class _EqualsNothing(Exception):
    """The value holds NaN or something that is not plain data."""


def fingerprint(value: Any) -> Digest:
    """Return the digest of a value, the empty one where it equals nothing."""
    h = _sha256()
    try:
        size = _feed(h.update, value)
    except (_EqualsNothing, RecursionError, OverflowError):
        return Digest("")
    return Digest(h.hexdigest(), size)


def made_of_floats(value: Any) -> bool:
    """Return True for a float and for a non-empty list or tuple of floats only."""
    if type(value) in _SEQUENCES:
        return bool(value) and set(map(type, value)) == {float}
    return type(value) is float


def _feed(update: Update, value: Any) -> int:
    kind = type(value)
    if kind in _SEQUENCES:
        return _sequence(update, value, _SEQUENCES[kind])
    if kind in _SCALARS:
        update(_dumps(_normal(value), _WITHOUT_REFERENCES))
        return 1
    if kind is set or kind is frozenset:
        return _unordered(update, b"s", [(item,) for item in value])
    if kind is dict:
        return _unordered(update, b"d", [*value.items()])
    raise _EqualsNothing


def _unordered(update: Update, tag: bytes, entries: list[Any]) -> int:
    digests, size = [], 0
    for entry in entries:
        h = _sha256()
        size += _sequence(h.update, entry, b"e")
        digests.append(h.digest())
    update(b"%b%d:" % (tag, len(digests)) + b"".join(sorted(digests)))
    return size


def _sequence(update: Update, value: Any, tag: bytes) -> int:
    update(b"%b%d:" % (tag, len(value)))
    size = 0
    items = iter(value)
    while block := [*islice(items, _BLOCK)]:
        size += _block(update, block)
    return size


def _block(update: Update, block: list[Any]) -> int:
    """Feed some items of a sequence: the way taken must be the same for equal blocks."""
    kinds = set(map(type, block))
    if any(map(is_numpy_scalar, kinds)):
        block = [item.item() if is_numpy_scalar(type(item)) else item for item in block]
        kinds = set(map(type, block))
    if kinds <= _SCALARS:
        update(b"p" + _dumps(block if kinds <= _PLAIN else [*map(_normal, block)], _WITHOUT_REFERENCES))
        return len(block)
    if kinds <= _SEQUENCES.keys():
        inner = set(map(type, chain.from_iterable(block)))
        if any(map(is_numpy_scalar, inner)):
            block = [type(row)(x.item() if is_numpy_scalar(type(x)) else x for x in row) for row in block]
            inner = set(map(type, chain.from_iterable(block)))
        if inner <= _SCALARS:
            flat = block if inner <= _PLAIN else [type(row)(map(_normal, row)) for row in block]
            update(b"q" + _dumps(flat, _WITHOUT_REFERENCES))
            return sum(map(len, block))
    size = 0
    for item in block:
        update(b"i")
        size += _feed(update, item)
    return size


def _normal(value: Any) -> Any:
    """Return the one scalar that stands for all that equal this one."""
    kind = type(value)
    if kind is bool:
        return int(value)
    if kind is complex:
        if value.imag != 0:
            return complex(_number(value.real) + 0.0, _number(value.imag) + 0.0)
        kind, value = float, value.real
    if kind is float:
        value = _number(value)
        return int(value) if value.is_integer() else value
    return value


def _number(value: float) -> float:
    if _isnan(value):
        raise _EqualsNothing
    return value
