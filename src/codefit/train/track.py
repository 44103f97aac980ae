"""Trackers beside `log.jsonl`: TensorBoard's files, or what wandb, mlflow and trackio make of it.

Where a tracker sends its figures is set up as its own documentation says (environment, login); nothing is
sent anywhere unless the recipe names one.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from codefit.core.errors import MissingPrerequisite

_PROJECT = "codefit"
_PACKAGES = {"tensorboard": "codefit[track]", "wandb": "wandb", "mlflow": "mlflow", "trackio": "trackio"}


class Tracker(Protocol):
    """Whoever is told the figures of each step."""

    def log(self, figures: Mapping[str, float], step: int) -> None:
        """Take the figures of one step."""

    def close(self) -> None:
        """Write what is left."""


def require_trackers(names: Sequence[str]) -> None:
    """Raise `MissingPrerequisite` for the first tracker whose package is not installed."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise MissingPrerequisite(
                f"train.report_to names {name}, which is not installed",
                todo=f"pip install '{_PACKAGES[name]}', or remove it from report_to",
            )


class Trackers:
    """All trackers of one training; closed with it, whatever ends it."""

    def __init__(
        self, names: Sequence[str], folder: Path, run: str, settings: Mapping[str, Any], after: int
    ) -> None:
        """`after` is the step that training goes on from: what a tracker has of later ones is void."""
        require_trackers(names)
        self._closing = ExitStack()
        self._trackers: list[Tracker] = []
        for name in names:
            tracker = _OPEN[name](folder, run, settings, after)
            self._closing.callback(tracker.close)
            self._trackers.append(tracker)

    def log(self, entry: Mapping[str, Any]) -> None:
        """Pass on an entry of the log: its numbers, nested ones under `name/inner`."""
        if self._trackers:
            figures = dict(_numbers(entry, ""))
            for tracker in self._trackers:
                tracker.log(figures, entry["step"])

    def __enter__(self) -> Trackers:
        return self

    def __exit__(self, *exc: object) -> None:
        self._closing.close()


def _numbers(entry: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, float]]:
    for key, value in entry.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{key}/")
        elif isinstance(value, int | float) and not isinstance(value, bool) and key != "step":
            yield f"{prefix}{key}", float(value)


class _TensorBoard:
    def __init__(self, folder: Path, run: str, settings: Mapping[str, Any], after: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # purge_step hides what a killed run wrote of steps that are done again.
        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=after + 1 if after else None)
        self._writer.add_text("settings", "\n".join(f"    {k}: {v}" for k, v in settings.items()), after)

    def log(self, figures: Mapping[str, float], step: int) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _Wandb:
    def __init__(self, folder: Path, run: str, settings: Mapping[str, Any], after: int) -> None:
        wandb = importlib.import_module("wandb")
        self._run = wandb.init(project=_PROJECT, name=run, dir=str(folder), config=dict(settings))

    def log(self, figures: Mapping[str, float], step: int) -> None:
        self._run.log(dict(figures), step=step)

    def close(self) -> None:
        self._run.finish()


class _Mlflow:
    def __init__(self, folder: Path, run: str, settings: Mapping[str, Any], after: int) -> None:
        self._mlflow = importlib.import_module("mlflow")
        self._mlflow.set_experiment(_PROJECT)
        self._mlflow.start_run(run_name=run)
        self._mlflow.log_params(dict(settings))

    def log(self, figures: Mapping[str, float], step: int) -> None:
        self._mlflow.log_metrics(dict(figures), step=step)

    def close(self) -> None:
        self._mlflow.end_run()


class _Trackio:
    def __init__(self, folder: Path, run: str, settings: Mapping[str, Any], after: int) -> None:
        trackio = importlib.import_module("trackio")
        self._run = trackio.init(project=_PROJECT, name=run, config=dict(settings))

    def log(self, figures: Mapping[str, float], step: int) -> None:
        self._run.log(dict(figures), step=step)

    def close(self) -> None:
        self._run.finish()


_OPEN: dict[str, Callable[[Path, str, Mapping[str, Any], int], Tracker]] = {
    "tensorboard": _TensorBoard,
    "wandb": _Wandb,
    "mlflow": _Mlflow,
    "trackio": _Trackio,
}
