"""What a recipe says about its arms: the models that are tuned and compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from codefit.core.errors import did_you_mean
from codefit.core.origins import Name, SourceSettings
from codefit.core.settings import Settings


class ArmSettings(Settings):
    """One tuned model: which rows it learns from, and what it does otherwise than `train`."""

    name: Name
    rows: Literal["curated", "raw", "random", "sampled", "curated+sampled"] = Field(
        "curated", description="`sampled`: a model's own answers that pass their tests, by `sample`"
    )
    sources: Annotated[tuple[Name, ...], Field(min_length=1)] | None = Field(
        None, description="rows of these sources only, by their names; null: of all"
    )
    share: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0,
        description="learn from this share of the rows, drawn by the recipe's seed; a larger share holds the "
        "rows of every smaller one, and all shares hold out the same validation rows",
    )
    sampled_from: Name | None = Field(
        None, description="rows sampled: the arm whose tuned model answers; null: the start model"
    )
    objective: Literal["answers", "grpo"] = Field(
        "answers",
        description="`answers`: learn the rows' answers; `grpo`: be rewarded for passing their tests",
    )
    budget: Literal["tokens", "epochs"] = Field(
        "tokens",
        description="`tokens`: as many trained tokens as the first arm, so fewer rows are seen more often; "
        "`epochs`: `train.epochs` times over the arm's own rows",
    )
    train: dict[str, Any] = Field(default_factory=dict, description="overrides of single `train` fields")

    @property
    def samples(self) -> bool:
        """Whether the arm learns from a model's own answers."""
        return self.rows in ("sampled", "curated+sampled")

    @property
    def part(self) -> tuple[str, tuple[str, ...] | None, float]:
        """What decides which rows of a run are the arm's: their kind, sources and share."""
        return self.rows, self.sources, self.share

    @field_validator("sources")
    @classmethod
    def _named_once(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and len(set(value)) < len(value):
            raise ValueError("names a source twice")
        return value and tuple(sorted(value))

    @model_validator(mode="after")
    def _rows_are_sound(self) -> ArmSettings:
        if self.sampled_from and not self.samples:
            raise ValueError("sampled_from is for rows sampled or curated+sampled")
        if self.objective == "grpo" and self.rows != "curated":
            raise ValueError("objective grpo asks curated rows; leave rows as it is")
        partial = "sources" if self.sources else "share" if self.share < 1 else None
        if partial and self.samples:
            raise ValueError(
                f"{partial} is for rows curated, raw or random; `sample` says which rows a model answers"
            )
        if partial and self.objective == "grpo":
            raise ValueError(f"{partial} is for arms that learn answers; `sample.rows` says what grpo asks")
        return self


def source_fault(wanted: Sequence[str], sources: Sequence[SourceSettings]) -> str | None:
    """Return what is wrong with the sources that an arm names, None where the recipe has them all."""
    known = sorted({name for source in sources if (name := source.row_source)})
    missing = next((name for name in wanted if name not in known), None)
    if missing is None:
        return None
    hint = did_you_mean(missing, known) or f"known: {', '.join(known) or 'none'}"
    unnamed = any(source.row_source is None for source in sources)
    return f"no source '{missing}' ({hint})" + ("; a local file needs a `name`" if unnamed else "")
