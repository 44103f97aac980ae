"""One decoder layer with frozen weights and LoRA adapters, saving half of what autograd would save.

A frozen matrix needs no input for its backward pass, and a norm or an activation is cheaper to compute
again than to keep. Per token a layer keeps its two residual inputs, queries, keys, values, the attention's
output, gate and up: `2 * (4h + 2kv + 2f + 7r) + 4H + 8` bytes in bfloat16, 49 kB at 1.5B where the same
layer of transformers with PEFT keeps 98 kB. The equations are those of LoRA (Hu et al. 2021),
`y = W x + s B A x`; gradients of A and B are added to their float32 buffers here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from codefit.train.attention import Documents, attend
from codefit.train.frozen import Matrix, dense
from codefit.train.kernels import adapted_swiglu, adapted_swiglu_backward_, add_product
from codefit.train.norm import rms_norm, rms_norm_backward
from codefit.train.rotary import rotate_


@dataclass(slots=True)
class Adapter:
    """The adapters of all matrices that read one input, K of them, each of rank r.

    `down_RD` (K * r, in), which is s * A, and `ups` (out, r) in the dtype of the computation; `grad_down_RD` of
    s * A and `grad_ups` are float32 buffers that gradients are added to. The memory of `ups`, and that of
    `grad_ups`, is one piece.
    """

    down_RD: Tensor
    ups: list[Tensor]
    grad_down_RD: Tensor
    grad_ups: list[Tensor]

    def parts(self, t_TR: Tensor) -> tuple[Tensor, ...]:
        """Split the last axis by adapter."""
        found: tuple[Tensor, ...] = t_TR.split([up.shape[1] for up in self.ups], dim=-1)
        return found

    def inner(self, x_TD: Tensor) -> Tensor:
        """Return `s A x` (T, K * r), for what adds `s B A x`, and for the backward pass."""
        return x_TD @ self.down_RD.T

    def add(self, x_TD: Tensor, outs: tuple[Tensor, ...]) -> Tensor:
        """Add `s B A x` to each output in place; return `s A x`."""
        t_TR = self.inner(x_TD)
        for out, t, up in zip(outs, self.parts(t_TR), self.ups, strict=True):
            out.addmm_(t, up.T)
        return t_TR

    def backward_up(self, grads: tuple[Tensor, ...], t_TR: Tensor) -> Tensor:
        """Add to the gradient of B; return that of `s A x`, which the input's own is made of."""
        grad_t_TR = torch.empty_like(t_TR)
        pieces = zip(grads, self.parts(t_TR), self.parts(grad_t_TR), self.ups, self.grad_ups, strict=True)
        for grad, t, grad_t, up, grad_up in pieces:
            torch.mm(grad, up, out=grad_t)
            add_product(grad_up, grad.T, t)
        return grad_t_TR

    def backward_equal(self, grads_KTF: Tensor, x_TD: Tensor, t_TR: Tensor) -> Tensor:
        """Do as `backward` does, for adapters of one width, all at once."""
        kinds, rank = len(self.ups), self.ups[0].shape[1]
        grad_t_KTr = torch.bmm(grads_KTF, _one(self.ups))
        add_product(_one(self.grad_ups), grads_KTF.mT, t_TR.view(-1, kinds, rank).transpose(0, 1))
        grad_t_TR = grad_t_KTr.transpose(0, 1).reshape(t_TR.shape)
        self.backward_down(grad_t_TR, x_TD)
        return grad_t_TR

    def backward_down(self, grad_t_TR: Tensor, x_TD: Tensor) -> None:
        """Add to the gradient of s * A."""
        add_product(self.grad_down_RD, grad_t_TR.T, x_TD)

    def backward(self, grads: tuple[Tensor, ...], x_TD: Tensor, t_TR: Tensor) -> Tensor:
        """Add to the gradients of s * A and B; return that of `s A x`."""
        grad_t_TR = self.backward_up(grads, t_TR)
        self.backward_down(grad_t_TR, x_TD)
        return grad_t_TR


def _one(parts: list[Tensor]) -> Tensor:
    """Return (K, out, r) over matrices of one size that lie end to end."""
    first = parts[0]
    return first.as_strided((len(parts), *first.shape), (first.numel(), *first.stride()))


@dataclass(slots=True)
class LoraLayer:
    """Weights of one layer; q, k and v are stacked into one matrix."""

    heads: int
    kv_heads: int
    head_dim: int
    eps: float
    input_norm_D: Tensor
    qkv: Matrix
    qkv_bias: Tensor | None
    out: Matrix
    post_norm_D: Tensor
    gate: Matrix
    up: Matrix
    down: Matrix
    qkv_adapter: Adapter
    out_adapter: Adapter
    gate_up_adapter: Adapter
    down_adapter: Adapter
    widths: list[int] = field(init=False)

    def __post_init__(self) -> None:
        kv = self.kv_heads * self.head_dim
        self.widths = [self.heads * self.head_dim, kv, kv]

    def forward(self, x_TD: Tensor, cos_T1C: Tensor, sin_T1C: Tensor, documents: Documents) -> Tensor:
        """Return the layer's output (T, D)."""
        q, k, v = _Qkv.apply(x_TD, self, cos_T1C, sin_T1C)
        x_TD = _Out.apply(attend(q, k, v, documents).flatten(1), x_TD, self)
        out: Tensor = _Mlp.apply(x_TD, self)
        return out


