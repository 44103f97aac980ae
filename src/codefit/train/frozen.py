"""Frozen matrices: as they are, or in 4 bits and made dense for the moment of their use.

4 bits are NF4 with double quantisation (Dettmers et al. 2023): blocks of 64 values share a scale of 8 bits,
blocks of 256 scales a scale of 32 bits, `1/2 + 1/64 + 1/4096` bytes per value. bitsandbytes quantises and
dequantises; the forward and the backward pass each make a matrix dense once, one matrix at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from codefit.train import simulate


@dataclass(frozen=True, slots=True)
class Nf4:
    """One matrix (out, in) of stacked parts: for each its packed codes and bitsandbytes' `QuantState`."""

    parts: tuple[tuple[Tensor, Any], ...]

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in)."""
        return sum(state.shape[0] for _, state in self.parts), self.parts[0][1].shape[1]

    def dense(self) -> Tensor:
        """Return the values (out, in) in the dtype of the computation, in memory of their own."""
        if simulate.current():
            return self._shaped()
        from bitsandbytes.functional import dequantize_4bit

        if len(self.parts) == 1:
            codes, state = self.parts[0]
            whole: Tensor = dequantize_4bit(codes, state)
            return whole
        whole = self._shaped()
        at = 0
        for codes, state in self.parts:
            whole[at : at + state.shape[0]] = dequantize_4bit(codes, state)
            at += state.shape[0]
        return whole

    def _shaped(self) -> Tensor:
        codes, first = self.parts[0]
        return torch.empty(self.shape, dtype=first.dtype, device=codes.device)


Matrix: TypeAlias = Tensor | Nf4


def dense(matrix: Matrix) -> Tensor:
    """Return a matrix as a tensor; what was quantised lives as long as the caller holds it."""
    return matrix.dense() if isinstance(matrix, Nf4) else matrix


def frozen(modules: list[Any]) -> Matrix:
    """Return the weights of linear modules that read one input, stacked.

    Dense weights are copied into one tensor of which the modules' own become views.
    """
    if hasattr(modules[0].weight, "quant_state"):
        return Nf4(tuple((m.weight.data, m.weight.quant_state) for m in modules))
    whole = stack([m.weight for m in modules])
    if whole is None:
        raise RuntimeError("a linear layer has no weight")
    return whole


def stack(parts: list[Any]) -> Tensor | None:
    """Put tensors into one, of which they become views; None where there are none."""
    if parts[0] is None:
        return None
    if len(parts) == 1:
        only: Tensor = parts[0].detach()
        return only
    whole = torch.cat([p.detach() for p in parts])
    for part, view in zip(parts, whole.split([len(p) for p in parts]), strict=True):
        part.data = view
    return whole
