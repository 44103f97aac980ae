"""Learning rate and data order as pure functions of how far training is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from codefit.core.types import Example
from codefit.format.pack import epoch_bins
from codefit.train.checkpoint import Cursor


def learning_rate(peak: float, done: float, warmup: float) -> float:
    """Return the rate at `done` (0 to 1) of the token budget: linear warm-up, cosine to 0."""
    if done < warmup:
        return peak * done / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * min(1.0, (done - warmup) / (1 - warmup))))


@dataclass(frozen=True, slots=True)
class Step:
    """The bins of one optimizer step, and where training stands after it."""

    bins: list[list[int]]
    trained_tokens: int
    after: Cursor


def steps(
    examples: Sequence[Example], *, capacity: int, per_step: int, budget: int, seed: int, start: Cursor
) -> Iterator[Step]:
    """Yield optimizer steps from `start` until `budget` trained tokens are reached.

    An epoch's last step may hold fewer bins; the loss is normalised by its own tokens. A step is
    a function of (examples, capacity, seed, cursor) only, so a resumed run sees the same data.
    """
    cursor = start
    while cursor.trained_tokens < budget:
        bins = epoch_bins(examples, capacity, seed, cursor.epoch)
        for at in range(cursor.next_bin, len(bins), per_step):
            chosen = bins[at : at + per_step]
            trained = sum(examples[i].trained_tokens for b in chosen for i in b)
            ends = at + per_step >= len(bins)
            cursor = Cursor(
                cursor.step + 1,
                cursor.trained_tokens + trained,
                cursor.epoch + 1 if ends else cursor.epoch,
                0 if ends else at + per_step,
            )
            yield Step(chosen, trained, cursor)
            if cursor.trained_tokens >= budget:
                return
