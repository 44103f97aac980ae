"""One optimizer step: by the lean decoder on a GPU and with few bits, by transformers' layers elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import Tensor

from codefit.core.errors import MissingPrerequisite
from codefit.core.recipe import TrainSettings
from codefit.core.types import Example
from codefit.format.pack import pack
from codefit.plan.setting import runs_lean
from codefit.train.attention import has_kernel
from codefit.train.batch import Packed, Size, concatenate, padded
from codefit.train.checkpoint import Optimizer
from codefit.train.fused import FusedSteps
from codefit.train.lean import FlatAdapters, LeanModel, full_layers
from codefit.train.lowbit import LowBitAdam
from codefit.train.model import Trainee
from codefit.train.plain import PlainSteps
from codefit.train.schedule import Step


class Steps(Protocol):
    """A model in training. `trainable` are its trained tensors by name, `outer` what is saved in the end."""

    outer: Any
    device: str
    head_VD: Tensor
    trainable: dict[str, Tensor]

    @property
    def optimizer(self) -> Optimizer:
        """Return the optimizer."""

    def step(self, step: Step, rate: float) -> tuple[float, float]:
        """Do one step; return the mean loss per trained token and the gradient norm."""

    def scored(self, examples: Sequence[Example], bins: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Return the last hidden states (N, D) that predict a trained token, bin by bin, and those tokens (N)."""

    def start_model(self) -> AbstractContextManager[None] | None:
        """Return a context in which the start model computes: adapters off. None in full tuning, as it is gone."""

    def refresh(self) -> None:
        """Take note that weights were loaded into `trainable`."""

    def forget(self) -> None:
        """Give back memory that only steps need, before something else wants it."""


def make_steps(
    trainee: Trainee,
    settings: TrainSettings,
    examples: Sequence[Example],
    pad_id: int,
    seed: int,
    capacity: int = 0,
) -> Steps:
    """Return the way of stepping that the settings and the device ask for; `capacity` is of a bin, in tokens."""
    device = trainee.head_VD.device
    if not runs_lean(settings.method, settings.bits, device.type):
        return PlainSteps(trainee, settings, examples, pad_id)
    full = settings.method == "full"
    found = (
        FullSteps(trainee, settings, examples, seed) if full
        else LoraSteps(trainee, settings, examples, pad_id, capacity)
    )  # fmt: skip
    if device.type == "cuda":
        torch.cuda.empty_cache()  # what building left
    return found


