"""The evidence as Markdown, one language a file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from codefit.report.html_page import TEMPLATES, facts, title
from codefit.report.messages import Language, msg
from codefit.report.page import sections

_SPECIAL = re.compile(r"[\\`*|]|<(?=[A-Za-z/!?])|\]\(")
_BLANK_LINES = re.compile(r"\n{3,}")
_FENCE_RUN = re.compile(r"`{3,}")
_TICK_RUN = re.compile(r"`+")
TRAINED_MARKS = ("⟦", "⟧")


def render_markdown(evidence: Mapping[str, Any], lang: str) -> str:
    """Return the report as Markdown in `en` or `zh`; untrusted text is escaped or fenced."""
    language = Language(lang, quote, code_span, str)
    env = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    env.globals.update(t=language.render, msg=msg, fenced=fenced, mask=mask)
    text = env.get_template("report.md.j2").render(
        heading=title(evidence),
        stand_in=evidence["run"]["stand_in"],
        note=evidence["run"]["note"],
        facts=quote(facts(evidence)),
        sections=sections(evidence),
        files=frozenset(evidence["files"]),
        kind=evidence["verdict"]["kind"],
    )
    return _BLANK_LINES.sub("\n\n", text).strip() + "\n"


def quote(text: str) -> str:
    """Escape what Markdown or HTML would act upon, on one line."""
    return _SPECIAL.sub(lambda m: "\\" + m[0] if m[0] != "](" else "]\\(", " ".join(text.split()))


def code_span(text: str) -> str:
    """Return text as inline code, whatever backticks and pipes it holds."""
    flat = " ".join(text.split()).replace("|", "¦") or " "
    longest = max((len(run) for run in _TICK_RUN.findall(flat)), default=0)
    ticks = "`" * (longest + 1)
    pad = " " if flat[0] == "`" or flat[-1] == "`" else ""
    return f"{ticks}{pad}{flat}{pad}{ticks}"


def fenced(text: str, style: str = "plain") -> str:
    """Return text as a fenced block whose fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in _FENCE_RUN.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{'diff' if style == 'diff' else ''}\n{text.rstrip()}\n{fence}"


def mask(pieces: Iterable[Mapping[str, Any]]) -> str:
    """Return a rendered example with the trained pieces in ⟦ ⟧."""
    left, right = TRAINED_MARKS
    return "".join(f"{left}{p['text']}{right}" if p.get("trained") else str(p["text"]) for p in pieces)
