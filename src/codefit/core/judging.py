"""The parts of a recipe that say how answers are judged and looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from codefit.core.origins import Revision
from codefit.core.settings import Settings

Positive = Annotated[int, Field(ge=1)]


class SuiteSettings(Settings):
    """One benchmark."""

    name: str = Field(description="mbpp, mbpp+, humaneval, bigcodebench, micro or a path to your own JSONL")
    data: Path | None = Field(
        None, description="file in its published layout; a relative one is below data_dir; null: the hub"
    )
    revision: Revision | None = Field(
        None, description="without data: of the benchmark's dataset on the hub; null: as it is at the start"
    )
    limit: Positive | None = Field(None, description="first N tasks only; marked on every figure")
    oracle: Literal["0.2", "0.3"] = Field("0.3", description="version of the comparison rules of MBPP(+)")
    split: Literal["complete", "instruct"] = Field(
        "instruct", description="which prompt of BigCodeBench is asked"
    )
    flavour: Literal["plain", "evalplus-0-shot", "mbpp-3-shot", "bigcodebench"] = Field(
        "plain", description="how tasks are put: `plain`, the prompt alone, or as a harness puts them"
    )
    variant: Literal["renamed", "reworded", "chinese"] | None = Field(
        None,
        description="the same tasks asked differently, to measure robustness; the gate takes it as a guard",
    )
    calibrated: bool = Field(True, description="put BigCodeBench's imports and signature before each answer")
    environment: str | None = Field(
        None, description="folder of BigCodeBench's libraries; default where `codefit env create` puts them"
    )
    guard: bool = Field(False, description="watched for loss only: the gate lets it lose up to 2 points")

    @model_validator(mode="after")
    def _a_variant_is_a_guard(self) -> SuiteSettings:
        if self.variant and self.guard:
            raise ValueError("guard changes nothing beside variant, which is only watched for loss as it is")
        return self


class AnalyseSettings(Settings):
    """What is looked at beside the verdicts."""

    traits: tuple[Literal["readability", "security", "efficiency"], ...] = Field(
        (), description="traits of programs to measure (extra analyse); efficiency runs them on larger inputs"
    )
    memorised_rows: Annotated[int, Field(ge=0)] = Field(
        0, description="training answers that the models are asked to finish from their first 20 tokens"
    )


class SandboxSettings(Settings):
    """Where programs run."""

    level: Literal["auto", "bwrap+namespaces", "namespaces", "container", "landlock+seccomp"] = Field(
        "auto", description="isolation level; auto takes the strongest there is"
    )
    jobs: Positive | None = Field(None, description="programs at the same time; default the number of cores")
