"""The figure of a score: pass@k over tasks with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from codefit.score.interval import bootstrap_mean, wilson
from codefit.score.passk import pass_at_k


def pass_figures(counts: Sequence[tuple[int, int]], k: int = 1) -> dict[str, Any]:
    """Return metric, value, passed, n and ci95 from (samples, passing samples) of each task.

    With one sample a task, `n` and `passed` count tasks and the interval is Wilson's; with
    several they count samples and the interval is a bootstrap over tasks. Without tasks the
    value is None: not measured.
    """
    if not counts:
        return {"metric": f"pass@{k}", "value": None, "passed": 0, "n": 0, "ci95": None}
    values = [pass_at_k(n, c, k) for n, c in counts]
    passed, n = sum(c for _, c in counts), sum(n for n, _ in counts)
    single = all(samples == 1 for samples, _ in counts)
    low, high = wilson(passed, n) if single else bootstrap_mean(values)
    return {
        "metric": f"pass@{k}",
        "value": sum(values) / len(values),
        "passed": passed,
        "n": n,
        "ci95": [low, high],
    }
