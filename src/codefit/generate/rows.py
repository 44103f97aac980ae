"""Sequences that are being answered, and a model that gives each of them its next token."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from codefit.core.errors import InputError
from codefit.core.seeds import rng
from codefit.generate.choose import choose
from codefit.generate.slots import SlotCache
from codefit.generate.types import Decoding, Request
from codefit.plan.generation import COLUMNS, GenerationPlan


@dataclass(slots=True, eq=False)
class Row:
    """One sequence: a request's tokens and the answer so far. `prompt_id` is one for equal prompts."""

    index: int
    prompt_id: int
    prompt: int
    limit: int
    ids: list[int]
    random: random.Random
    logprobs: list[float] = field(default_factory=list)
    drawn: list[float] = field(default_factory=list)

    @property
    def new(self) -> list[int]:
        """The answer so far."""
        return self.ids[self.prompt :]

    @property
    def fresh(self) -> bool:
        """Whether nothing is answered yet."""
        return len(self.ids) == self.prompt

    def uniform(self) -> float:
        """Return the number in [0, 1) of this step, the same one however often the step is tried."""
        while len(self.drawn) <= len(self.ids) - self.prompt:
            self.drawn.append(self.random.random())
        return self.drawn[len(self.ids) - self.prompt]


def rows_of(requests: Sequence[Request], decoding: Decoding, longest: int | None) -> list[Row]:
    """Return a row per request, the longest prompts first and equal prompts together.

    A row's random numbers depend on the decoding's seed, its prompt and its sample's number only.
    `longest` is what the model's positions reach, None where it does not say.
    """
    numbers: dict[tuple[int, ...], int] = {}
    rows = []
    for i, r in enumerate(requests):
        number = numbers.setdefault(r.ids, len(numbers))
        limit = len(r.ids) + decoding.max_new_tokens
        limit = limit if longest is None else max(len(r.ids) + 1, min(limit, longest))
        draw = rng(decoding.seed, "sample", repr(r.ids), r.sample)
        rows.append(Row(i, number, len(r.ids), limit, list(r.ids), draw))
    return sorted(rows, key=lambda row: (-row.prompt, row.prompt_id, row.index))


class Decoder:
    """The rows that are being decoded, one slot of the cache each.

    Of a prompt all but the last token is read when its row comes in; from then on every step feeds each
    row its last token and appends the next one. Prompts are padded at the right, where causal attention
    does not look, and their keys and values lie in slots that begin at column 0.
    """

    def __init__(self, model: Any, plan: GenerationPlan, decoding: Decoding, layers: int, pad: int) -> None:
        self._model, self._decoding, self._pad = model, decoding, pad
        self._device = model.device
        self._prefill_tokens = plan.prefill_tokens
        config = model.config.get_text_config()
        self._window = getattr(config, "sliding_window", None)
        self._kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
        self.cache = SlotCache(layers, plan.sequences, plan.columns, self._device)
        self.rows: list[Row] = []

    @property
    def _width(self) -> int:
        return max((len(r.ids) for r in self.rows), default=0)

    @property
    def free(self) -> int:
        """Slots without a row."""
        return self.cache.slots - len(self.rows)

    def admit(self, rows: Sequence[Row]) -> None:
        """Take rows in and read their prompts, each prompt once."""
        there = {r.prompt_id: slot for slot, r in enumerate(self.rows)}
        copies: list[tuple[int, int]] = []
        reads: dict[int, tuple[list[int], list[int]]] = {}
        for slot, row in enumerate(rows, start=len(self.rows)):
            if row.fresh and row.prompt_id in there:
                copies.append((there[row.prompt_id], slot))
            else:
                name = row.prompt_id if row.fresh else -1 - slot
                reads.setdefault(name, (row.ids[:-1], []))[1].append(slot)
        self.rows += rows
        self.cache.copy(copies, self._width)
        self._read([unit for unit in reads.values() if unit[0]])

    def _read(self, units: list[tuple[list[int], list[int]]]) -> None:
        """Read (tokens, slots) in calls of at most the plan's tokens."""
        units = sorted(units, key=lambda unit: -len(unit[0]))
        while units:
            width = len(units[0][0])
            n = max(1, self._prefill_tokens // width)
            part, units = units[:n], units[n:]
            ids_BT = [ids + [self._pad] * (width - len(ids)) for ids, _ in part]
            self.cache.read_prompts([slots for _, slots in part])
            self._model(
                input_ids=torch.tensor(ids_BT, device=self._device),
                past_key_values=self.cache.past, use_cache=True, logits_to_keep=1,
            )  # fmt: skip

    def step(self) -> None:
        """Append the next token to every row."""
        both_2B = torch.tensor([[r.ids[-1] for r in self.rows], [len(r.ids) - 1 for r in self.rows]])
        ids_B, columns_B = both_2B.to(self._device)
        width = min(-(-self._width // COLUMNS) * COLUMNS, self.cache.columns)
        self.cache.decode(columns_B, width)
        logits_B1V = self._model(
            input_ids=ids_B[:, None], position_ids=columns_B[:, None], attention_mask=self._mask(columns_B, width),
            past_key_values=self.cache.past, use_cache=True, logits_to_keep=1,
        ).logits  # fmt: skip
        uniforms = [] if self._decoding.greedy else [r.uniform() for r in self.rows]
        tokens_B, logprobs_B = choose(logits_B1V[:, -1], self._decoding, uniforms)
        logprobs = logprobs_B.tolist()
        if not all(map(math.isfinite, logprobs)):
            todo = "check the weights, or answer in a wider type than float16"
            raise InputError("its next token has no probability (not a number)", where="model", todo=todo)
        for row, token, logprob in zip(self.rows, tokens_B.tolist(), logprobs, strict=True):
            row.ids.append(token)
            row.logprobs.append(logprob)

    def _mask(self, columns_B: Tensor, width: int) -> Any:
        """Return which columns each row sees, (B, 1, 1, K); by kind of layer where a window slides."""
        at_K = torch.arange(width, device=self._device)
        seen_BK = at_K <= columns_B[:, None]
        full_B11K = seen_BK[:, None, None]
        if self._kinds == {"full_attention"}:
            return full_B11K
        near_BK = seen_BK & (at_K > columns_B[:, None] - self._window)
        return {"full_attention": full_B11K, "sliding_attention": near_BK[:, None, None]}

    def remove(self, slots: Sequence[int]) -> list[Row]:
        """Take rows out, and close the gaps with the last ones."""
        out = [self.rows[slot] for slot in slots]
        stay = len(self.rows) - len(slots)
        gone = set(slots)
        moved = (slot for slot in range(stay, len(self.rows)) if slot not in gone)
        pairs = list(zip(moved, (slot for slot in sorted(gone) if slot < stay), strict=True))
        self.cache.copy(pairs, self._width)
        for source, target in pairs:
            self.rows[target] = self.rows[source]
        del self.rows[stay:]
        return out

    def reshape(self, slots: int, columns: int) -> None:
        """Go on with other slots, where the rows that are there still have room."""
        self.cache.reshape(slots, columns, len(self.rows), min(self._width, columns))
