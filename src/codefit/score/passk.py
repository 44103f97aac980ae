"""The unbiased estimator of pass@k."""

from __future__ import annotations

from math import comb

from codefit.core.errors import InputError


def pass_at_k(n: int, c: int, k: int) -> float:
    """Return the probability that one of k samples drawn from n, of which c pass, passes.

    Source: Chen et al. 2021 (arXiv 2107.03374), equation 1: 1 - C(n-c, k) / C(n, k).
    Raises `InputError` for n < k, which would be an extrapolation, and `ValueError` for
    counts that make no sense.
    """
    if not 0 <= c <= n or k < 1:
        raise ValueError(f"{c} of {n} samples, k = {k}")
    if n < k:
        raise InputError(
            f"pass@{k} cannot be estimated from {n} samples a task", todo=f"draw at least {k} samples"
        )
    return 1.0 - comb(n - c, k) / comb(n, k)
