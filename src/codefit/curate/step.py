"""What a step of the funnel is: rows in, kept rows and reasons out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from codefit.core.curation import CurateSettings
from codefit.core.types import Dropped, Row, Task
from codefit.sandbox import Sandbox
from codefit.suites.base import Suite

Progress = Callable[[int, int], None]
"""(done, total) of the running step."""

ModelView = Callable[[Sequence[Row]], Mapping[str, Mapping[str, float]]]
"""The start model's view of rows: row id -> `ifd`, `answer_perplexity`; rows that it cannot read are missing."""

_TOKEN = re.compile(r"\w{1,6}|[^\w\s]|\n")


def estimate_tokens(text: str) -> int:
    """Estimate a text's tokens without a tokenizer: pieces of up to six letters, signs, line ends."""
    return len(_TOKEN.findall(text))


Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]
"""Texts -> one unit vector per text."""


@dataclass(frozen=True)
class UnittestJudges:
    """Suites by name whose tests are unittest classes, ready to judge, and the sandbox of each.

    `cache` is where what their references did is kept.
    """

    suites: Mapping[str, Suite]
    sandbox_of: Callable[[Suite], Sandbox]
    cache: Path | None = None


@dataclass
class Context:
    """What steps share. `facts` holds, per row id, what steps found out (verdict, quality, …)."""

    settings: CurateSettings
    tasks: Mapping[str, Sequence[Task]]
    sandbox: Sandbox | None
    seed: int
    cache: Path | None = None
    count_tokens: Callable[[str], int] = estimate_tokens
    on_progress: Progress = lambda done, total: None
    model_view: ModelView | None = None
    embed: Embed | None = None
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    judges: UnittestJudges | None = None
    function_ids: frozenset[str] = frozenset()
    """Ids of function rows that were read: a second row must not get one of them."""

    def note(self, row_id: str, **facts: Any) -> None:
        """Remember facts on a row for later steps and for the row's provenance."""
        self.facts.setdefault(row_id, {}).update(facts)

    def fact(self, row_id: str, name: str, default: Any = None) -> Any:
        """Return a fact on a row that an earlier step noted."""
        return self.facts.get(row_id, {}).get(name, default)

    def row_tokens(self, row: Row) -> int:
        """Return the tokens of a row's request and answer."""
        return self.count_tokens(row.instruction) + self.count_tokens(row.response)


@dataclass(frozen=True)
class StepResult:
    """Kept rows (possibly changed, ids never) and the rest with reasons; `report` goes to the funnel.

    `added` are the ids of kept rows that did not come in: made by the step, beside the row they come from.
    """

    kept: list[Row]
    dropped: list[Dropped]
    report: dict[str, Any] = field(default_factory=dict)
    added: tuple[str, ...] = ()


class Step(Protocol):
    """One step of the funnel."""

    name: str

    def run(self, rows: list[Row], ctx: Context) -> StepResult:
        """Split the rows and those it adds into kept and dropped; every row is in exactly one of them."""
        ...


def split(name: str, rows: list[Row], reason: Callable[[Row], str | None], **report: Any) -> StepResult:
    """Return the result of a step that decides row by row: a reason drops the row."""
    kept: list[Row] = []
    dropped: list[Dropped] = []
    for row in rows:
        why = reason(row)
        if why is None:
            kept.append(row)
        else:
            dropped.append(Dropped(row.id, name, why))
    return StepResult(kept, dropped, report)
