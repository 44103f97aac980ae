"""The verdict: better, not shown or worse, by a rule that is printed beside it.

Rule: better (worse) on a suite if the paired 95 % interval of the difference lies above
(below) zero and the exact McNemar p, corrected by Holm where several suites were compared, is
below 0.05; otherwise nothing is shown. Nor is it where the two sides were not measured alike.
The arms compared are the start model and the recipe's main arm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from codefit.report.messages import Message, code, msg, term
from codefit.report.numbers import interval_text, p_text, percent, score_text, signed
from codefit.suites.variants import variant_of

ALPHA = 0.05
KINDS = ("better", "not_shown", "worse", "mixed", "not_measured")
Record = Mapping[str, Any]


def reading(comparison: Record) -> str:
    """Return `better`, `worse` or `not_shown` for one paired comparison."""
    interval, p = comparison.get("ci95"), comparison.get("p_holm", comparison.get("p_value"))
    if not interval or p is None or p >= ALPHA or comparison.get("stamp"):
        return "not_shown"
    if interval[0] > 0:
        return "better"
    return "worse" if interval[1] < 0 else "not_shown"


def headline(comparisons: Sequence[Record]) -> str:
    """Return the kind of verdict over all suites of the main comparison; of variants only losses count."""
    found = {reading(c) for c in _weighed(comparisons, "worse")}
    if not found:
        return "not_measured"
    if {"better", "worse"} <= found:
        return "mixed"
    return next((kind for kind in ("worse", "better") if kind in found), "not_shown")


def _weighed(comparisons: Sequence[Record], *kinds: str) -> list[Record]:
    """Return the comparisons of plain suites, and those of variants that read so; all where none is plain."""
    plain = [c for c in comparisons if not variant_of(str(c.get("suite")))]
    return [c for c in comparisons if c in plain or reading(c) in kinds] if plain else list(comparisons)


def sentences(comparisons: Sequence[Record]) -> list[Message]:
    """Return one sentence per suite: proven losses first, then gains, then what is not shown.

    Of a variant, which is no suite to gain on, only what is proven is told here; the table has all.
    """
    order = {"worse": 0, "better": 1, "not_shown": 2}
    ranked = sorted(
        _weighed(comparisons, "worse", "better"), key=lambda c: (order[reading(c)], str(c.get("suite")))
    )
    return [msg(f"verdict.{reading(c)}", **line_arguments(c)) for c in ranked] or [
        msg("verdict.not_measured")
    ]


def line_arguments(comparison: Record) -> dict[str, Any]:
    """Return the arguments of the one line that every difference is printed with."""
    return {
        "suite": code(comparison.get("suite")),
        "before_arm": code(comparison.get("before_arm")),
        "after_arm": code(comparison.get("after_arm")),
        "before": percent(side_value(comparison.get("before"))),
        "after": percent(side_value(comparison.get("after"))),
        "points": signed(comparison.get("points")),
        "relative": relative_text(comparison),
        "interval": interval_text(comparison.get("ci95")),
        "p": p_value(comparison),
        "fixed": comparison.get("fixed"),
        "broken": comparison.get("broken"),
        "detectable": _one_digit(comparison.get("minimum_detectable_points")),
    }


def not_alike(comparisons: Sequence[Record]) -> list[Message]:
    """Return the warning that figures of sides that were not measured alike carry wherever they stand."""
    names = [code(c.get("suite")) for c in comparisons if c.get("stamp")]
    return [msg("not_alike", suites=names)] if names else []


def p_value(comparison: Record, usual: str | None = None) -> Any:
    """Return the p value with the name of its test, unless that is the `usual` one."""
    text, test = p_text(comparison.get("p_value")), comparison.get("test")
    return msg("p_of_test", p=text, test=term("test", test)) if text and test and test != usual else text


def side_value(side: Any) -> float | None:
    """Return the pass rate of one side of a comparison, which is a score or a share in [0, 1]."""
    value = side.get("value") if isinstance(side, Mapping) else side
    return None if value is None else float(value)


def relative_text(comparison: Record) -> Any:
    """Return the relative change, or why there is none."""
    value = comparison.get("relative_percent")
    return msg("relative_undefined") if value is None else f"{signed(value)} %"


def _one_digit(value: float | None) -> str | None:
    return None if value is None else f"{value:.1f}"


def got_worse(comparisons: Sequence[Record], findings: Record | None, main: tuple[str, str]) -> list[Message]:
    """Return everything that went the wrong way: proven losses first, then traits, then by size."""
    losses: list[tuple[int, float, Message]] = []
    for c in comparisons:
        if (c.get("points") or 0) < 0:
            proven = reading(c) == "worse"
            losses.append(
                (
                    0 if proven else 2,
                    c["points"],
                    msg("worse.score", **line_arguments(c), proven=term("proven", proven)),
                )
            )
        if c.get("broken"):
            losses.append((3, -c["broken"], msg("worse.broken", **line_arguments(c), cases=c["broken"])))
    for suite, found in sorted(((findings or {}).get("suites") or {}).items()):
        losses += [(4, before - after, m) for before, after, m in _grown_classes(suite, found, main)]
    losses += [(1, 0.0, m) for m in _worse_traits((findings or {}).get("traits") or [], main)]
    return [m for *_, m in sorted(losses, key=lambda item: item[:2])]


def _worse_traits(found: Sequence[Record], main: tuple[str, str]) -> list[Message]:
    """Return the traits whose interval says that they got worse, over all tasks that both arms answered."""
    return [
        msg(
            "worse.trait",
            suite=code(entry["suite"]),
            trait=term("trait", row["trait"]),
            before=f"{row['before']:.3g}",
            after=f"{row['after']:.3g}",
            n=row["n"],
            low=f"{row['ci95'][0]:+.3g}",
            high=f"{row['ci95'][1]:+.3g}",
            on=term("trait_on", row["on"]),
        )
        for entry in found
        if (entry["before"], entry["after"]) == main
        for row in entry["rows"]
        if row["reading"] == "worse"
    ]


def _grown_classes(suite: str, found: Record, main: tuple[str, str]) -> list[tuple[int, int, Message]]:
    before, after = (found.get("failures", {}).get(arm) for arm in main)
    if not before or not after:
        return []
    grown = []
    for cls, now in after["counts"].items():
        was = before["counts"].get(cls, 0)
        if now > was and cls not in ("passed", "not_measured"):
            m = msg(
                "worse.class", suite=code(suite), cls=term("class", cls), before=was, after=now, n=after["n"]
            )
            grown.append((was, now, m))
    return grown


def arm_scores(scores: Sequence[Record]) -> list[dict[str, Any]]:
    """Return every score with its printed figure."""
    return [{**s, "figure": score_text(s)} for s in scores]
