"""Decontaminate: rows that give away a task of a test set, found by words, code, calls and behaviour.

Methods (each hit names one): `exact_prompt`, `ngram`, `fuzzy_prompt`, `entry_point`, `code` (the same
function but for names), `asserts` (the same calls with the same values) and `execution` (the
row's function passes the task's tests). A hit is `removed`, or `listed` for a person where it
is a generic primitive or evidence is weak.

Not covered: paraphrases without code that runs here (languages other than Python, JavaScript and Java), and tasks
whose tests are unittest classes where nothing judges them: then only words, names and equal code can speak.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from codefit.core.curation import DecontaminateSettings
from codefit.core.errors import InputError
from codefit.core.types import Dropped, Row, Task
from codefit.curate.calls import contradict
from codefit.curate.leaks.execute import ExecutionMatch
from codefit.curate.leaks.expected import with_expected
from codefit.curate.leaks.index import TaskIndex
from codefit.curate.leaks.match import Match
from codefit.curate.leaks.neighbours import add_neighbours
from codefit.curate.leaks.policy import doubt
from codefit.curate.leaks.signals import Evidence, gather
from codefit.curate.leaks.unittests import Passed, unittest_matches
from codefit.curate.leaks.words import opposed
from codefit.curate.runner import need
from codefit.curate.step import Context, Embed, Progress, StepResult, UnittestJudges
from codefit.sandbox import Sandbox

_SUSPECTED = 3
METHODS = (
    "exact_prompt",
    "asserts",
    "code",
    "execution",
    "ngram",
    "entry_point",
    "fuzzy_prompt",
    "embedding",
)
"""Strongest first: a dropped row's reason names the first that hit."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One row against one task by one method; `action` is `removed` or `listed`.

    `detail` says for executions what ran, how it was called, and on how much it agrees with the reference.
    """

    row_id: str
    suite: str
    task_id: str
    method: str
    score: float
    action: str
    reason: str = ""
    detail: str = ""

    def record(self) -> dict[str, Any]:
        """Return the hit as a line of `hits.jsonl`."""
        return {
            "row_id": self.row_id,
            "suite": self.suite,
            "task_id": self.task_id,
            "method": self.method,
            "score": self.score,
            "action": self.action,
            "reason": self.reason,
            **({"detail": self.detail} if self.detail else {}),
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


def review(
    rows: Iterable[Row], tasks: Mapping[str, Sequence[Task]], hits: Iterable[Hit]
) -> Iterator[dict[str, Any]]:
    """Yield what a person needs to decide on each listed hit of the rows: the hit with both texts."""
    kept = {row.id: row for row in rows}
    prompts = {(suite, task.task_id): task.prompt for suite, members in tasks.items() for task in members}
    for hit in hits:
        row = kept.get(hit.row_id)
        if row is not None and hit.action == "listed":
            texts = {"instruction": row.instruction, "response": row.response}
            yield hit.record() | texts | {"prompt": prompts[hit.suite, hit.task_id]}


class Decontaminate:
    """Drops every row that a removed hit names."""

    name = "decontaminate"

    def __init__(self, index: TaskIndex | None = None) -> None:
        self.hits: list[Hit] = []
        self._index = index

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
            index=self._index,
            embed=ctx.embed,
            judges=ctx.judges if ctx.settings.decontaminate.unittests else None,
        )
        separation = _with_other_forms(rows, separation, ctx)
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
    index: TaskIndex | None = None,
    embed: Embed | None = None,
    judges: UnittestJudges | None = None,
) -> Separation:
    """Separate rows from test tasks; `index` is what `task_index` made of them, for callers with many batches.

    `embed`, where an encoder is at hand, adds the method `embedding`; `judges` lets `execution` run tests that
    are unittest classes.
    `verified` names rows that passed tests of their own: where such a row's function fails a
    task's tests, words alone do not make it a leak. Raises `InputError` if a suite that the
    settings name is missing or empty, `MissingPrerequisite` without a sandbox unless
    `execution_match` is `off`, and `CodefitError` if the sandbox itself fails on any program.
    """
    settings = settings or DecontaminateSettings()
    rows, proven = list(rows), frozenset(verified)
    check_suites(tasks, settings)
    index = index or task_index(tasks, settings, sandbox)
    evidence = [gather(row, index, settings) for row in rows]
    if embed:
        add_neighbours(evidence, index, settings, embed)
    matches: dict[str, dict[int, Match]] = {}
    asked: Callable[[Evidence, int], bool] | None = None
    if settings.execution_match != "off" and index.targets:
        engine = ExecutionMatch(index, settings, need(sandbox, "execution match"), cache, on_progress)
        try:
            matches = engine.matches(evidence, proven)
        finally:
            engine.close()
        asked = engine.asks
    passed = unittest_matches(evidence, index, settings, judges, cache, on_progress) if judges else {}
    decider = _Decider(index, settings, matches, asked, proven, passed)
    hits = [hit for e in evidence for hit in decider.hits(e)]
    return _separate(rows, hits)


def task_index(
    tasks: Mapping[str, Sequence[Task]], settings: DecontaminateSettings, sandbox: Sandbox | None
) -> TaskIndex:
    """Return the index of the tasks; for execution match their expected values are filled in first."""
    if settings.execution_match != "off":
        tasks = with_expected(tasks, need(sandbox, "execution match"))
    return TaskIndex(tasks, ngram=settings.ngram, long_ngram=settings.long_ngram)


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


def _with_other_forms(rows: list[Row], found: Separation, ctx: Context) -> Separation:
    """Return the separation with programs whose function gives away a task, and functions whose program does."""
    pairs = {row.id: str(program) for row in rows if (program := ctx.fact(row.id, "function_of"))}
    other = pairs | {program: function for function, program in pairs.items()}
    gone = {d.row_id for d in found.dropped}
    of_row: defaultdict[str, list[Hit]] = defaultdict(list)
    for hit in found.hits:
        of_row[hit.row_id].append(hit)
    hits = list(found.hits)
    for row in rows:
        form = other.get(row.id)
        if form in gone and row.id not in gone:
            removed = (hit for hit in of_row[form] if hit.action == "removed")
            hits += [replace(hit, row_id=row.id, reason="by its other form") for hit in removed]
    place = {row.id: i for i, row in enumerate(rows)}
    return _separate(rows, sorted(hits, key=lambda hit: place[hit.row_id]))


@dataclass(frozen=True)
class _Decider:
    """Turns evidence and executions into hits by the stated policy."""

    index: TaskIndex
    settings: DecontaminateSettings
    matches: Mapping[str, Mapping[int, Match]]
    asked: Callable[[Evidence, int], bool] | None
    verified: frozenset[str]
    passed: Passed

    def hits(self, evidence: Evidence) -> list[Hit]:
        """Return the hits of one row, in order of task and method."""
        row_id = evidence.row.id
        found: defaultdict[int, dict[str, tuple[float, str, *tuple[str, ...]]]] = defaultdict(dict)
        for i, methods in evidence.found.items():
            for method, score in methods.items():
                found[i][method] = (score, *self._worded(evidence, i, method))
        for i, methods in evidence.weak.items():
            for method, score in methods.items():
                if method in ("fuzzy_prompt", "code", "embedding"):
                    found[i][method] = (score, "listed", "too little to go by alone")
        mine = self.matches.get(row_id, {})
        for i, match in mine.items():
            why = doubt(
                match,
                evidence.near(i),
                self.settings,
                tested=row_id in self.verified,
                opposite=opposed(evidence.request, self.index.targets[i].request),
            )
            action = "listed" if why and self.settings.doubtful == "keep" else "removed"
            found[i]["execution"] = (
                round(match.share, 3),
                action,
                why or "",
                f"{match.detail}; requests alike {evidence.near(i):.2f}",
            )
        for i in self.passed.get(row_id, ()):
            found[i]["execution"] = (1.0, "removed", "")
        for i in self._suspected(evidence, found):
            found[i]["fuzzy_prompt"] = (round(evidence.near(i), 3), "listed", "suspected paraphrase")
        return [
            Hit(row_id, target.suite, target.task.task_id, method, *what)
            for i in sorted(found)
            for target in (self.index.targets[i],)
            for method, what in sorted(found[i].items(), key=lambda kv: METHODS.index(kv[0]))
        ]

    def _suspected(self, evidence: Evidence, found: Mapping[int, Any]) -> list[int]:
        """Return the tasks with the most similar requests, where no program can say whether it is the same one."""
        near = [
            i for i, score in evidence.similar.items() if score >= self.settings.suspect and i not in found
        ]
        near = [i for i in near if not opposed(evidence.request, self.index.targets[i].request)]
        open_ones = [i for i in near if self.asked is None or not self.asked(evidence, i)]
        return sorted(open_ones, key=lambda i: (-evidence.near(i), i))[:_SUSPECTED]

    def _worded(self, evidence: Evidence, i: int, method: str) -> tuple[str, str]:
        """A verified row that behaves differently is not a leak for having similar words."""
        different = contradict(evidence.calls, self.index.targets[i].calls) or (
            self.asked is not None
            and i not in self.matches.get(evidence.row.id, {})
            and self.asked(evidence, i)
        )
        proven = evidence.row.id in self.verified and different
        if proven and method in ("fuzzy_prompt", "ngram", "entry_point", "embedding"):
            return "listed", "passes tests of its own and behaves differently"
        return "removed", ""
