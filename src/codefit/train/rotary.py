"""Rotary position embedding applied in place, and undone in place by its backward pass."""

from __future__ import annotations

from torch import Tensor

from codefit.train import simulate
from codefit.train.kernels import triton_kernels


def rotate_(x_THD: Tensor, cos_T1C: Tensor, sin_T1C: Tensor, *, back: bool = False) -> Tensor:
    """Rotate the halves of each head of `x_THD` in place, or `back`; C is half of D."""
    half = x_THD.shape[-1] // 2
    kernels = triton_kernels(x_THD)
    if kernels is not None and half & (half - 1) == 0:
        kernels.rotate_(x_THD, cos_T1C, sin_T1C, back=back)
        return x_THD
    if simulate.as_gpu():  # the kernel needs no memory of its own
        return x_THD
    sign = -1 if back else 1
    left, right = x_THD[..., :half], x_THD[..., half:]
    kept = left.clone()
    left.mul_(cos_T1C).addcmul_(right, sin_T1C, value=-sign)
    right.mul_(cos_T1C).addcmul_(kept, sin_T1C, value=sign)
    return x_THD
