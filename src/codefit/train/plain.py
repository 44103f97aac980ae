"""Steps by transformers' own layers and a classic optimizer: what runs on a CPU."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from codefit.core.recipe import TrainSettings
from codefit.core.types import Example
from codefit.plan.memory import CHUNK
from codefit.train.batch import collate
from codefit.train.loss import chunked_cross_entropy
from codefit.train.model import Trainee
from codefit.train.schedule import Step


class PlainSteps:
    """LoRA or all parameters, AdamW, gradients accumulated over micro-batches and clipped."""

    def __init__(
        self, trainee: Trainee, settings: TrainSettings, examples: Sequence[Example], pad_id: int
    ) -> None:
        self.outer = trainee.outer
        self.head_VD = trainee.head_VD.detach()
        self.device = str(self.head_VD.device)
        self.trainable: dict[str, Tensor] = dict(trainee.trainable)
        self.optimizer = torch.optim.AdamW(
            trainee.trainable.values(), lr=settings.learning_rate, weight_decay=settings.weight_decay,
            foreach=False,  # which is the default on a GPU, and copies all parameters once more
        )  # fmt: skip
        self._trainee, self._examples, self._pad_id = trainee, examples, pad_id
        self._lora = settings.method == "lora"
        self._size = settings.micro_batch or settings.batch_size
        self._max_norm = settings.max_grad_norm or 1.0

    def step(self, step: Step, rate: float) -> tuple[float, float]:
        """Do one step over the micro-batches; return mean loss per trained token and gradient norm.

        Every micro-batch is divided by the trained tokens of the whole step, so accumulation gives
        the gradient of one large batch whatever the micro-batch holds.
        """
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for at in range(0, len(step.bins), self._size):
            loss = self.loss(self._examples, step.bins[at : at + self._size])
            (loss / step.trained_tokens).backward()
            total += float(loss.detach())
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        norm = torch.nn.utils.clip_grad_norm_(self._trainee.trainable.values(), self._max_norm)
        self.optimizer.step()
        return total / step.trained_tokens, float(norm)

    def loss(self, examples: Sequence[Example], bins: Sequence[Sequence[int]]) -> Tensor:
        """Return the summed loss of bins of examples."""
        hidden_ND, targets_N = self.scored(examples, bins)
        return chunked_cross_entropy(hidden_ND, self._trainee.head_VD, targets_N, CHUNK)

    def scored(self, examples: Sequence[Example], bins: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Return the last hidden states (N, D) that predict a trained token, and those tokens (N)."""
        trainee = self._trainee
        batch = collate(examples, bins, self._pad_id, self.device)
        half = trainee.head_VD.dtype == torch.bfloat16
        with torch.autocast(trainee.head_VD.device.type, torch.bfloat16, enabled=half):
            hidden_BTD = trainee.hidden_BTD(batch.ids_BT, batch.positions_BT, batch.mask_B1TT).to(
                trainee.head_VD.dtype
            )
        return hidden_BTD[batch.scored_BT], batch.targets_N

    def start_model(self) -> AbstractContextManager[None] | None:
        """Return a context without adapters; None in full tuning, where the start model is gone."""
        found: AbstractContextManager[None] | None = self.outer.disable_adapter() if self._lora else None
        return found

    def refresh(self) -> None:
        """Take note that weights were loaded; nothing depends on them here."""

    def forget(self) -> None:
        """Give back nothing: a step leaves nothing behind."""
