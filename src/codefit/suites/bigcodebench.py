"""BigCodeBench (arXiv 2406.15877): its published records as tasks.

Complete and Instruct are two prompts for the same tests, Full and Hard two sets of tasks. A calibrated
score puts the task's imports and signature before every solution, as the benchmark's own evaluator does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from codefit.core.errors import InputError
from codefit.core.files import digest
from codefit.core.types import Task, Tests
from codefit.suites.base import SuiteInfo, judge_line
from codefit.suites.environment import CURRENT, find
from codefit.suites.layouts import text_field
from codefit.suites.lines import parsed_lines
from codefit.suites.unittest_suite import UnittestSuite, limits_line

Split = Literal["complete", "instruct"]
SPLITS: tuple[Split, ...] = ("complete", "instruct")
HARD = "bigcodebench-hard"
SUITES = ("bigcodebench", HARD)
HARD_TASKS = 148
_DECIDES = ("task_id", "test", "entry_point", "canonical_solution", "code_prompt", "complete_prompt")


@dataclass(frozen=True, slots=True)
class _Record:
    task: Task
    head: str
    start: str
    decides: str


def _records(path: Path, split: Split, *, strict: bool, problems: list[str]) -> list[_Record]:
    seen: set[str] = set()

    def parse(row: dict[str, Any]) -> _Record:
        task = _task(row, split)
        if task.task_id in seen:
            raise ValueError(f"task '{task.task_id}' stands here a second time")
        decides = digest(*(str(row[name]) for name in _DECIDES))
        head = f"{text_field(row, 'code_prompt')}\n    pass\n"
        return _Record(task, head, text_field(row, "complete_prompt"), decides)

    found: list[_Record] = []
    for _, record in parsed_lines(path, parse, strict=strict, problems=problems):
        seen.add(record.task.task_id)
        found.append(record)
    if not found:
        why = f": {problems[0]}" if problems else ""
        raise InputError(f"no usable task{why}", where=str(path), todo="check that this is the suite's data")
    return found


def _task(row: dict[str, Any], split: Split) -> Task:
    test, entry_point = text_field(row, "test"), text_field(row, "entry_point")
    return Task(
        task_id=text_field(row, "task_id"),
        prompt=text_field(row, f"{split}_prompt"),
        entry_point=entry_point,
        tests=Tests("unittest", entry_point, asserts=(test,)),
        reference=text_field(row, "complete_prompt") + "\n" + text_field(row, "canonical_solution"),
        extra={"libs": row.get("libs", "")},
    )


@dataclass(frozen=True, slots=True)
class Options:
    """What a score of BigCodeBench hangs on beside tasks and model.

    `split` names the prompt that was, or is to be, asked (None: not stated; Instruct where one is asked).
    `environment` is where the libraries are (see `environment.find`), `cache` where codefit keeps things.
    """

    split: Split | None = None
    calibrated: bool = True
    environment: str | None = None
    cache: Path = Path()


def bigcodebench_suite(
    name: str,
    path: Path,
    options: Options,
    *,
    limit: int | None = None,
    strict: bool = False,
    label: str | None = None,
    data_hash: str | None = None,
    judging: bool = True,
) -> UnittestSuite:
    """Return the suite of a file in the benchmark's layout.

    Raises `InputError` for unusable data, `MissingPrerequisite` where the libraries are not there and the
    suite is for `judging`.
    """
    split, calibrated = options.split, options.calibrated
    where = options.environment if judging else CURRENT
    environment = find("bigcodebench", where, options.cache)
    problems: list[str] = []
    every = _records(path, split or "instruct", strict=strict, problems=problems)
    if name == HARD and len(every) != HARD_TASKS:
        problems.append(f"{len(every)} tasks, the published hard set has {HARD_TASKS}")
    records = every[:limit]
    asked = f"prompt {split or 'not stated'}, {'calibrated' if calibrated else 'not calibrated'}"
    revision = digest(*sorted(r.decides for r in records))
    info = SuiteInfo(
        name=name,
        revision=revision,
        harness=f"{judge_line()}; unittest; {asked}; {limits_line()}; {environment.fingerprint}; hash seed 0",
        oracle=None,
        tasks=len(records),
        family="bigcodebench",
        base_name=name,
        base_revision=revision,
        data=label or path.name,
        data_hash=data_hash,
        limit=limit if len(records) < len(every) else None,
    )
    return UnittestSuite(
        info,
        tuple(r.task for r in records),
        environment.runtime(),
        environment.fingerprint,
        starts={r.task.task_id: r.start for r in records},
        heads={r.task.task_id: r.head for r in records} if calibrated else {},
        problems=problems,
        all_tasks=tuple(r.task for r in every),
    )
