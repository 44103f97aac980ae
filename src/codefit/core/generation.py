"""The parts of a recipe that say how models answer, and which other models answer too."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from codefit.core.settings import Settings

Weights = Literal["plain", "nf4", "int8"]
MOST_SAMPLES = 1000


class GenerateSettings(Settings):
    """How completions are drawn; greedy unless a temperature is set."""

    max_new_tokens: Annotated[int, Field(ge=1)] = Field(512, description="tokens of the longest answer")
    batch_size: Annotated[int, Field(ge=1)] | None = Field(
        None, description="sequences decoded at once, at most; null: as many as fit the memory"
    )
    temperature: Annotated[float, Field(ge=0, le=10)] = Field(0.0, description="0 takes the likeliest token")
    top_p: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0, description="only the likeliest tokens up to this share are drawn"
    )
    samples: Annotated[int, Field(ge=1, le=MOST_SAMPLES)] = Field(
        1, description="answers to each task; pass@k is estimated up to as many"
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = Field(
        None, description="of what is drawn; null: the recipe's"
    )

    @model_validator(mode="after")
    def _greedy_draws_nothing(self) -> GenerateSettings:
        if fault := greedy_fault(self.temperature, self.top_p, self.samples, self.seed):
            raise ValueError(fault)
        return self


def greedy_fault(temperature: float, top_p: float, samples: int, seed: int | None) -> str | None:
    """Return what is wrong with settings of sampling where nothing is drawn, None where they are sound."""
    if temperature > 0:
        return None
    idle = {"samples": samples > 1, "top_p": top_p < 1, "seed": seed is not None}
    names = [name for name, is_set in idle.items() if is_set]
    return f"{' and '.join(names)} change nothing at temperature 0; set a temperature" if names else None
