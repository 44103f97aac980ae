"""Causal attention inside each document of a packed sequence, without a mask.

On a GPU the variable-length kernel reads all documents at once; elsewhere they are attended one by one,
so that no T x T mask and no repeated key heads ever exist.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from codefit.train import simulate


@dataclass(frozen=True, slots=True)
class Documents:
    """Where the documents of a packed sequence of T tokens lie.

    `lengths` in tokens, in order, summing to T; `starts` int32 on the device, of one more element, and of more
    where empty documents follow.
    """

    lengths: tuple[int, ...]
    starts: Tensor

    @property
    def longest(self) -> int:
        """Tokens in the longest document."""
        return max(self.lengths)


@cache
def _varlen() -> tuple[Any, dict[str, Any]] | None:
    """Return torch's variable-length attention and the options that make it causal, where it is there."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    known = inspect.signature(varlen_attn).parameters
    options: dict[str, Any] = {"is_causal": True} if "is_causal" in known else {"window_size": (-1, 0)}
    if "enable_gqa" in known:
        options["enable_gqa"] = True
    return varlen_attn, options


def has_kernel(of: Tensor) -> bool:
    """Return True if attention over documents of many lengths is one kernel for tensors of this type and place."""
    half = of.dtype in (torch.bfloat16, torch.float16)
    new = half and of.is_cuda and torch.cuda.get_device_capability(of.device) >= (8, 0)
    return new and _varlen() is not None


def attend(q_THD: Tensor, k_TGD: Tensor, v_TGD: Tensor, documents: Documents) -> Tensor:
    """Return the attention's output (T, H, D) for H query heads and G key heads, G a divisor of H."""
    if simulate.as_gpu():
        simulated: Tensor = _Simulated.apply(q_THD, k_TGD, v_TGD)
        return simulated
    found = _varlen() if has_kernel(q_THD) else None
    if found is not None:
        kernel, options = found
        starts, longest = documents.starts, documents.longest
        out: Tensor = kernel(q_THD, k_TGD, v_TGD, starts, starts, longest, longest, **options)
        return out
    parts = [t.split(documents.lengths) for t in (q_THD, k_TGD, v_TGD)]
    return torch.cat([_attend_one(q, k, v) for q, k, v in zip(*parts, strict=True)])


def _attend_one(q_THD: Tensor, k_TGD: Tensor, v_TGD: Tensor) -> Tensor:
    q, k, v = (t.transpose(0, 1)[None] for t in (q_THD, k_TGD, v_TGD))
    grouped = q.shape[1] != k.shape[1]
    out = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=grouped)
    return out[0].transpose(0, 1)


class _Simulated(torch.autograd.Function):
    """What the variable-length kernel returns and keeps, without its values."""

    @staticmethod
    def forward(ctx: Any, q_THD: Tensor, k_TGD: Tensor, v_TGD: Tensor) -> Tensor:
        out_THD = torch.empty_like(q_THD)
        lse_HT = torch.empty(q_THD.shape[1], len(q_THD), device=q_THD.device)
        ctx.save_for_backward(q_THD, k_TGD, v_TGD, out_THD, lse_HT)
        return out_THD

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v, *_ = ctx.saved_tensors
        return torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
