"""Pass counts on benchmark tasks that some training row touches, and on the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def flagged_tasks(hits: Iterable[Mapping[str, Any]], suite: str) -> list[str]:
    """Return the ids of a suite's tasks that any row hit, sorted."""
    family = suite.rstrip("+")
    return sorted(
        {
            str(h["task_id"])
            for h in hits
            if h.get("task_id") and str(h.get("suite", "")).rstrip("+") == family
        }
    )


def split_scores(passed: Mapping[str, Mapping[str, bool]], flagged: Sequence[str]) -> dict[str, Any]:
    """Return each arm's pass counts on flagged tasks and on all others."""
    marked = set(flagged)
    arms = {}
    for arm, by_task in passed.items():
        hit = [ok for task, ok in by_task.items() if task in marked]
        rest = [ok for task, ok in by_task.items() if task not in marked]
        arms[arm] = {"flagged": [sum(hit), len(hit)], "others": [sum(rest), len(rest)]}
    return {"flagged_tasks": list(flagged), "arms": arms}
