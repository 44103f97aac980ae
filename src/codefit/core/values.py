"""Plain values and tests as JSON text, exactly: tuples, sets, bytes, big integers, non-text keys."""

from __future__ import annotations

import json
import math
from typing import Any

from codefit.core.types import Tests

_TAG = "$"
_PLAIN_INT = 1 << 10_000  # below Python's limit of 4,300 digits for int -> str
_ENCODER = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":"))
_AS_THEY_ARE = frozenset({str, bool, type(None)})


def tests_to_json(tests: Tests) -> str:
    """Return tests as one JSON text; `tests_from_json` gives equal tests back."""
    return dump(
        {
            "kind": tests.kind,
            "entry_point": tests.entry_point,
            "asserts": list(tests.asserts),
            "inputs": list(tests.inputs),
            "outputs": list(tests.outputs),
            "setup": tests.setup,
        }
    )


def tests_from_json(text: str) -> Tests:
    """Return the tests of a JSON text that `tests_to_json` wrote."""
    v = load(text)
    return Tests(
        v["kind"], v["entry_point"], tuple(v["asserts"]), tuple(v["inputs"]), tuple(v["outputs"]), v["setup"]
    )


def dump(value: Any) -> str:
    """Return a plain value as one canonical JSON text; raises `TypeError` for other types."""
    return _ENCODER.encode(_pack(value))


def load(text: str) -> Any:
    """Return the value of a text that `dump` wrote."""
    return _unpack(json.loads(text))


def _pack(value: Any) -> Any:
    if type(value) in _AS_THEY_ARE or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value if -_PLAIN_INT < value < _PLAIN_INT else {_TAG: "int", "v": hex(value)}
    if isinstance(value, float):
        return value if math.isfinite(value) else {_TAG: "float", "v": repr(value)}
    if isinstance(value, list):
        return [_pack(v) for v in value]
    if isinstance(value, dict):
        if all(isinstance(k, str) for k in value) and _TAG not in value:
            return {k: _pack(v) for k, v in value.items()}
        return {_TAG: "dict", "v": [[_pack(k), _pack(v)] for k, v in value.items()]}
    return _pack_other(value)


def _pack_other(value: Any) -> Any:
    if isinstance(value, tuple):
        return {_TAG: "tuple", "v": [_pack(v) for v in value]}
    if isinstance(value, set | frozenset):
        kind = "set" if isinstance(value, set) else "frozenset"
        return {
            _TAG: kind,
            "v": sorted((_pack(v) for v in value), key=lambda v: json.dumps(v, sort_keys=True)),
        }
    if isinstance(value, bytes):
        return {_TAG: "bytes", "v": value.hex()}
    if isinstance(value, complex):
        return {_TAG: "complex", "v": [repr(value.real), repr(value.imag)]}
    raise TypeError(f"cannot store a {type(value).__name__}")


def _unpack(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpack(v) for v in value]
    if not isinstance(value, dict):
        return value
    if _TAG not in value:
        return {k: _unpack(v) for k, v in value.items()}
    return _UNPACK[value[_TAG]](value["v"])


_UNPACK: dict[str, Any] = {
    "int": lambda v: int(v, 16),
    "float": float,
    "dict": lambda v: {_unpack(k): _unpack(x) for k, x in v},
    "tuple": lambda v: tuple(_unpack(x) for x in v),
    "set": lambda v: {_unpack(x) for x in v},
    "frozenset": lambda v: frozenset(_unpack(x) for x in v),
    "bytes": bytes.fromhex,
    "complex": lambda v: complex(float(v[0]), float(v[1])),
}
