"""Element-wise parts of a step, fused into single kernels where torch has a compiler for the device.

Without one the same functions run as they are written, some passes over memory slower.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from codefit.train import simulate

_ADDS_TO_FLOAT32 = hasattr(torch.ops.aten.addmm, "dtype_out") and hasattr(torch.ops.aten.baddbmm, "dtype_out")


def can_compile(device: torch.device) -> bool:
    """Return whether torch can fuse element-wise work into kernels of this device."""
    if simulate.current():
        return simulate.as_gpu()
    return device.type == "cuda" and importlib.util.find_spec("triton") is not None


def fused(function: Callable[..., Any], compiled: bool) -> Callable[..., Any]:
    """Return the function, compiled once for all sizes where that is wanted."""
    if simulate.current():
        return simulate.kernel(function) if compiled else function
    return _compiled(function) if compiled else function


@cache
def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    compiled: Callable[..., Any] = torch.compile(function, dynamic=True)
    return compiled


def triton_kernels(like: Tensor) -> Any:
    """Return the module of Triton kernels, where they run on the device of the tensor; else None."""
    if simulate.current() or not can_compile(like.device):
        return None
    from codefit.train import lora_kernels

    return lora_kernels


def adapted_swiglu(gate_TF: Tensor, up_TF: Tensor, t_TR: Tensor, ups: list[Tensor]) -> Tensor:
    """Return `silu(gate + t_1 B_1^T) * (up + t_2 B_2^T)`.

    `t_TR` holds the two adapters' inner values side by side, `ups` their B (F, r). Where no kernel adds them in
    passing, they are added to gate and up in place, and `adapted_swiglu_backward_` finds them there.
    """
    kernels = triton_kernels(gate_TF)
    if kernels is not None and kernels.takes(ups[0].shape[1]):
        made: Tensor = kernels.swiglu(gate_TF, up_TF, t_TR, ups)
        return made
    if not simulate.as_gpu():
        for out, t, up in zip((gate_TF, up_TF), t_TR.chunk(2, dim=-1), ups, strict=True):
            out.addmm_(t, up.T)
    return swiglu(gate_TF, up_TF)


def adapted_swiglu_backward_(
    grad_TF: Tensor, grad_s_TR: Tensor, down_RF: Tensor, gate_TF: Tensor, up_TF: Tensor, t_TR: Tensor,
    ups: list[Tensor],
) -> None:  # fmt: skip
    """Overwrite gate and up with their gradients, and `grad_TF` with what `adapted_swiglu` returned.

    The gradient of that is `grad_TF + grad_s_TR down_RF`: what comes through the next matrix and its adapter.
    """
    kernels = triton_kernels(gate_TF)
    if kernels is not None and kernels.takes(ups[0].shape[1]):
        kernels.swiglu_backward_(grad_TF, grad_s_TR, down_RF, gate_TF, up_TF, t_TR, ups)
        return
    if simulate.as_gpu():
        return
    grad_TF.addmm_(grad_s_TR, down_RF)
    silu_TF = F.silu(gate_TF)
    torch.ops.aten.silu_backward.grad_input(grad_TF, gate_TF, grad_input=gate_TF).mul_(up_TF)
    grad_TF.mul_(silu_TF)
    silu_TF.mul_(up_TF)
    up_TF.copy_(grad_TF)
    grad_TF.copy_(silu_TF)


def add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add the product of two matrices, or of a stack of them, to a total of higher precision in place."""
    if simulate.as_gpu():
        return
    if total.is_cuda and total.dtype != left.dtype and _ADDS_TO_FLOAT32:
        op = torch.ops.aten.addmm if total.dim() == 2 else torch.ops.aten.baddbmm
        op.dtype_out(total, left, right, total.dtype, out=total)
        return
    total.add_(left @ right)


def swiglu(gate_TF: Tensor, up_TF: Tensor) -> Tensor:
    """Return `silu(gate) * up`."""
    return fused(_swiglu, can_compile(gate_TF.device))(gate_TF, up_TF)


def _swiglu(gate_TF: Tensor, up_TF: Tensor) -> Tensor:
    return F.silu(gate_TF) * up_TF


def swiglu_backward_(grad_TF: Tensor, gate_TF: Tensor, up_TF: Tensor) -> None:
    """Overwrite `gate_TF` and `up_TF` with their gradients, given that of `silu(gate) * up`."""
    if can_compile(grad_TF.device):
        fused(_swiglu_backward_, True)(grad_TF, gate_TF, up_TF)
        return
    silu_TF = F.silu(gate_TF)
    torch.ops.aten.silu_backward.grad_input(up_TF.mul_(grad_TF), gate_TF, grad_input=gate_TF)
    torch.mul(silu_TF, grad_TF, out=up_TF)


def _swiglu_backward_(grad_TF: Tensor, gate_TF: Tensor, up_TF: Tensor) -> None:
    grad, gate, up = grad_TF.float(), gate_TF.float(), up_TF.float()
    share = torch.sigmoid(gate)
    silu = gate * share
    gate_TF.copy_(grad * up * (share + silu * (1 - share)))
    up_TF.copy_(grad * silu)


def score_(logits_CV: Tensor, targets_C1: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Return loss and log-sum-exp (C, 1) of each row, and overwrite the logits with their gradient.

    The gradient is that of `scale` times the summed loss. Computed in float32 or more.
    """
    if can_compile(logits_CV.device):
        loss_C1, lse_C1 = fused(_loss, True)(logits_CV, targets_C1)
        fused(_gradient_, True)(logits_CV, lse_C1, targets_C1, torch.tensor(scale))
        return loss_C1, lse_C1
    x_CV = logits_CV.to(torch.promote_types(logits_CV.dtype, torch.float32))
    chosen_C1, most_C1 = x_CV.gather(1, targets_C1), x_CV.amax(-1, keepdim=True)
    # In place, as torch.logsumexp would make copies.
    x_CV = (x_CV.sub_(most_C1) if x_CV is not logits_CV else x_CV - most_C1).exp_()
    sum_C1 = x_CV.sum(-1, keepdim=True)
    lse_C1 = sum_C1.log() + most_C1
    x_CV.div_(sum_C1).scatter_add_(1, targets_C1, torch.full_like(targets_C1, -1.0, dtype=x_CV.dtype))
    logits_CV.copy_(x_CV.mul_(scale))
    return lse_C1 - chosen_C1, lse_C1


def _loss(logits_CV: Tensor, targets_C1: Tensor) -> tuple[Tensor, Tensor]:
    x_CV = logits_CV.float()
    lse_C1 = x_CV.logsumexp(-1, keepdim=True)
    return lse_C1 - x_CV.gather(1, targets_C1), lse_C1


def _gradient_(logits_CV: Tensor, lse_C1: Tensor, targets_C1: Tensor, scale: Tensor) -> None:
    chosen = torch.arange(logits_CV.shape[1], device=logits_CV.device)[None] == targets_C1
    share = (logits_CV.float() - lse_C1).exp()
    logits_CV.copy_((share - chosen.float()) * scale)
