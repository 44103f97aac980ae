"""The transformers engine: batched greedy decoding with left padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from codefit.core.errors import InputError
from codefit.generate.types import Answer, Decoding, Request


class _LastLogits(LogitsProcessor):
    """Keep the newest logits so that the chosen token's probability can be read."""

    def __init__(self) -> None:
        self.scores: Tensor | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self.scores = scores
        return scores


class _Logprobs(StoppingCriteria):
    """Collect the log-probability of every chosen token; never stops anything.

    Storing one number per token keeps memory flat, where `output_logits` would hold steps x V.
    """

    def __init__(self, last: _LastLogits) -> None:
        self._last = last
        self.steps: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: Any) -> Tensor:
        logits_BV = self._last.scores
        if logits_BV is None:
            raise RuntimeError("generation stopped before any logits were seen")
        chosen_B1 = input_ids[:, -1:]
        self.steps.append(logits_BV.float().log_softmax(-1).gather(1, chosen_B1)[:, 0].cpu())
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)


class TransformersEngine:
    """Greedy decoding by a local model, optionally with a LoRA adapter on it.

    Prompts are sorted by length and padded at the left, so that a batch wastes little and the
    answer does not depend on the batch (float32 on a CPU; lower precisions may differ in ties).
    `end_id` is the end of a turn in the chat template, where training teaches answers to end.
    """

    def __init__(
        self, model: Any, tokenizer: Any, *, end_id: int, decoding: Decoding, batch_size: int
    ) -> None:
        self._model = model.eval()
        self._tokenizer = tokenizer
        self._decoding = decoding
        self._batch_size = batch_size
        self._ends = sorted({end_id, *end_ids(model, tokenizer)})
        if tokenizer.pad_token_id is None:
            raise InputError("the tokenizer has no pad token", where=str(tokenizer.name_or_path))

    def complete(self, requests: Sequence[Request]) -> Iterator[list[Answer]]:
        """Yield one list of answers per batch."""
        order = sorted(range(len(requests)), key=lambda i: (len(requests[i].ids), i))
        for at in range(0, len(order), self._batch_size):
            yield self._batch([(i, requests[i].ids) for i in order[at : at + self._batch_size]])

    @torch.no_grad()
    def _batch(self, items: list[tuple[int, Sequence[int]]]) -> list[Answer]:
        width = max(len(ids) for _, ids in items)
        pad = self._tokenizer.pad_token_id
        ids_BT = torch.tensor([[pad] * (width - len(ids)) + list(ids) for _, ids in items])
        seen_BT = torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for _, ids in items])
        last = _LastLogits()
        logprobs = _Logprobs(last)
        out_BT = self._model.generate(
            input_ids=ids_BT.to(self._model.device),
            attention_mask=seen_BT.to(self._model.device),
            max_new_tokens=self._decoding.max_new_tokens,
            do_sample=False,
            num_beams=1,
            temperature=None,
            top_p=None,
            top_k=None,
            repetition_penalty=1.0,
            eos_token_id=self._ends,
            pad_token_id=pad,
            use_cache=True,
            logits_processor=LogitsProcessorList([last]),
            stopping_criteria=StoppingCriteriaList([logprobs]),
        )
        new_BT = out_BT[:, width:].cpu()
        chosen_BT = torch.stack(logprobs.steps, 1)
        return [self._answer(index, new_BT[b], chosen_BT[b]) for b, (index, _) in enumerate(items)]

    def _answer(self, index: int, new_T: Tensor, logprobs_T: Tensor) -> Answer:
        ids = new_T.tolist()
        length = next((i for i, token in enumerate(ids) if token in self._ends), None)
        reason = "length" if length is None else "stop"
        kept = len(ids) if length is None else length
        text = self._tokenizer.decode(ids[:kept], skip_special_tokens=True)
        counted = kept if length is None else kept + 1
        if not counted:
            return Answer(index, text, kept, None, None, reason)
        chosen_T = logprobs_T[:counted]
        return Answer(
            index, text, kept, round(float(chosen_T.mean()), 6), round(float(chosen_T.min()), 6), reason
        )


def end_ids(model: Any, tokenizer: Any) -> list[int]:
    """Return every token that ends an answer: the generation config's and the tokenizer's."""
    configured = model.generation_config.eos_token_id
    ids = set(configured if isinstance(configured, list) else [configured]) | {tokenizer.eos_token_id}
    return sorted(i for i in ids if i is not None)
