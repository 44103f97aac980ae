"""Our optimizer steps as the micro-batches of several processes, in the order that accelerate deals them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from codefit.core.types import Example
from codefit.format.chat import IGNORED

Bin = Sequence[int]


@dataclass(frozen=True, slots=True)
class Layout:
    """How a step of at most `per_step` bins is cut: `accumulation` micro-batches of `micro` bins a process."""

    processes: int
    micro: int
    accumulation: int

    @classmethod
    def of(cls, per_step: int, processes: int, micro_batch: int | None) -> Layout:
        """Return the layout of `per_step` bins; `micro_batch` is the most that goes through a model at once."""
        share = -(-per_step // processes)
        micro = min(micro_batch or share, share)
        return cls(processes, micro, -(-share // micro))

    def rows(self, bins: Sequence[Bin]) -> list[Bin]:
        """Return the rows of one step: micro-batch after micro-batch, in each all processes in turn.

        Bins are dealt out evenly. What is over is filled with empty bins, which carry no loss: so every step
        has as many rows as every other, and each process steps when the others do.
        """
        slots = self.processes * self.accumulation
        dealt = [list(bins[slot::slots]) for slot in range(slots)]
        return [b for slot in dealt for b in (*slot, *([()] * (self.micro - len(slot))))]

    def shares(self, bins: Sequence[Bin]) -> list[list[list[Bin]]]:
        """Return micro-batches to score by process, as many for each."""
        wide = self.processes * self.micro
        padded = [*bins, *([()] * (-len(bins) % wide))]
        batches = [padded[at : at + self.micro] for at in range(0, len(padded), self.micro)]
        return [batches[rank :: self.processes] for rank in range(self.processes)]


@dataclass(frozen=True, slots=True)
class BinCollator:
    """Turns rows that name the members of a bin into a batch by `inner`, TRL's own collator.

    An empty bin is one padding token: a document of its own that nothing is learned from.
    """

    examples: Sequence[Example]
    pad_id: int
    inner: Any

    def __call__(self, rows: Sequence[dict[str, Any]]) -> Any:
        """Return the batch of some rows."""
        return self.inner([self._row(row["members"]) for row in rows])

    def _row(self, members: Bin) -> dict[str, Any]:
        if not members:
            return {"input_ids": [self.pad_id], "labels": [IGNORED], "seq_lengths": [1]}
        found = [self.examples[i] for i in members]
        return {
            "input_ids": [t for e in found for t in e.token_ids],
            "labels": [t for e in found for t in (IGNORED, *e.labels[1:])],
            "seq_lengths": [len(e.token_ids) for e in found],
        }
