"""A decoder run layer by layer: some layers keep their activations, the others compute them again.

The backward pass is explicit, from the last layer to the first, so that a layer's gradients can be used
and dropped before the next layer's exist. The first layers are the ones to recompute: when their turn
comes, what the last layers kept is gone already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from codefit.train import simulate
from codefit.train.attention import Documents


class Layer(Protocol):
    """One decoder layer."""

    def forward(self, x_TD: Tensor, cos_T1C: Tensor, sin_T1C: Tensor, documents: Documents) -> Tensor:
        """Return the layer's output (T, D)."""


@dataclass(slots=True)
class Rotation:
    """Cosine and sine of each position, (T, 1, C) for C half of a head's width, in the weights' dtype."""

    cos_T1C: Tensor
    sin_T1C: Tensor


def rotation(rotary: Any, like_TD: Tensor, positions_T: Tensor) -> Rotation:
    """Return the rotation of a transformers rotary embedding at these positions."""
    cos, sin = rotary(like_TD[None], positions_T[None])
    half = cos.shape[-1] // 2
    return Rotation(cos[0, :, None, :half].contiguous(), sin[0, :, None, :half].contiguous())


class Pass:
    """One forward pass and its backward pass; it can be walked back once.

    `recompute` of the layers, from the first on, keep their input only, in pinned memory of the host
    where `offload` is set. Nothing is kept under `torch.no_grad`.
    """

    def __init__(
        self, layers: Sequence[Layer], where: Rotation, documents: Documents, *, recompute: int,
        offload: bool = False,
    ) -> None:  # fmt: skip
        self._layers = layers
        self._given = (where.cos_T1C, where.sin_T1C, documents)
        self._recompute = recompute
        self._offload = offload
        self._kept: list[tuple[Tensor, Tensor | None]] = []

    def forward(self, x_TD: Tensor) -> Tensor:
        """Return the last layer's output (T, D), detached."""
        keep = torch.is_grad_enabled()
        for number, layer in enumerate(self._layers):
            if not keep:
                x_TD = layer.forward(x_TD, *self._given)
            elif number < self._recompute:
                self._kept.append((self._away(x_TD), None))
                with torch.no_grad():
                    x_TD = layer.forward(x_TD, *self._given)
            else:
                start = x_TD.detach().requires_grad_()
                end = layer.forward(start, *self._given)
                self._kept.append((start, end))
                x_TD = end.detach()
        return x_TD

    def backward(self, grad_TD: Tensor) -> Tensor:
        """Return the gradient of the first layer's input, given that of the last layer's output.

        Gradients of weights go where autograd or the layer puts them.
        """
        device = grad_TD.device
        while self._kept:
            start, end = self._kept.pop()
            layer = self._layers[len(self._kept)]
            if end is None:
                start = self._back(start, device).detach().requires_grad_()
                with torch.enable_grad():
                    end = layer.forward(start, *self._given)
            torch.autograd.backward(end, grad_TD)
            if start.grad is None:
                raise RuntimeError("a layer gave its input no gradient")
            grad_TD = start.grad
            del start, end
        return grad_TD

    def _away(self, x_TD: Tensor) -> Tensor:
        counter = simulate.current()
        if self._offload and counter and counter.gpu:
            with counter.uncounted():
                return x_TD.clone()
        if not (self._offload and x_TD.is_cuda):
            return x_TD
        host = torch.empty(x_TD.shape, dtype=x_TD.dtype, pin_memory=True)
        return host.copy_(x_TD, non_blocking=True)

    def _back(self, x_TD: Tensor, device: torch.device) -> Tensor:
        if self._offload and simulate.as_gpu():
            return x_TD.clone()
        return x_TD.to(device, non_blocking=True)
