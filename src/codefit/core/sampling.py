"""What a recipe says about rejection sampling; every field changes something."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from codefit.core.settings import Settings

Positive = Annotated[int, Field(ge=1)]


class SampleSettings(Settings):
    """The model answers curated requests several times; what passes the row's tests becomes a row."""

    rows: tuple[Literal["tests", "examples", "failed"], ...] = Field(
        ("tests",),
        min_length=1,
        description="rows that are asked: curated ones with tests, those whose answer keeps an example of the "
        "request, those that verification dropped because none of their solutions passes",
    )
    prompts: Positive | None = Field(None, description="ask at most this many rows, drawn by seed; null: all")
    least_tests: Annotated[int, Field(ge=0, le=200)] = Field(
        8,
        description="a row with fewer tests of calls gets more: inputs changed from its own, valued by its answer",
    )
    samples: Annotated[int, Field(ge=2, le=256)] = Field(8, description="answers per row")
    temperature: Annotated[float, Field(gt=0, le=2)] = 0.8
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    max_new_tokens: Positive | None = Field(None, description="null: as in `generate`")
    keep: Positive = Field(2, description="at most this many different passing answers are kept of a row")
    all_pass_share: Annotated[float, Field(ge=0, le=1)] = Field(
        0.3, description="at most this share of the kept rows' requests may be ones that every answer passed"
    )
    curated: Literal["unsolved", "all"] = Field(
        "unsolved",
        description="rows `curated+sampled`: curated answers only where no own one was kept, or all of them",
    )
    curated_share: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="rows `curated+sampled`: at most this share of them are curated; null: no limit"
    )
    library_share: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None,
        description="with curated_share: curated rows that import a library go first until so much of all rows do, "
        "as far as there are any; null: drawn like the others",
    )
    replay: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0,
        description="share of own answers to requests without tests, marked unverified, among the own ones",
    )
    hours: Annotated[float, Field(gt=0)] | None = Field(
        None, description="stop asking after so long, all runs together; raise it to go on. null: no limit"
    )

    @field_validator("rows")
    @classmethod
    def _named_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("names a kind of rows twice")
        return value

    @model_validator(mode="after")
    def _libraries_have_room(self) -> SampleSettings:
        if self.library_share is not None and self.curated_share is None:
            raise ValueError("library_share orders the rows that curated_share leaves; set that too")
        return self

    def lasting(self) -> dict[str, Any]:
        """Return what a run's results belong to; more hours go on with the same run."""
        return self.model_dump(mode="json", exclude={"hours"})


class GrpoSettings(Settings):
    """Arms with `objective: grpo`: policy gradients whose reward is passing the tests, by TRL (extra trl)."""

    steps: Positive = Field(100, description="optimizer steps")
    prompts: Positive = Field(4, description="requests in one step")
    answers: Annotated[int, Field(ge=2, le=256)] = Field(
        8, description="answers per request, each rewarded against the others' mean"
    )
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 1e-5
    temperature: Annotated[float, Field(gt=0, le=2)] = 1.0
    max_new_tokens: Positive | None = Field(None, description="null: as in `generate`")
    beta: Annotated[float, Field(ge=0)] = Field(
        0.04, description="weight of the divergence from the start model, read with the adapters off; 0: none"
    )
