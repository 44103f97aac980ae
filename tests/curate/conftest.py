"""A real sandbox for the whole room, and small rows and tasks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from codefit.core import types
from codefit.core.types import Outcome, Row, Task
from codefit.curate import CurateSettings
from codefit.curate.step import Context
from codefit.sandbox import Run, Sandbox


class GivesOut:
    """The real sandbox on a machine that gives out whenever a program with the mark is due."""

    def __init__(self, sandbox: Sandbox, mark: str) -> None:
        self._sandbox, self._mark = sandbox, mark

    def map(self, jobs: Any) -> Iterator[tuple[int, Run]]:
        for i, (program, on_frame) in enumerate(jobs):
            if self._mark in program.source:
                yield i, Run(Outcome.SANDBOX_FAILED, (), "no space left", 0.0, 0.0, None, False)
            else:
                yield i, self._sandbox.run(program, on_frame)


def row(row_id: str, instruction: str = "Write a thing.", response: str = "x = 1", **more: Any) -> Row:
    return Row(row_id, more.pop("source", "here"), instruction, response, **more)


def asserts(*statements: str, name: str = "f") -> types.Tests:
    return types.Tests("asserts", name, statements)


def task(
    task_id: str,
    prompt: str,
    reference: str,
    calls: list[tuple[tuple[Any, ...], Any]],
    name: str = "f",
) -> Task:
    inputs, outputs = tuple(i for i, _ in calls), tuple(o for _, o in calls)
    return Task(
        task_id, prompt, name, types.Tests("calls", name, inputs=inputs, outputs=outputs), reference=reference
    )


def context(
    sandbox: Sandbox | None = None,
    tasks: dict[str, list[Task]] | None = None,
    cache: Path | None = None,
    seed: int = 0,
    **settings: Any,
) -> Context:
    return Context(CurateSettings(**settings), tasks or {}, sandbox, seed, cache)
