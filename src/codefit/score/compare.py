"""Before against after on the same tasks, refused where the two were not judged alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codefit.core.errors import InputError
from codefit.core.files import read_json, read_jsonl
from codefit.core.types import Outcome
from codefit.score.paired import (
    detectable_points_at_power,
    mcnemar_exact,
    minimum_detectable_points,
    paired_bootstrap,
    paired_interval,
    permutation_p,
)

STAMP = "not like for like"
_ALIKE = ("suite", "revision", "harness", "flavour", "extraction", "prompts", "decoding")


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: what decided the verdicts, and which samples passed by task.

    `extraction` says how programs were cut out of answers, `prompts` names the prompts that were
    asked, `decoding` how answers were drawn, `flavour` how the tasks were put; None where nobody said.
    `unjudged` names tasks with a verdict that is our fault.
    """

    suite: str
    revision: str
    harness: str
    passed: Mapping[str, Sequence[bool]]
    unjudged: tuple[str, ...] = ()
    name: str = ""
    flavour: str | None = None
    extraction: str | None = None
    prompts: str | None = None
    decoding: str | None = None


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
    asked = {key: score.get(key) for key in ("flavour", "extraction", "prompts", "decoding")}
    return Side(score["suite"], score["revision"], score["harness"], passed, tuple(unjudged), name, **asked)


def read_sides(folder: Path) -> dict[str, Side]:
    """Return the sides of every pass@1 score in a folder that `execute` wrote, by suite name."""
    scores = read_json(folder / "scores.json")
    verdicts = [row for _, row in read_jsonl(folder / "verdicts.jsonl")]
    try:
        return {s["suite"]: side(s, verdicts, name=str(folder)) for s in scores if s["metric"] == "pass@1"}
    except (KeyError, TypeError, AttributeError) as e:
        raise InputError("not the results of codefit execute", where=str(folder)) from e


def named_once(sides: Mapping[str, Side], name: str, asked: Collection[str]) -> dict[str, Side]:
    """Return the sides of suite `name` without the base tests that come with it where they are asked by themselves.

    So each suite is one line of a comparison, one entry of a gate and one p-value of a family.
    """
    return {suite: s for suite, s in sides.items() if suite == name or suite not in asked}


def compare(
    before: Side, after: Side, *, seed: int = 0, allow_different_harness: bool = False
) -> dict[str, Any]:
    """Return the paired comparison of two sides.

    `before` and `after` are pass rates, `points` and `ci95` percentage points. One sample a task:
    exact McNemar, Bonett and Price's interval. Several: permutation test, bootstrap over tasks;
    a task counts as fixed when its pass rate rises. Raises `InputError` where suite, revision,
    harness, extraction, prompts, decoding or tasks differ, or a task could not be judged.
    `allow_different_harness` compares the tasks that both sides have instead, lists what differs
    under `differences` and stamps the result.
    """
    differences = _differences(before, after)
    if not allow_different_harness:
        _refuse(before, after, differences)
    _check_judged(before, after)
    tasks = sorted(set(before.passed) & set(after.passed))
    if not tasks:
        raise InputError("no task on both sides", where=_where(before, after))
    return {
        "suite": before.suite,
        **_figures([before.passed[t] for t in tasks], [after.passed[t] for t in tasks], seed),
        "stamp": STAMP if differences else None,
        "differences": differences,
    }


def _figures(before: Sequence[Sequence[bool]], after: Sequence[Sequence[bool]], seed: int) -> dict[str, Any]:
    rates = [(_rate(b), _rate(a)) for b, a in zip(before, after, strict=True)]
    fixed, broken = sum(a > b for b, a in rates), sum(a < b for b, a in rates)
    both = sum(a == b and b > 0 for b, a in rates)
    n = len(rates)
    first, second = sum(b for b, _ in rates) / n, sum(a for _, a in rates) / n
    if all(len(samples) == 1 for samples in (*before, *after)):
        low, high = paired_interval(fixed, broken, n)
        p_value, test = mcnemar_exact(fixed, broken), "exact McNemar"
    else:
        values = [b for b, _ in rates], [a for _, a in rates]
        low, high = paired_bootstrap(*values, seed=seed)
        p_value, test = permutation_p(*values, seed=seed), "paired permutation"
    discordance = (fixed + broken) / n
    return {
        "n": n,
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
        "minimum_detectable_points": minimum_detectable_points(n, discordance),
        "detectable_points_power80": detectable_points_at_power(n, discordance),
    }


def _rate(passed: Sequence[bool]) -> float:
    return sum(passed) / len(passed)


def _where(before: Side, after: Side) -> str | None:
    return f"{before.name} and {after.name}" if before.name or after.name else None


def _differences(before: Side, after: Side) -> list[dict[str, Any]]:
    """Return everything beside the model that differs between two sides."""
    found: list[dict[str, Any]] = [
        {"what": what, "before": getattr(before, what), "after": getattr(after, what)}
        for what in _ALIKE
        if getattr(before, what) != getattr(after, what)
        # a file of answers need not say its flavour; the prompts tell
        and not (what == "flavour" and None in (before.flavour, after.flavour))
    ]
    shared = len(set(before.passed) & set(after.passed))
    if shared < max(len(before.passed), len(after.passed)):
        found.append({"what": "tasks", "before": len(before.passed), "after": len(after.passed),
                      "shared": shared})  # fmt: skip
    return found


def _refuse(before: Side, after: Side, differences: Sequence[Mapping[str, Any]]) -> None:
    """Raise `InputError` for the first difference, with the others named."""
    if not differences:
        return
    first, also = differences[0], ", ".join(d["what"] for d in differences[1:])
    where = _where(before, after)
    if first["what"] == "tasks":
        different = sorted(set(before.passed) ^ set(after.passed))
        raise InputError(
            f"{len(different)} tasks are on one side only ({different[0]})",
            where=where,
            todo="judge the same tasks",
        )
    one, two = (f"'{v}'" if v is not None else "not stated" for v in (first["before"], first["after"]))
    raise InputError(
        f"the two sides differ in {first['what']}: {one} and {two}" + (f"; also in {also}" if also else ""),
        where=where,
        todo="judge both alike; --allow-different-harness compares all the same and stamps the result",
    )


def _check_judged(before: Side, after: Side) -> None:
    unjudged = sorted({*before.unjudged, *after.unjudged})
    if unjudged:
        raise InputError(
            f"{len(unjudged)} tasks could not be judged ({unjudged[0]})",
            where=_where(before, after),
            todo="run execute again",
        )
