"""BigCodeBench's tasks are guarded as the other suites' are: by their request, and by their program renamed."""

from __future__ import annotations

import re
from typing import Any

from codefit.core.types import Row, Task
from codefit.curate import DecontaminateSettings, decontaminate
from codefit.suites.load import load_suite
from tests.curate.conftest import row
from tests.shared_data import shared_data

BYSTANDER = row("s", "Write a function that adds one to a number.", "def inc(x):\n    return x + 1")


def tasks() -> list[Task]:
    data = shared_data("bigcodebench.jsonl.gz")
    return list(load_suite("bigcodebench", data, judging=False, limit=40).tasks)


def against_all(planted: Row, chosen: list[Task]) -> Any:
    settings = DecontaminateSettings(execution_match="off")
    return decontaminate([planted, BYSTANDER], {"bigcodebench": chosen}, settings=settings)


def test_every_task_given_away_by_its_request_or_its_renamed_program_is_removed() -> None:
    chosen = tasks()
    for task in chosen:
        assert task.reference
        renamed = re.sub(r"\btask_func\b", "solve_it", task.reference)
        for planted in (row("r", task.prompt, "pass"), row("r", "Do it.", renamed)):
            found = against_all(planted, chosen)
            assert [r.id for r in found.kept] == ["s"], task.task_id
            assert task.task_id in {h.task_id for h in found.hits if h.action == "removed"}
            assert found.dropped[0].reason.startswith("leak:bigcodebench:")
