"""A figure that is no number stops a training, and says on which rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codefit.core.errors import CodefitError
from codefit.core.files import write_json
from codefit.core.types import Example

FILE = "diverged.json"


class LossDiverged(CodefitError):
    """A loss, or the gradient norm, is not a finite number any more."""


def stop(
    folder: Path, step: int, what: str, figures: dict[str, float], bins: Sequence[Sequence[Example]]
) -> LossDiverged:
    """Write `diverged.json`, whole or not at all, and return the error to raise.

    `bins` are the batch as it was packed; the file holds each row's id, token ids and labels. Log and
    checkpoints stay as they were before the step, so the same command goes on from there.
    """
    batch = [
        [{"row_id": e.row_id, "token_ids": list(e.token_ids), "labels": list(e.labels)} for e in members]
        for members in bins
    ]
    found: dict[str, Any] = {
        "step": step,
        "what": what,
        # JSON has no NaN and no infinity
        "figures": {name: repr(float(value)) for name, value in figures.items()},
        "rows": [e.row_id for members in bins for e in members],
        "bins": batch,
    }
    write_json(folder / FILE, found)
    return LossDiverged(
        f"{what} is not finite at step {step}; its rows are in {FILE}",
        where=str(folder),
        todo="lower train.learning_rate",
    )
