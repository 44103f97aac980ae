"""What a training looks at beside its steps, and what it remembers of it for the next look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from codefit.core.recipe import TrainSettings
from codefit.core.types import Example
from codefit.train.held_out import HeldOut, look
from codefit.train.overfit import rise, verdict
from codefit.train.steps import Steps

Develop = Callable[[Any], dict[str, Any]]
"""Let a model, as it stands in training, answer the development set: `suite`, `passed`, `n`, `ci95`, …"""


class NotFinite(Exception):
    """The validation loss, or the divergence, is no number."""

    def __init__(self, figures: dict[str, float]) -> None:
        self.figures = figures
        super().__init__(str(figures))


class Watch:
    """The looks at one training: none of them changes a weight or draws a random number.

    What it remembers goes into every checkpoint, so that a resumed run judges and stops as one that was
    never killed.
    """

    def __init__(
        self, settings: TrainSettings, validation: Sequence[Example], develop: Develop | None
    ) -> None:
        self._settings, self._rows, self._develop = settings, validation, develop
        self._size = settings.micro_batch or settings.batch_size
        self.validations: list[dict[str, Any]] = []
        self.developed: dict[str, Any] | None = None
        self._best: dict[str, Any] | None = None

    def look(self, steps: Steps, step: int, ends: bool) -> dict[str, Any]:
        """Return what is due after a step, as fields of its log entry; raises `NotFinite`."""
        found: dict[str, Any] = {}
        every, settings = self._settings.validate_every, self._settings
        if self._rows and (ends or (every and step % every == 0)):
            found |= self._validate(look(steps, self._rows, self._size), step)
        develop = settings.develop
        if (
            self._develop
            and develop
            and (ends or self.stopped or (develop.every and step % develop.every == 0))
        ):
            self.developed = self._answered(steps, self._develop)
            found["develop"] = self.developed
        return found

    def _validate(self, seen: HeldOut, step: int) -> dict[str, Any]:
        if not seen.finite:
            raise NotFinite({"val_loss": seen.loss, "kl_to_start": seen.kl or 0.0})
        best = self._best["losses"] if self._best else seen.losses
        rose, error = rise(seen.losses, best, seen.tokens)
        entry = {"val_loss": seen.loss, "val_loss_by_source": seen.by_source(), "kl_to_start": seen.kl,
                 "val_rise": rose, "val_rise_se": error}  # fmt: skip
        self.validations.append({"step": step, **entry})
        if self._best is None or seen.loss < self._best["val_loss"]:
            self._best = {"step": step, "val_loss": seen.loss, "losses": list(seen.losses)}
        return entry

    def _answered(self, steps: Steps, develop: Develop) -> dict[str, Any]:
        steps.forget()
        steps.outer.eval()
        try:
            return develop(steps.outer)
        finally:
            steps.outer.train()

    @property
    def best_step(self) -> int | None:
        """The step with the lowest validation loss, the first of equal ones."""
        return self._best["step"] if self._best else None

    @property
    def stopped(self) -> bool:
        """Whether `early_stop` validations in a row brought no new best."""
        patience = self._settings.early_stop
        since = sum(v["step"] > (self.best_step or 0) for v in self.validations)
        return patience is not None and since >= patience

    @property
    def kept_step(self) -> int | None:
        """The step whose weights are kept in the end, None for the last one."""
        return self.best_step if self._settings.early_stop else None

    def summary(self, last_step: int) -> dict[str, Any]:
        """Return what the looks found, of the weights that are kept."""
        kept = self.kept_step or last_step
        seen = next((v for v in self.validations if v["step"] == kept), {})
        patience = self._settings.early_stop
        return {
            **{k: seen.get(k) for k in ("val_loss", "val_loss_by_source", "kl_to_start")},
            "kept_step": kept,
            "early_stop": {"patience": patience, "stopped": self.stopped} if patience else None,
            "develop": self.developed,
        }

    def state(self) -> dict[str, Any]:
        """Return what is remembered, as plain data."""
        return {"validations": self.validations, "developed": self.developed, "best": self._best}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what a checkpoint remembers."""
        self.validations = state["validations"]
        self.developed, self._best = state["developed"], state["best"]

    def line(self) -> str:
        """Return the last looks for a progress line."""
        text = ""
        if self.validations:
            last = self.validations[-1]
            text += f", validation {last['val_loss']:.3f}"
            text += "" if last["kl_to_start"] is None else f", KL {last['kl_to_start']:.3f}"
        if self.developed and self.developed["passed"] is not None:
            text += f", {self.developed['suite']} {self.developed['passed']}/{self.developed['n']}"
        return text


def unwatched(log: list[dict[str, Any]], last_step: int) -> dict[str, Any]:
    """Return a training's part of the summary where nothing but the last held-out loss was looked at."""
    return {
        "val_loss": log[-1].get("val_loss"), "val_loss_by_source": None, "kl_to_start": None,
        "kept_step": last_step, "early_stop": None, "develop": None, "overfit": verdict([]),
    }  # fmt: skip
