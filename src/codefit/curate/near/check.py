"""The true similarity of pairs: sets of shingles made again from the texts and compared."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from codefit.curate.near.pairs import Mask, Pairs, chunks
from codefit.curate.near.rule import Rule
from codefit.curate.near.sketch import Floats, Keys, Sketch, shingle_hashes
from codefit.curate.near.text import Ints, Texts

_DEVIATIONS = 2.5
"""A pair whose estimate lies this many standard deviations below what is asked is not checked."""

_CHUNK_PAIRS, _CHUNK_BYTES = 1_024, 4 << 20
_HASH_BITS = np.uint64(44)


def plausible(made: Sketch, rule: Rule, pairs_P2: Pairs) -> Mask:
    """Return which pairs may be near-duplicates by the estimate of their similarity from the minima."""
    keep = np.zeros(len(pairs_P2), np.bool_)
    asked = min(rule.floor, rule.threshold), rule.threshold
    least = [_least(similarity, rule.permutations) for similarity in asked]
    for part in chunks(len(pairs_P2), 1 << 15):
        a, b = pairs_P2[part].T
        equal = np.count_nonzero(made.minima_DP[a] == made.minima_DP[b], axis=1)
        short = np.minimum(made.shingles_D[a], made.shingles_D[b]) < rule.loose_below
        keep[part] = equal >= np.where(short, least[0], least[1])
    return keep


def _least(similarity: float, permutations: int) -> float:
    """Return the equal minima below which a pair of this similarity is unlikely."""
    deviation = np.sqrt(similarity * (1 - similarity) * permutations)
    return float(similarity * permutations - _DEVIATIONS * deviation)


def verified_pairs(texts: Texts, pairs_P2: Pairs, rule: Rule, workers: int = 1) -> tuple[Pairs, Floats]:
    """Return the pairs that are near-duplicates by the rule, and similarity_P: float64, their Jaccard.

    The similarity is that of the sets of shingles, each as 44 bits of its hash: an error needs two
    different shingles of one pair with the same 44 bits.
    """

    def check(part: slice) -> tuple[Pairs, Floats]:
        pairs = pairs_P2[part]
        shared, left, right = _overlaps(texts, pairs, rule.shingle)
        similarity = shared / np.maximum(left + right - shared, 1)
        few_edits = (similarity >= rule.floor) & (np.maximum(left, right) - shared <= rule.lost)
        near = (similarity >= rule.threshold) | (few_edits if rule.edits else False)
        return pairs[near], similarity[near]

    with ThreadPoolExecutor(workers) as pool:
        parts = list(pool.map(check, _parts(texts, pairs_P2)))
    none = np.zeros((0, 2), np.int64), np.zeros(0)
    found, similarity = zip(none, *parts, strict=True)
    return np.concatenate(found), np.concatenate(similarity)


def _parts(texts: Texts, pairs_P2: Pairs) -> Iterator[slice]:
    """Yield runs of pairs with a bounded number of bytes of text; a longer pair is alone."""
    sizes = np.diff(texts.offsets)[pairs_P2].sum(axis=1)
    total = np.cumsum(sizes)
    begin = 0
    while begin < len(sizes):
        limit = total[begin] - sizes[begin] + _CHUNK_BYTES
        end = int(np.searchsorted(total, limit, side="right"))
        end = min(max(end, begin + 1), begin + _CHUNK_PAIRS)
        yield slice(begin, end)
        begin = end


def _overlaps(texts: Texts, pairs: Pairs, size: int) -> tuple[Ints, Ints, Ints]:
    """Return per pair how many different shingles are shared, are in the first, are in the second."""
    documents, place = np.unique(pairs, return_inverse=True)
    hashes, counts = shingle_hashes(texts.taken(documents), 0, len(documents), size)
    hashes = hashes >> (np.uint64(64) - _HASH_BITS)
    hashes |= np.repeat(np.arange(len(documents), dtype=np.uint64) << _HASH_BITS, counts)
    hashes.sort()
    hashes = hashes[np.append(True, hashes[1:] != hashes[:-1])[: len(hashes)]]
    edges = np.searchsorted(hashes, np.arange(len(documents) + 1, dtype=np.uint64) << _HASH_BITS)
    sizes = np.diff(edges)
    first, second = place.reshape(-1, 2).T
    both = np.concatenate([_members(hashes, edges, first), _members(hashes, edges, second)])
    both.sort(kind="stable")  # two runs in order: one merge
    twice = both[1:][both[1:] == both[:-1]] >> _HASH_BITS
    return np.bincount(twice.astype(np.int64), minlength=len(pairs)), sizes[first], sizes[second]


def _members(hashes: Keys, edges: Ints, documents: Ints) -> Keys:
    """Return the hashes of documents one after the other, each with the number of its place on top."""
    sizes = edges[documents + 1] - edges[documents]
    begins = np.cumsum(sizes) - sizes
    number = np.repeat(np.arange(len(documents)), sizes)
    index = np.arange(len(number)) - begins[number] + edges[documents][number]
    members: Keys = hashes[index] & ((np.uint64(1) << _HASH_BITS) - np.uint64(1))
    members |= number.astype(np.uint64) << _HASH_BITS
    return members
