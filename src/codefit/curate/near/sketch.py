"""Sketches of documents: shingles of code tokens, their minima, and the keys of the bands.

Broder 1997 (minima of hashed shingles agree with the probability of the Jaccard similarity);
Leskovec et al., Mining of Massive Datasets, chapter 3 (bands).

Everything is arithmetic on whole blocks of bytes in numpy. A token is a run of ASCII letters and
digits (case folded), a character outside ASCII with the letters that follow it, or one sign; white
space and `_` part tokens and count for nothing. A shingle is a run of tokens inside one document.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from codefit.curate.near.rule import Bands, Rule
from codefit.curate.near.text import Bytes, Ints, Texts

Keys = npt.NDArray[np.uint64]
Words = npt.NDArray[np.uint32]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

BLOCK_BYTES = 1 << 18
"""Text handled at once: what is made of it stays in a core's cache."""

_PIECE_BYTES = 1 << 15
_SEED = 20_011
_WINDOWS = 4
_FIRST_BYTES = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)
_A, _B, _C = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x7FB5D329728EA185)


@dataclass(frozen=True)
class Sketch:
    """What is kept of documents to find near-duplicates.

    keys_DB: uint64, documents x (1 + bands); 0 = no key. Column 0 is equal for documents with the
    same shingles, each as often; the others are the strict, then the loose bands. Every column holds
    hashes of its own, so columns of several sketches can be put together and sorted.
    minima_DP: uint8, documents x permutations, the last byte of each minimum: an estimate of the
    Jaccard similarity. shingles_D: int64, shingles with repetitions.
    """

    keys_DB: Keys
    minima_DP: Bytes
    shingles_D: Ints


def empty_sketch(count: int, rule: Rule) -> Sketch:
    """Return the sketch of so many documents without any shingle; columns of keys are contiguous."""
    columns = 1 + rule.strict.bands + rule.loose.bands
    return Sketch(
        np.zeros((columns, count), np.uint64).T,
        np.zeros((count, rule.permutations), np.uint8),
        np.zeros(count, np.int64),
    )


def sketch_part(texts: Texts, rule: Rule, first: int, last: int) -> Sketch:
    """Return the sketch of documents [first, last)."""
    strict, loose = rule.strict, rule.loose
    made = empty_sketch(last - first, rule)
    for begin, end in texts.blocks(first, last, BLOCK_BYTES):
        hashes, counts = shingle_hashes(texts, begin, end, rule.shingle)
        filled = np.flatnonzero(counts)
        made.shingles_D[begin - first : end - first] = counts
        if not len(filled):
            continue
        starts = (np.cumsum(counts) - counts)[filled]
        minima_PD = _minima(hashes, starts, rule.permutations)
        where = begin - first + filled
        made.minima_DP[where] = minima_PD.astype(np.uint8).T
        keys_BD = made.keys_DB.T
        keys_BD[0, where] = np.add.reduceat(hashes * _C, starts) | np.uint64(1)
        keys_BD[1 : 1 + strict.bands, where] = _band_keys(minima_PD, strict, 1)
        short = counts[filled] < rule.loose_below
        at = 1 + strict.bands
        keys_BD[at:, where[short]] = _band_keys(minima_PD[:, short], loose, at)
    return made


def shingle_hashes(texts: Texts, first: int, last: int, size: int) -> tuple[Keys, Ints]:
    """Return the hashes of the shingles of documents [first, last), in order, and how many each has."""
    begin, end = int(texts.offsets[first]), int(texts.offsets[last])
    bounds = texts.offsets[first : last + 1] - begin
    hashes, starts = _token_hashes(texts.buffer[begin:end], bounds)
    edges = np.searchsorted(starts, bounds)
    counts = np.diff(edges)
    final = edges[1:][counts > 0] - 1
    value, following = hashes * _B, hashes
    for _ in range(size - 1):
        following = np.concatenate([following[1:], following[:1]])
        following[final] = 0
        value += following
        value *= _C
        value ^= value >> np.uint64(32)
    value *= _A
    value ^= value >> np.uint64(29)
    return value, counts


