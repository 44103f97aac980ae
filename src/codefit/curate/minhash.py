"""MinHash signatures and their LSH bands in numpy.

Broder 1997; Leskovec et al., Mining of Massive Datasets, chapter 3.

Shingles are runs of tokens; a set of shingles is an array of sorted 64-bit hashes, so the true
Jaccard similarity of two rows is exact up to hash collisions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

UInts = npt.NDArray[np.uint64]
_TOKEN = re.compile(r"[^\W_]+|[^\w\s]")
_MIX = np.uint64(0x9E3779B97F4A7C15)
_SEED = 20_011


@dataclass(frozen=True)
class Bands:
    """How a signature is cut: `bands` pieces of `rows` values; equal pieces make a candidate pair."""

    bands: int
    rows: int

    @property
    def used(self) -> int:
        """Return the number of hash functions in use."""
        return self.bands * self.rows


def bands_for(threshold: float, permutations: int) -> Bands:
    """Return the widest bands that still find a pair at the threshold with probability 0.999."""
    for rows in range(permutations, 0, -1):
        bands = permutations // rows
        if bands and 1 - (1 - threshold**rows) ** bands >= 0.999:
            return Bands(bands, rows)
    return Bands(permutations, 1)


def tokens(text: str) -> list[str]:
    """Return lower-case words and single signs of a text, spacing aside."""
    return _TOKEN.findall(text.lower())


def shingle_sets(documents: Sequence[Sequence[Sequence[str]]], size: int) -> list[UInts]:
    """Return each document's sorted distinct shingle hashes.

    A document is a sequence of fields (request, code), each a sequence of tokens; shingles do not
    span fields, and the field's number is part of the hash. Fields shorter than `size` are one shingle.
    """
    vocabulary: dict[str, int] = {}
    sets: list[UInts] = []
    for fields in documents:
        parts = [
            _shingles(np.array([vocabulary.setdefault(t, _hash(t)) for t in field], np.uint64), size, number)
            for number, field in enumerate(fields)
            if field
        ]
        sets.append(np.unique(np.concatenate(parts)) if parts else np.zeros(0, np.uint64))
    return sets


def _hash(token: str) -> int:
    """Hash a token by FNV-1a, 64 bits: the same in every process."""
    value = 0xCBF29CE484222325
    for byte in token.encode("utf-8", "surrogatepass"):
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


def _shingles(hashes: UInts, size: int, field: int) -> UInts:
    count = max(1, len(hashes) - size + 1)
    value = np.full(count, np.uint64(field + 1), np.uint64)
    with np.errstate(over="ignore"):
        for offset in range(min(size, len(hashes))):
            value = _mix(value * _MIX + hashes[offset : offset + count])
    return value


def _mix(value: UInts) -> UInts:
    value = value ^ (value >> np.uint64(31))
    value = value * np.uint64(0x7FB5D329728EA185)
    return value ^ (value >> np.uint64(27))


def band_keys(sets: Sequence[UInts], bands: Bands) -> npt.NDArray[np.uint64]:
    """Return keys_DB: one 64-bit key per document and band; empty documents get keys of their own."""
    keys = np.zeros((len(sets), bands.bands), np.uint64)
    filled = [i for i, s in enumerate(sets) if len(s)]
    if not filled:
        return keys
    lengths = np.array([len(sets[i]) for i in filled])
    flat = np.concatenate([sets[i] for i in filled])
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    generator = np.random.default_rng(_SEED)
    factors = generator.integers(1, 2**63, bands.used, dtype=np.uint64) | np.uint64(1)
    with np.errstate(over="ignore"):
        for band in range(bands.bands):
            key = np.full(len(filled), np.uint64(band + 1), np.uint64)
            for factor in factors[band * bands.rows : (band + 1) * bands.rows]:
                key = _mix(key * _MIX + np.minimum.reduceat(_mix(flat * factor), starts))
            keys[filled, band] = key
    return keys


def jaccard(a: UInts, b: UInts) -> float:
    """Return |a ∩ b| / |a ∪ b| of two sorted arrays of distinct values; 0 for two empty ones."""
    if not len(a) or not len(b):
        return 0.0
    both = np.concatenate([a, b])
    both.sort(kind="stable")
    shared = int(np.count_nonzero(both[1:] == both[:-1]))
    return shared / (len(both) - shared)
