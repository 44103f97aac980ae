"""Triton kernels of a LoRA layer: what the adapters of the feed-forward part add never takes memory of its own.

An adapter's product `t B^T` has a small rank: it costs next to nothing to compute, and a pass over the whole
output to add. Here the kernel that reads an output adds it in registers, forward and back. Rotation is one
kernel too. Needs the package triton, which comes with torch for CUDA on Linux.
"""

# Triton's language is its own: pointers, and tiles whose sizes are known when a kernel is compiled.
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator"

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

_ROWS, _COLUMNS = 16, 128  # the fastest of seven on an H100, forward and back
_WIDEST = 128  # of ranks: the tiles of an adapter stay in registers


def takes(rank: int) -> bool:
    """Return whether the kernels take adapters of this rank."""
    return rank <= _WIDEST


@triton.jit
def _tile(height, width, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    at = rows[:, None].to(tl.int64) * width + columns[None, :]
    return rows, columns, at, (rows < height)[:, None] & (columns < width)[None, :]


@triton.jit
def _low_rank(t, b, rows, columns, height, width, t_row, b_column, b_rank, rank, WIDE: tl.constexpr):
    """Return the tile of `t @ b` in float32, for t (T, r) and b (r, F) with the strides given."""
    k = tl.arange(0, WIDE)
    left = tl.load(
        t + rows[:, None].to(tl.int64) * t_row + k[None, :],
        mask=(rows < height)[:, None] & (k < rank)[None, :], other=0.0,
    )  # fmt: skip
    right = tl.load(
        b + columns[None, :].to(tl.int64) * b_column + k[:, None] * b_rank,
        mask=(columns < width)[None, :] & (k < rank)[:, None], other=0.0,
    )  # fmt: skip
    return tl.dot(left, right)


@triton.jit
def _forward(
    gate, up, t_gate, t_up, b_gate, b_up, out, height, width, t_row, rank,
    WIDE: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    rows, columns, at, inside = _tile(height, width, ROWS, COLUMNS)
    g = _low_rank(t_gate, b_gate, rows, columns, height, width, t_row, rank, 1, rank, WIDE)
    g += tl.load(gate + at, mask=inside, other=0.0).to(tl.float32)
    u = _low_rank(t_up, b_up, rows, columns, height, width, t_row, rank, 1, rank, WIDE)
    u += tl.load(up + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + at, (g * tl.sigmoid(g) * u).to(out.dtype.element_ty), mask=inside)


@triton.jit
def _backward(
    grad, gate, up, s_grad, a_down, t_gate, t_up, b_gate, b_up, height, width, t_row, rank,
    WIDE: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    rows, columns, at, inside = _tile(height, width, ROWS, COLUMNS)
    g = _low_rank(t_gate, b_gate, rows, columns, height, width, t_row, rank, 1, rank, WIDE)
    g += tl.load(gate + at, mask=inside, other=0.0).to(tl.float32)
    u = _low_rank(t_up, b_up, rows, columns, height, width, t_row, rank, 1, rank, WIDE)
    u += tl.load(up + at, mask=inside, other=0.0).to(tl.float32)
    d = _low_rank(s_grad, a_down, rows, columns, height, width, rank, 1, width, rank, WIDE)
    d += tl.load(grad + at, mask=inside, other=0.0).to(tl.float32)
    share = tl.sigmoid(g)
    silu = g * share
    kind = grad.dtype.element_ty
    tl.store(grad + at, (silu * u).to(kind), mask=inside)
    tl.store(gate + at, (d * u * (share + silu * (1 - share))).to(kind), mask=inside)
    tl.store(up + at, (d * silu).to(kind), mask=inside)


def _sizes(like_TF: Tensor, rank: int) -> tuple[Any, dict[str, int]]:
    height, width = like_TF.shape
    grid = (triton.cdiv(height, _ROWS), triton.cdiv(width, _COLUMNS))
    return grid, {"WIDE": max(16, triton.next_power_of_2(rank)), "ROWS": _ROWS, "COLUMNS": _COLUMNS}


def swiglu(gate_TF: Tensor, up_TF: Tensor, t_TR: Tensor, ups: list[Tensor]) -> Tensor:
    """Return `silu(gate + t_1 B_1^T) * (up + t_2 B_2^T)`; nothing given is changed."""
    rank = ups[0].shape[1]
    out_TF = torch.empty_like(gate_TF)
    grid, sizes = _sizes(gate_TF, rank)
    _forward[grid](
        gate_TF, up_TF, t_TR, t_TR[:, rank:], *ups, out_TF, *gate_TF.shape, t_TR.stride(0), rank, **sizes
    )
    return out_TF


def swiglu_backward_(
    grad_TF: Tensor, grad_s_TR: Tensor, down_RF: Tensor, gate_TF: Tensor, up_TF: Tensor, t_TR: Tensor,
    ups: list[Tensor],
) -> None:  # fmt: skip
    """Overwrite gate and up with their gradients, and `grad_TF` with what `swiglu` returned.

    The gradient of that is `grad_TF + grad_s down`.
    """
    rank = ups[0].shape[1]
    grid, sizes = _sizes(gate_TF, rank)
    _backward[grid](
        grad_TF, gate_TF, up_TF, grad_s_TR, down_RF, t_TR, t_TR[:, rank:], *ups, *gate_TF.shape,
        t_TR.stride(0), rank, **sizes,
    )  # fmt: skip


@triton.jit
def _rotate(x, cos, sin, heads, row, sign, HALF: tl.constexpr, HEADS: tl.constexpr):
    token = tl.program_id(0).to(tl.int64)
    head, at = tl.arange(0, HEADS), tl.arange(0, HALF)
    left_at = x + token * row + head[:, None] * (2 * HALF) + at[None, :]
    inside = (head < heads)[:, None] & (at < HALF)[None, :]
    c = tl.load(cos + token * HALF + at)[None, :].to(tl.float32)
    s = tl.load(sin + token * HALF + at)[None, :].to(tl.float32) * sign
    left = tl.load(left_at, mask=inside, other=0.0).to(tl.float32)
    right = tl.load(left_at + HALF, mask=inside, other=0.0).to(tl.float32)
    kind = x.dtype.element_ty
    tl.store(left_at, (left * c - right * s).to(kind), mask=inside)
    tl.store(left_at + HALF, (right * c + left * s).to(kind), mask=inside)


def rotate_(x_THD: Tensor, cos_T1C: Tensor, sin_T1C: Tensor, *, back: bool) -> None:
    """Rotate the halves of each head in place, or back. The last two axes lie end to end; C is a power of two."""
    tokens, heads, width = x_THD.shape
    _rotate[(tokens,)](
        x_THD, cos_T1C, sin_T1C, heads, x_THD.stride(0), -1.0 if back else 1.0,
        HALF=width // 2, HEADS=triton.next_power_of_2(heads),
    )  # fmt: skip