class _LeanSteps:
    """What LoRA and full tuning share."""

    def __init__(
        self, trainee: Trainee, settings: TrainSettings, examples: Sequence[Example], layers: Sequence[Any],
        *, record: Size | None = None,
    ) -> None:  # fmt: skip
        self.outer = trainee.outer
        self.head_VD = trainee.head_VD.detach()
        self.device = str(self.head_VD.device)
        wanted = settings.recompute
        recompute = len(layers) if wanted is True else min(int(wanted or 0), len(layers))
        self._model = LeanModel(
            trainee.model, layers, recompute=recompute, offload=bool(settings.offload), record=record
        )
        self._examples = examples
        self._size = settings.micro_batch or settings.batch_size

    def run(self, batches: Iterable[Packed], scale: float, rate: float) -> tuple[Tensor, Tensor]:
        """Do one step; return the summed loss and the gradient norm."""
        raise NotImplementedError

    def step(self, step: Step, rate: float) -> tuple[float, float]:
        """Do one step; return the mean loss per trained token and the gradient norm."""
        scale = 1 / step.trained_tokens
        loss, norm = self.run(self._batches(step.bins), scale, rate)
        return float(loss) * scale, float(norm)

    def _batches(self, bins: Sequence[Sequence[int]]) -> list[Packed]:
        return [
            concatenate(self._examples, bins[at : at + self._size], self.device)
            for at in range(0, len(bins), self._size)
        ]

    def forget(self) -> None:
        """Give back memory that only steps need."""
        self._model.forget()

    def scored(self, examples: Sequence[Example], bins: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Return the last hidden states (N, D) that predict a trained token, and those tokens (N)."""
        self.forget()
        batch = concatenate(examples, bins, self.device)
        return self._model.scored(batch), batch.targets_N


class LoraSteps(_LeanSteps):
    """LoRA: gradients of all micro-batches are added up, clipped by their global norm, then stepped.

    With `cuda_graphs` and on a GPU micro-batches are padded to one size, `capacity` tokens a bin.
    """

    def __init__(
        self, trainee: Trainee, settings: TrainSettings, examples: Sequence[Example], pad_id: int = 0,
        capacity: int = 0,
    ) -> None:  # fmt: skip
        self.adapters, head = FlatAdapters(trainee.model), trainee.head_VD
        size = self._size_of(settings, examples, capacity, head) if head.is_cuda else None
        super().__init__(trainee, settings, examples, self.adapters.layers, record=size)
        self._padded, self._pad_id = size, pad_id
        self._stream = torch.cuda.Stream() if size else None
        self.trainable: dict[str, Tensor] = {"adapters": self.adapters.values}
        self.optimizer = torch.optim.AdamW(
            [self.adapters.values], lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self._max_norm = settings.max_grad_norm or 1.0

    @staticmethod
    def _size_of(
        settings: TrainSettings, examples: Sequence[Example], capacity: int, head_VD: Tensor
    ) -> Size | None:
        """Return the size that fits every micro-batch, where one is to be recorded."""
        if not settings.cuda_graphs or not examples:
            return None
        if not has_kernel(head_VD):
            raise MissingPrerequisite(
                "cuda_graphs need torch's variable-length attention: torch 2.10, bfloat16, a card of 2020 or later",
                where="train.cuda_graphs", todo="set it to false",
            )  # fmt: skip
        lengths = [len(e.token_ids) for e in examples]
        bins = settings.micro_batch or settings.batch_size
        most = max(map(len, pack(lengths, capacity)))
        return Size(capacity * bins, (most + 1) * bins, max(lengths))

    def _batches(self, bins: Sequence[Sequence[int]]) -> list[Packed]:
        found = super()._batches(bins)
        if self._padded is None:
            return found
        return [padded(b, self._padded, self._pad_id) or b for b in found]

    def run(self, batches: Iterable[Packed], scale: float, rate: float) -> tuple[Tensor, Tensor]:
        """Do one step over micro-batches; return the summed loss and the gradient norm."""
        if self._stream is None:
            return self._run(batches, scale, rate)
        # All of the step on one stream: what another one's allocator holds could not be used here.
        before = torch.cuda.current_stream()
        self._stream.wait_stream(before)
        with torch.cuda.stream(self._stream):
            found = self._run(batches, scale, rate)
        before.wait_stream(self._stream)
        return found

    def _run(self, batches: Iterable[Packed], scale: float, rate: float) -> tuple[Tensor, Tensor]:
        losses = [self._model.forward_backward(b, scale).loss for b in batches]
        self.adapters.complete()
        norm = self.adapters.clip(self._max_norm)
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.step()
        self.adapters.refresh()
        return torch.stack(losses).sum(), norm

    def start_model(self) -> AbstractContextManager[None]:
        """Return a context in which the adapters add nothing."""
        return self.adapters.off()

    def refresh(self) -> None:
        """Let the computation see loaded adapters."""
        self.adapters.refresh()


class FullSteps(_LeanSteps):
    """All parameters, stepped inside the backward pass by Adam with moments of few bits.

    One micro-batch is one step: there are no gradients to add up, and their norm is known too late to clip.
    """

    def __init__(
        self, trainee: Trainee, settings: TrainSettings, examples: Sequence[Example], seed: int,
        compiled: bool | None = None,
    ) -> None:  # fmt: skip
        model = trainee.model
        super().__init__(trainee, settings, examples, full_layers(model))
        names = {id(p): n for n, p in trainee.trainable.items()}
        self._embedding = names[id(model.get_input_embeddings().weight)]
        self._head = names[id(model.get_output_embeddings().weight)]
        self.optimizer = LowBitAdam(
            {n: p.detach() for n, p in trainee.trainable.items()}, bits=settings.bits,
            weight_decay=settings.weight_decay, seed=seed, compiled=compiled,
        )  # fmt: skip
        self._fused = FusedSteps(trainee.trainable, self.optimizer, {self._embedding, self._head})
        self.trainable: dict[str, Tensor] = dict(trainee.trainable)

    def run(self, batches: Iterable[Packed], scale: float, rate: float) -> tuple[Tensor, Tensor]:
        """Do one step over the one micro-batch; return the summed loss and the gradient norm."""
        (batch,) = batches
        self._fused.begin(rate)
        result = self._model.forward_backward(batch, scale)
        if self._head == self._embedding:
            self._fused.step_table(self._head, result.head, result.lookup)
        else:
            self._fused.step_table(self._head, result.head, None)
            self._fused.step_table(self._embedding, None, result.lookup)
        return result.loss, self._fused.norm()

    def start_model(self) -> None:
        """Return None: the start model's weights were stepped over."""

    def refresh(self) -> None:
        """Take note that weights were loaded: the layers use them where they lie."""
