"""RMS norm with a backward pass that needs only its input and one number per row."""

from __future__ import annotations

import torch
from torch import Tensor

_FUSED = hasattr(torch.ops.aten, "_fused_rms_norm")


def rms_norm(x_TD: Tensor, weight_D: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Return the normalised rows and the reciprocal root of each row's mean square (T, 1), float32 or more."""
    if _FUSED and x_TD.is_cuda:
        out, scale = torch.ops.aten._fused_rms_norm(x_TD, list(weight_D.shape), weight_D, eps)
        return out, scale
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
    exact = scale_T1.dtype
    hat = x_TD.to(exact) * scale_T1
    scaled = grad_TD.to(exact) * weight_D.to(exact)
    inner = (scaled * hat).mean(-1, keepdim=True)
    return ((scaled - hat * inner) * scale_T1).to(x_TD.dtype)
