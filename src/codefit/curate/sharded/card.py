"""The data card of rows that are too many to hold: what counts say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from codefit.curate.card.markdown import counts_text, steps_text

PerSource = Mapping[str, tuple[int, str | None]]
"""Source -> (rows, licence)."""


def counted_card(funnel: dict[str, Any], read: PerSource, kept: PerSource) -> str:
    """Return the card as Markdown.

    Not covered: lengths and evidence, which need every kept row at hand.
    """
    head = f"# Data card\n\n{counts_text(funnel)} Made over shards: counts only, no lengths and no topics.\n"
    return "\n".join([head, _sources(funnel, read, kept), steps_text(funnel), _separation(funnel)])


def _sources(funnel: dict[str, Any], read: PerSource, kept: PerSource) -> str:
    revisions = {source["name"]: source["revision"] for source in funnel["sources"]}
    rows = []
    for name, (count, licence) in sorted(read.items()):
        left = kept.get(name, (0, None))[0]
        rows.append((name, f"{count:,}", f"{left:,}", licence or "not stated", revisions.get(name, "-")))
    note = "\nA model tuned on rows whose licence forbids commercial use may be bound by it too.\n"
    return "## Sources\n\n" + _table(("source", "rows read", "kept", "licence", "revision"), rows) + note


def _separation(funnel: dict[str, Any]) -> str:
    step = next((s for s in funnel["steps"] if s["step"] == "decontaminate"), None)
    if step is None or not funnel["suites"]:
        return "## Separation from test sets\n\nNot checked.\n"
    rows = [
        (
            suite,
            f"{tasks:,}",
            *(f"{found.get(name, 0):,}" for name in ("rows_removed", "tasks_touched", "rows_listed")),
        )
        for suite, tasks in funnel["suites"].items()
        for found in (step["report"]["suites"].get(suite, {}),)
    ]
    mode = funnel["settings"]["decontaminate"]["execution_match"]
    head = ("suite", "tasks", "rows removed", "tasks touched", "rows listed for review")
    return "## Separation from test sets\n\n" + _table(head, rows) + f"\nExecution match: {mode}.\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    lines = [head, ["---"] * len(head), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
