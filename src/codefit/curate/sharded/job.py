"""What every piece of a sharded funnel needs, as one file that any worker can read."""

from __future__ import annotations

import atexit
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from codefit.core.curation import CurateSettings
from codefit.core.files import file_digest, write_text
from codefit.core.types import Row, Task
from codefit.core.values import dump, load, tests_from_json, tests_to_json
from codefit.curate.decontaminate import Decontaminate, task_index
from codefit.curate.funnel import STEPS
from codefit.curate.leaks.index import TaskIndex
from codefit.curate.near import Rule
from codefit.curate.step import Context, Step
from codefit.curate.verify import Verify
from codefit.sandbox import Sandbox
from codefit.scale.pieces import Piece

_NOT_READ = ("weights", "select")


@dataclass(frozen=True)
class Job:
    """Settings, test tasks and seed of a sharded funnel, in a worker.

    `sandbox_level` is the level of isolation that programs run under, or None where none may run;
    `function_ids` as in `Context`.
    """

    settings: CurateSettings
    tasks: Mapping[str, Sequence[Task]]
    seed: int
    sandbox_level: str | None
    function_ids: frozenset[str]

    @cached_property
    def sandbox(self) -> Sandbox | None:
        """This worker's sandbox of one program at a time, ended with the worker."""
        if self.sandbox_level is None:
            return None
        box = Sandbox(level=self.sandbox_level, jobs=1)
        atexit.register(box.close)
        return box

    @cached_property
    def index(self) -> TaskIndex:
        """The test tasks' index, made once per worker."""
        return task_index(self.tasks, self.settings.decontaminate, self.sandbox)

    @property
    def rule(self) -> Rule:
        """Return when two rows are near-duplicates."""
        return Rule(**self.settings.near_dup.model_dump())

    def step(self, name: str, last_lot: str | None = None) -> Step:
        """Return a step that decides row by row; `last_lot` is for `verify`."""
        if name == "verify":
            return Verify(last_lot)
        return Decontaminate(self.index) if name == "decontaminate" else STEPS[name]()

    def context(self, rows: Sequence[Row], facts: Sequence[dict[str, Any]], cache: Path) -> Context:
        """Return the steps' context with what earlier steps found out about the rows."""
        box, taken = self.sandbox, self.function_ids
        ctx = Context(self.settings, self.tasks, box, self.seed, cache, function_ids=taken)
        ctx.facts = {row.id: dict(known) for row, known in zip(rows, facts, strict=True) if known}
        return ctx


def verdict_folder(piece: Piece) -> Path:
    """Return where a shard's verdicts are kept, beside all pieces: one begun again need not run programs again."""
    return piece.folder.parents[1] / "cache" / f"{piece.options['shard']:06}"


def write_job(
    path: Path,
    settings: CurateSettings,
    tasks: Mapping[str, Sequence[Task]],
    seed: int,
    sandbox_level: str | None,
    function_ids: Sequence[str],
) -> None:
    """Write the job's file, atomically; settings that no piece reads are left out, so that they may change."""
    value = {
        "settings": settings.model_dump(mode="json", exclude=set(_NOT_READ)),
        "tasks": {suite: [_pack(task) for task in tasks[suite]] for suite in sorted(tasks)},
        "seed": seed,
        "sandbox_level": sandbox_level,
        "function_ids": list(function_ids),
    }
    write_text(path, json.dumps(value, ensure_ascii=True, sort_keys=True))


def read_job(path: Path) -> Job:
    """Return the job of a file; a worker reads the same content once."""
    return _read(str(path), file_digest(path))


@lru_cache(maxsize=1)
def _read(path: str, content: str) -> Job:
    value = json.loads(Path(path).read_text("utf-8"))
    tasks = {suite: tuple(map(_unpack, packed)) for suite, packed in value["tasks"].items()}
    settings = CurateSettings.model_validate(value["settings"])
    return Job(settings, tasks, value["seed"], value["sandbox_level"], frozenset(value["function_ids"]))


def _pack(task: Task) -> dict[str, Any]:
    return {
        "task_id": task.task_id,
        "prompt": task.prompt,
        "entry_point": task.entry_point,
        "tests": tests_to_json(task.tests),
        "plus": tests_to_json(task.plus) if task.plus else None,
        "reference": task.reference,
        "atol": task.atol,
        "extra": dump(dict(task.extra)),
    }


def _unpack(packed: dict[str, Any]) -> Task:
    plus = tests_from_json(packed["plus"]) if packed["plus"] else None
    read = {"tests": tests_from_json(packed["tests"]), "plus": plus, "extra": load(packed["extra"])}
    return Task(**(packed | read))
