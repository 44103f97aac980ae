"""Decontaminate: rows that give away a task of a test set, found by words, code, calls and behaviour.

Methods (each hit names one): `exact_prompt`, `ngram`, `fuzzy_prompt`, `entry_point`, `code` (the same
function but for names), `asserts` (the same calls with the same values) and `execution` (the
row's function passes the task's tests). A hit is `removed`, or `listed` for a person where it
is a generic primitive or evidence is weak.

Not covered: paraphrases without code that runs here (other languages, scripts), and tasks whose
tests are not plain calls, where only words and names can speak.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codefit.core.curation import DecontaminateSettings
from codefit.core.errors import InputError
from codefit.core.types import Dropped, Row, Task
from codefit.curate.calls import contradict
from codefit.curate.leaks.execute import ExecutionMatch, Pair, pairs
from codefit.curate.leaks.expected import with_expected
from codefit.curate.leaks.index import TaskIndex
from codefit.curate.leaks.signals import Evidence, gather
from codefit.curate.runner import Judgement, need
from codefit.curate.step import Context, Progress, StepResult
from codefit.sandbox import Sandbox

METHODS = ("exact_prompt", "asserts", "code", "execution", "ngram", "entry_point", "fuzzy_prompt")
"""Strongest first: a dropped row's reason names the first that hit."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One row against one task by one method; `action` is `removed` or `listed`."""

    row_id: str
    suite: str
    task_id: str
    method: str
    score: float
    action: str

    def record(self) -> dict[str, Any]:
        """Return the hit as a line of `hits.jsonl`."""
        return {
            "row_id": self.row_id,
            "suite": self.suite,
            "task_id": self.task_id,
            "method": self.method,
            "score": self.score,
            "action": self.action,
        }


@dataclass(frozen=True)
class Separation:
    """Rows that are separate from the test sets, the others with reasons, and all hits."""

    kept: list[Row]
    dropped: list[Dropped]
    hits: list[Hit]

    def summary(self) -> dict[str, Any]:
        """Return per suite: tasks touched, rows removed, and removed rows per method."""
        suites: dict[str, Any] = {}
        for suite in sorted({h.suite for h in self.hits}):
            removed = [h for h in self.hits if h.suite == suite and h.action == "removed"]
            methods = Counter(m for m, _ in sorted({(h.method, h.row_id) for h in removed}))
            suites[suite] = {
                "rows_removed": len({h.row_id for h in removed}),
                "tasks_touched": len({h.task_id for h in removed}),
                "rows_by_method": {m: methods[m] for m in METHODS if methods[m]},
                "rows_listed": len(
                    {h.row_id for h in self.hits if h.suite == suite and h.action == "listed"}
                ),
            }
        return suites


class Decontaminate:
    """Drops every row that a removed hit names."""

    name = "decontaminate"

    def __init__(self) -> None:
        self.hits: list[Hit] = []

    def run(self, rows: list[Row], ctx: Context) -> StepResult:
        """Separate the rows from the context's tasks; the hits stay in `hits`."""
        verified = {row.id for row in rows if ctx.fact(row.id, "verdict") == "passed"}
        separation = decontaminate(
            rows,
            ctx.tasks,
            settings=ctx.settings.decontaminate,
            sandbox=ctx.sandbox,
            cache=ctx.cache,
            verified=verified,
            on_progress=ctx.on_progress,
        )
        self.hits = separation.hits
        return StepResult(separation.kept, separation.dropped, {"suites": separation.summary()})


