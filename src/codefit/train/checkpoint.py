"""Checkpoints: one file, written whole or not at all, the last two kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
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


def latest(folder: Path) -> Path | None:
    """Return the newest checkpoint file, or None."""
    found = sorted(p for p in folder.glob("step-*.pt") if _NAME.fullmatch(p.name))
    return found[-1] if found else None


def save(folder: Path, cursor: Cursor, job: str, weights: Mapping[str, Tensor], optimizer: Optimizer) -> None:
    """Write a checkpoint of the trained parameters and the optimizer, and drop all but two."""
    state = {
        "cursor": [cursor.step, cursor.trained_tokens, cursor.epoch, cursor.next_bin],
        "job": job,
        "weights": {n: p.detach() for n, p in weights.items()},
        "optimizer": optimizer.state_dict(),
    }
    with atomic_path(folder / f"step-{cursor.step:07d}.pt") as temp, telling_full_disk(folder):
        torch.save(state, temp)
    for old in sorted(folder.glob("step-*.pt"))[:-2]:
        old.unlink()


def restore(path: Path, job: str, weights: Mapping[str, Tensor], optimizer: Optimizer) -> Cursor:
    """Load a checkpoint into parameters and optimizer; raises `InputError` for another job's."""
    state = _read(path)
    if state["job"] != job:
        raise InputError(
            "the checkpoint belongs to other rows, settings or start model",
            where=str(path),
            todo="undo the change, or start over with --fresh",
        )
    with torch.no_grad():
        for name, parameter in weights.items():
            parameter.copy_(state["weights"][name])
    optimizer.load_state_dict(state["optimizer"])
    return Cursor(*state["cursor"])


def discard_foreign(folder: Path, job: str) -> bool:
    """Remove the checkpoints of another job, whose rows or settings are gone; return whether there were any."""
    newest = latest(folder)
    if newest is None or _read(newest)["job"] == job:
        return False
    for path in folder.glob("step-*.pt"):
        path.unlink()
    return True


def _read(path: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as e:
        raise InputError(f"damaged checkpoint: {e}", where=str(path), todo="delete the file") from e
    return state
