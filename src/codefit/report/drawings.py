"""The drawings themselves: what matplotlib is told, in marker colours and in names that the page translates.

A drawing gets a figure, its data and `say`, which returns the text of a name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SERIES = 15
INK, LINE, MARK = "#000001", "#000002", "#000003"
VARIABLES = {"01": "ink", "02": "line", "03": "mark"}
_THOUSANDS = "{x:,.0f}"
_FAR = 3.0  # times the peak: a budget line further away would leave no room for the bars
Say = Callable[[str], str]
Data = Mapping[str, Any]


def series(number: int) -> str:
    """Return the marker colour of a series; numbers wrap around."""
    return f"#0000{0x10 + number % SERIES:02x}"


def pass_bars(figure: Figure, data: Data, say: Say) -> None:
    """Draw every score as a bar with its interval."""
    axes, scores = figure.subplots(), data["scores"]
    arms = list(dict.fromkeys(s["arm"] for s in scores))
    for i, s in enumerate(scores):
        axes.barh(i, 100 * s["value"], color=series(arms.index(s["arm"])), height=0.62)
        _whisker(axes, s, i)
    several = len({s["suite"] for s in scores}) > 1
    axes.set_yticks(
        range(len(scores)), [f"{s['suite']}  {s['arm']}" if several else s["arm"] for s in scores]
    )
    _percent_axis(axes, say)


def _whisker(axes: Axes, score: Data, row: int) -> None:
    value = 100 * score["value"]
    low, high = (100 * x for x in score["ci95"]) if score.get("ci95") else (value, value)
    axes.plot([low, high], [row, row], color=INK, linewidth=1.4, marker="|", markersize=7)
    axes.text(min(high + 1.5, 101.5), row, f"{value:.1f}", va="center", color=INK)


def _percent_axis(axes: Axes, say: Say) -> None:
    axes.invert_yaxis()
    axes.set_xlim(0, 108)
    axes.set_xticks(range(0, 101, 20))
    axes.set_xlabel(say("pass"))
    axes.grid(axis="x", alpha=0.5)


def candidates(figure: Figure, data: Data, say: Say) -> None:
    """Draw what an arm's weights were chosen from; the chosen ones have a colour of their own."""
    axes, found = figure.subplots(), data["candidates"]
    for i, c in enumerate(found):
        axes.barh(i, 100 * c["value"], color=MARK if c["name"] == data["chosen"] else series(0), height=0.62)
        _whisker(axes, c, i)
    axes.set_yticks(range(len(found)), [c["name"] for c in found])
    _percent_axis(axes, say)


def funnel(figure: Figure, data: Data, say: Say) -> None:
    """Draw the rows left after every step."""
    axes, steps = figure.subplots(), data["steps"]
    left = [steps[0]["in"], *(s["out"] for s in steps)]
    for i, n in enumerate(left):
        axes.barh(i, n, color=series(1 if i else 0), height=0.62)
        axes.text(n + max(left) * 0.012, i, f"{n:,}", va="center", color=INK)
    axes.set_yticks(range(len(left)), [say("raw"), *(say(str(s["step"])) for s in steps)])
    axes.invert_yaxis()
    axes.set_xlim(0, max(left) * 1.14 or 1)
    axes.set_xlabel(say("rows"))
    axes.xaxis.set_major_formatter(_THOUSANDS)
    axes.grid(axis="x", alpha=0.5)


def failures(figure: Figure, data: Data, say: Say) -> None:
    """Draw the failures of every arm, stacked by class."""
    axes = figure.subplots()
    for row, counts in enumerate(data["arms"].values()):
        _stack(axes, row, [counts.get(cls, 0) for cls in data["classes"]], "{:.0f}")
    axes.set_yticks(range(len(data["arms"])), list(data["arms"]))
    axes.invert_yaxis()
    axes.margins(x=0.08)
    axes.set_xlabel(say("tasks"))
    axes.grid(axis="x", alpha=0.5)


def _stack(axes: Axes, row: int, parts: Sequence[float], total: str) -> None:
    """Draw one bar of parts, one series each, with the sum at its end."""
    left = 0.0
    for i, n in enumerate(parts):
        if n:
            axes.barh(row, n, left=left, color=series(i), height=0.62, edgecolor=INK, linewidth=0.5)
            left += n
    axes.annotate(total.format(left), (left, row), (4, 0), textcoords="offset points", va="center", color=INK)


def shows_budget(data: Data) -> bool:
    """Return whether the budget's line stands in the picture of memory, not far to the right of it."""
    peak = max(sum(parts.values()) for parts in data["phases"].values())
    return bool(data["budget"]) and data["budget"] <= _FAR * peak