def decontaminate(
    rows: Iterable[Row],
    tasks: Mapping[str, Sequence[Task]],
    *,
    settings: DecontaminateSettings | None = None,
    sandbox: Sandbox | None = None,
    cache: Path | None = None,
    verified: Iterable[str] = (),
    on_progress: Progress = lambda done, total: None,
) -> Separation:
    """Separate rows from test tasks.

    `verified` names rows that passed tests of their own: where such a row's function fails a
    task's tests, words alone do not make it a leak. Raises `InputError` if a suite that the
    settings name is missing or empty, `MissingPrerequisite` without a sandbox unless
    `execution_match` is `off`, and `CodefitError` if the sandbox itself fails on any program.
    """
    settings = settings or DecontaminateSettings()
    rows, proven = list(rows), frozenset(verified)
    check_suites(tasks, settings)
    if settings.execution_match != "off":
        tasks = with_expected(tasks, need(sandbox, "execution match"))
    index = TaskIndex(tasks, ngram=settings.ngram, long_ngram=settings.long_ngram)
    evidence = [gather(row, index, settings) for row in rows]
    matches: dict[tuple[str, int], Judgement] = {}
    wanted: list[Pair] = []
    if settings.execution_match != "off" and index.targets:
        wanted = [pair for e in evidence for pair in pairs(e, index, settings, e.row.id in proven)]
        engine = ExecutionMatch(index, need(sandbox, "execution match"), cache, on_progress)
        try:
            matches = engine.passing(wanted, evidence)
        finally:
            engine.close()
    tried = {(pair.row_id, pair.target) for pair in wanted}
    decider = _Decider(index, settings, matches, tried, proven)
    hits = [hit for e in evidence for hit in decider.hits(e)]
    return _separate(rows, hits)


def check_suites(tasks: Mapping[str, Sequence[Task]], settings: DecontaminateSettings) -> None:
    """Raise `InputError` if a suite that rows must be separate from is not at hand."""
    for suite in settings.against:
        if not tasks.get(suite):
            raise InputError(
                f"the tasks of suite '{suite}' are not at hand, so separation from it cannot be shown",
                where="decontaminate.against",
                todo="give the suite's data file, or remove it from the list",
            )


def _separate(rows: list[Row], hits: list[Hit]) -> Separation:
    first: dict[str, Hit] = {}
    for hit in sorted(hits, key=lambda h: (METHODS.index(h.method), -h.score, h.suite, h.task_id)):
        if hit.action == "removed":
            first.setdefault(hit.row_id, hit)
    dropped = [
        Dropped(row.id, Decontaminate.name, f"leak:{h.suite}:{h.task_id}:{h.method}")
        for row in rows
        if (h := first.get(row.id))
    ]
    return Separation([row for row in rows if row.id not in first], dropped, hits)


@dataclass(frozen=True)
class _Decider:
    """Turns evidence and executions into hits by the stated policy."""

    index: TaskIndex
    settings: DecontaminateSettings
    matches: Mapping[tuple[str, int], Judgement]
    tried: set[tuple[str, int]]
    verified: frozenset[str]

    def hits(self, evidence: Evidence) -> list[Hit]:
        """Return the hits of one row, in order of task and method."""
        row_id = evidence.row.id
        found: defaultdict[int, dict[str, tuple[float, str]]] = defaultdict(dict)
        for i, methods in evidence.found.items():
            for method, score in methods.items():
                found[i][method] = (score, self._worded(evidence, i, method))
        for i, methods in evidence.weak.items():
            for method, score in methods.items():
                if method == "fuzzy_prompt" or method == "code":
                    found[i][method] = (score, "listed")
        for i, score, action in self._executed(evidence):
            found[i]["execution"] = (score, action)
        return [
            Hit(row_id, target.suite, target.task.task_id, method, score, action)
            for i in sorted(found)
            for target in (self.index.targets[i],)
            for method, (score, action) in sorted(found[i].items(), key=lambda kv: METHODS.index(kv[0]))
        ]

    def _worded(self, evidence: Evidence, i: int, method: str) -> str:
        """A verified row that behaves differently is not a leak for having similar words."""
        place = (evidence.row.id, i)
        failed = place in self.tried and not (place in self.matches and self.matches[place].passed)
        different = failed or contradict(evidence.calls, self.index.targets[i].calls)
        proven = evidence.row.id in self.verified and different
        return "listed" if proven and method in ("fuzzy_prompt", "ngram", "entry_point") else "removed"

    def _executed(self, evidence: Evidence) -> Iterable[tuple[int, float, str]]:
        mine = [i for i in self._targets(evidence) if self.matches[(evidence.row.id, i)].passed]
        distinct = len({self.index.targets[i].request.key for i in mine})
        smallest = min((f.nodes for f in evidence.functions), default=0)
        generic = distinct >= self.settings.generic_tasks or smallest <= self.settings.generic_nodes
        for i in mine:
            similarity = evidence.near(i)
            removed = similarity >= self.settings.support or not generic
            yield i, round(similarity, 3), "removed" if removed else "listed"

    def _targets(self, evidence: Evidence) -> list[int]:
        return [i for i in range(len(self.index.targets)) if (evidence.row.id, i) in self.matches]
