"""What collections of texts have in common: a row of one with its like in another.

Every measure is a matrix hits_RC: does row R have its like in collection C. A collection is a
source's rows, the mixture or a suite's tasks.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import chain, repeat

import numpy as np
import numpy.typing as npt

from codefit.curate.near import Rule, Texts, candidate_pairs, sketch, verified_pairs

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


def features_shared(features: Sequence[Sequence[Hashable]], owner: Ints, collections: int) -> Bools:
    """Return hits_RC of rows that share any feature (a text, a code shape) with a collection."""
    numbers: dict[Hashable, int] = {}
    flat = np.array([numbers.setdefault(f, len(numbers)) for fs in features for f in fs], np.int64)
    return _hits(flat, _rows_of([len(fs) for fs in features]), owner, collections)


def grams_shared(words: Sequence[Sequence[str]], n: int, owner: Ints, collections: int) -> Bools:
    """Return hits_RC of rows that share a run of `n` words with a collection."""
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
    return _hits(gram.astype(np.int64), row[:count][inside], owner, collections)


def _mixed(key: npt.NDArray[np.uint64], value: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Mix a value into a 64-bit hash (the finaliser of splitmix64)."""
    key = key + value * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0xD1B54A32D192ED03)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    return key ^ (key >> np.uint64(27))


def near_shared(
    words: Sequence[Sequence[str]],
    owner: Ints,
    pairs: Sequence[tuple[int, int]],
    collections: int,
    rule: Rule,
) -> Bools:
    """Return hits_RC of rows with a near-duplicate by the rule, for the pairs of collections asked."""
    texts = Texts.of([(" ".join(ws),) for ws in words])
    keys = sketch(texts, rule).keys_DB
    hits = np.zeros((len(words), collections), np.bool_)
    for a, b in pairs:
        members = np.flatnonzero((owner == a) | (owner == b))
        found = members[candidate_pairs(keys[members])]
        near, _ = verified_pairs(texts, found[owner[found[:, 0]] != owner[found[:, 1]]], rule)
        hits[near[:, 0], owner[near[:, 1]]] = True
        hits[near[:, 1], owner[near[:, 0]]] = True
    return _as_their_equals(hits, keys[:, 0])


def _as_their_equals(hits: Bools, same: npt.NDArray[np.uint64]) -> Bools:
    """Give documents with the same words the same hits: only one of them was compared."""
    _, group = np.unique(same, return_inverse=True)
    united = np.zeros((int(group.max(initial=0)) + 1, hits.shape[1]), np.bool_)
    np.logical_or.at(united, group, hits)
    return np.where(same[:, None] != 0, united[group], hits)


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


def similarity(
    stems: Sequence[frozenset[str]], owner: Ints, pairs: Sequence[tuple[int, int]], collections: int
) -> npt.NDArray[np.float64]:
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
    best = np.full((len(rows), collections), np.nan)
    members = [np.flatnonzero(owner == c) for c in range(collections)]
    for a, b in pairs:
        small, large = (a, b) if len(members[a]) <= len(members[b]) else (b, a)
        _nearest(members[small], members[large], rows, square, norms, best, owner)
    return best


def _nearest(
    small: Ints,
    large: Ints,
    rows: Sequence[Ints],
    square: npt.NDArray[np.float64],
    norms: npt.NDArray[np.float64],
    best: npt.NDArray[np.float64],
    owner: Ints,
) -> None:
    """Fill in the best cosine both ways, by posting lists over the larger collection."""
    if not len(small) or not len(large):
        return
    stem = np.concatenate([rows[i] for i in large])
    at = np.repeat(np.arange(len(large)), [len(rows[i]) for i in large])
    order = np.argsort(stem, kind="stable")
    starts = np.searchsorted(stem[order], np.arange(len(square) + 1))
    postings = at[order]
    over = np.zeros(len(large))
    for i in small:
        dots = np.zeros(len(large))
        for s in rows[i]:
            dots[postings[starts[s] : starts[s + 1]]] += square[s]
        dots /= norms[large] * norms[i]
        best[i, owner[large[0]]] = dots.max()
        np.maximum(over, dots, out=over)
    best[large, owner[small[0]]] = over
