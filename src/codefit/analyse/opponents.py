"""Other people's models, from published scores, beside the start model and the tuned one.

A score is compared only with scores of the same flavour: the same tasks, prompt style and
version. What the tuned model passes counts only if the start model had not passed it already.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

REFERENCE_SCORES = Path(__file__).with_name("data") / "reference_scores.csv"
BOARDS = ("evalplus/evalplus.github.io", "bigcode-bench/bigcode-bench.github.io")
KINDS = ("base", "instruct")
STANDINGS = ("below_start", "newly_passed", "not_passed", "lost")
# flavour: the suites that are compared together, with the benchmark's name in the file
FLAVOURS = {
    "evalplus-0shot-378": {"mbpp": "MBPP", "mbpp+": "MBPP+"},
    "evalplus-0shot-399": {"mbpp": "MBPP", "mbpp+": "MBPP+"},
    "evalplus-0shot-164": {"humaneval": "HumanEval", "humaneval+": "HumanEval+"},
    **{
        f"{mode}-{size}": {suite: "BigCodeBench"}
        for mode in ("instruct", "complete")
        for size, suite in (("full-1140", "bigcodebench"), ("hard-148", "bigcodebench-hard"))
    },
}


@dataclass(frozen=True, slots=True)
class Published:
    """One model's published scores of one flavour from one source, in percent by benchmark."""

    model: str
    kind: str
    params_b: float | None
    flavour: str
    source: str
    note: str
    scores: Mapping[str, float]


@cache
def published_scores() -> tuple[Published, ...]:
    """Return every greedy pass@1 of the reference file, grouped by model, kind, flavour and source."""
    groups: dict[tuple[str, str, str, str], list[dict[str, str]]] = {}
    with REFERENCE_SCORES.open(encoding="utf-8", newline="") as f:
        for row in csv.DictReader(f):
            if row["metric"] == "pass@1 greedy":
                key = (row["model"], row["kind"], row["variant"], row["source"])
                groups.setdefault(key, []).append(row)
    return tuple(
        Published(model, kind, float(rows[0]["params_b"]) if rows[0]["params_b"] else None, flavour, source,
                  rows[0]["retrieved_note"], {r["benchmark"]: float(r["score"]) for r in rows})
        for (model, kind, flavour, source), rows in groups.items()
    )  # fmt: skip


def of_flavour(flavour: str, benchmarks: Sequence[str]) -> list[Published]:
    """Return one entry per model and kind with all these scores, a leaderboard's before anyone else's."""
    found: dict[tuple[str, str], Published] = {}
    for p in published_scores():
        if p.flavour == flavour and all(b in p.scores for b in benchmarks):
            key = (p.model, p.kind)
            if key not in found or (_board(p) and not _board(found[key])):
                found[key] = p
    return list(found.values())


def _board(entry: Published) -> bool:
    return any(board in entry.source for board in BOARDS)


def flavour_of(scores: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the flavour of one arm's pass@1 scores of one benchmark; None where no published one fits.

    A score of fewer tasks than the benchmark has is of no flavour.
    """
    first = scores[0]
    family = str(first["suite"]).rstrip("+")
    tasks = {s["n"] + len(s.get("excluded") or ()) for s in scores}
    if any(s.get("limit") for s in scores) or len(tasks) != 1:
        return None
    size = tasks.pop()
    if family in ("mbpp", "humaneval"):
        name = f"evalplus-0shot-{size}"
        return name if family in FLAVOURS.get(name, {}) else None
    modes = [m for m in ("instruct", "complete") if f"prompt {m}" in str(first.get("harness"))]
    size_name = {1140: "full-1140", 148: "hard-148"}.get(size)
    name = f"{modes[0]}-{size_name}" if modes and size_name else ""
    return name if family in FLAVOURS.get(name, {}) else None


def standing(scores: Mapping[str, float], start: Mapping[str, float], tuned: Mapping[str, float]) -> str:
    """Return where a model stands; it must be below on every suite to count as below.

    `lost`: the start model had passed it, the tuned one has not.
    """
    before, after = (all(scores[s] < side[s] for s in scores) for side in (start, tuned))
    if before:
        return "below_start" if after else "lost"
    return "newly_passed" if after else "not_passed"


def opponents(
    start: Sequence[Mapping[str, Any]], tuned: Sequence[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """Return the published models of the same flavour beside two arms' scores of one benchmark.

    `start` and `tuned` are score rows (pass@1) of the base and plus tests, or of the one suite. None
    where their flavour is not known or not the same. A row is a `tie` where every score of it lies
    inside the tuned model's 95 % interval: noise alone could turn the order round.
    """
    flavour = flavour_of(start)
    if flavour is None or flavour != flavour_of(tuned):
        return None
    names = FLAVOURS[flavour]
    mine = [{s["suite"]: s for s in side if s["suite"] in names} for side in (start, tuned)]
    suites = [s for s in names if s in mine[0] and s in mine[1]]
    ours = [{s: 100 * side[s]["value"] for s in suites} for side in mine]
    intervals = {s: [100 * x for x in mine[1][s]["ci95"]] for s in suites}
    rows: list[dict[str, Any]] = []
    for p in of_flavour(flavour, [names[s] for s in suites]):
        scores = {s: p.scores[names[s]] for s in suites}
        tie = all(intervals[s][0] <= scores[s] <= intervals[s][1] for s in suites)
        rows.append({"model": p.model, "kind": p.kind, "params_b": p.params_b, "scores": scores, "tie": tie,
                     "standing": standing(scores, *ours), "source": p.source, "note": p.note})  # fmt: skip
    rows.sort(key=lambda r: (-r["scores"][suites[-1]], r["model"], r["kind"]))
    return {
        "flavour": flavour,
        "suites": suites,
        "start": {s: _figure(mine[0][s]) for s in suites},
        "tuned": {s: _figure(mine[1][s]) for s in suites},
        "counts": {kind: count_standings([r for r in rows if r["kind"] == kind]) for kind in KINDS},
        "rows": rows,
    }


def _figure(score: Mapping[str, Any]) -> dict[str, Any]:
    return {"value": 100 * score["value"], "ci95": [100 * x for x in score["ci95"]]}


def count_standings(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Count rows by standing, and the ties among those that the start model had not passed."""
    counts = {name: sum(r["standing"] == name for r in rows) for name in STANDINGS}
    ties = {
        f"{name}_ties": sum(r["standing"] == name and r["tie"] for r in rows)
        for name in ("newly_passed", "not_passed")
    }
    return {"models": len(rows), **counts, **ties}
