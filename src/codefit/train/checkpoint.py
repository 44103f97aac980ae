"""Checkpoints: one file, written whole or not at all; the last ones and the best are kept."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from codefit.core.errors import InputError
from codefit.core.files import atomic_path, telling_full_disk

_NAME = re.compile(r"step-(\d{7})\.pt")


class Optimizer(Protocol):
    """What a checkpoint needs of an optimizer."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where training stands; with the seed it fixes what comes next."""

    step: int = 0
    trained_tokens: int = 0
    epoch: int = 0
    next_bin: int = 0


def files(folder: Path) -> list[Path]:
    """Return the checkpoint files, the newest last."""
    return sorted(p for p in folder.glob("step-*.pt") if _NAME.fullmatch(p.name))


def latest(folder: Path) -> Path | None:
    """Return the newest checkpoint file, or None."""
    found = files(folder)
    return found[-1] if found else None


def of_step(folder: Path, step: int) -> Path:
    """Return the file of a step's checkpoint."""
    return folder / f"step-{step:07d}.pt"


def step_of(path: Path) -> int:
    """Return the step of a checkpoint's file."""
    return int(path.stem.removeprefix("step-"))


def save(
    folder: Path, cursor: Cursor, job: str, weights: Mapping[str, Tensor], optimizer: Optimizer,
    watched: Mapping[str, Any], *, keep: int = 2, best: int | None = None,
) -> None:  # fmt: skip
    """Write a checkpoint of parameters, optimizer and what was watched; drop all but the last `keep`.

    The checkpoint of step `best` is kept beside them.
    """
    state = {
        "cursor": [cursor.step, cursor.trained_tokens, cursor.epoch, cursor.next_bin],
        "job": job,
        "weights": {n: p.detach() for n, p in weights.items()},
        "optimizer": optimizer.state_dict(),
        "watched": dict(watched),
    }
    with atomic_path(of_step(folder, cursor.step)) as temp, telling_full_disk(folder):
        torch.save(state, temp)
    kept = {*files(folder)[-keep:], *([] if best is None else [of_step(folder, best)])}
    for old in files(folder):
        if old not in kept:
            old.unlink()


def restore(
    path: Path, job: str, weights: Mapping[str, Tensor], optimizer: Optimizer
) -> tuple[Cursor, dict[str, Any]]:
    """Load a checkpoint into parameters and optimizer; raises `InputError` for another job's.

    Returns where training stands, and what was watched.
    """
    state = _read(path)
    if state["job"] != job:
        raise InputError(
            "the checkpoint belongs to other rows, settings or start model",
            where=str(path),
            todo="undo the change, or start over with --fresh",
        )
    load_weights(weights, state["weights"])
    optimizer.load_state_dict(state["optimizer"])
    return Cursor(*state["cursor"]), state["watched"]


@torch.no_grad()
def load_weights(weights: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Copy values into trained tensors of the same names."""
    for name, parameter in weights.items():
        parameter.copy_(values[name])


def weights_of(path: Path) -> dict[str, Tensor]:
    """Return the trained tensors of a checkpoint, on the CPU."""
    weights: dict[str, Tensor] = _read(path)["weights"]
    return weights


def average(paths: Sequence[Path]) -> dict[str, Tensor]:
    """Return the mean of several checkpoints' trained tensors, summed in float32 or more, on the CPU.

    Source: averaging the last checkpoints of one run, Vaswani et al. 2017, section 6.1. Of LoRA the two
    factors are averaged, each by itself.
    """
    total: dict[str, Tensor] = {}
    for path in paths:
        for name, value in weights_of(path).items():
            exact = value.to(torch.promote_types(value.dtype, torch.float32))
            total[name] = total[name] + exact if name in total else exact
    return {name: value / len(paths) for name, value in total.items()}


def discard_foreign(folder: Path, job: str) -> bool:
    """Remove the checkpoints of another job, whose rows or settings are gone; return whether there were any."""
    newest = latest(folder)
    if newest is None or _read(newest)["job"] == job:
        return False
    for path in files(folder):
        path.unlink()
    return True


def _read(path: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as e:
        raise InputError(f"damaged checkpoint: {e}", where=str(path), todo="delete the file") from e
    return state
