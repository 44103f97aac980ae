"""Adam with moments of 8 or 4 bits and bfloat16 weights that forget no small update.

Blockwise quantisation after Dettmers et al. 2022 and Li et al. 2023: each block of 256 (8 bits) or 128
(4 bits) values shares one float32 scale, its largest magnitude. Levels are spaced by a power law, the
square for the first moment and the fourth power for the second, so that small values keep their relative
precision; the second moment has no level at 0, as it is divided by. Moments and bfloat16 weights are
rounded stochastically: on average every update counts, however small.

Bytes per parameter: 8 bits 2 + 8/256 = 2.03, 4 bits 1 + 8/128 = 1.06.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from codefit.core.files import digest
from codefit.plan.lean import BLOCK, STEP_4_BITS, STEP_4_BYTES
from codefit.train import simulate
from codefit.train.kernels import can_compile, fused

_LOW_32 = 0xFFFFFFFF
_EAGER_CHUNK = 1 << 20  # values in one call without a compiler: a few temporaries that fit a card's cache
_COMPILED_CHUNK = {
    8: 1 << 30,
    4: STEP_4_BITS,
}  # one kernel does 8 bits whole; 4 bits leave temporaries of 16 B


@dataclass(slots=True)
class Moments:
    """Both moments of one parameter of `size` values, B blocks: codes uint8, scales float32 (B, 1)."""

    size: int
    first: Tensor
    second: Tensor
    first_scale: Tensor
    second_scale: Tensor

    @classmethod
    def zeros(cls, size: int, bits: int, device: torch.device) -> Moments:
        """Return moments of zero."""
        block = BLOCK[bits]
        blocks = -(-size // block)
        width = block * bits // 8
        zero = _ZERO_8 if bits == 8 else _ZERO_4
        return cls(
            size,
            torch.full((blocks, width), zero, dtype=torch.uint8, device=device),
            torch.zeros((blocks, width), dtype=torch.uint8, device=device),
            torch.zeros((blocks, 1), device=device),
            torch.zeros((blocks, 1), device=device),
        )

    def tensors(self) -> dict[str, Tensor]:
        """Return the state as named tensors, by reference."""
        return {
            "first": self.first,
            "second": self.second,
            "first_scale": self.first_scale,
            "second_scale": self.second_scale,
        }


_ZERO_8, _ZERO_4 = 128, 0x88


def _unpack(codes_BC: Tensor, bits: int) -> Tensor:
    """Return one code per value, float32; two codes of 4 bits lie in a byte, the earlier one low."""
    if bits == 8:
        return codes_BC.to(torch.float32)
    pair = torch.stack((codes_BC & 15, codes_BC >> 4), dim=-1)
    return pair.flatten(-2).to(torch.float32)


def _pack(codes_BK: Tensor, bits: int) -> Tensor:
    codes = codes_BK.to(torch.uint8)
    if bits == 8:
        return codes
    pair = codes.unflatten(-1, (-1, 2))
    return pair[..., 0] | (pair[..., 1] << 4)


def _value(level: Tensor, bits: int, *, signed: bool) -> Tensor:
    """Return what a level stands for, as a share of the block's largest magnitude."""
    x = level / _top(bits, signed=signed)
    return x.square() if signed else x.square().square()


def _top(bits: int, *, signed: bool) -> float:
    return float(2 ** (bits - 1) - 1 if signed else 2**bits - 1)


def dequantise(codes_BC: Tensor, scale_B1: Tensor, bits: int, *, signed: bool) -> Tensor:
    """Return the values (B, block), float32."""
    codes = _unpack(codes_BC, bits)
    if not signed:
        return _value(codes, bits, signed=False) * scale_B1
    level = codes - 2 ** (bits - 1)
    return _value(level, bits, signed=True) * level.sign() * scale_B1


def quantise(x_BK: Tensor, dither_BK: Tensor, bits: int, *, signed: bool) -> tuple[Tensor, Tensor]:
    """Return codes and scales of values (B, block), rounded up where `dither_BK`, in [0, 1), is small.

    The mean over the dither is the value itself; unsigned values below the first level become that level.
    """
    scale_B1 = x_BK.abs().amax(-1, keepdim=True)
    share = x_BK.abs() / scale_B1.clamp_min(1e-38)
    top = _top(bits, signed=signed)
    root = share.sqrt() if signed else share.sqrt().sqrt()
    below = (root * top).floor().clamp_max(top - 1)
    low, high = (_value(below + up, bits, signed=signed) for up in (0, 1))
    level = below + (dither_BK < (share - low) / (high - low)).to(below.dtype)
    if signed:
        return _pack(level * x_BK.sign() + 2 ** (bits - 1), bits), scale_B1
    return _pack(level.clamp_min(1), bits), scale_B1


