"""What a recipe says about curation; every field changes something."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from codefit.core.settings import Settings

StepName = Literal[
    "normalise",
    "language",
    "syntax",
    "dedup_exact",
    "verify",
    "decontaminate",
    "dedup_near",
    "dedup_code",
    "quality",
    "select",
]
DEFAULT_STEPS: tuple[StepName, ...] = (
    "normalise",
    "language",
    "syntax",
    "dedup_exact",
    "verify",
    "decontaminate",
    "dedup_near",
    "dedup_code",
    "quality",
    "select",
)
LEVELS = ("EASY", "MEDIUM", "MEDIUM_HARD", "HARD", "VERY_HARD")
FEATURES = (
    "structure",
    "length",
    "naming",
    "documented",
    "comments",
    "lint",
    "complexity",
    "clarity",
    "complete",
    "evidence",
    "tidy",
    "model",
)


class NearDupSettings(Settings):
    """Near-duplicates by MinHash LSH (Broder 1997), each candidate pair checked by its true Jaccard."""

    threshold: float = Field(
        0.75, gt=0, le=1, description="Rows at this Jaccard similarity or above are one."
    )
    edits: int = Field(
        4, ge=0, le=50, description="Rows at most so many changed words apart are one too, above the floor."
    )
    floor: float = Field(0.5, gt=0, le=1, description="Least Jaccard similarity of rows a few edits apart.")
    shingle: int = Field(2, ge=1, le=10, description="Consecutive words or code tokens in one shingle.")
    permutations: int = Field(64, ge=16, le=512, description="Hash functions in a signature; more find more.")


class DedupCodeSettings(Settings):
    """Rows whose programs are one in normal form (names, wording and free order aside)."""

    nodes: int = Field(20, ge=0, description="Programs of fewer syntax nodes need like requests too.")
    data_nodes: int = Field(60, ge=0, description="The same for classes that hold data.")
    request: float = Field(0.3, ge=0, le=1, description="Share of the requests' stems that makes them alike.")


class DecontaminateSettings(Settings):
    """How rows that give away a test task are found; suites that cannot be loaded stop the run."""

    against: tuple[str, ...] = Field(
        (), description="Suites that must be at hand; a missing one is an error."
    )
    ngram: int = Field(10, ge=5, le=30, description="Shared words in a row that count as copied text.")
    long_ngram: int = Field(8, ge=5, le=30, description="The same where both prompts have 40 words or more.")
    containment: float = Field(
        0.6, ge=0, le=1, description="Share of the task's words (by weight) that copied text must come with."
    )
    fuzzy: float = Field(0.85, gt=0, le=1, description="Prompt similarity that is a leak by itself.")
    embedding: str | None = Field(
        None, description="Folder of an encoder, for neighbours by meaning; empty = none."
    )
    embedding_near: float = Field(
        0.85, gt=0, le=1, description="Cosine of embeddings that is a leak by itself; from 0.1 below, listed."
    )
    suspect: float = Field(
        0.6,
        gt=0,
        le=1,
        description="Prompt similarity from which a row whose program says nothing is listed for a person.",
    )
    support: float = Field(
        0.35,
        ge=0,
        le=1,
        description="Prompt similarity that weak evidence (name, generic code) needs beside it.",
    )
    candidate: float = Field(0.3, gt=0, le=1, description="Prompt similarity from which a pair is executed.")
    candidates_per_row: int = Field(
        8, ge=1, le=100, description="At most this many tasks are executed per row."
    )
    execution_match: Literal["off", "candidates", "all"] = Field(
        "candidates",
        description="Run rows' functions on tasks' tests: never, for pairs that a signal proposes, or all.",
    )
    unittests: bool = Field(
        False,
        description="Run rows' functions on tasks whose tests are unittest classes (BigCodeBench) too, for pairs that "
        "look alike; needs the suite's libraries.",
    )
    doubtful: Literal["keep", "remove"] = Field(
        "keep",
        description="Rows whose program gives the values of all of a task's calls, but may do so by accident or as a "
        "generic primitive: keep and list them with the reason, or remove them too.",
    )
    same_behaviour: float = Field(
        0.9,
        ge=0,
        le=1,
        description="Share of varied inputs with the reference's value that shows the same function.",
    )
    generic_tasks: int = Field(
        4,
        ge=1,
        description="A function that behaves as this many tasks ask is a generic primitive and needs support.",
    )
    generic_nodes: int = Field(
        12, ge=0, description="A function of at most this many syntax nodes is a generic primitive too."
    )


class VerifySettings(Settings):
    """How rows are run against their own tests."""

    solutions: Literal["first", "best"] = Field(
        "best", description="Take the first solution that passes, or the best of those that pass."
    )
    max_solutions: int = Field(6, ge=1, description="Candidate solutions tried per row: the first ones.")
    max_tests: int = Field(20, ge=1, description="Tests run per solution: the first ones.")
    test_cpu_s: float = Field(4.0, gt=0, description="CPU seconds per test.")
    memory_mb: int = Field(512, ge=32, description="Memory of one program in MiB.")
    atol: float = Field(1e-6, ge=0, description="Absolute tolerance for floating-point results.")
    untested: Literal["keep", "loads", "drop"] = Field(
        "loads",
        description="Rows without tests: keep unseen, keep those that load without error, or drop.",
    )
    unchecked: Literal["drop", "keep"] = Field(
        "drop",
        description="Rows with several right answers, whose solutions run but cannot be compared: drop or keep.",
    )
    convert: Literal["off", "replace", "add"] = Field(
        "replace",
        description="Rewrite programs that read and print as functions where that is proven the same: never, in "
        "place of the program's row, or as a second row beside it.",
    )
    convert_share: float = Field(
        0.3, ge=0, le=1, description="At most this share of the rows that read and print is rewritten."
    )
    runs: int = Field(2, ge=1, le=5, description="A solution must pass this many times in a row.")


class SelectSettings(Settings):
    """What is taken of the rows that are left."""

    rows: int | None = Field(None, ge=1, description="At most this many rows; empty = no limit.")
    tokens: int | None = Field(None, ge=1, description="At most this many tokens; empty = no limit.")
    diversity: float = Field(0.9, ge=0, le=1, description="Weight of what is new against quality.")
    max_share: dict[str, float] = Field(
        default_factory=dict, description="Largest share of the selected rows per source, by its name."
    )
    difficulty: dict[str, float] = Field(
        default_factory=dict,
        description=f"Wanted share per level ({', '.join(LEVELS)}); others fill what a level lacks.",
    )
    topics: dict[str, float] = Field(
        default_factory=dict, description="Largest share per topic, by a row's first topic; `*` is any other."
    )
    libraries: dict[str, float] = Field(
        default_factory=dict, description="Largest share of rows that import a library; `*` is any other."
    )
    pairs: Literal["one", "both"] = Field(
        "one",
        description="Of a program and the function added beside it (`verify.convert: add`): the row that scores "
        "better only, or both.",
    )

    @field_validator("max_share", "topics", "libraries")
    @classmethod
    def _shares(cls, value: dict[str, float]) -> dict[str, float]:
        if any(not 0 < share <= 1 for share in value.values()):
            raise ValueError("shares lie between 0 and 1")
        return value

    @field_validator("difficulty")
    @classmethod
    def _mix(cls, value: dict[str, float]) -> dict[str, float]:
        if unknown := sorted(set(value) - set(LEVELS)):
            raise ValueError(f"unknown level '{unknown[0]}'; known: {', '.join(LEVELS)}")
        if value and (min(value.values()) < 0 or not 0.99 < sum(value.values()) < 1.01):
            raise ValueError("the shares of the levels are not negative and sum to 1")
        return value


class CurateSettings(Settings):
    """The funnel: which steps in which order, and their settings."""

    steps: tuple[StepName, ...] = Field(DEFAULT_STEPS, description="Steps to run, in this order.")
    languages: tuple[str, ...] = Field(("python",), description="Languages of the answer that are kept.")
    max_prompt_chars: int = Field(8_000, ge=1, description="Longer requests are dropped.")
    max_response_chars: int = Field(8_000, ge=1, description="Longer answers are dropped.")
    must_define: bool = Field(
        False,
        description="Python answers must define a function or a class; programs with stdin tests need not.",
    )
    near_dup: NearDupSettings = Field(NearDupSettings(), description="Near-duplicate removal.")
    dedup_code: DedupCodeSettings = Field(DedupCodeSettings(), description="Same-program removal.")
    decontaminate: DecontaminateSettings = Field(
        DecontaminateSettings(), description="Separation from the test sets."
    )
    verify: VerifySettings = Field(VerifySettings(), description="Running rows against their tests.")
    weights: dict[str, float] = Field(
        default_factory=lambda: {
            "structure": 1.0,
            "length": 1.0,
            "naming": 0.5,
            "documented": 0.25,
            "comments": 0.25,
            "lint": 0.5,
            "complexity": 0.5,
            "clarity": 1.0,
            "complete": 1.0,
            "evidence": 2.0,
            "tidy": 0.5,
            "model": 1.0,
        },
        description=f"Weight of each quality feature: {', '.join(FEATURES)}.",
    )
    model_view: Literal["off", "ifd", "pass_rate"] = Field(
        "off",
        description="Ask the start model about every row that is left (feature `model`): never, its IFD, or the "
        "share of its own answers that pass the row's tests, drawn as in `sample`.",
    )
    view_samples: int = Field(
        4, ge=2, le=64, description="Answers per row for `model_view: pass_rate`; more tell rates apart."
    )
    select: SelectSettings = Field(SelectSettings(), description="Budget and mixture.")

    @field_validator("weights")
    @classmethod
    def _features(cls, value: dict[str, float]) -> dict[str, float]:
        unknown = sorted(set(value) - set(FEATURES))
        if unknown:
            raise ValueError(f"unknown feature '{unknown[0]}'; known: {', '.join(FEATURES)}")
        if any(weight < 0 for weight in value.values()) or not any(value.values()):
            raise ValueError("weights are not negative, and one is above 0")
        return value

    @field_validator("steps")
    @classmethod
    def _once(cls, value: tuple[StepName, ...]) -> tuple[StepName, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a step is named twice")
        if "select" in value and value[-1] != "select":
            raise ValueError("'select' comes last")
        return value
