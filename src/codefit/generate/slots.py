"""A cache of keys and values in which every sequence has a slot of its own.

Sequences start at column 0 of their slot and end where they end, so one can leave and another take its
place while the rest go on. Columns behind a sequence's end are masked.
Letters: S slots, H key heads, K columns, D width of a head, B rows of one call, T tokens of a call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin


@dataclass(slots=True)
class _Call:
    """Where the next forward pass reads and writes; every layer looks here.

    Reading prompts: row `sources[i]` of the call goes to slot `slots[i]`. Decoding (`columns` set): row i
    is slot i, writes column `columns[i]` and sees the first `width` columns.
    """

    slots: Tensor | None = None
    sources: Tensor | None = None
    columns: Tensor | None = None
    rows: Tensor | None = None
    width: int = 0


class _SlotLayer(CacheLayerMixin):
    """Keys and values of one layer, (S, H, K, D); the memory is taken at the first use and zeroed.

    A masked column counts nothing, but not a number times nothing is not a number: hence the zeros.
    """

    def __init__(self, call: _Call, slots: int, columns: int) -> None:
        super().__init__()
        self._call, self._slots, self._columns = call, slots, columns

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Take the memory."""
        room = (self._slots, key_states.shape[1], self._columns)
        self.keys = key_states.new_zeros((*room, key_states.shape[3]))
        self.values = value_states.new_zeros((*room, value_states.shape[3]))
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Store (B, H, T, D) of a call; return what its queries may look at."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        call, n = self._call, key_states.shape[0]
        if call.columns is None:
            tokens = key_states.shape[2]
            self.keys[call.slots, :, :tokens] = key_states[call.sources]
            self.values[call.slots, :, :tokens] = value_states[call.sources]
            return key_states, value_states
        self.keys[call.rows, :, call.columns] = key_states[:, :, 0]
        self.values[call.rows, :, call.columns] = value_states[:, :, 0]
        return self.keys[:n, :, : call.width], self.values[:n, :, : call.width]

    def copy(self, sources: Tensor, targets: Tensor, width: int) -> None:
        """Copy the first `width` columns of slots to other slots."""
        if self.is_initialized:
            self.keys[targets, :, :width] = self.keys[sources, :, :width]
            self.values[targets, :, :width] = self.values[sources, :, :width]

    def reshape(self, slots: int, columns: int, used: int, width: int) -> None:
        """Take other memory and keep the first `width` columns of the `used` first slots."""
        self._slots, self._columns = slots, columns
        if self.is_initialized:
            for name in ("keys", "values"):
                old = getattr(self, name)
                new = old.new_zeros((slots, old.shape[1], columns, old.shape[3]))
                new[:used, :, :width] = old[:used, :, :width]
                setattr(self, name, new)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return length and offset of the keys of a call that reads prompts, which start at column 0."""
        return query_length, 0

    def get_seq_length(self) -> int:
        """Return how much stands before the tokens of a call that reads prompts: nothing."""
        return 0

    def get_max_length(self) -> int:
        """Return the columns of a slot."""
        return self._columns


class SlotCache:
    """Slots for `layers` layers; `past` is what a transformers model takes as `past_key_values`."""

    def __init__(self, layers: int, slots: int, columns: int, device: torch.device) -> None:
        self.slots, self.columns = slots, columns
        self._device = device
        self._call = _Call()
        self._layers = [_SlotLayer(self._call, slots, columns) for _ in range(layers)]
        self.past = Cache(layers=self._layers)

    def read_prompts(self, targets: Sequence[Sequence[int]]) -> None:
        """Let the next call store row i in every slot of `targets[i]`."""
        pairs = [(slot, row) for row, slots in enumerate(targets) for slot in slots]
        both = torch.tensor(pairs, device=self._device).T
        self._call.slots, self._call.sources, self._call.columns = both[0], both[1], None

    def decode(self, columns_B: Tensor, width: int) -> None:
        """Let the next call, one token a row, write these columns of the first B slots."""
        self._call.rows = torch.arange(len(columns_B), device=self._device)
        self._call.columns, self._call.width = columns_B, width

    def copy(self, pairs: Sequence[tuple[int, int]], width: int) -> None:
        """Copy the first `width` columns from slot to slot, for pairs (source, target)."""
        if pairs:
            both = torch.tensor(pairs, device=self._device).T
            for layer in self._layers:
                layer.copy(both[0], both[1], width)

    def reshape(self, slots: int, columns: int, used: int, width: int) -> None:
        """Go on with other slots and columns, layer by layer, so that little is held twice."""
        self.slots, self.columns = slots, columns
        for layer in self._layers:
            layer.reshape(slots, columns, used, width)
