"""Write the report of a run folder."""

from __future__ import annotations

from pathlib import Path

from codefit.core.files import write_json, write_text
from codefit.report.evidence import build
from codefit.report.html_page import render_html
from codefit.report.markdown_page import render_markdown
from codefit.report.measures import VERBS_NOW
from codefit.report.tasks import packed


def write_report(run: Path, verbs: frozenset[str] = VERBS_NOW) -> Path:
    """Write RUN/report/{index.html,report.md,report.zh.md,report.json}; return the HTML file's path.

    Each file is replaced as a whole. Equal run contents give equal bytes. Raises `InputError`
    for a folder that is no run and for damaged files; missing files are reported inside.
    """
    evidence = build(run, verbs)
    folder = run / "report"
    write_json(folder / "report.json", evidence)
    write_text(folder / "report.md", render_markdown(evidence, "en"))
    write_text(folder / "report.zh.md", render_markdown(evidence, "zh"))
    write_text(folder / "index.html", render_html(evidence, packed(run, evidence["tasks"])))
    return folder / "index.html"
