"""Several benchmarks at once: Holm's correction, and the gate that a release must pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

GUARD_POINTS = -2.0
TARGET, GUARD = "target", "guard"


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted by Holm's step-down method, in the order given.

    Source: Holm 1979, Scandinavian Journal of Statistics 6:65. One is below alpha exactly where
    the method rejects with the family-wise error rate alpha.
    """
    if any(not 0 <= p <= 1 for p in p_values):
        raise ValueError(f"no p-values: {list(p_values)}")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def as_family(comparisons: Sequence[Mapping[str, Any]], guards: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Return comparisons of one pair of models over several benchmarks, as one family.

    Adds `p_holm`, `family` (how many p-values were corrected together) and `role`: `guard` for
    the suites that are only watched for loss, `target` for those that should gain.
    """
    watched = set(guards)
    adjusted = holm([c["p_value"] for c in comparisons])
    return [
        {**c, "p_holm": p, "family": len(comparisons), "role": GUARD if c["suite"] in watched else TARGET}
        for c, p in zip(comparisons, adjusted, strict=True)
    ]


def gate(comparisons: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return whether a family of comparisons passes the gate, and what each suite has to say.

    Passed: every target's lower bound is above 0 points, no guard's is under -2, at least one
    target was measured, and no comparison is stamped as not like for like.
    """
    reasons = []
    for c in comparisons:
        low, guarded = c["ci95"][0], c["role"] == GUARD
        bound = GUARD_POINTS if guarded else 0.0
        passed = (low >= bound if guarded else low > bound) and not c.get("stamp")
        reasons.append({"suite": c["suite"], "role": c["role"], "lower_bound": low, "must_be": bound,
                        "stamp": c.get("stamp"), "passed": passed})  # fmt: skip
    targets = any(c["role"] == TARGET for c in comparisons)
    return {"passed": targets and all(r["passed"] for r in reasons), "suites": reasons}
