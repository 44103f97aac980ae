"""A strict typed codec for plain data; decoding never executes anything.

Both sides of the sandbox use this file: the program's side encodes what a test returned, the judge
decodes it. Types are exact: a subclass of int, str, list, … is opaque, and so is everything else that
is not plain data. Counter, OrderedDict and defaultdict are encoded as dict, by exact type, and numpy's
scalars as the Python numbers that they equal.
Format: one tag byte, then a fixed-size payload, or a 4-byte length and that many bytes or items.
"""

from __future__ import annotations

import collections
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MAX_DEPTH = 150
_SAME_HASH_MAX = 256

_TYPE_NAME = type.__dict__["__name__"].__get__
_TYPE_FLAGS = type.__dict__["__flags__"].__get__
_HEAP_TYPE = 1 << 9
_U32 = struct.Struct(">I")
_TAG_U32 = struct.Struct(">cI")
_TAG_I64 = struct.Struct(">cq")
_TAG_F64 = struct.Struct(">cd")
_TAG_C128 = struct.Struct(">cdd")
_I64 = struct.Struct(">q")
_F64 = struct.Struct(">d")
_C128 = struct.Struct(">dd")
_I64_MIN, _I64_MAX = -(2**63), 2**63 - 1
_SEQUENCES = {list: b"L", tuple: b"U", set: b"E", frozenset: b"Z"}
_NUMPY_SCALARS = frozenset({
    "bool", "bool_", "int8", "int16", "int32", "int64", "longlong", "uint8", "uint16", "uint32", "uint64",
    "ulonglong", "float16", "float32", "float64", "complex64", "complex128", "str_", "bytes_",
})  # fmt: skip
_MAPPINGS = frozenset({dict, collections.Counter, collections.OrderedDict, collections.defaultdict})


class TooLarge(ValueError):
    """The encoded value would be longer than allowed."""


class DecodeError(ValueError):
    """The bytes are not one value of this codec."""


@dataclass(frozen=True, slots=True, eq=False)
class Opaque:
    """A value that is not plain data; it equals nothing, not even itself."""

    type_name: str

    def __eq__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return hash(self.type_name)


@dataclass(frozen=True, slots=True)
class Digest:
    """Stands for a value too long to send: equal values have equal digests, "" equals nothing.

    `size` is the number of scalars in the value, for people.
    """

    hex: str
    size: int = 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Digest) and bool(self.hex) and self.hex == other.hex

    def __hash__(self) -> int:
        return hash(self.hex)


def encode(value: Any, max_bytes: int = 1 << 30) -> bytes:
    """Return the bytes of a value; raises `TooLarge` once they exceed `max_bytes`."""
    out = bytearray()
    _put(out, value, max_bytes, MAX_DEPTH)
    if len(out) > max_bytes:
        raise TooLarge(f"more than {max_bytes} bytes")
    return bytes(out)


def _put(out: bytearray, value: Any, cap: int, depth: int) -> None:
    kind = type(value)
    if kind is int:
        _put_int(out, value)
    elif kind is str:
        _put_bytes(out, b"S", value.encode("utf-8", "surrogatepass"), cap)
    elif value is None:
        out += b"N"
    elif kind is bool:
        out += b"T" if value else b"F"
    elif kind is float:
        out += _TAG_F64.pack(b"D", value)
    elif kind in _SEQUENCES or kind in _MAPPINGS:
        _put_container(out, value, kind, cap, depth)
    elif kind is bytes:
        _put_bytes(out, b"B", value, cap)
    elif kind is complex:
        out += _TAG_C128.pack(b"C", value.real, value.imag)
    elif kind is Opaque:
        _put_opaque(out, value.type_name)
    elif kind is Digest:
        raw = value.hex.encode()
        out += _TAG_U32.pack(b"X", len(raw)) + raw + _I64.pack(value.size)
    elif is_numpy_scalar(kind):
        _put(out, value.item(), cap, depth)
    else:
        _put_opaque(out, _name(kind))


def is_numpy_scalar(kind: type) -> bool:
    """Return True for a type of numpy's whose values equal, and become, plain ones.

    Such types are made in C, where no program can make one.
    """
    return kind is not bool and not _TYPE_FLAGS(kind) & _HEAP_TYPE and _name(kind) in _NUMPY_SCALARS


def _name(kind: type) -> str:
    name = _TYPE_NAME(kind)
    return name if type(name) is str else "?"


def _put_int(out: bytearray, value: int) -> None:
    if _I64_MIN <= value <= _I64_MAX:
        out += _TAG_I64.pack(b"i", value)
        return
    raw = value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)
    out += _TAG_U32.pack(b"I", len(raw)) + raw


def _put_bytes(out: bytearray, tag: bytes, raw: bytes, cap: int) -> None:
    if len(out) + len(raw) > cap:
        raise TooLarge(f"more than {cap} bytes")
    out += _TAG_U32.pack(tag, len(raw))
    out += raw


