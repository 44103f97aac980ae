"""From measured programs to paired rows: figure before and after, interval, reading, worse first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from codefit.score.traits import Paired, paired_ratios

FEWEST = 10
"""Tasks below which a bootstrap interval is too narrow to be read."""
READINGS = ("worse", "not_shown", "changed", "better")
Values = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Trait:
    """What one figure means. It is sum(name) / sum(per) over tasks; without `per` the mean over tasks.

    `wanted` is `lower`, `higher`, or None where neither is better.
    """

    name: str
    group: str
    unit: str
    wanted: str | None
    per: str | None = None


def trait_rows(
    traits: Sequence[Trait], before: Mapping[str, Values], after: Mapping[str, Values], *,
    both_pass: set[str], seed: int,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return rows of traits over all tasks that both sides measured, and over those that both pass."""
    rows = []
    shared = sorted(set(before) & set(after))
    for on, tasks in (("all", shared), ("both_pass", [t for t in shared if t in both_pass])):
        for trait in traits:
            sides = [[side[t] for t in tasks] for side in (before, after)]
            if row := _row(trait, sides[0], sides[1], seed):
                rows.append({**row, "on": on})
    return rows


def _row(trait: Trait, before: Sequence[Values], after: Sequence[Values], seed: int) -> dict[str, Any] | None:
    """Return one trait's row; None where no task has it on both sides, or there is nothing to divide by."""
    pairs = [(b, a) for b, a in zip(before, after, strict=True) if trait.name in b and trait.name in a]
    values = [np.array([[p[i][trait.name]] for p in pairs]) for i in (0, 1)]
    of = [np.array([p[i][trait.per] if trait.per else 1.0 for p in pairs]) for i in (0, 1)]
    if not pairs or min(o.sum() for o in of) <= 0:
        return None
    (found,) = paired_ratios(values[0], of[0], values[1], of[1], seed=seed)
    return {
        "trait": trait.name,
        "group": trait.group,
        "unit": trait.unit,
        "wanted": trait.wanted,
        "n": found.n,
        "before": round(found.before, 6),
        "after": round(found.after, 6),
        "difference": round(found.difference, 6),
        "ci95": [round(found.low, 6), round(found.high, 6)],
        "reading": _reading(found, trait.wanted),
    }


def _reading(found: Paired, wanted: str | None) -> str:
    if found.low <= 0 <= found.high or found.n < FEWEST:
        return "not_shown"
    if wanted is None:
        return "changed"
    return "better" if (found.difference < 0) == (wanted == "lower") else "worse"


def worse_first(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows by reading, what got worse first; within one reading in the order they came."""
    return sorted(rows, key=lambda r: READINGS.index(r["reading"]))
