"""Read what analysis needs from a run folder; what is not there is reported, not invented."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codefit.core.files import read_json, read_jsonl
from codefit.core.types import Task

Record = dict[str, Any]
_LONGEST_ASSERT = 4000


@dataclass(frozen=True)
class Suite:
    """One suite of a run: `verdicts[arm][task_id]`, `completions[arm][task_id]`, `tasks[task_id]`.

    Only sample 0 (the greedy one) is kept: churn and classes are about one answer a task.
    """

    name: str
    arms: tuple[str, ...]
    verdicts: Mapping[str, Mapping[str, Record]]
    completions: Mapping[str, Mapping[str, Record]]
    tasks: Mapping[str, Record] = field(default_factory=dict)

    def completion(self, arm: str, task_id: str) -> Record:
        """Return the completion line of a task, empty where there is none."""
        return self.completions.get(arm, {}).get(task_id, {})

    def task(self, task_id: str) -> Record:
        """Return the task's line, empty where there is none."""
        return self.tasks.get(task_id, {})


def suites(run: Path, tasks: Mapping[str, Sequence[Task]] | None = None) -> list[Suite]:
    """Return every suite that has verdicts, in order of name.

    `tasks` are the suites' tasks; without them, `tasks/SUITE.jsonl` tells what was asked.
    """
    known = tasks or {}
    return [_suite(run, path, known.get(path.stem)) for path in sorted((run / "verdicts").glob("*.jsonl"))]


def _suite(run: Path, path: Path, tasks: Sequence[Task] | None) -> Suite:
    verdicts = _by_arm(path)
    asked = (
        [(t.task_id, t.prompt, t.entry_point, t.reference) for t in tasks]
        if tasks is not None
        else [
            (str(t["task_id"]), str(t["prompt"]), t.get("entry_point"), t.get("reference"))
            for t in _lines(run / "tasks" / path.name)
            if "task_id" in t and "prompt" in t
        ]
    )
    records = {t[0]: _task_record(*t[1:]) for t in asked if any(t[0] in v for v in verdicts.values())}
    return Suite(path.stem, tuple(verdicts), verdicts, _by_arm(run / "completions" / path.name), records)


def _by_arm(path: Path) -> dict[str, dict[str, Record]]:
    arms: dict[str, dict[str, Record]] = {}
    for line in _lines(path):
        if line.get("sample", 0) == 0:
            arms.setdefault(str(line.get("arm")), {})[str(line.get("task_id"))] = line
    return arms


def _lines(path: Path) -> list[Record]:
    return [line for _, line in read_jsonl(path)] if path.exists() else []


def _task_record(prompt: str, entry_point: str | None, reference: str | None) -> Record:
    """Return what analysis needs of a task; visible tests are the asserts that the prompt shows."""
    shown = [line.strip() for line in prompt.splitlines()]
    asserts = [line for line in shown if line.startswith("assert ") and len(line) < _LONGEST_ASSERT]
    visible: list[Any] = list(asserts)
    for text in asserts:
        visible.extend(_literal_arguments(text, entry_point))
    return {
        "prompt": prompt,
        "entry_point": entry_point,
        "reference": reference,
        "visible_tests": visible,
    }


def _literal_arguments(text: str, entry_point: Any) -> list[Any]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found: list[Any] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == entry_point:
            try:
                arguments = [ast.literal_eval(a) for a in node.args]
            except (ValueError, RecursionError):
                continue
            found += [arguments, tuple(arguments), ast.unparse(node), *arguments[: len(arguments) == 1]]
    return found


def arm_pairs(run: Path, suite: Suite) -> list[tuple[str, str]]:
    """Return the (before, after) arms to set side by side: those of scores.json, else first to each."""
    scores = run / "scores.json"
    listed: list[tuple[str, str]] = []
    if scores.exists():
        for c in read_json(scores).get("comparisons", []):
            if str(c.get("suite")).rstrip("+") == suite.name.rstrip("+"):
                listed.append((str(c.get("before_arm")), str(c.get("after_arm"))))
    else:
        listed = [(suite.arms[0], arm) for arm in suite.arms[1:]]
    return [(b, a) for b, a in dict.fromkeys(listed) if b in suite.verdicts and a in suite.verdicts]
