"""What a GGUF file says of itself: architecture, name, and the format of its weights.

Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little-endian);
numbers of `general.file_type`: enum `llama_ftype` in llama.cpp's include/llama.h.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from codefit.core.errors import InputError

_FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S",
    12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K",
    19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL",
    26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16",
    36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4_MOE",
}  # fmt: skip
_NAME = re.compile(
    r"(?<![A-Za-z0-9])(I?Q[1-8]_(?:K_(?:XL|[SML])|K|0|1|NL|XXS|XS|S|M)|TQ[12]_0|MXFP4|BF16|F16|F32|FP16|FP32|FP8|"
    r"INT8|INT4|NF4|AWQ|GPTQ)(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_MOST_ENTRIES, _LONGEST_TEXT, _DEEPEST = 100_000, 1 << 24, 4


@dataclass(frozen=True, slots=True)
class GgufFile:
    """The head of a GGUF file; `weights` such as `Q4_K_M`, None where neither head nor name tells."""

    architecture: str | None
    name: str | None
    weights: str | None


def format_in_name(name: str) -> str | None:
    """Return the format of weights that a file's or model's name holds, such as Q4_K_M."""
    found = _NAME.findall(name)
    return found[-1].upper() if found else None


def read_gguf(path: Path) -> GgufFile:
    """Return what a file says of itself; raises `InputError` for what is no GGUF file, or is cut off."""
    try:
        with path.open("rb") as f:
            head = _head(f)
    except OSError as e:
        raise InputError(f"cannot read: {e.strerror}", where=str(path), todo="check the path") from e
    except (struct.error, UnicodeDecodeError, ValueError) as e:
        reason = (
            str(e) if isinstance(e, ValueError) and not isinstance(e, UnicodeDecodeError) else "it is cut off"
        )
        raise InputError(
            f"not a usable GGUF file: {reason}", where=str(path), todo="download it again"
        ) from e
    architecture, name, kind = (head.get(f"general.{k}") for k in ("architecture", "name", "file_type"))
    weights = _FILE_TYPES.get(kind) if isinstance(kind, int) else None
    return GgufFile(
        architecture if isinstance(architecture, str) else None,
        name if isinstance(name, str) else None,
        weights or format_in_name(path.name),
    )


def _head(f: IO[bytes]) -> dict[str, Any]:
    """Return the entries up to `general.file_type`, and no farther than the tokenizer's tables."""
    if f.read(4) != b"GGUF":
        raise ValueError("it does not begin with GGUF")
    version, _, entries = _unpack(f, "<IQQ")
    if version not in (2, 3):
        raise ValueError(f"version {version}, known are 2 and 3")
    if entries > _MOST_ENTRIES:
        raise ValueError(f"{entries:,} entries")
    found: dict[str, Any] = {}
    for _ in range(entries):
        key = _text(f)
        (kind,) = _unpack(f, "<I")
        value = _value(f, kind, 0)
        if key.startswith("general."):
            found[key] = value
    return found


def _value(f: IO[bytes], kind: int, depth: int) -> Any:
    if kind in _SCALARS:
        return _unpack(f, f"<{_SCALARS[kind]}")[0]
    if kind == _STRING:
        return _text(f)
    if kind != _ARRAY or depth > _DEEPEST:
        raise ValueError(f"an entry of unknown kind {kind}")
    inner, length = _unpack(f, "<IQ")
    if inner in _SCALARS:
        size = struct.calcsize(f"<{_SCALARS[inner]}") * length
        _skip(f, size)
    else:
        for _ in range(length):
            _value(f, inner, depth + 1)
    return None


def _skip(f: IO[bytes], size: int) -> None:
    """Pass over bytes that must be there: seeking beyond the end is no error to a file."""
    if size == 0:
        return
    f.seek(size - 1, 1)
    _unpack(f, "<B")


def _text(f: IO[bytes]) -> str:
    (length,) = _unpack(f, "<Q")
    if length > _LONGEST_TEXT:
        raise ValueError(f"a text of {length:,} bytes")
    data = f.read(length)
    if len(data) < length:
        raise struct.error("cut off")
    return data.decode("utf-8")


def _unpack(f: IO[bytes], layout: str) -> tuple[Any, ...]:
    return struct.unpack(layout, f.read(struct.calcsize(layout)))
