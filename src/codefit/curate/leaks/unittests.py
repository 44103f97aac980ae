"""Execution match for tasks whose tests are unittest classes (BigCodeBench): a row's function in the task's place.

Such tests state no calls that could be asked of many functions at once, and one run takes a second or more. So only
pairs are run that look alike: in their requests, or in the libraries that they import. A function of the row stands
behind the task's own signature, imports and constants, and is judged as `codefit execute` judges an answer: all
tests must pass, and its probe must find nothing.

Not covered: rows whose requests are not alike at all, methods of classes other than `Solution`, and scripts.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from codefit.core.curation import DecontaminateSettings
from codefit.core.files import Ledger
from codefit.core.types import Outcome
from codefit.curate.code import Function, parse
from codefit.curate.imports import definitions, imported
from codefit.curate.leaks.index import Target, TaskIndex
from codefit.curate.leaks.signals import Evidence
from codefit.curate.leaks.words import opposed
from codefit.curate.runner import refuse_unjudged
from codefit.curate.step import Progress, UnittestJudges
from codefit.sandbox import Sandbox
from codefit.suites.base import Suite
from codefit.suites.judge import Job, Judge

_PER_ROW = 4
_ANSWER = "codefit_answer"
Passed = dict[str, frozenset[int]]
"""Row id -> targets whose tests a function of the row passes."""


@dataclass(frozen=True, eq=False)
class _Place:
    """Where a row's function is put: the task's imports and constants, and its signature."""

    target: int
    task: Target

    @cached_property
    def tree(self) -> ast.Module | None:
        """The reference as a syntax tree."""
        return parse(self.task.reference)

    @cached_property
    def modules(self) -> frozenset[str]:
        """The modules that the reference imports and that Python does not bring along."""
        return frozenset(imported(self.tree)) - sys.stdlib_module_names if self.tree else frozenset()

    def program(self, source: str, function: Function) -> str | None:
        """Return the source with the function under the task's name; None where it cannot take the arguments."""
        name = self.task.task.entry_point
        body = self.tree.body if self.tree else []
        own = next((n for n in body if isinstance(n, ast.FunctionDef) and n.name == name), None)
        passed = _passed(own.args, function) if own else None
        if own is None or passed is None:
            return None
        call = ast.parse(f"{_ANSWER}({', '.join(passed)})", mode="eval").body
        stand_in = ast.FunctionDef(own.name, own.args, [ast.Return(call)], [], own.returns)
        module = ast.fix_missing_locations(ast.Module([*body[: body.index(own)], stand_in], []))
        callee = f"Solution().{function.name}" if function.in_solution else function.name
        return f"{source}\n\n{_ANSWER} = {callee}\n\n{ast.unparse(module)}\n"


def _passed(args: ast.arguments, function: Function) -> list[str] | None:
    """Return the task's arguments as the function takes them, by position; defaults that it lacks are left out."""
    names = [a.arg for a in (*args.posonlyargs, *args.args)]
    count = len(names) if function.most is None else min(len(names), function.most)
    needed = len(names) - len(args.defaults)
    if args.vararg or args.kwonlyargs or count < max(needed, function.least):
        return None
    return names[:count]


def unittest_matches(
    evidence: Sequence[Evidence],
    index: TaskIndex,
    settings: DecontaminateSettings,
    judges: UnittestJudges,
    cache: Path | None,
    progress: Progress,
) -> Passed:
    """Return the rows with a function that passes all tests of a task; verdicts are kept in `cache`.

    A task whose reference fails in the suite's sandbox is not asked. Raises `CodefitError` if the sandbox itself
    failed on any program.
    """
    found: dict[str, set[int]] = {}
    with TemporaryDirectory() as nowhere:
        for name, suite in sorted(judges.suites.items()):
            places = [
                _Place(i, target)
                for i, target in enumerate(index.targets)
                if target.suite == name and target.task.tests.kind == "unittest" and target.reference
            ]
            pairs = [(e, place) for e in evidence for place in _alike(e, places, settings)]
            only = {place.task.task.task_id for _, place in pairs}
            if only:
                sandbox = judges.sandbox_of(suite)
                suite.prepare(sandbox, judges.cache, only=only)
                ledger = (cache or Path(nowhere)) / f"unittests-{name}.jsonl"
                for row_id, i in _judged(pairs, suite, sandbox, ledger, progress):
                    found.setdefault(row_id, set()).add(i)
    return {row_id: frozenset(targets) for row_id, targets in found.items()}


def _alike(evidence: Evidence, places: Iterable[_Place], settings: DecontaminateSettings) -> list[_Place]:
    """Return the tasks that a row may give away, the most alike first; what is known by other signals aside."""
    if not evidence.functions:
        return []
    uses = frozenset(imported(parse(evidence.program)))
    near = {
        place: evidence.near(place.target)
        for place in places
        if evidence.near(place.target) >= settings.candidate
        or (evidence.near(place.target) and place.modules and place.modules <= uses)
    }
    open_ones = (
        place
        for place in near
        if place.target not in evidence.found and not opposed(evidence.request, place.task.request)
    )
    return sorted(open_ones, key=lambda place: (-near[place], place.target))[: settings.candidates_per_row]


def _judged(
    pairs: Iterable[tuple[Evidence, _Place]], suite: Suite, sandbox: Sandbox, ledger: Path, progress: Progress
) -> Iterator[tuple[str, int]]:
    """Yield (row id, target) of the pairs that pass."""
    book = Ledger(ledger)
    try:
        judge = Judge(suite, sandbox, book)
        jobs = [
            (e.row.id, place.target, judge.job(place.task.task, program, "base"))
            for e, place in pairs
            if place.task.task.task_id not in suite.excluded
            for program in _programs(e, place)
        ]
        judge.judge([job for *_, job in jobs], lambda _, done, total: progress(done, total))
        outcomes = [_outcome(judge, job) for *_, job in jobs]
    finally:
        book.close()
    refuse_unjudged(outcomes.count(Outcome.SANDBOX_FAILED))
    for (row_id, target, _), outcome in zip(jobs, outcomes, strict=True):
        if outcome is Outcome.PASSED:
            yield row_id, target


def _programs(evidence: Evidence, place: _Place) -> Iterator[str]:
    source = definitions(evidence.program)
    functions = [f for f in evidence.functions if not f.name.startswith("__")]
    for function in functions[-_PER_ROW:]:
        program = place.program(source, function)
        if program:
            yield program


def _outcome(judge: Judge, job: Job) -> Outcome:
    finding = judge.finding(job)
    return finding.outcome if finding else Outcome.SANDBOX_FAILED
