"""Paired comparison of the same tasks before and after."""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import comb, sqrt
from statistics import NormalDist

from codefit.score.interval import RESAMPLES, Z95, bootstrap_mean


def mcnemar_exact(fixed: int, broken: int) -> float:
    """Return the two-sided exact p-value of McNemar's test.

    Under no difference each discordant task is fixed or broken with probability 1/2.
    """
    if fixed < 0 or broken < 0:
        raise ValueError(f"fixed {fixed}, broken {broken}")
    n = fixed + broken
    tail = sum(comb(n, i) for i in range(min(fixed, broken) + 1))
    return min(1.0, 2 * tail / int(2**n))


def paired_interval(fixed: int, broken: int, n: int, z: float = Z95) -> tuple[float, float]:
    """Return the 95 % interval of the difference of two shares on the same n tasks, as fractions.

    Source: Bonett and Price 2012 (Journal of Educational and Behavioral Statistics 37:479):
    Wald's interval after one more task each way; unlike a bootstrap it never collapses where
    no task changed.
    """
    if fixed < 0 or broken < 0 or fixed + broken > n or n == 0:
        raise ValueError(f"fixed {fixed}, broken {broken} of {n}")
    up, down = (fixed + 1) / (n + 2), (broken + 1) / (n + 2)
    half = z * sqrt((up + down - (up - down) ** 2) / (n + 2))
    return max(-1.0, up - down - half), min(1.0, up - down + half)


def paired_bootstrap(
    before: Sequence[float], after: Sequence[float], *, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the mean difference, resampling tasks."""
    return bootstrap_mean(_differences(before, after), seed=seed, resamples=resamples)


def permutation_p(
    before: Sequence[float], after: Sequence[float], *, seed: int = 0, resamples: int = RESAMPLES
) -> float:
    """Return the two-sided p-value of the mean difference under random exchange within tasks."""
    changed = [d for d in _differences(before, after) if d]
    observed = abs(sum(changed)) - 1e-12
    rng = random.Random(seed)
    hits = sum(
        abs(sum(d if rng.getrandbits(1) else -d for d in changed)) >= observed for _ in range(resamples)
    )
    return (hits + 1) / (resamples + 1)


def _differences(before: Sequence[float], after: Sequence[float]) -> list[float]:
    if len(before) != len(after):
        raise ValueError(f"{len(before)} values before, {len(after)} after")
    return [a - b for b, a in zip(before, after, strict=True)]


def minimum_detectable_points(n: int, discordance: float, alpha: float = 0.05) -> float | None:
    """Return the smallest net change, in points, that exact McNemar calls significant on n tasks.

    `discordance` is the share of tasks whose outcome changes (in either direction). None where
    so few tasks change that no split of them would be significant.
    """
    if n < 1 or not 0 <= discordance <= 1:
        raise ValueError(f"n = {n}, discordance = {discordance}")
    changed = round(n * discordance)
    for net in range(changed % 2, changed + 1, 2):
        if mcnemar_exact((changed + net) // 2, (changed - net) // 2) <= alpha:
            return 100 * net / n
    return None


def detectable_points_at_power(
    n: int, discordance: float, power: float = 0.8, alpha: float = 0.05
) -> float | None:
    """Return the true net change, in points, that McNemar's test finds with this power on n tasks.

    Larger than `minimum_detectable_points`, which is the change that is significant once it was
    seen: a true change of just that size is seen half the time. None where not even a change in
    one direction only would do. Source: Connor 1987 (Biometrics 43:207), solved for the change.
    """
    if n < 1 or not 0 <= discordance <= 1:
        raise ValueError(f"n = {n}, discordance = {discordance}")
    z_alpha, z_power = NormalDist().inv_cdf(1 - alpha / 2), NormalDist().inv_cdf(power)

    def lacking(change: float) -> float:
        spread = z_alpha * sqrt(discordance) + z_power * sqrt(discordance - change * change)
        return spread - change * sqrt(n)

    low, high = 0.0, discordance
    if discordance == 0 or lacking(high) > 0:
        return None
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if lacking(middle) > 0 else (low, middle)
    return 100 * high
