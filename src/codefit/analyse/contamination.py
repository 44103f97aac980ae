"""Scores on benchmark tasks that some training row touches and on the others; MBPP by its own splits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from codefit.score.compare import Side, compare

# The splits of the original MBPP (Austin et al. 2021, arXiv 2108.07732), by task number.
MBPP_SPLITS = {
    "prompt": range(1, 11),
    "test": range(11, 511),
    "validation": range(511, 601),
    "train": range(601, 975),
}

Passed = Mapping[str, Mapping[str, bool]]


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


def split_scores(
    passed: Passed, flagged: Sequence[str], pairs: Sequence[tuple[str, str]] = ()
) -> dict[str, Any]:
    """Return each arm's pass counts on flagged tasks and on all others, and the pairs compared without them."""
    marked = set(flagged)
    arms = {}
    for arm, by_task in passed.items():
        hit = [ok for task, ok in by_task.items() if task in marked]
        rest = [ok for task, ok in by_task.items() if task not in marked]
        arms[arm] = {"flagged": [sum(hit), len(hit)], "others": [sum(rest), len(rest)]}
    touched = any(counts["flagged"][1] for counts in arms.values())
    without = [_without(passed, marked, b, a) for b, a in pairs] if touched else []
    return {"flagged_tasks": list(flagged), "arms": arms, "without": [c for c in without if c]}


def _without(passed: Passed, marked: set[str], before: str, after: str) -> dict[str, Any] | None:
    """Return the comparison of two arms on the tasks that no row touches; None where none is left."""
    shared = (set(passed[before]) & set(passed[after])) - marked
    if not shared:
        return None
    sides = [Side("", "", "", {t: [passed[arm][t]] for t in shared}) for arm in (before, after)]
    found = compare(*sides)
    kept = {k: v for k, v in found.items() if k not in ("suite", "stamp", "differences")}
    return {"before_arm": before, "after_arm": after, **kept}


def mbpp_splits(passed: Passed, suite: str) -> dict[str, dict[str, list[int]]] | None:
    """Return [passed, tasks] of every arm by the original MBPP's splits; None for another benchmark.

    MBPP+ draws from all four: a model tuned on MBPP's training split has seen a part of it.
    """
    if suite.rstrip("+") != "mbpp":
        return None
    found: dict[str, dict[str, list[int]]] = {}
    for split, numbers in MBPP_SPLITS.items():
        for arm, by_task in passed.items():
            inside = [ok for task, ok in by_task.items() if _number(task) in numbers]
            found.setdefault(split, {})[arm] = [sum(inside), len(inside)]
    return found


def _number(task_id: str) -> int:
    digits = task_id.rpartition("/")[2]
    return int(digits) if digits.isascii() and digits.isdigit() else 0