def memory(figure: Figure, data: Data, say: Say) -> None:
    """Draw every phase of a step as a bar of components, the budget as a line, the measured peak as another."""
    axes, phases = figure.subplots(), data["phases"]
    for row, parts in enumerate(phases.values()):
        _stack(axes, row, [parts.get(c, 0.0) for c in data["components"]], "{:,.0f}")
    ends = [sum(parts.values()) for parts in phases.values()]
    if data["measured"]:
        axes.axvline(data["measured"], color=MARK, linewidth=2, linestyle=":")
        ends.append(data["measured"])
    if shows_budget(data):
        axes.axvline(data["budget"], color=INK, linewidth=2, linestyle="--")
        ends.append(data["budget"])
    axes.set_yticks(range(len(phases)), [say(p) for p in phases])
    axes.invert_yaxis()
    axes.set_xlim(0, max(ends) * 1.12)
    axes.set_xlabel("MiB")
    axes.xaxis.set_major_formatter(_THOUSANDS)
    axes.grid(axis="x", alpha=0.5)


def curves(figure: Figure, data: Data, say: Say) -> None:
    """Draw one panel a watched figure, over trained tokens; upright lines stand at the chosen weights."""
    panels = curve_panels(data)
    heights = [2.0 if name == "loss" else 1.0 for name in panels]
    grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=heights)
    for axes, name in zip(grid[:, 0], panels, strict=True):
        for i, curve in enumerate(data["arms"].values()):
            _panel(axes, name, curve, series(i + 1))
            for x in curve["chosen"]:
                axes.axvline(x, color=series(i + 1), linewidth=1.4, linestyle=":")
        axes.set_ylabel(say(name))
        axes.grid(alpha=0.5)
    grid[-1, 0].set_xlabel(say("tokens"))
    grid[-1, 0].xaxis.set_major_formatter(_THOUSANDS)
    figure.align_ylabels()


_PANELS = ("loss", "develop", "kl_to_start", "grad_norm", "lr")


def curve_panels(data: Data) -> list[str]:
    """Return the figures that some arm has two points of, in reading order."""
    return [n for n in _PANELS if any(len(_points(c, n)) > 1 for c in data["arms"].values()) or n == "loss"]


def _points(curve: Data, name: str) -> list[tuple[float, float]]:
    found = curve["looks"] if name in ("develop", "kl_to_start") else curve["points"]
    points = []
    for p in found:
        value = p.get(name)
        if name == "develop" and value is not None:
            value = None if value.get("value") is None else 100 * value["value"]
        if value is not None:
            points.append((p.get("trained_tokens") or p.get("step"), value))
    return points


def _panel(axes: Axes, name: str, curve: Data, colour: str) -> None:
    marker = "o" if name in ("develop", "kl_to_start") else None
    points = _points(curve, name)
    if points:
        axes.plot(*zip(*points, strict=True), color=colour, linewidth=1.3, marker=marker, markersize=3)
    held_out = _points(curve, "val_loss") if name == "loss" else []
    if held_out:
        axes.plot(*zip(*held_out, strict=True), color=colour, linewidth=1.3, linestyle="--", marker="o",
                  markersize=3)  # fmt: skip


def rank(figure: Figure, data: Data, say: Say) -> None:
    """Draw published scores over parameters; the start model and the tuned one are lines across."""
    axes = figure.subplots()
    for i, points in enumerate(data["groups"].values()):
        if points:
            x, y = zip(*points, strict=True)
            axes.scatter(x, y, s=22, color=series(i + 1), edgecolors=INK, linewidths=0.4)
    for name, colour, line in (("start", INK, "--"), ("tuned", MARK, ":")):
        axes.axhline(data[name]["value"], color=colour, linewidth=2, linestyle=line)
    axes.axhspan(*data["tuned"]["ci95"], color=MARK, alpha=0.12, linewidth=0)
    axes.set_xscale("log")
    axes.set_xticks(_BILLIONS, [f"{b:g}" for b in _BILLIONS])
    axes.minorticks_off()
    axes.set_xlabel(say("parameters"))
    axes.set_ylabel(say("pass"))
    axes.grid(alpha=0.5)


_BILLIONS = (0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


PAINTERS: dict[str, Callable[[Any, Data, Say], None]] = {
    "pass_bars": pass_bars,
    "candidates": candidates,
    "funnel": funnel,
    "curves": curves,
    "failures": failures,
    "memory": memory,
    "rank": rank,
}
HEIGHTS_IN: dict[str, Callable[[Data], float]] = {
    "pass_bars": lambda d: 0.75 + 0.36 * len(d["scores"]),
    "candidates": lambda d: 0.75 + 0.36 * len(d["candidates"]),
    "funnel": lambda d: 0.95 + 0.32 * len(d["steps"]),
    "curves": lambda d: 2.1 + 1.2 * len(curve_panels(d)),
    "failures": lambda d: 0.9 + 0.42 * len(d["arms"]),
    "memory": lambda d: 0.8 + 0.42 * len(d["phases"]),
    "rank": lambda d: 3.4,
}
