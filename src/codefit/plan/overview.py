"""What a budget allows: each way of tuning for each model, side by side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from codefit.plan.search import Wish, plan
from codefit.plan.shape import Shape

_WAYS = (("lora", 32), ("qlora", 32), ("full", 32), ("full", 8), ("full", 4))
_UNIT, _LONGEST = 256, 32_768  # tokens


@dataclass(frozen=True, slots=True)
class Way:
    """One way to tune one model inside a budget of bytes.

    `peak` bytes and `tokens_per_s` at the length that was asked for (its smallest peak where it does not fit);
    `longest` packed sequence that fits at all, in steps of 256 tokens, 0 where none does.
    """

    model: str
    method: str
    bits: int
    fits: bool
    peak: float
    tokens_per_s: float | None
    longest: int


def overview(shapes: Iterable[tuple[str, Shape]], max_length: int, budget: int, tflops: float) -> list[Way]:
    """Return every way for every shape, in the order of the shapes."""
    found = []
    for name, shape in shapes:
        for method, bits in _WAYS:
            classic = method == "full" and bits == 32
            batch = 16 if bits == 32 else 1
            wish = Wish(method, max_length, batch, 16, 4 if classic else 2, "cuda", bits=bits)
            best = plan(shape, wish, budget, tflops)
            longest = _longest(shape, replace(wish, batch_size=1), budget)
            found.append(Way(
                name, method, bits, best.fits, best.chosen.peak, best.tokens_per_s if best.fits else None, longest
            ))  # fmt: skip
    return found


def _longest(shape: Shape, wish: Wish, budget: int) -> int:
    """Return the longest sequence that fits, by bisection: more tokens never take less."""
    low, high = 0, _LONGEST // _UNIT
    while low < high:
        middle = (low + high + 1) // 2
        if plan(shape, replace(wish, max_length=middle * _UNIT), budget).fits:
            low = middle
        else:
            high = middle - 1
    return low * _UNIT
