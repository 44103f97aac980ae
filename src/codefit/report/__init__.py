"""The report of a run: one model of the evidence, as HTML, Markdown and JSON."""

from codefit.report.evidence import build
from codefit.report.html_page import render_html
from codefit.report.markdown_page import render_markdown
from codefit.report.write import write_report

__all__ = ["build", "render_html", "render_markdown", "write_report"]
