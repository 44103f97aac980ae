"""Pairs of documents that share a band's key, and which document of a pair is dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from codefit.curate.near.sketch import Keys
from codefit.curate.near.text import Ints

Pairs = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

WINDOW = 8
"""Documents before it that one is paired with in a band: boilerplate must not cost a quadratic search."""


def candidate_pairs(
    keys_DB: Keys,
    rank_D: Ints | None = None,
    plausible: Callable[[Pairs], Mask] | None = None,
    workers: int = 1,
) -> Pairs:
    """Return pairs_P2 of documents with an equal key in a column, better ranked one first, each pair once.

    keys_DB: uint64, 0 = no key; documents that agree in column 0 are the same, and only the best of
    them is compared in the other columns. rank_D: int64, all different, lowest is best; without it
    the earlier one is. plausible: says which pairs are worth keeping, called once per column.
    In a column every document is paired with the `WINDOW` before it that have its key, and with the
    first; those of a large group are ordered by the next column, so that the most alike are near.
    """
    rank = np.arange(len(keys_DB)) if rank_D is None else rank_D
    order = np.argsort(rank, kind="stable")
    same = column_pairs(keys_DB[order, 0], None, 0)
    active = np.ones(len(order), np.bool_)
    active[same[:, 1]] = False
    left = order[active]

    def column(number: int) -> Pairs:
        following = 1 + number % (keys_DB.shape[1] - 1)
        found = left[column_pairs(keys_DB[left, number], keys_DB[left, following], WINDOW)]
        return found if plausible is None or not len(found) else found[plausible(found)]

    with ThreadPoolExecutor(workers) as pool:
        parts = list(pool.map(column, range(1, keys_DB.shape[1])))
    return _distinct(np.concatenate([order[same], *parts]), rank)


def column_pairs(key_D: Keys, next_D: Keys | None, window: int) -> Pairs:
    """Return pairs of places with an equal key that is not 0; places are in the order of rank."""
    place = np.flatnonzero(key_D)
    place = place[_shared(key_D[place])]
    place = place[np.argsort(key_D[place], kind="stable")]
    key = key_D[place]
    equal = key[1:] == key[:-1]
    grouped = np.zeros(len(key), np.bool_)
    grouped[1:] |= equal
    grouped[:-1] |= equal
    place, key = place[grouped], key[grouped]
    if not len(place):
        return np.zeros((0, 2), np.int64)
    begins = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
    size = np.repeat(np.diff(begins, append=len(key)), np.diff(begins, append=len(key)))
    large = np.flatnonzero(size > window + 1)
    first = np.repeat(begins, np.diff(begins, append=len(key)))
    found = [np.stack([place[first], place], 1)[np.arange(len(key)) > first]]
    if next_D is not None and len(large):
        place[large] = place[large[np.lexsort((next_D[place[large]], key[large]))]]
    for step in range(1, window + 1):
        near = np.flatnonzero(key[step:] == key[:-step])
        if not len(near):
            break
        found.append(np.sort(np.stack([place[near], place[near + step]], 1), axis=1))
    return np.concatenate(found)


def _shared(key: Keys) -> Mask:
    """Return which keys may occur more than once: cheaper than to sort the many that don't.

    Every key has a slot of a table by its highest bits; where two meet, both stay.
    """
    bits = max(10, (8 * len(key)).bit_length())
    slot = (key >> np.uint64(64 - bits)).astype(np.int64)
    number = np.arange(len(key), dtype=np.int32)
    last = np.zeros(1 << bits, np.int32)
    last[slot] = number
    met = np.zeros(1 << bits, np.bool_)
    met[slot[last[slot] != number]] = True
    return met[slot]


def _distinct(pairs: Pairs, rank: Ints) -> Pairs:
    """Return each pair once, ordered by the rank of the worse, then of the better."""
    ordered = pairs[np.lexsort((rank[pairs[:, 0]], rank[pairs[:, 1]]))]
    new = np.ones(len(ordered), np.bool_)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return ordered[new]


def drop_order(
    pairs_P2: Pairs, rank_D: Ints, different: Callable[[int, int], bool] = lambda better, worse: False
) -> Ints:
    """Return keeper_D: for each document the better one it is dropped for, or -1 where it is kept.

    Documents are visited from the best to the worst; one is dropped iff it is in a pair with a better
    one that is kept (the best of those is named) and `different(better, worse)` does not object.
    """
    better = np.where(rank_D[pairs_P2[:, 0]] < rank_D[pairs_P2[:, 1]], pairs_P2[:, 0], pairs_P2[:, 1])
    worse = pairs_P2.sum(axis=1) - better
    order = np.lexsort((rank_D[better], rank_D[worse]))
    keeper: dict[int, int] = {}
    for good, bad in zip(better[order].tolist(), worse[order].tolist(), strict=True):
        if good not in keeper and bad not in keeper and not different(good, bad):
            keeper[bad] = good
    keeper_D = np.full(len(rank_D), -1, np.int64)
    keeper_D[list(keeper)] = list(keeper.values())
    return keeper_D


def chunks(total: int, size: int) -> Iterator[slice]:
    """Yield slices that cut `total` items into runs of `size`."""
    for begin in range(0, total, size):
        yield slice(begin, min(total, begin + size))
