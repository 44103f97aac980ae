"""How far results differ between training seeds, apart from what the choice of tasks would change.

Several models that differ in their seed only answer the same tasks. The spread of their pass
rates is what another seed would have given; the interval over tasks is what another draw of
tasks would have. Neither contains the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import erfc, exp, gamma, sqrt
from statistics import fmean, stdev
from typing import Any

from codefit.score.interval import bootstrap_mean

# Upper 2.5 % points of Student's t by degrees of freedom, from 1.
_T975 = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281,
         2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860)  # fmt: skip


def chi2_tail(x: float, df: int) -> float:
    """Return P(X > x) of chi-square with `df` degrees of freedom, by the recursion over df."""
    if df < 1 or x < 0:
        raise ValueError(f"x = {x}, df = {df}")
    half = x / 2
    tail, at = (erfc(sqrt(half)), 1) if df % 2 else (exp(-half), 2)
    while at < df:
        tail += half ** (at / 2) * exp(-half) / gamma(at / 2 + 1)
        at += 2
    return min(1.0, tail)


def cochran_q(passed: Sequence[Sequence[bool]]) -> tuple[float, float]:
    """Return Cochran's Q and its p-value: do the models' pass rates differ beyond churn?

    `passed[m][t]`, shape (models, tasks). Source: Cochran 1950, Biometrika 37:256; with two
    models it is McNemar's test without correction. Without any task that tells models apart the
    result is (0, 1).
    """
    models = len(passed)
    if models < 2:
        raise ValueError("needs two models")
    columns = [sum(p) for p in passed]
    rows = [sum(p[t] for p in passed) for t in range(len(passed[0]))]
    below = models * sum(rows) - sum(r * r for r in rows)
    if below == 0:
        return 0.0, 1.0
    q = (models - 1) * (models * sum(c * c for c in columns) - sum(columns) ** 2) / below
    return q, chi2_tail(q, models - 1)


def seed_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return Student's 95 % interval of the mean over seeds; None for one seed."""
    if len(values) < 2:
        return None
    half = _T975[min(len(values) - 1, len(_T975)) - 1] * stdev(values) / sqrt(len(values))
    return fmean(values) - half, fmean(values) + half


def seed_spread(
    before: Mapping[str, bool], seeds: Sequence[Mapping[str, bool]], *, seed: int = 0
) -> dict[str, Any]:
    """Return the gain of a method over `before`, with the noise of seeds and of tasks apart.

    `seeds[s][task]` says whether the model of seed s passed. All figures are points. `ci95_tasks`
    resamples tasks for the models at hand; `ci95_seeds` takes the tasks as given and seeds as drawn.
    Raises `ValueError` for fewer than two seeds, or tasks that differ.
    """
    tasks = sorted(before)
    if len(seeds) < 2 or any(sorted(s) != tasks for s in seeds):
        raise ValueError("needs two seeds or more, on the tasks of `before`")
    rates = [100 * fmean(s[t] for t in tasks) for s in seeds]
    start = 100 * fmean(before[t] for t in tasks)
    gains = [fmean(s[t] for s in seeds) - before[t] for t in tasks]
    low, high = bootstrap_mean(gains, seed=seed)
    by_seeds = seed_interval([r - start for r in rates])
    assert by_seeds is not None
    _, p = cochran_q([[s[t] for t in tasks] for s in seeds])
    return {
        "values": [r / 100 for r in rates],
        "mean": fmean(rates) / 100,
        "seed_sd_points": stdev(rates),
        "seed_range_points": max(rates) - min(rates),
        "points": fmean(rates) - start,
        "relative_percent": 100 * (fmean(rates) - start) / start if start else None,
        "ci95_tasks": [100 * low, 100 * high],
        "ci95_seeds": list(by_seeds),
        "seeds_differ_p": p,
    }
