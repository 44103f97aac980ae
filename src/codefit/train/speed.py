"""How fast a training is and what memory it takes, each step and in all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from codefit.core.recipe import TrainSettings
from codefit.core.units import MIB
from codefit.plan.cards import peak_tflops
from codefit.plan.search import flops_per_token
from codefit.plan.setting import Setting
from codefit.plan.shape import Shape, read_shape

FORMULA = (
    "FLOPs per token: 6N for full tuning, 4N for LoRA, N the matrix parameters with the head; plus causal "
    "attention over each document's own length, 2 * L * h * T a forward pass; what is recomputed is not "
    "counted; divided by the card's dense bfloat16 peak"
)


class Meter:
    """Turns a step's documents and seconds into figures; what a device cannot tell is None.

    MFU (model FLOPs utilisation, Chowdhery et al. 2022, appendix B) is of bfloat16 weights on a card whose
    peak is known: float32 runs on other units, and a CPU has no one peak.
    """

    def __init__(self, model: Path, settings: TrainSettings, head_VD: Tensor) -> None:
        self._method = settings.method
        self._device = head_VD.device
        on_card = self._device.type == "cuda"
        card = peak_tflops(torch.cuda.get_device_name(self._device)) if on_card else None
        self._peak = card if head_VD.dtype == torch.bfloat16 else None
        self._shape = read_shape(model / "config.json") if self._peak else None

    def step(self, lengths: Sequence[int], seconds: float) -> dict[str, float | None]:
        """Return tokens/s without padding, MFU as a share, and MiB reserved so far at most."""
        return {
            "tokens_per_s": round(sum(lengths) / seconds, 1),
            "mfu": self._mfu(lengths, seconds),
            "peak_mb": self._peak_mb(),
        }

    def _mfu(self, lengths: Sequence[int], seconds: float) -> float | None:
        if self._peak is None or self._shape is None:
            return None
        return round(model_flops(self._shape, self._method, lengths) / seconds / self._peak / 1e12, 4)

    def _peak_mb(self) -> float | None:
        if self._device.type != "cuda":
            return None
        return round(int(torch.cuda.max_memory_reserved(self._device)) / MIB, 1)


def model_flops(shape: Shape, method: str, lengths: Sequence[int]) -> float:
    """Return the FLOPs of one training step on documents of these lengths, by `FORMULA`."""
    return sum(n * flops_per_token(shape, Setting(method, 1, n, 0, 0, 2, "cuda")) for n in lengths)


def summary(log: Sequence[dict[str, Any]], planned_mb: float | None) -> dict[str, Any]:
    """Return speed (medians over the steps) and peak memory against the plan's figure, from the log."""
    speeds = [e["tokens_per_s"] for e in log if e.get("tokens_per_s") is not None]
    shares = [e["mfu"] for e in log if e.get("mfu") is not None]
    peaks = [e["peak_mb"] for e in log if e.get("peak_mb") is not None]
    measured = max(peaks, default=None)
    against = 100 * (measured - planned_mb) / planned_mb if measured and planned_mb else None
    return {
        "speed": {
            "tokens_per_s": median(speeds) if speeds else None,
            "mfu": median(shares) if shares else None,
            "mfu_formula": FORMULA,
        },
        "peak_mb": measured,
        "memory": {
            "measured_mb": measured,
            "planned_mb": planned_mb,
            "difference_percent": None if against is None else round(against, 1),
        },
    }
