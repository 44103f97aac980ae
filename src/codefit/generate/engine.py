"""The transformers engine: many sequences decoded at once, inside a budget of memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from codefit.core.errors import InputError
from codefit.core.units import MIB, mib
from codefit.generate.rows import Decoder, Row, rows_of
from codefit.generate.types import Answer, Decoding, Request
from codefit.generate.usage import peak_mb
from codefit.plan.generation import Footprint, GenerationPlan, columns_of, plan_generation, refuse_generation

DEFAULT_MEMORY = 7000 * MIB
_KINDS = {"full_attention", "sliding_attention"}
_DIGITS = 4  # of log-probabilities; more are noise of the order of sums
_REFILL = 8  # new prompts are read when one slot in so many is free
_SHRINK = 0.75  # the cache takes another shape when so little of its columns is needed


class TransformersEngine:
    """Answers by a local model, optionally with a LoRA adapter on it that is not merged.

    How many sequences are decoded at once follows from `memory` (bytes, all that the process may take on
    the device), at most `batch_size`. A sequence that ends makes room for the next prompt at once. Where
    a GPU has less memory than was thought, the batch is halved and what was answered so far is kept.
    What cannot be answered inside `memory` is refused, unless `strict` is off: then it is tried one by one.

    An answer does not depend on the others in the batch nor on their order; in float32 on a CPU up to
    the rounding of sums, in lower precision or on a GPU ties can fall otherwise. `end_id` is the end of
    a turn in the chat template, where training teaches answers to end.
    """

    def __init__(
        self, model: Any, tokenizer: Any, *, end_id: int, decoding: Decoding, batch_size: int | None = None,
        memory: int = DEFAULT_MEMORY, strict: bool = True,
    ) -> None:  # fmt: skip
        self._model = model.eval()
        self._tokenizer = tokenizer
        self._decoding = decoding
        self._batch_size = batch_size
        self._memory = memory
        self._strict = strict
        self._footprint = footprint_of(self._model)  # now, as the cache must not count as weights later
        self._sequences = 0
        self._ends = frozenset({end_id, *end_ids(model, tokenizer)})
        self._config = model.config.get_text_config()
        kinds = set(getattr(self._config, "layer_types", None) or ())
        if tokenizer.pad_token_id is None:
            raise InputError("the tokenizer has no pad token", where=str(tokenizer.name_or_path))
        if kinds - _KINDS:
            raise InputError(
                f"cannot decode layers of kind {', '.join(sorted(kinds - _KINDS))}",
                where=str(self._config.model_type),
            )

    def plan(self, requests: Sequence[Request]) -> GenerationPlan:
        """Return how requests are answered inside the budget; raises `InputError` where they cannot be."""
        rows = rows_of(requests, self._decoding, self._longest)
        plan = self._plan(max(r.limit for r in rows), self._most(requests))
        if self._strict and self._model.device.type == "cuda" and not plan.fits:
            raise refuse_generation(plan, "memory")
        return plan

    def _most(self, requests: Sequence[Request]) -> int:
        return min(self._batch_size or len(requests), len(requests))

    def _plan(self, tokens: int, most: int) -> GenerationPlan:
        return plan_generation(
            self._footprint, tokens=tokens, budget=self._memory, device=self._model.device.type,
            greedy=self._decoding.greedy, most=most,
        )  # fmt: skip

    @property
    def _longest(self) -> int | None:
        return getattr(self._config, "max_position_embeddings", None)

    def usage(self) -> dict[str, Any]:
        """Return what it held, MiB, and how many sequences it decoded at once, for whoever keeps accounts."""
        return {
            "peak_mb": peak_mb(str(self._model.device)),
            "weights_mb": mib(weights_of(self._model)),
            "sequences": self._sequences,
        }

    @torch.no_grad()
    def complete(self, requests: Sequence[Request]) -> Iterator[list[Answer]]:
        """Yield the answers that a step has ended, the longest prompts first."""
        if not requests:
            return
        pending = deque(rows_of(requests, self._decoding, self._longest))
        most, plan = self._most(requests), self.plan(requests)
        decoder = self._decoder(plan)
        while pending or decoder.rows:
            if not self._advance(decoder, pending, most):
                most = self._half(decoder, pending)
                decoder = self._decoder(self._plan(max(r.limit for r in pending), most))
                self._free_memory()
                continue
            ended = [slot for slot, row in enumerate(decoder.rows) if self._ended(row)]
            if ended:
                yield [self._answer(row) for row in decoder.remove(ended)]

    def _advance(self, decoder: Decoder, pending: deque[Row], most: int) -> bool:
        """Give every row its next token; return False where the memory did not suffice."""
        try:
            self._refill(decoder, pending, most)
            decoder.step()
        except torch.OutOfMemoryError:
            return False
        return True

    def _decoder(self, plan: GenerationPlan) -> Decoder:
        self._sequences = plan.sequences
        return Decoder(self._model, plan, self._decoding, self._config.num_hidden_layers,
                       self._tokenizer.pad_token_id)  # fmt: skip

    def _refill(self, decoder: Decoder, pending: deque[Row], most: int) -> None:
        """Let new rows in once enough slots are free; where all that is left is short, make more slots first."""
        if not pending:
            return
        if decoder.rows and decoder.free < max(1, decoder.cache.slots // _REFILL):
            return
        tokens = max(row.limit for row in (*decoder.rows, *pending))
        if columns_of(tokens) <= _SHRINK * decoder.cache.columns:
            plan = self._plan(tokens, most)
            decoder.reshape(max(plan.sequences, len(decoder.rows)), plan.columns)
        decoder.admit([pending.popleft() for _ in range(min(decoder.free, len(pending)))])

    def _half(self, decoder: Decoder, pending: deque[Row]) -> int:
        """Put the rows back as far as they came, and return half as many slots.

        Raises `InputError` where there was one.
        """
        slots = decoder.cache.slots
        if slots == 1:
            raise InputError(
                "out of memory with a single sequence",
                where="memory",
                todo="lower max_new_tokens, or quantise the weights (nf4)",
            )
        for row in reversed(decoder.rows):
            pending.appendleft(row)
        return slots // 2

    def _free_memory(self) -> None:
        if self._model.device.type == "cuda":
            torch.cuda.empty_cache()

    def _ended(self, row: Row) -> bool:
        return row.ids[-1] in self._ends or len(row.ids) >= row.limit

    def _answer(self, row: Row) -> Answer:
        ids = row.new
        stopped = ids[-1] in self._ends
        kept = ids[:-1] if stopped else ids
        text = self._tokenizer.decode(kept, skip_special_tokens=True)
        mean, least = sum(row.logprobs) / len(ids), min(row.logprobs)
        return Answer(
            row.index,
            text,
            len(kept),
            round(mean, _DIGITS),
            round(least, _DIGITS),
            "stop" if stopped else "length",
        )


def weights_of(model: Any) -> int:
    """Return the bytes of a model's weights; the scales of quantised ones are not in it."""
    tensors = (*model.parameters(), *model.buffers())
    return sum({t.data_ptr(): t.numel() * t.element_size() for t in tensors}.values())


def footprint_of(model: Any) -> Footprint:
    """Return what a loaded model takes on its device; on a GPU with all that is there already."""
    config = model.config.get_text_config()
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    element = torch.finfo(model.dtype).bits // 8
    device = model.device
    held = torch.cuda.memory_allocated(device) if device.type == "cuda" else 0
    return Footprint(
        weights=max(weights_of(model), held),
        key_values=2 * element * config.num_hidden_layers * heads * head,
        vocab=config.vocab_size,
        hidden=config.hidden_size,
        ffn=getattr(config, "intermediate_size", None) or 4 * config.hidden_size,
        element=element,
    )


def end_ids(model: Any, tokenizer: Any) -> list[int]:
    """Return every token that ends an answer: the generation config's and the tokenizer's."""
    configured = model.generation_config.eos_token_id
    ids = set(configured if isinstance(configured, list) else [configured]) | {tokenizer.eos_token_id}
    return sorted(i for i in ids if i is not None)