class _Qkv(torch.autograd.Function):
    """Norm, projections to queries, keys and values, rotation."""

    @staticmethod
    def forward(
        ctx: Any, x_TD: Tensor, layer: LoraLayer, cos_T1C: Tensor, sin_T1C: Tensor
    ) -> tuple[Tensor, ...]:
        n_TD, scale_T1 = rms_norm(x_TD, layer.input_norm_D, layer.eps)
        y = F.linear(n_TD, dense(layer.qkv), layer.qkv_bias)
        t_TR = layer.qkv_adapter.add(n_TD, y.split(layer.widths, dim=-1))
        heads = y.view(len(y), -1, layer.head_dim)
        rotate_(heads[:, : layer.heads + layer.kv_heads], cos_T1C, sin_T1C)
        ctx.layer = layer
        ctx.save_for_backward(x_TD, scale_T1, t_TR, cos_T1C, sin_T1C)
        parts: tuple[Tensor, ...] = heads.split([layer.heads, layer.kv_heads, layer.kv_heads], dim=1)
        return parts

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        layer: LoraLayer = ctx.layer
        x_TD, scale_T1, t_TR, cos_T1C, sin_T1C = ctx.saved_tensors
        heads = torch.cat(grads, dim=1)
        rotate_(heads[:, : layer.heads + layer.kv_heads], cos_T1C, sin_T1C, back=True)
        grad = heads.flatten(1)
        n_TD, _ = rms_norm(x_TD, layer.input_norm_D, layer.eps)
        grad_t_TR = layer.qkv_adapter.backward(grad.split(layer.widths, dim=-1), n_TD, t_TR)
        grad_n = grad @ dense(layer.qkv)
        grad_n.addmm_(grad_t_TR, layer.qkv_adapter.down_RD)
        return rms_norm_backward(grad_n, x_TD, scale_T1, layer.input_norm_D), None, None, None


class _Out(torch.autograd.Function):
    """Projection of the attention's output, added to the residual."""

    @staticmethod
    def forward(ctx: Any, attended: Tensor, x_TD: Tensor, layer: LoraLayer) -> Tensor:
        y_TD = torch.addmm(x_TD, attended, dense(layer.out).T)
        t_TR = layer.out_adapter.add(attended, (y_TD,))
        ctx.layer = layer
        ctx.save_for_backward(attended, t_TR)
        return y_TD

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        layer: LoraLayer = ctx.layer
        attended, t_TR = ctx.saved_tensors
        grad_TD = grads[0]
        grad_t_TR = layer.out_adapter.backward((grad_TD,), attended, t_TR)
        grad = grad_TD @ dense(layer.out)
        grad.addmm_(grad_t_TR, layer.out_adapter.down_RD)
        return grad, grad_TD, None


class _Mlp(torch.autograd.Function):
    """Norm, SwiGLU and its projections, added to the residual. Its backward pass can run once only."""

    @staticmethod
    def forward(ctx: Any, x_TD: Tensor, layer: LoraLayer) -> Tensor:
        n_TD, scale_T1 = rms_norm(x_TD, layer.post_norm_D, layer.eps)
        both_2TF = n_TD.new_empty(2, len(n_TD), layer.gate.shape[0])
        gate_TF, up_TF = both_2TF.unbind()
        torch.mm(n_TD, dense(layer.gate).T, out=gate_TF)
        torch.mm(n_TD, dense(layer.up).T, out=up_TF)
        t_TR = layer.gate_up_adapter.inner(n_TD)
        active_TF = adapted_swiglu(gate_TF, up_TF, t_TR, layer.gate_up_adapter.ups)
        y_TD = torch.addmm(x_TD, active_TF, dense(layer.down).T)
        s_TR = layer.down_adapter.add(active_TF, (y_TD,))
        ctx.layer = layer
        ctx.save_for_backward(x_TD, scale_T1, both_2TF, t_TR, s_TR)
        return y_TD

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        layer: LoraLayer = ctx.layer
        x_TD, scale_T1, both_2TF, t_TR, s_TR = ctx.saved_tensors
        gate_TF, up_TF = both_2TF.unbind()
        grad_TD = grads[0]
        down, ups = layer.down_adapter, layer.gate_up_adapter.ups
        grad_s_TR = down.backward_up((grad_TD,), s_TR)
        active_TF = grad_TD @ dense(layer.down)
        # Over the saved tensors: they are not needed again, and copies of them would set the peak.
        adapted_swiglu_backward_(active_TF, grad_s_TR, down.down_RD, gate_TF, up_TF, t_TR, ups)
        down.backward_down(grad_s_TR, active_TF)
        del active_TF
        n_TD, _ = rms_norm(x_TD, layer.post_norm_D, layer.eps)
        grad_t_TR = layer.gate_up_adapter.backward_equal(both_2TF, n_TD, t_TR)
        grad_n = gate_TF @ dense(layer.gate)
        grad_n.addmm_(up_TF, dense(layer.up))
        grad_n.addmm_(grad_t_TR, layer.gate_up_adapter.down_RD)
        return rms_norm_backward(grad_n, x_TD, scale_T1, layer.post_norm_D).add_(grad_TD), None
