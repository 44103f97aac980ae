"""The embedded default: a world of small tasks of our own making and a tiny model, both stand-ins."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from codefit.micro.planted import planted_faults
from codefit.micro.raw import raw_rows, raw_tables
from codefit.micro.tasks import tasks

__all__ = ["model_path", "planted_faults", "raw_rows", "raw_tables", "tasks"]


def model_path() -> Path:
    """Return the folder of the embedded model: weights, configuration, tokenizer."""
    return Path(str(files("codefit.micro").joinpath("model")))
