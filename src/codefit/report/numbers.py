"""Figures as text: a number never stands alone. The text is the same in every language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from codefit.score.interval import wilson


def percent(value: float | None, digits: int = 1) -> str | None:
    """Return a share in [0, 1] as `67.2 %`."""
    return None if value is None else f"{100 * value:.{digits}f} %"


def score_text(score: Mapping[str, Any]) -> str | None:
    """Return a score as `67.2 % (254/378) [62.3, 71.7]`; None where it was not measured."""
    if score.get("value") is None:
        return None
    text = f"{percent(score['value'])} ({score.get('passed')}/{score.get('n')})"
    interval = score.get("ci95")
    return f"{text} [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]" if interval else text


def share_text(part: int, whole: int) -> str | None:
    """Return a count of a whole as `12.5 % (5/40)`; None for an empty whole."""
    return f"{percent(part / whole)} ({part}/{whole})" if whole else None


def rate_text(passed: int, n: int) -> str | None:
    """Return a pass rate as `67.2 % (254/378) [62.3, 71.7]` with Wilson's interval; None for no tasks."""
    if not n:
        return None
    low, high = wilson(passed, n)
    return f"{share_text(passed, n)} [{100 * low:.1f}, {100 * high:.1f}]"


def signed(value: float | None, digits: int = 1) -> str | None:
    """Return a number with its sign; zero (also a rounded one) has `+`."""
    if value is None:
        return None
    text = f"{value:+.{digits}f}"
    return text.replace("-", "+") if float(text) == 0 else text


def interval_text(interval: Sequence[float] | None) -> str | None:
    """Return an interval of points as `[+1.2, +3.4]`."""
    return f"[{signed(interval[0])}, {signed(interval[1])}]" if interval else None


def p_text(p: float | None) -> str | None:
    """Return a p value as `p = 0.031` or `p < 0.001`."""
    if p is None:
        return None
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def mib(value: float | None) -> str | None:
    """Return mebibytes as `6,912 MiB`."""
    if value is None:
        return None
    return f"{value:,.0f} MiB" if abs(value) >= 100 else f"{value:.1f} MiB"
