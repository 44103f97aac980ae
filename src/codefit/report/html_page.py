"""The evidence as one self-contained HTML file: both languages, no request to anywhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from codefit.report import charts
from codefit.report.blocks import Chart, Fold, Section
from codefit.report.messages import HTML_LANG, LANGUAGES, code, html, msg, plain
from codefit.report.page import sections

TEMPLATES = Path(__file__).parent / "templates"
_INSTALL = 'pip install "codefit[report]"'
_DIFF = {"+": "added", "-": "removed", "@": "place"}


def render_html(evidence: Mapping[str, Any], tasks: tuple[str, int | None] | None = None) -> str:
    """Return the report as HTML; the same evidence gives the same text.

    `tasks` are the texts of all tasks as `tasks.packed` returns them; without them none can be opened.
    Texts from programs, rows and models are untrusted: everything goes through autoescaping,
    and the page's content security policy lets only its own script run.
    """
    with_charts = charts.available()
    script = "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.js", "tasks.js"))
    heading = title(evidence)
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            title=plain("en").render(heading),
            title_zh=plain("zh").render(heading),
            heading=heading,
            sections=_keyed(sections(evidence), with_charts),
            files=frozenset(evidence["files"]),
            packed=tasks[0] if tasks else None,
            cut=tasks[1] if tasks else None,
            kind=evidence["verdict"]["kind"],
            stand_in=evidence["run"]["stand_in"],
            note=evidence["run"]["note"],
            facts=facts(evidence),
            charts=with_charts,
            no_charts=msg("no_charts", command=code(_INSTALL)),
            style=Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),
            script=Markup(script),
            script_hash=_hash(script),
        )
    )


def title(evidence: Mapping[str, Any]) -> Any:
    """Return the report's title."""
    run = evidence["run"]
    return msg("title", title=run["title"] or run["name"] or msg("untitled"))


def facts(evidence: Mapping[str, Any]) -> str:
    """Return the line that says which recipe, version and machine made the run."""
    run = evidence["run"]
    known = [("recipe", run["name"]), ("hash", run["recipe_hash"]), ("codefit", run["codefit"])]
    return " · ".join(f"{k} {v}" for k, v in [*known, *run["environment"].items()] if v)


def _environment() -> Environment:
    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    languages = [html(lang) for lang in LANGUAGES]

    def both(value: Any) -> Markup:
        texts = [language.render(value) for language in languages]
        if len(set(texts)) == 1:
            return Markup(texts[0])
        tagged = zip(LANGUAGES, texts, strict=True)
        return Markup("".join(f'<span lang="{HTML_LANG[lang]}">{text}</span>' for lang, text in tagged))

    env.globals.update(both=both, msg=msg, diff_lines=diff_lines)
    return env


def diff_lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield (class, line) of a unified diff; the signs stay, so colour is not the only sign."""
    for line in text.splitlines():
        yield ("place" if line.startswith(("+++", "---")) else _DIFF.get(line[:1], "same")), line


def _keyed(found: Sequence[Section], with_charts: bool) -> list[dict[str, Any]]:
    """Return the sections with a unique key for every block and its drawing where it is a chart."""
    keys = count(1)
    return [
        {"id": s.id, "files": s.files, "blocks": [_block(b, keys, with_charts) for b in s.blocks]}
        for s in found
    ]


def _block(block: Any, keys: Iterator[int], with_charts: bool) -> dict[str, Any]:
    key = f"b{next(keys)}"
    shown = {"kind": block.kind, "key": key, **{k: getattr(block, k) for k in block.__dataclass_fields__}}
    if isinstance(block, Fold):
        shown["blocks"] = [_block(b, keys, with_charts) for b in block.blocks]
    if isinstance(block, Chart):
        shown["svg"] = (
            Markup(charts.draw(block.drawing, block.data, key, _words(block))) if with_charts else None
        )
    return shown


def _words(chart: Chart) -> dict[str, dict[str, str]]:
    return {
        name: {HTML_LANG[lang]: plain(lang).render(text) for lang in LANGUAGES}
        for name, text in chart.words.items()
    }


def _hash(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
