"""Charts as inline SVG, drawn by matplotlib, the same bytes for the same data.

Colours are names: the drawing is made with marker colours that become CSS variables, so that
one drawing serves light and dark pages. Texts in a drawing are names and numbers only; titles
and legends are the page's and therefore in both languages.
"""

from __future__ import annotations

import importlib.util
import io
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SERIES = 15
_INK, _LINE = "#000001", "#000002"
_WIDTH_IN = 6.4
_MARKER = re.compile(r"#0000([0-9a-f]{2})")
_ROOT = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_SIZE = re.compile(r' (?:width|height)="[\d.]+pt"')
_XMLNS = re.compile(r'\s+xmlns(?::\w+)?="[^"]*"')
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_ID = re.compile(r'(\bid="|href="#|url\(#)')
_STYLE_ELEMENT = re.compile(r"<style type=\"text/css\">.*?</style>", re.DOTALL)


def available() -> bool:
    """Return whether matplotlib is installed (without importing it)."""
    return importlib.util.find_spec("matplotlib") is not None


def series(number: int) -> str:
    """Return the marker colour of a series; numbers wrap around."""
    return f"#0000{0x10 + number % SERIES:02x}"


def draw(drawing: str, data: Mapping[str, Any], key: str) -> str:
    """Return an `<svg>` element; `key` makes its ids unique on the page."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    painter, height_in = _PAINTERS[drawing], _HEIGHTS[drawing](data)
    with rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH_IN, height_in), layout="constrained")
        FigureCanvasSVG(figure)
        painter(figure.subplots(), data)
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata=dict.fromkeys(_UNDATED))
    return _inline(out.getvalue(), key)


_UNDATED = ("Creator", "Date", "Format", "Type")
_STYLE: Any = {  # of matplotlib's own names, which its types list one by one
    "svg.hashsalt": "codefit",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _LINE,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "grid.color": _LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "path.simplify": True,
}


def _inline(svg: str, key: str) -> str:
    """Strip what a stand-alone file needs and turn marker colours into CSS variables."""
    svg = _ROOT.sub("", svg, count=1)
    for pattern in (_METADATA, _COMMENT, _STYLE_ELEMENT, _XMLNS):
        svg = pattern.sub("", svg)
    svg = _SIZE.sub("", svg, count=2).replace("xlink:href", "href")
    svg = _MARKER.sub(lambda m: f"var(--{_VARIABLES.get(m[1], 's' + str(int(m[1], 16) - 16))})", svg)
    return (
        _ID.sub(rf"\g<1>{key}-", svg).replace("<svg", '<svg aria-hidden="true" focusable="false"', 1).strip()
    )


_VARIABLES = {"01": "ink", "02": "line"}


def _pass_bars(axes: Axes, data: Mapping[str, Any]) -> None:
    scores = data["scores"]
    arms = list(dict.fromkeys(s["arm"] for s in scores))
    for i, s in enumerate(scores):
        value = 100 * s["value"]
        axes.barh(i, value, color=series(arms.index(s["arm"])), height=0.62)
        low, high = (100 * x for x in s["ci95"]) if s.get("ci95") else (value, value)
        axes.plot([low, high], [i, i], color=_INK, linewidth=1.4, marker="|", markersize=7)
        axes.text(min(high + 1.5, 101.5), i, f"{value:.1f}", va="center", color=_INK)
    several = len({s["suite"] for s in scores}) > 1
    axes.set_yticks(
        range(len(scores)), [f"{s['suite']}  {s['arm']}" if several else s["arm"] for s in scores]
    )
    axes.invert_yaxis()
    axes.set_xlim(0, 108)
    axes.set_xticks(range(0, 101, 20))
    axes.set_xlabel("pass@1 (%)")
    axes.grid(axis="x", alpha=0.5)


def _funnel(axes: Axes, data: Mapping[str, Any]) -> None:
    steps = data["steps"]
    names = ["raw", *(str(s["step"]) for s in steps)]
    left = [steps[0]["in"], *(s["out"] for s in steps)]
    for i, n in enumerate(left):
        axes.barh(i, n, color=series(1 if i else 0), height=0.62)
        axes.text(n + max(left) * 0.012, i, f"{n:,}", va="center", color=_INK)
    axes.set_yticks(range(len(left)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, max(left) * 1.14 or 1)
    axes.grid(axis="x", alpha=0.5)


def _loss(axes: Axes, data: Mapping[str, Any]) -> None:
    for i, curve in enumerate(data["curves"].values()):
        for key, dashes in (("loss", "-"), ("val_loss", "--")):
            points = [
                (p.get("trained_tokens", p.get("step")), p[key]) for p in curve if p.get(key) is not None
            ]
            if points:
                marker = "o" if key == "val_loss" else None
                axes.plot(
                    *zip(*points, strict=True),
                    color=series(i + 1),
                    linestyle=dashes,
                    linewidth=1.5,
                    marker=marker,
                    markersize=3,
                )
    axes.set_xlabel("trained tokens")
    axes.set_ylabel("loss")
    axes.grid(alpha=0.5)


def _failures(axes: Axes, data: Mapping[str, Any]) -> None:
    for row, counts in enumerate(data["arms"].values()):
        left = 0
        for i, cls in enumerate(data["classes"]):
            n = counts.get(cls, 0)
            if n:
                axes.barh(row, n, left=left, color=series(i), height=0.62, edgecolor=_INK, linewidth=0.5)
                left += n
        axes.text(left, row, f" {left}", va="center", color=_INK)
    axes.set_yticks(range(len(data["arms"])), list(data["arms"]))
    axes.invert_yaxis()
    axes.margins(x=0.08)
    axes.grid(axis="x", alpha=0.5)


_PAINTERS: dict[str, Callable[[Any, Mapping[str, Any]], None]] = {
    "pass_bars": _pass_bars,
    "funnel": _funnel,
    "loss": _loss,
    "failures": _failures,
}
_HEIGHTS: dict[str, Callable[[Mapping[str, Any]], float]] = {
    "pass_bars": lambda d: 0.75 + 0.36 * len(d["scores"]),
    "funnel": lambda d: 0.75 + 0.32 * len(d["steps"]),
    "loss": lambda d: 3.2,
    "failures": lambda d: 0.7 + 0.42 * len(d["arms"]),
}