def _token_hashes(text: Bytes, bounds: Ints) -> tuple[Keys, Ints]:
    """Return a 64-bit hash and the first byte of each token; documents begin at `bounds`."""
    folded = np.zeros(len(text) + 8 * (_WINDOWS + 1), np.uint8)
    begins = _fold(text, bounds, folded)
    starts = np.flatnonzero(begins)
    if not len(starts):
        return np.zeros(0, np.uint64), starts
    gaps = np.empty_like(starts)
    np.subtract(starts[1:], starts[:-1], out=gaps[:-1])
    gaps[-1] = len(text) - starts[-1]
    # The bytes between a token and the next one are zero by now, so the gap may stand for the length.
    window = np.ndarray((len(folded) - 7,), "<u8", folded.data, strides=(1,))
    hashes = _cut(window.take(starts), gaps) * _A
    hashes ^= hashes >> np.uint64(32)
    longer = np.flatnonzero(gaps > 8)
    for number in range(1, _WINDOWS):
        longer = longer[(gaps[longer] > 8 * number) & (folded[starts[longer] + 8 * number] > 0)]
        if not len(longer):
            return hashes, starts
        value = _cut(window[starts[longer] + 8 * number], gaps[longer] - 8 * number)
        hashes[longer] = (hashes[longer] * _B + value) * _C
    for i in longer[gaps[longer] > 8 * _WINDOWS].tolist():
        rest = folded[starts[i] + 8 * _WINDOWS : starts[i] + gaps[i]].tobytes().rstrip(b"\0")
        if rest:
            digest = hashlib.blake2b(rest, digest_size=8).digest()
            hashes[i : i + 1] = hashes[i : i + 1] * _B + np.uint64(int.from_bytes(digest, "little"))
    return hashes, starts


def _cut(window: Keys, length: Ints) -> Keys:
    """Keep, in place, the first `length` bytes of each window of eight."""
    window &= _FIRST_BYTES.take(np.minimum(length, 8))
    return window


def _fold(text: Bytes, bounds: Ints, folded: Bytes) -> Mask:
    """Write the text into `folded`, lower case and 0 for white space; return where tokens begin."""
    word, shown = np.empty(len(text), np.bool_), np.empty(len(text), np.bool_)
    for begin in range(0, len(text), _PIECE_BYTES):
        part = slice(begin, min(begin + _PIECE_BYTES, len(text)))
        _classes(text[part], folded[part], word[part], shown[part])
    inside = word  # the byte and the one before it are of the same word
    inside[1:] &= word[:-1].copy()
    inside[bounds[bounds < len(text)]] = False
    inside &= text < 0xC0
    shown &= np.logical_not(inside, out=inside)
    return shown


def _classes(text: Bytes, folded: Bytes, word: Mask, shown: Mask) -> None:
    """Fill in what is of a word, what is not white space, and the folded text."""
    upper = (text - np.uint8(65)) < 26
    np.add(text, upper.view(np.uint8) * np.uint8(32), out=folded)
    np.less(folded - np.uint8(97), 26, out=word)
    word |= (text - np.uint8(48)) < 10
    word |= text >= 0x80
    np.greater(text, 32, out=shown)
    shown &= text != 95
    shown &= text != 127
    folded *= shown.view(np.uint8)


def _minima(hashes: Keys, starts: Ints, permutations: int) -> Words:
    """Return the least value per document under each hash function, shape (permutations, documents)."""
    low = (hashes >> np.uint64(32)).astype(np.uint32)
    value = np.empty_like(low)
    minima_PD = np.empty((permutations, len(starts)), np.uint32)
    for row, factor in zip(minima_PD, _factors(permutations), strict=True):
        np.multiply(low, factor, out=value)
        np.minimum.reduceat(value, starts, out=row)
    return minima_PD


def _factors(permutations: int) -> Words:
    draw = np.random.default_rng(_SEED).integers(0, 2**32, permutations, dtype=np.uint32)
    return draw | np.uint32(1)


def _band_keys(minima_PD: Words, bands: Bands, number: int) -> Keys:
    """Return the keys of bands, shape (bands, documents); `number` is that of the first band."""
    used = minima_PD[: bands.bands * bands.rows].reshape(bands.bands, bands.rows, minima_PD.shape[1])
    key = np.repeat(np.arange(number, number + bands.bands, dtype=np.uint64)[:, None], used.shape[2], axis=1)
    for row in range(bands.rows):
        key = (key ^ used[:, row]) * _A
        key ^= key >> np.uint64(32)
    return key | np.uint64(1)
