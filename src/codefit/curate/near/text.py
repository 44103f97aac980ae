"""Texts as one buffer of UTF-8 bytes and the offsets of the documents in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]

FIELD = b"\xff\n"
"""Stands between the fields of one document; no UTF-8 text holds the byte 255."""


@dataclass(frozen=True)
class Texts:
    """Documents i = buffer[offsets[i] : offsets[i + 1]]; the buffer may lie in a file (`np.memmap`).

    buffer: uint8, shape (bytes,); offsets: int64, shape (documents + 1,), not falling. path: the file
    that the buffer is a map of, from its first byte on, where there is one: other processes map it too.
    """

    buffer: Bytes
    offsets: Ints
    path: Path | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def blocks(self, first: int, last: int, size_bytes: int) -> Iterator[tuple[int, int]]:
        """Cut documents [first, last) into runs of at most so many bytes; a longer document is alone."""
        while first < last:
            limit = int(self.offsets[first]) + size_bytes
            end = int(np.searchsorted(self.offsets, limit, side="right")) - 1
            end = min(last, max(end, first + 1))
            yield first, end
            first = end

    def taken(self, documents: Ints) -> Texts:
        """Copy some documents, one after the other."""
        sizes = np.diff(self.offsets)[documents]
        begins = self.offsets[documents]
        slices = [self.buffer[b : b + n] for b, n in zip(begins.tolist(), sizes.tolist(), strict=True)]
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        return Texts(np.concatenate(slices) if slices else self.buffer[:0], offsets)

    @classmethod
    def of(cls, documents: Iterable[tuple[str, ...]]) -> Texts:
        """Join documents given as their fields (request, answer); lone surrogates are taken as they are."""
        parts = [FIELD.join(f.encode("utf-8", "surrogatepass") for f in fields) for fields in documents]
        offsets = np.zeros(len(parts) + 1, np.int64)
        np.cumsum([len(p) for p in parts], out=offsets[1:])
        return cls(np.frombuffer(b"".join(parts), np.uint8), offsets)

    @classmethod
    def of_arrow(cls, column: pa.Array) -> Texts:
        """Take an Arrow column of strings or bytes as it lies in memory, without a copy of the text."""
        import pyarrow as pa

        wide = pa.types.is_large_string(column.type) or pa.types.is_large_binary(column.type)
        _, offsets, data = column.buffers()
        kind = np.int64 if wide else np.int32
        whole = np.frombuffer(offsets, kind) if offsets is not None else np.zeros(1, kind)
        taken = whole[column.offset : column.offset + len(column) + 1].astype(np.int64)
        return cls(np.frombuffer(data or b"", np.uint8), taken)

    @classmethod
    def of_file(cls, path: Path, offsets: Ints) -> Texts:
        """Map a file of text into memory: read as it is needed, and shared by all that map it."""
        size = path.stat().st_size
        buffer = np.memmap(path, np.uint8, "r").view(np.ndarray) if size else np.zeros(0, np.uint8)
        return cls(buffer, offsets, path)

    @classmethod
    def spooled(cls, columns: Iterable[pa.Array], path: Path) -> Texts:
        """Write Arrow columns of strings one after the other to a file as plain text, and map it."""
        import pyarrow as pa

        offsets, end = [np.zeros(1, np.int64)], 0
        with path.open("wb") as f:
            for column in columns:
                part = cls.of_arrow(column)
                begin = int(part.offsets[0])
                f.write(part.buffer[begin : int(part.offsets[-1])].data)
                offsets.append(part.offsets[1:] - begin + end)
                end = int(offsets[-1][-1]) if len(part) else end
        pa.default_memory_pool().release_unused()  # what a reader of Parquet keeps for the next batch
        return cls.of_file(path, np.concatenate(offsets))
