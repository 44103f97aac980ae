"""What collections of texts have in common: a row of one with its like in another.

Every measure is a matrix hits_RC: does row R have its like in collection C. A collection is a
source's rows, the mixture or a suite's tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import chain, pairwise, repeat

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Pairs = Sequence[tuple[int, int]]
Measure = Callable[[Floats, int, Ints], Floats]
"""(weight shared with each of others, row, others) -> similarity to each of them."""


def features_shared(features: Sequence[Sequence[Hashable]], owner: Ints, collections: int) -> Bools:
    """Return hits_RC of rows that share any feature (a text, a code shape) with a collection."""
    numbers: dict[Hashable, int] = {}
    flat = np.array([numbers.setdefault(f, len(numbers)) for fs in features for f in fs], np.int64)
    return _hits(flat, _rows_of([len(fs) for fs in features]), owner, collections)


def grams_shared(words: Sequence[Sequence[str]], n: int, owner: Ints, collections: int) -> Bools:
    """Return hits_RC of rows that share a run of `n` words with a collection."""
    gram, row = _grams(words, n)
    return _hits(gram, row, owner, collections)


def _grams(words: Sequence[Sequence[str]], n: int) -> tuple[Ints, Ints]:
    """Return (number, row) of every run of `n` words inside a row, by row."""
    numbers: dict[str, int] = {}
    flat = np.array([numbers.setdefault(w, len(numbers)) for ws in words for w in ws], np.uint64)
    row = _rows_of([len(ws) for ws in words])
    count = max(0, len(flat) - n + 1)
    key = np.zeros(count, np.uint64)
    with np.errstate(over="ignore"):
        for offset in range(n):
            key = _mixed(key, flat[offset : offset + count])
    inside = row[:count] == row[n - 1 : n - 1 + count]
    _, gram = np.unique(key[inside], return_inverse=True)
    return gram.astype(np.int64), row[:count][inside]


def _mixed(key: npt.NDArray[np.uint64], value: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Mix a value into a 64-bit hash (the finaliser of splitmix64)."""
    key = key + value * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0xD1B54A32D192ED03)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    return key ^ (key >> np.uint64(27))


def _rows_of(lengths: Sequence[int]) -> Ints:
    return np.fromiter(chain.from_iterable(repeat(i, n) for i, n in enumerate(lengths)), np.int64)


def _hits(feature: Ints, row: Ints, owner: Ints, collections: int) -> Bools:
    hits = np.zeros((len(owner), collections), np.bool_)
    if not len(feature):
        return hits
    by = owner[row]
    for c in range(collections):
        present = np.zeros(int(feature.max()) + 1, np.bool_)
        present[feature[by == c]] = True
        hits[np.unique(row[present[feature] & (by != c)]), c] = True
    return hits


def jaccard(words: Sequence[Sequence[str]], n: int, owner: Ints, pairs: Pairs, collections: int) -> Floats:
    """Return best_RC: the Jaccard similarity of a row's runs of `n` words with the nearest of a collection.

    Exact, by posting lists: no row is missed, which sketches such as MinHash cannot promise. For the
    pairs of collections asked; elsewhere NaN.
    """
    gram, row = _grams(words, n)
    edges = np.searchsorted(row, np.arange(len(words) + 1))
    rows = [np.unique(gram[a:b]) for a, b in pairwise(edges)]
    sizes = np.array([len(r) for r in rows])

    def measure(shared: Floats, i: int, others: Ints) -> Floats:
        union: Floats = np.maximum(sizes[others] + sizes[i] - shared, 1)
        return shared / union

    weights = np.ones(int(gram.max()) + 1 if len(gram) else 0)
    return _best(rows, weights, owner, pairs, collections, measure)


def similarity(stems: Sequence[frozenset[str]], owner: Ints, pairs: Pairs, collections: int) -> Floats:
    """Return best_RC: the cosine of a row's request with the nearest of a collection, for the pairs asked.

    Stems are weighted by their rarity among all requests (inverse document frequency). Not asked: NaN.
    """
    numbers: dict[str, int] = {}
    rows = [
        np.array(sorted(numbers.setdefault(s, len(numbers)) for s in sorted(ss)), np.int64) for ss in stems
    ]
    counts = np.bincount(np.concatenate([*rows, np.zeros(0, np.int64)]), minlength=len(numbers))
    square = np.log(1 + len(rows) / np.maximum(counts, 1)) ** 2
    norms = np.sqrt(np.array([square[r].sum() for r in rows]))
    norms[norms == 0] = 1.0

    def measure(shared: Floats, i: int, others: Ints) -> Floats:
        norm: Floats = norms[others] * norms[i]
        return shared / norm

    return _best(rows, square, owner, pairs, collections, measure)


def _best(
    rows: Sequence[Ints], weights: Floats, owner: Ints, pairs: Pairs, collections: int, measure: Measure
) -> Floats:
    best = np.full((len(rows), collections), np.nan)
    members = [np.flatnonzero(owner == c) for c in range(collections)]
    for a, b in pairs:
        small, large = (a, b) if len(members[a]) <= len(members[b]) else (b, a)
        if len(members[small]):
            ones, others = _nearest(members[small], members[large], rows, weights, measure)
            best[members[small], large], best[members[large], small] = ones, others
    return best


def _nearest(
    small: Ints, large: Ints, rows: Sequence[Ints], weights: Floats, measure: Measure
) -> tuple[Floats, Floats]:
    """Return the best of each of `small` among `large`, and the other way round, by posting lists."""
    feature = np.concatenate([rows[i] for i in large])
    at = np.repeat(np.arange(len(large)), [len(rows[i]) for i in large])
    order = np.argsort(feature, kind="stable")
    starts = np.searchsorted(feature[order], np.arange(len(weights) + 1))
    postings = at[order]
    ones, others = np.zeros(len(small)), np.zeros(len(large))
    for k, i in enumerate(small):
        shared = np.zeros(len(large))
        for f in rows[i]:
            shared[postings[starts[f] : starts[f + 1]]] += weights[f]
        found = measure(shared, i, large)
        ones[k] = found.max()
        np.maximum(others, found, out=others)
    return ones, others
