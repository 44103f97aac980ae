"""One decoder layer whose weights are all trained, for autograd to differentiate.

What it computes is transformers' Qwen2 (or Llama) layer; what it keeps is less: norms keep their input,
the rotation nothing, SwiGLU gate and up only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from codefit.train.attention import Documents, attend
from codefit.train.kernels import swiglu, swiglu_backward_
from codefit.train.norm import normalise
from codefit.train.rotary import rotate_


class _Rotate(torch.autograd.Function):
    """Rotates a projection's fresh output (T, H * D) in place; nobody else needs the unrotated one."""

    @staticmethod
    def forward(ctx: Any, x_TE: Tensor, cos_T1C: Tensor, sin_T1C: Tensor) -> Tensor:
        ctx.mark_dirty(x_TE)
        ctx.save_for_backward(cos_T1C, sin_T1C)
        rotate_(x_TE.view(len(x_TE), -1, 2 * cos_T1C.shape[-1]), cos_T1C, sin_T1C)
        return x_TE

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        cos_T1C, sin_T1C = ctx.saved_tensors
        grad_TE = grads[0].clone()
        rotate_(grad_TE.view(len(grad_TE), -1, 2 * cos_T1C.shape[-1]), cos_T1C, sin_T1C, back=True)
        return grad_TE, None, None


class _SwiGlu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate_TF: Tensor, up_TF: Tensor) -> Tensor:
        ctx.save_for_backward(gate_TF, up_TF)
        return swiglu(gate_TF, up_TF)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        gate_TF, up_TF = ctx.saved_tensors
        swiglu_backward_(grads[0], gate_TF, up_TF)  # over the saved tensors: nobody needs them again
        return gate_TF, up_TF


@dataclass(frozen=True, slots=True)
class FullLayer:
    """A layer of a transformers model, by reference: training it trains the model."""

    module: Any

    def forward(self, x_TD: Tensor, cos_T1C: Tensor, sin_T1C: Tensor, documents: Documents) -> Tensor:
        """Return the layer's output (T, D)."""
        attention, mlp = self.module.self_attn, self.module.mlp
        head = (len(x_TD), -1, attention.head_dim)
        n_TD = normalise(x_TD, self.module.input_layernorm)
        q = _Rotate.apply(attention.q_proj(n_TD), cos_T1C, sin_T1C).view(head)
        k = _Rotate.apply(attention.k_proj(n_TD), cos_T1C, sin_T1C).view(head)
        v = attention.v_proj(n_TD).view(head)
        x_TD = x_TD + attention.o_proj(attend(q, k, v, documents).flatten(1))
        n_TD = normalise(x_TD, self.module.post_attention_layernorm)
        out: Tensor = x_TD + mlp.down_proj(_SwiGlu.apply(mlp.gate_proj(n_TD), mlp.up_proj(n_TD)))
        return out