def _put_opaque(out: bytearray, name: str) -> None:
    raw = name[:200].encode("utf-8", "surrogatepass")
    out += _TAG_U32.pack(b"O", len(raw)) + raw


def _put_container(out: bytearray, value: Any, kind: type, cap: int, depth: int) -> None:
    if depth == 0:
        _put_opaque(out, f"{_name(kind)} (nested too deeply)")
        return
    depth -= 1
    if kind in _SEQUENCES:
        items = [*value]  # a thread of the program may change it meanwhile
        out += _TAG_U32.pack(_SEQUENCES[kind], len(items))
        for item in items:
            _put(out, item, cap, depth)
            if len(out) > cap:
                raise TooLarge(f"more than {cap} bytes")
        return
    pairs = [*dict.items(value)]
    out += _TAG_U32.pack(b"M", len(pairs))
    for key, item in pairs:
        _put(out, key, cap, depth)
        _put(out, item, cap, depth)
        if len(out) > cap:
            raise TooLarge(f"more than {cap} bytes")


def decode(data: bytes) -> Any:
    """Return the one value in `data`; raises `DecodeError` for anything else."""
    reader = _Reader(data)
    try:
        value = reader.value(MAX_DEPTH + 1)
    except (struct.error, IndexError, UnicodeDecodeError, TypeError) as e:
        raise DecodeError(f"damaged at byte {reader.at}: {type(e).__name__}") from e
    if reader.at != len(data):
        raise DecodeError(f"{len(data) - reader.at} bytes after the value")
    return value


class _Reader:
    """Reads values from bytes, checking every length against what is there."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def value(self, depth: int) -> Any:
        tag = self.data[self.at]
        self.at += 1
        if tag == _TAG_INT64:
            self.at += 8
            return _I64.unpack_from(self.data, self.at - 8)[0]
        read = _READERS.get(tag)
        if read is None:
            raise DecodeError(f"unknown tag {tag} at byte {self.at - 1}")
        return read(self, depth)

    def count(self) -> int:
        n: int = _U32.unpack_from(self.data, self.at)[0]
        self.at += 4
        if n > len(self.data) - self.at:
            raise DecodeError(f"length {n} at byte {self.at} is more than what follows")
        return n

    def raw(self) -> bytes:
        n = self.count()
        self.at += n
        return self.data[self.at - n : self.at]

    def text(self) -> str:
        return self.raw().decode("utf-8", "surrogatepass")

    def items(self, depth: int) -> list[Any]:
        n = self.count()
        if depth == 0:
            raise DecodeError("nested too deeply")
        return [self.value(depth - 1) for _ in range(n)]

    def hashable(self, depth: int) -> list[Any]:
        items = self.items(depth)
        _refuse_collisions(items)
        return items

    def mapping(self, depth: int) -> dict[Any, Any]:
        n = self.count()
        if depth == 0:
            raise DecodeError("nested too deeply")
        pairs = [(self.value(depth - 1), self.value(depth - 1)) for _ in range(n)]
        _refuse_collisions([key for key, _ in pairs])
        return dict(pairs)

    def float64(self) -> float:
        self.at += 8
        value: float = _F64.unpack_from(self.data, self.at - 8)[0]
        return value

    def digest(self) -> Digest:
        found = Digest(self.raw().decode("ascii"), _I64.unpack_from(self.data, self.at)[0])
        self.at += 8
        return found

    def complex128(self) -> complex:
        self.at += 16
        return complex(*_C128.unpack_from(self.data, self.at - 16))


def _refuse_collisions(items: list[Any]) -> None:
    """Refuse keys made to collide: building a set of them would take the judge quadratic time."""
    if len(items) > _SAME_HASH_MAX:
        times = collections.Counter(map(hash, items))
        if max(times.values()) > _SAME_HASH_MAX:
            raise DecodeError("keys with colliding hashes")


_TAG_INT64 = ord("i")
_READERS: dict[int, Callable[[_Reader, int], Any]] = {
    ord("N"): lambda r, depth: None,
    ord("T"): lambda r, depth: True,
    ord("F"): lambda r, depth: False,
    ord("I"): lambda r, depth: int.from_bytes(r.raw(), "big", signed=True),
    ord("D"): lambda r, depth: r.float64(),
    ord("C"): lambda r, depth: r.complex128(),
    ord("S"): lambda r, depth: r.text(),
    ord("B"): lambda r, depth: r.raw(),
    ord("O"): lambda r, depth: Opaque(r.text()),
    ord("L"): lambda r, depth: r.items(depth),
    ord("U"): lambda r, depth: tuple(r.items(depth)),
    ord("E"): lambda r, depth: set(r.hashable(depth)),
    ord("Z"): lambda r, depth: frozenset(r.hashable(depth)),
    ord("M"): lambda r, depth: r.mapping(depth),
    ord("X"): lambda r, depth: r.digest(),
}
