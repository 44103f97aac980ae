"""What a training watches while it runs, and the weights it is chosen from afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from codefit.core.origins import Revision
from codefit.core.settings import Settings

Positive = Annotated[int, Field(ge=1)]
Scale = Annotated[float, Field(ge=0, le=2)]
TrackerName = Literal["tensorboard", "wandb", "mlflow", "trackio"]
SCALES = (0.0, 0.25, 0.5, 0.75, 1.0)
_RESUMED = frozenset({"save_every", "validate_every", "develop", "choose", "report_to"})


class DevelopSettings(Settings):
    """A development set, which the model answers and whose answers are run; never a test set."""

    suite: str = Field(description="micro-dev, mbpp-dev or a path to your own JSONL; none that is evaluated")
    data: Path | None = Field(
        None, description="file in its published layout; a relative one is below data_dir; null: the hub"
    )
    revision: Revision | None = Field(None, description="without data: of the benchmark's dataset on the hub")
    limit: Positive | None = Field(None, description="first N tasks only")
    every: Positive | None = Field(None, description="steps between; null: only at the end")
    skip_overlap: bool = Field(
        False, description="leave out the tasks that a test set asks as well, instead of refusing"
    )


class ChooseSettings(Settings):
    """Weights to choose from after training, by the development set."""

    scales: tuple[Scale, ...] | None = Field(
        None, description="factors of the adapter's change; null: 0, .25, .5, .75, 1 for LoRA, none for full"
    )
    average_last: Annotated[int, Field(ge=2)] | None = Field(
        None, description="the average of the last K checkpoints, which are kept for it; null: no candidate"
    )

    @field_validator("scales")
    @classmethod
    def _differ(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is not None and (not value or len(set(value)) < len(value)):
            raise ValueError("must be different numbers, at least one")
        return value


class WatchSettings(Settings):
    """The part of `train` that decides what is looked at, and which of the weights are kept."""

    validation_rows: Annotated[int, Field(ge=0)] = Field(
        0, description="rows held out of training for the loss"
    )
    validate_every: Positive | None = Field(
        None, description="steps between losses of the held-out rows; null: only at the end"
    )
    early_stop: Positive | None = Field(
        None, description="stop after N validations in a row without a new best, keep the best; null: off"
    )
    develop: DevelopSettings | None = Field(
        None, description="development set for pass@1 while training, and for `choose`"
    )
    choose: ChooseSettings | None = Field(
        None, description="choose the weights on the development set; null: the last ones"
    )
    report_to: tuple[TrackerName, ...] = Field((), description="trackers beside log.jsonl")
    save_every: Positive = Field(50, description="steps between checkpoints")

    @property
    def kept_checkpoints(self) -> int:
        """How many of the last checkpoints are kept: two for a resume, more to average."""
        return max(2, (self.choose and self.choose.average_last) or 0)

    def decisive(self) -> dict[str, Any]:
        """Return the settings that decide the trained weights, and which checkpoints a choice averages.

        Not in it: what only watches; it may be another when a run is resumed.
        """
        kept = self.model_dump(
            mode="json", exclude=set(_RESUMED - {"validate_every"} if self.early_stop else _RESUMED)
        )
        if self.choose and self.choose.average_last:
            kept |= {"average_last": self.choose.average_last, "save_every": self.save_every}
        return kept

    def lasting(self) -> dict[str, Any]:
        """Return all that a run's results may depend on: `decisive`, and how weights are chosen."""
        develop = self.develop.model_dump(mode="json", exclude={"every"}) if self.develop else None
        choose = self.choose.model_dump(mode="json") if self.choose else None
        return {**self.decisive(), "develop": develop, "choose": choose}

    @field_validator("report_to")
    @classmethod
    def _named_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("names a tracker twice")
        return value

    @model_validator(mode="after")
    def _has_what_it_watches(self) -> WatchSettings:
        if self.validate_every and not self.validation_rows:
            raise ValueError("validate_every needs held-out rows; set validation_rows")
        if self.early_stop and not self.validate_every:
            raise ValueError("early_stop counts validations; set validate_every and validation_rows")
        if self.choose and self.develop is None:
            raise ValueError("choose needs a development set; set develop.suite")
        if self.choose and self.choose.average_last and self.early_stop:
            raise ValueError("choose.average_last is of the last checkpoints, but early_stop keeps the best")
        return self
