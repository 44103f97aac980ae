"""What the report takes for granted in the files of a run; more may stand in each of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

Record = dict[str, Any]
Interval = Annotated[list[FiniteFloat], Field(min_length=2, max_length=2)]


class Score(BaseModel):
    suite: str
    arm: str
    value: FiniteFloat | None = None
    ci95: Interval | None = None


class Comparison(BaseModel):
    suite: str
    before_arm: str
    after_arm: str
    before: FiniteFloat | Score | None = None
    after: FiniteFloat | Score | None = None
    points: FiniteFloat | None = None
    relative_percent: FiniteFloat | None = None
    ci95: Interval | None = None
    p_value: FiniteFloat | None = None
    fixed: int | None = None
    broken: int | None = None
    minimum_detectable_points: FiniteFloat | None = None


class Scores(BaseModel):
    model_config = ConfigDict(strict=True)
    scores: list[Score] = []
    comparisons: list[Comparison] = []


class Failures(BaseModel):
    n: int
    counts: dict[str, int]
    clusters: list[Record]


class Pair(BaseModel):
    before: str
    after: str
    churn: dict[str, Record]
    cases: list[Record]


class SuiteFindings(BaseModel):
    classes: dict[str, dict[str, str]]
    failures: dict[str, Failures]
    drift: dict[str, Record]
    similarity: dict[str, Record]
    pairs: list[Pair]


class Findings(BaseModel):
    layout: Literal[2]
    suites: dict[str, SuiteFindings] = {}
    traits: list[Record] | None = None
    opponents: list[Record] | None = None
    robustness: list[Record] | None = None


class Funnel(BaseModel):
    steps: list[Record] = []
    sources: list[Record] | None = None


class Plan(BaseModel):
    peak_mb: FiniteFloat | None = None
    budget_mb: FiniteFloat | None = None
    components_mb: dict[str, FiniteFloat] = {}
    phases_mb: dict[str, dict[str, FiniteFloat]] = {}
    settings: Record = {}
    rejected: list[Record] = []
    arms: dict[str, Record] = {}


class Recipe(BaseModel):
    arms: list[Record] | None = None
    train: Record | None = None


class Manifest(BaseModel):
    environment: Record | None = None


class Card(BaseModel):
    sources: dict[str, Record]
    mixture: Record
    suites: dict[str, Record]
    needs: dict[str, Record]
    overlap: Record
    topic_distance: list[Record]


class Planted(BaseModel):
    faults: list[Record] | None = None


class Format(BaseModel):
    arms: dict[str, Record] | None = None
    parity: Record | None = None
    previews: list[Record] | None = None


class Summary(BaseModel):
    overfit: Record | None = None
    peak_mb: FiniteFloat | None = None
    first_loss: FiniteFloat | None = None
    last_loss: FiniteFloat | None = None
