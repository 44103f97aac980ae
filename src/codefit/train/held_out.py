"""The held-out rows: their loss in all and per source, and how far the model is from where it started."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from codefit.core.types import Example
from codefit.format.chat import IGNORED
from codefit.train.divergence import kl_divergence, token_losses
from codefit.train.steps import Steps

NO_SOURCE = "all"


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One look at R held-out rows: each row's summed loss and its trained tokens, in the rows' order.

    `kl` is KL(start || tuned) in nats, the mean over all trained tokens; None where the start model is not
    in memory.
    """

    losses: tuple[float, ...]
    tokens: tuple[int, ...]
    sources: tuple[str, ...]
    kl: float | None

    @property
    def loss(self) -> float:
        """Mean loss per trained token."""
        return math.fsum(self.losses) / sum(self.tokens)

    def by_source(self) -> dict[str, dict[str, Any]]:
        """Return per source: mean loss per trained token, rows, trained tokens."""
        found = {}
        for source in sorted(set(self.sources)):
            rows = [i for i, s in enumerate(self.sources) if s == source]
            tokens = sum(self.tokens[i] for i in rows)
            loss = math.fsum(self.losses[i] for i in rows) / tokens
            found[source] = {"loss": loss, "rows": len(rows), "tokens": tokens}
        return found

    @property
    def finite(self) -> bool:
        """Whether every figure is a number."""
        return all(map(math.isfinite, (*self.losses, self.kl or 0.0)))


@torch.no_grad()
def look(steps: Steps, rows: Sequence[Example], size: int) -> HeldOut:
    """Return the figures of held-out rows, `size` of them in a forward pass; changes nothing."""
    counts = [sum(label != IGNORED for label in e.labels[1:]) for e in rows]
    losses: list[float] = []
    divergence: list[float] = []
    steps.outer.eval()
    try:
        for at in range(0, len(rows), size):
            chosen = range(at, min(at + size, len(rows)))
            tuned_ND, targets_N = steps.scored(rows, [[i] for i in chosen])
            found_N = token_losses(tuned_ND, steps.head_VD, targets_N).double().cpu()
            losses += [float(part.sum()) for part in found_N.split([counts[i] for i in chosen])]
            start = steps.start_model()
            if start is not None:
                with start:
                    start_ND, _ = steps.scored(rows, [[i] for i in chosen])
                divergence.append(float(kl_divergence(start_ND, tuned_ND, steps.head_VD).double().sum()))
    finally:
        steps.outer.train()
    kl = math.fsum(divergence) / sum(counts) if divergence else None
    return HeldOut(tuple(losses), tuple(counts), tuple(e.source or NO_SOURCE for e in rows), kl)
