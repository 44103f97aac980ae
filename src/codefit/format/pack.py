"""Packing: examples share a fixed-size bin, isolated from each other, nothing cut.

Best-fit decreasing (Johnson 1973): longest example first, into the fullest bin that still
takes it. Documents stay apart in attention (see `train.batch`), and position ids restart.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

from codefit.core.seeds import rng
from codefit.core.types import Example


def pack(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Return bins of example indices whose lengths sum to at most `capacity` tokens each.

    Deterministic: equal lengths keep their order. Raises `ValueError` for a longer example.
    """
    bins: list[list[int]] = []
    space: list[tuple[int, int]] = []  # (free tokens, bin), sorted
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        length = lengths[index]
        if length > capacity:
            raise ValueError(f"example {index} has {length} tokens, over the capacity of {capacity}")
        at = bisect_left(space, (length, -1))
        if at == len(space):
            bins.append([index])
            insort(space, (capacity - length, len(bins) - 1))
        else:
            free, chosen = space.pop(at)
            bins[chosen].append(index)
            insort(space, (free - length, chosen))
    return bins


def epoch_bins(examples: Sequence[Example], capacity: int, seed: int, epoch: int) -> list[list[int]]:
    """Return one epoch's bins in training order: a pure function of its arguments.

    Each epoch packs a fresh shuffle, so that examples meet other neighbours.
    """
    order = list(range(len(examples)))
    random = rng(seed, "epoch", epoch)
    random.shuffle(order)
    bins = [[order[i] for i in b] for b in pack([len(examples[i].token_ids) for i in order], capacity)]
    random.shuffle(bins)
    return bins


def efficiency(examples: Sequence[Example], bins: Sequence[Sequence[int]], capacity: int) -> float:
    """Return the share of bin tokens that hold an example."""
    total = sum(len(examples[i].token_ids) for b in bins for i in b)
    return total / (len(bins) * capacity) if bins else 0.0
