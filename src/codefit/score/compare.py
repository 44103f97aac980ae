"""Before against after on the same tasks, refused where the two were not judged alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codefit.core.errors import InputError
from codefit.core.files import read_json, read_jsonl
from codefit.core.types import Outcome
from codefit.score.paired import (
    mcnemar_exact,
    minimum_detectable_points,
    paired_bootstrap,
    paired_interval,
    permutation_p,
)


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: what decided the verdicts, and which samples passed by task.

    `unjudged` names tasks with a verdict that is our fault; `flavour` is how the tasks were put, None where
    nobody said.
    """

    suite: str
    revision: str
    harness: str
    passed: Mapping[str, Sequence[bool]]
    unjudged: tuple[str, ...] = ()
    name: str = ""
    flavour: str | None = None


def side(score: Mapping[str, Any], verdicts: Sequence[Mapping[str, Any]], *, name: str = "") -> Side:
    """Return the side of a score row and the verdict lines it was counted from.

    A score of the base tests alone (its suite's name is that of a plus suite without `+`, and
    the lines have plus outcomes) is counted from `base_outcome`.
    """
    key = "outcome"
    if not score["suite"].endswith("+") and any(v.get("plus_outcome") for v in verdicts):
        key = "base_outcome"
    passed: dict[str, list[bool]] = {}
    unjudged = []
    for v in verdicts:
        if not isinstance(v["task_id"], str):
            raise TypeError("task_id is not text")
        passed.setdefault(v["task_id"], []).append(v[key] == Outcome.PASSED.value)
        if v[key] == Outcome.SANDBOX_FAILED.value:
            unjudged.append(v["task_id"])
    return Side(
        score["suite"], score["revision"], score["harness"], passed, tuple(unjudged), name,
        score.get("flavour"),
    )  # fmt: skip


def read_sides(folder: Path) -> dict[str, Side]:
    """Return the sides of every pass@1 score in a folder that `execute` wrote, by suite name."""
    scores = read_json(folder / "scores.json")
    verdicts = [row for _, row in read_jsonl(folder / "verdicts.jsonl")]
    try:
        return {s["suite"]: side(s, verdicts, name=str(folder)) for s in scores if s["metric"] == "pass@1"}
    except (KeyError, TypeError, AttributeError) as e:
        raise InputError("not the results of codefit execute", where=str(folder)) from e


def compare(before: Side, after: Side, *, seed: int = 0) -> dict[str, Any]:
    """Return the paired comparison of two sides.

    `before` and `after` are pass rates, `points` and `ci95` percentage points. One sample a task:
    exact McNemar, Bonett and Price's interval. Several: permutation test, bootstrap over tasks;
    a task counts as fixed when its pass rate rises. Raises `InputError` where suite, revision,
    harness or tasks differ, or a task could not be judged.
    """
    _check_alike(before, after)
    tasks = sorted(before.passed)
    rates = [(_rate(before.passed[t]), _rate(after.passed[t])) for t in tasks]
    fixed, broken = sum(a > b for b, a in rates), sum(a < b for b, a in rates)
    both = sum(a == b and b > 0 for b, a in rates)
    n = len(tasks)
    first, second = sum(b for b, _ in rates) / n, sum(a for _, a in rates) / n
    single = all(len(s.passed[t]) == 1 for s in (before, after) for t in tasks)
    if single:
        low, high = paired_interval(fixed, broken, n)
        p_value, test = mcnemar_exact(fixed, broken), "exact McNemar"
    else:
        values = [b for b, _ in rates], [a for _, a in rates]
        low, high = paired_bootstrap(*values, seed=seed)
        p_value, test = permutation_p(*values, seed=seed), "paired permutation"
    return {
        "suite": before.suite,
        "before": first,
        "after": second,
        "points": 100 * (second - first),
        "relative_percent": 100 * (second - first) / first if first else None,
        "ci95": [100 * low, 100 * high],
        "p_value": p_value,
        "test": test,
        "fixed": fixed,
        "broken": broken,
        "both": both,
        "neither": n - fixed - broken - both,
        "minimum_detectable_points": minimum_detectable_points(n, (fixed + broken) / n),
    }


def _rate(passed: Sequence[bool]) -> float:
    return sum(passed) / len(passed)


def _check_alike(before: Side, after: Side) -> None:
    where = f"{before.name} and {after.name}" if before.name or after.name else None
    for what in ("suite", "revision", "harness"):
        one, two = getattr(before, what), getattr(after, what)
        if one != two:
            raise InputError(
                f"the two sides differ in {what}: '{one}' and '{two}'", where=where, todo="judge both alike"
            )
    flavours = {s.flavour for s in (before, after) if s.flavour}
    if len(flavours) > 1:
        raise InputError(
            f"the two sides were asked in different flavours: '{before.flavour}' and '{after.flavour}'",
            where=where,
            todo="ask both alike",
        )
    unjudged = sorted({*before.unjudged, *after.unjudged})
    if unjudged:
        raise InputError(
            f"{len(unjudged)} tasks could not be judged ({unjudged[0]})",
            where=where,
            todo="run execute again",
        )
    different = sorted(set(before.passed) ^ set(after.passed))
    if different:
        raise InputError(
            f"{len(different)} tasks are on one side only ({different[0]})",
            where=where,
            todo="judge the same tasks",
        )
    if not before.passed:
        raise InputError("no task on either side", where=where)
