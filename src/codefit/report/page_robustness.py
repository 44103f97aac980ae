"""The table on the same tasks asked differently."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codefit.report.blocks import Paragraph, Table
from codefit.report.lookup import Evidence, robustness
from codefit.report.messages import Message, code, msg, term
from codefit.report.numbers import interval_text, p_text, percent, share_text, signed


def robustness_blocks(evidence: Evidence) -> list[Any]:
    """Return a row per variant and model, with how far the tuned model's loss differs; nothing without variants."""
    entries = robustness(evidence)
    if not entries:
        return []
    rows = [
        [
            code(e["plain"]),
            term("variant", e["variant"]),
            code(arm),
            share_text(f["plain"], f["n"]),
            share_text(f["varied"], f["n"]),
            _difference(f),
            p_text(f["p_value"]),
            f"{f['lost']} / {f['gained']}",
            percent(f["consistency"]),
        ]
        for e in entries
        for arm, f in e["arms"].items()
    ]
    names = ("suite", "variant", "arm", "plain", "varied", "change", "p", "lost_gained", "consistency")
    table = Table(
        msg("table.robustness"), [msg(f"column.{n}") for n in names], rows, frozenset(range(3, 9)),
        ("findings.json", "robustness"),
    )  # fmt: skip
    return [table, Paragraph(msg("robustness.note"), "note"), *_compared(evidence)]


def _difference(figures: Mapping[str, Any]) -> str:
    """Return the difference in points, the relative one and the interval."""
    relative = figures["relative_percent"]
    percent_text = f" ({signed(relative)} %)" if relative is not None else ""
    stamp = f" ({figures['stamp']})" if figures["stamp"] else ""
    return f"{signed(figures['points'])}{percent_text} {interval_text(figures['ci95'])}{stamp}"


def _compared(evidence: Evidence) -> list[Paragraph]:
    """Return for start and main arm how much more, or less, of its pass rate the latter loses."""
    return [Paragraph(m) for m in compared(evidence)]


def compared(evidence: Evidence) -> list[Message]:
    """Return one message per variant: the loss of start and main arm, and how they differ."""
    found = []
    for entry in robustness(evidence):
        for pair in entry["pairs"]:
            if [pair["before"], pair["after"]] == list(evidence["main"]) and pair["n"]:
                found.append(
                    msg(
                        "answer.robust",
                        suite=code(entry["plain"]),
                        variant=term("variant", entry["variant"]),
                        before=code(pair["before"]),
                        after=code(pair["after"]),
                        first=signed(pair["before_points"]),
                        second=signed(pair["after_points"]),
                        points=signed(pair["points"]),
                        interval=interval_text(pair["ci95"]),
                        n=pair["n"],
                    )
                )
    return found
