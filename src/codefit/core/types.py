"""The nouns: small frozen types that flow from room to room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal


class Outcome(StrEnum):
    """What became of one program; never a boolean.

    `sandbox_failed` is our fault and never counts against the program; `not_run` marks plus
    tests that were skipped because a base test failed.
    """

    PASSED = "passed"
    WRONG_ANSWER = "wrong_answer"
    RUNTIME_ERROR = "runtime_error"
    SYNTAX_ERROR = "syntax_error"
    NO_CODE = "no_code"
    TIMEOUT = "timeout"
    MEMORY_LIMIT = "memory_limit"
    OUTPUT_LIMIT = "output_limit"
    TAMPERING = "tampering"
    NOT_RUN = "not_run"
    SANDBOX_FAILED = "sandbox_failed"


STDIN_CONTRACT = "Read from standard input and write to standard output."
"""What a request says whose tests are of kind `stdin`, where its own words do not."""

TestKind = Literal["asserts", "calls", "stdin", "unittest"]


@dataclass(frozen=True, slots=True)
class Tests:
    """The tests of a row or task, as data.

    `asserts`: `asserts` holds single-line `assert …` statements, run after `setup`.
    `calls`: `entry_point(*inputs[i])` must equal `outputs[i]`.
    `stdin`: the program reads `inputs[i]` and must print `outputs[i]`.
    `unittest`: `asserts` holds the text of one module with a class `TestCases` about `entry_point`.
    """

    kind: TestKind
    entry_point: str | None = None
    asserts: tuple[str, ...] = ()
    inputs: tuple[Any, ...] = ()
    outputs: tuple[Any, ...] = ()
    setup: str = ""

    def __len__(self) -> int:
        return len(self.asserts) if self.kind in ("asserts", "unittest") else len(self.inputs)


@dataclass(frozen=True, slots=True)
class Row:
    """One training row. `solutions` are the candidates that `verify` picks `response` from.

    `extra` is provenance for people and is never read by logic.
    """

    id: str
    source: str
    instruction: str
    response: str
    language: str | None = None
    tests: Tests | None = None
    solutions: tuple[str, ...] = ()
    difficulty: str | None = None
    tags: tuple[str, ...] = ()
    licence: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dropped:
    """A row that a step did not keep, and why."""

    row_id: str
    step: str
    reason: str


@dataclass(frozen=True, slots=True)
class Example:
    """One tokenised row: `labels[i]` is `token_ids[i]` where trained and -100 elsewhere."""

    token_ids: tuple[int, ...]
    labels: tuple[int, ...]
    row_id: str
    source: str = ""

    @property
    def trained_tokens(self) -> int:
        """Number of tokens that carry loss."""
        return sum(label != -100 for label in self.labels)


@dataclass(frozen=True, slots=True)
class Task:
    """One benchmark task. `tests` are the base tests; `plus` the additional ones, if any."""

    task_id: str
    prompt: str
    entry_point: str | None
    tests: Tests
    plus: Tests | None = None
    reference: str | None = None
    atol: float = 0.0
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model wrote for a task.

    `asked` is a hash of the prompt's token ids, `decoding` says how the answer was drawn; two models
    are compared only where both are the same.
    """

    task_id: str
    sample: int
    text: str
    tokens: int | None = None
    mean_logprob: float | None = None
    finish_reason: str | None = None
    min_logprob: float | None = None
    asked: str | None = None
    decoding: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judge found. `failed_test` holds input, expected and got of the first failure."""

    task_id: str
    sample: int
    outcome: Outcome
    base_outcome: Outcome | None = None
    plus_outcome: Outcome | None = None
    error: str | None = None
    failed_test: Mapping[str, Any] | None = None
    seconds: float | None = None
    peak_mb: float | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """One figure with its doubt: never a number alone."""

    suite: str
    revision: str
    harness: str
    metric: str
    value: float | None
    passed: int
    n: int
    ci95: tuple[float, float] | None
    excluded: tuple[str, ...] = ()
