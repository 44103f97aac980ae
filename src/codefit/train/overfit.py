"""The over-fit verdict: one stated rule over the validation losses of a run's log."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

SHARE = 0.01
ERRORS = 2.0
RULE = (
    "over-fitted: the last validation loss is above the best one by more than 1 % "
    "and by more than 2 standard errors of that rise over the held-out rows"
)


def rise(now: Sequence[float], best: Sequence[float], tokens: Sequence[int]) -> tuple[float, float | None]:
    """Return by how much the loss per token rose from `best` to `now`, and the standard error of that.

    Both hold the summed loss of the same R rows, `tokens` the rows' trained tokens. The error is that of a
    ratio of sums with rows as clusters, paired by row, so what makes a row hard cancels (Cochran 1977,
    Sampling Techniques, 6.4); None for a single row.
    """
    total = sum(tokens)
    changes = [a - b for a, b in zip(now, best, strict=True)]
    mean = math.fsum(changes) / total
    n = len(changes)
    if n < 2:
        return mean, None
    spread = math.fsum((d - mean * t) ** 2 for d, t in zip(changes, tokens, strict=True))
    return mean, math.sqrt(n / (n - 1) * spread) / total


def verdict(validations: Sequence[Mapping[str, Any]], train_loss: float | None = None) -> dict[str, Any]:
    """Return the verdict with its rule and numbers.

    `validations` are the log's entries with a `val_loss`: `step`, `val_loss`, `val_rise` over the best
    before it and its standard error `val_rise_se`. `train_loss` is the mean training loss since the last
    but one of them; the gap to the validation loss is shown and is no part of the rule, as rows differ.
    """
    found: dict[str, Any] = {"verdict": "not measured", "rule": RULE, "validations": len(validations)}
    if len(validations) < 2:
        return found | {"why": "fewer than two validations"}
    best = min(validations, key=lambda v: (v["val_loss"], v["step"]))
    last = validations[-1]
    noise = None if best is last else last["val_rise_se"]
    found |= {
        "best_step": best["step"],
        "best": best["val_loss"],
        "last_step": last["step"],
        "last": last["val_loss"],
        "rise": last["val_loss"] - best["val_loss"],
        "rise_se": noise,
        "train_loss": train_loss,
        "gap": None if train_loss is None else last["val_loss"] - train_loss,
    }
    if best is last:
        return found | {"verdict": "not over-fitted"}
    if noise is None:
        return found | {"why": "one held-out row says nothing of the noise"}
    over = found["rise"] > SHARE * best["val_loss"] and found["rise"] > ERRORS * noise
    return found | {"verdict": "over-fitted" if over else "not over-fitted"}


def training_loss(log: Sequence[Mapping[str, Any]], validations: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the mean training loss of the steps since the last but one validation, None where none is logged."""
    if len(validations) < 2:
        return None
    first, last = validations[-2]["step"], validations[-1]["step"]
    losses = [e["loss"] for e in log if first < e["step"] <= last]
    return math.fsum(losses) / len(losses) if losses else None


def line(found: Mapping[str, Any]) -> str:
    """Return the verdict as one line for people, with its rule."""
    if "best" not in found:
        return f"over-fit: not measured ({found['why']})"
    numbers = f"validation loss {found['last']:.4f} at step {found['last_step']}, "
    if found["best_step"] == found["last_step"]:
        numbers += "the best"
    else:
        noise = "unknown" if found["rise_se"] is None else f"{found['rise_se']:.4f}"
        numbers += f"{found['rise']:.4f} above the best at step {found['best_step']}, standard error {noise}"
    return f"{found['verdict']}: {numbers}; rule: {found['rule']}"
