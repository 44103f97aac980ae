"""Rotary position embedding applied in place, and undone in place by its backward pass."""

from __future__ import annotations

from torch import Tensor


def rotate_(x_THD: Tensor, cos_T1C: Tensor, sin_T1C: Tensor) -> Tensor:
    """Rotate the halves of each head of `x_THD` in place; C is half of D. A negated sine rotates back."""
    half = x_THD.shape[-1] // 2
    left, right = x_THD[..., :half], x_THD[..., half:]
    kept = left.clone()
    left.mul_(cos_T1C).addcmul_(right, sin_T1C, value=-1)
    right.mul_(cos_T1C).addcmul_(kept, sin_T1C)
    return x_THD