def random_bits(key: Tensor, start: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return 32 random bits (as int64) for each of the values from number `start` on.

    A hash of key and number (multiply and xor-shift), the same on every device and for every division of
    a parameter into ranges; no generator state has to be kept.
    """
    x = (torch.arange(shape[0] * shape[1], device=key.device).view(shape) + start) ^ key
    for shift, factor in ((16, 0x7FEB352D), (15, 0x31848BAB), (15, 0x1B56C4E9)):
        x = ((x ^ (x >> shift)) * factor) & _LOW_32
    return x ^ (x >> 16)


def round_stochastically(x: Tensor, noise: Tensor) -> Tensor:
    """Return float32 values as bfloat16, up or down at random; `noise` int32 in [0, 2^16).

    The mean over the noise is `x` itself.
    """
    return ((x.view(torch.int32) + noise) & -65536).view(torch.float32).to(torch.bfloat16)


def _adam(
    weight_BK: Tensor, grad_BK: Tensor, first: Tensor, second: Tensor, first_scale: Tensor,
    second_scale: Tensor, key: Tensor, start: Tensor, scalars: Tensor, bits: int,
) -> None:  # fmt: skip
    """Step some blocks in place. `scalars`: rate, beta1, beta2, both bias corrections, eps, decay."""
    rate, beta1, beta2, fix1, fix2, eps, decay = scalars.unbind()
    grad = grad_BK.to(torch.float32)
    m = dequantise(first, first_scale, bits, signed=True)
    v = dequantise(second, second_scale, bits, signed=False)
    m = m * beta1 + grad * (1 - beta1)
    v = v * beta2 + grad.square() * (1 - beta2)
    weight = weight_BK.to(torch.float32)
    weight = weight * (1 - rate * decay) - rate * (m / fix1) / ((v / fix2).sqrt() + eps)
    # One random integer serves all three roundings: 16 bits of it the weight, 8 bits each moment.
    random = random_bits(key, start, (weight.shape[0], weight.shape[1]))
    if weight_BK.dtype == torch.bfloat16:
        weight_BK.copy_(round_stochastically(weight, (random & 65535).to(torch.int32)))
    else:
        weight_BK.copy_(weight)
    code, scale = quantise(m, (((random >> 16) & 255).to(torch.float32) + 0.5) / 256, bits, signed=True)
    first.copy_(code)
    first_scale.copy_(scale)
    code, scale = quantise(v, (((random >> 24) & 255).to(torch.float32) + 0.5) / 256, bits, signed=False)
    second.copy_(code)
    second_scale.copy_(scale)


class LowBitAdam:
    """AdamW over named tensors, one range of rows at a time; its noise is a function of seed and step number.

    `betas` and `eps` as in Adam (Kingma & Ba 2015), `weight_decay` decoupled (Loshchilov & Hutter 2019).
    Between `begin` and the next one every parameter is stepped once, in any number of ranges, each of
    which starts and ends at a block's edge or the parameter's end.
    """

    def __init__(
        self, parameters: dict[str, Tensor], *, bits: int, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0.0, seed: int = 0, compiled: bool | None = None,
    ) -> None:  # fmt: skip
        if bits not in BLOCK:
            raise ValueError(f"moments have 8 or 4 bits, not {bits}")
        self.bits, self.block = bits, BLOCK[bits]
        self._betas, self._eps, self._decay, self._seed = betas, eps, weight_decay, seed
        self.parameters = parameters
        self.moments = {n: Moments.zeros(p.numel(), bits, p.device) for n, p in parameters.items()}
        self.steps = 0
        device = next(iter(parameters.values())).device
        self._compiled = can_compile(device) if compiled is None else compiled
        self._scalars = torch.zeros(7, device=device)
        self._keys = torch.zeros(len(parameters), dtype=torch.int64, device=device)
        self._number = {name: n for n, name in enumerate(parameters)}

    def begin(self, rate: float) -> None:
        """Begin a step with this learning rate."""
        self.steps += 1
        b1, b2 = self._betas
        fix1, fix2 = 1 - b1**self.steps, 1 - b2**self.steps
        values = [rate, b1, b2, fix1, fix2, self._eps, self._decay]
        self._scalars.copy_(torch.tensor(values))
        keys = [int(digest(str(self._seed), str(self.steps), name)[:8], 16) for name in self._number]
        self._keys.copy_(torch.tensor(keys))

    @torch.no_grad()
    def update(self, name: str, grad: Tensor, start: int = 0) -> None:
        """Step the values of a parameter from `start` on, as many as `grad` has."""
        weights, grads = self.parameters[name].detach().view(-1), grad.reshape(-1)
        whole = len(grads) // self.block * self.block
        chunk = _COMPILED_CHUNK[self.bits] if self._compiled else _EAGER_CHUNK
        for at in range(0, whole, chunk):
            end = min(at + chunk, whole)
            self._step(name, weights[start + at : start + end], grads[at:end], start + at)
        if whole < len(grads):  # the end of a parameter: a block of its own, filled up
            rest = len(grads) - whole
            w, g = (F.pad(t[-rest:], (0, self.block - rest)) for t in (weights, grads))
            self._step(name, w, g, start + whole)
            weights[-rest:] = w[:rest]

    def _step(self, name: str, weights: Tensor, grads: Tensor, start: int) -> None:
        state, shape = self.moments[name], (-1, self.block)
        first = start // self.block
        rows = slice(first, first + len(weights) // self.block)
        if self.bits == 4 and simulate.as_gpu():  # what the compiled step was seen to write out
            written = torch.empty(STEP_4_BYTES * len(weights), dtype=torch.uint8)
            del written
        fused(_adam, self._compiled)(
            weights.view(shape), grads.view(shape), state.first[rows], state.second[rows],
            state.first_scale[rows], state.second_scale[rows], self._keys[self._number[name]],
            torch.tensor(start), self._scalars, self.bits,
        )  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """Return everything but the weights, by reference."""
        return {"bits": self.bits, "steps": self.steps,
                "moments": {n: m.tensors() for n, m in self.moments.items()}}  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state of the same parameters and bits."""
        if state["bits"] != self.bits or state["moments"].keys() != self.moments.keys():
            raise ValueError("the optimizer's state is of other parameters or another number of bits")
        self.steps = state["steps"]
        for name, tensors in state["moments"].items():
            for key, own in self.moments[name].tensors().items():
                own.copy_(tensors[key])
