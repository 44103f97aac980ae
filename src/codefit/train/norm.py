"""RMS norm with a backward pass that needs only its input and one number per row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from codefit.train import simulate

_FUSED = hasattr(torch.ops.aten, "_fused_rms_norm")


def rms_norm(x_TD: Tensor, weight_D: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Return the normalised rows and the reciprocal root of each row's mean square (T, 1), float32 or more."""
    if _FUSED and x_TD.is_cuda:
        out, scale = torch.ops.aten._fused_rms_norm(x_TD, list(weight_D.shape), weight_D, eps)
        return out, scale
    normed: tuple[Tensor, Tensor] = _run(_rms_norm)(x_TD, weight_D, eps)
    return normed


def _run(function: Callable[..., Any]) -> Callable[..., Any]:
    return simulate.kernel(function) if simulate.as_gpu() else function


def _rms_norm(x_TD: Tensor, weight_D: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    exact = torch.promote_types(x_TD.dtype, torch.float32)
    x = x_TD.to(exact)
    scale_T1 = x.square().mean(-1, keepdim=True).add_(eps).rsqrt_()
    return (x * scale_T1 * weight_D.to(exact)).to(x_TD.dtype), scale_T1


def rms_norm_backward(grad_TD: Tensor, x_TD: Tensor, scale_T1: Tensor, weight_D: Tensor) -> Tensor:
    """Return the gradient of the input; the weight is frozen."""
    if _FUSED and x_TD.is_cuda:
        shape = list(weight_D.shape)
        found = torch.ops.aten._fused_rms_norm_backward(
            grad_TD, x_TD, shape, scale_T1, weight_D, [True, False]
        )
        grad: Tensor = found[0]
        return grad
    made: Tensor = _run(_backward)(grad_TD, x_TD, scale_T1, weight_D)
    return made


def _backward(grad_TD: Tensor, x_TD: Tensor, scale_T1: Tensor, weight_D: Tensor) -> Tensor:
    exact = scale_T1.dtype
    hat = x_TD.to(exact) * scale_T1
    scaled = grad_TD.to(exact) * weight_D.to(exact)
    inner = (scaled * hat).mean(-1, keepdim=True)
    return ((scaled - hat * inner) * scale_T1).to(x_TD.dtype)


def normalise(x_TD: Tensor, module: Any) -> Tensor:
    """Return the rows normalised by a transformers RMS norm, for autograd to differentiate."""
    weight_D, eps = module.weight, module.variance_epsilon
    if simulate.as_gpu():
        simulated: Tensor = _Simulated.apply(x_TD, weight_D)
        return simulated
    return F.rms_norm(x_TD, weight_D.shape, weight_D, eps)


class _Simulated(torch.autograd.Function):
    """What the fused kernel returns and keeps, without its values."""

    @staticmethod
    def forward(ctx: Any, x_TD: Tensor, weight_D: Tensor) -> Tensor:
        ctx.save_for_backward(x_TD, weight_D, torch.empty(len(x_TD), device=x_TD.device))
        return torch.empty_like(x_TD)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None]:
        x_TD, weight_D, _ = ctx.saved_tensors
        weight = torch.empty_like(weight_D) if ctx.needs_input_grad[1] else None
        return torch.empty_like(x_TD), weight
