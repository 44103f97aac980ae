"""Charts as inline SVG, drawn by matplotlib, the same bytes for the same data.

Colours are names: the drawing is made with marker colours that become CSS variables, so that
one drawing serves light and dark pages. A drawing's words are laid out in English and then stand
in it in every language, of which the page shows one; titles and legends are the page's.
"""

from __future__ import annotations

import html
import importlib.util
import io
import re
from collections.abc import Mapping
from typing import Any

from codefit.report.drawings import HEIGHTS_IN, INK, LINE, PAINTERS, VARIABLES

Words = Mapping[str, Mapping[str, str]]
_WIDTH_IN = 6.4
_MARKER = re.compile(r"#0000([0-9a-f]{2})")
_ROOT = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_SIZE = re.compile(r' (?:width|height)="[\d.]+pt"')
_XMLNS = re.compile(r'\s+xmlns(?::\w+)?="[^"]*"')
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_ID = re.compile(r'(\bid="|href="#|url\(#)')
_TEXT = re.compile(r"(<text[^>]*>)([^<]*)</text>")
_STYLE_ELEMENT = re.compile(r"<style type=\"text/css\">.*?</style>", re.DOTALL)


def available() -> bool:
    """Return whether matplotlib is installed (without importing it)."""
    return importlib.util.find_spec("matplotlib") is not None


def draw(drawing: str, data: Mapping[str, Any], key: str, words: Words) -> str:
    """Return an `<svg>` element; `key` makes its ids unique on the page.

    `words` are the drawing's names, each with its text by the language's tag, English first.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    said = {name: next(iter(texts.values())) for name, texts in words.items()}
    with rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH_IN, HEIGHTS_IN[drawing](data)), layout="constrained")
        FigureCanvasSVG(figure)
        PAINTERS[drawing](figure, data, lambda name: said.get(name, name))
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata=dict.fromkeys(_UNDATED))
    return _spoken(_inline(out.getvalue(), key), {said[name]: texts for name, texts in words.items()})


_UNDATED = ("Creator", "Date", "Format", "Type")
_STYLE: Any = {  # of matplotlib's own names, which its types list one by one
    "svg.hashsalt": "codefit",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": LINE,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": LINE,
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
    svg = _MARKER.sub(lambda m: f"var(--{VARIABLES.get(m[1], 's' + str(int(m[1], 16) - 16))})", svg)
    return (
        _ID.sub(rf"\g<1>{key}-", svg).replace("<svg", '<svg aria-hidden="true" focusable="false"', 1).strip()
    )


def _spoken(svg: str, words: Words) -> str:
    """Put every language's word where the drawing has the English one."""

    def both(match: re.Match[str]) -> str:
        texts = words.get(html.unescape(match[2]))
        if texts is None or len(set(texts.values())) == 1:
            return match[0]
        spans = (f'<tspan lang="{tag}">{html.escape(text)}</tspan>' for tag, text in texts.items())
        return f"{match[1]}{''.join(spans)}</text>"

    return _TEXT.sub(both, svg)
