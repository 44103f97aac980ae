"""Section on traits of programs beyond passing: what got worse first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from codefit.report.blocks import Bullets, Fold, Heading, Paragraph, Section, Table
from codefit.report.lookup import Evidence, main_traits, traits
from codefit.report.messages import Message, code, msg, term
from codefit.report.page_data import absent

_COUNTED = re.compile(r"([0-9,]+) of ([0-9,]+) tasks: (.+)")
READINGS = ("worse", "better", "changed", "not_shown")


def traits_section(evidence: Evidence) -> Section:
    """Readability, security and efficiency of two arms' programs on the same tasks."""
    found = traits(evidence)
    if not found:
        return Section("traits", [absent("traits", evidence)])
    main = main_traits(evidence)
    blocks: list[Any] = [Paragraph(msg("traits.intro"))]
    for entry in main:
        blocks += [
            Heading(msg("heading.suite", suite=code(entry["suite"]))),
            *_pair(entry, found.index(entry)),
        ]
    for entry in found:
        if entry not in main:
            names = {k: code(entry[k]) for k in ("suite", "before", "after")}
            blocks.append(Fold(msg("pair", **names), _pair(entry, found.index(entry)), printed=False))
    return Section("traits", blocks, ["findings.json"])


def _pair(entry: Mapping[str, Any], number: int) -> list[Any]:
    about = msg("traits.about", tasks=entry["tasks"], both=entry["both_pass"], tools=_tools(entry))
    blocks: list[Any] = [Paragraph(about, "note")]
    if entry["rows"]:
        blocks += [Paragraph(summary(entry)), _table(entry, number)]
    if entry["not_measured"]:
        blocks.append(Bullets([_gap(g) for g in entry["not_measured"]]))
    return blocks


def summary(entry: Mapping[str, Any]) -> Message:
    """Return how many traits of a pair got worse, better, changed otherwise, or show nothing."""
    counts = {r: sum(row["reading"] == r for row in entry["rows"]) for r in READINGS}
    return msg("traits.summary", suite=code(entry["suite"]), **counts)


def _tools(entry: Mapping[str, Any]) -> list[Any]:
    return [code(f"{name} {version}") for name, version in entry["tools"].items() if version] or [msg("none")]


def _gap(gap: Mapping[str, Any]) -> Message:
    why = {"group": term("trait_group", gap["group"]), "why": _why(gap["why"])}
    if not gap["command"]:
        return msg("traits.gap_open", **why)
    return msg("traits.gap", **why, command=code(gap["command"]))


def _why(text: str) -> Any:
    """Return why a trait was not measured; a count of tasks in front of the reason is kept apart from it."""
    counted = _COUNTED.fullmatch(text)
    if counted is None:
        return term("trait_gap", text)
    some, of, why = counted.groups()
    return msg("traits.gap_some", some=some, of=of, why=term("trait_gap", why))


def _table(entry: Mapping[str, Any], number: int) -> Table:
    rows = [
        [
            term("trait", r["trait"]),
            term("trait_on", r["on"]),
            r["n"],
            number_text(r["before"]),
            number_text(r["after"]),
            interval(r),
            term("trait_reading", r["reading"]),
        ]
        for r in entry["rows"]
    ]
    columns = [msg(f"column.{n}") for n in ("trait", "on", "tasks", "before", "after", "change", "reading")]
    caption = msg("table.traits", before=code(entry["before"]), after=code(entry["after"]))
    source = ("findings.json", f"traits/{number}/rows")
    return Table(caption, columns, rows, frozenset({2, 3, 4, 5}), source, stacked=True)


def number_text(value: float) -> str:
    """Return a trait's figure with three digits that mean something."""
    return f"{value:.3g}"


def interval(row: Mapping[str, Any]) -> str:
    """Return a difference with its interval as `+0.20 [+0.00, +0.60]`."""
    low, high = row["ci95"]
    return f"{row['difference']:+.3g} [{low:+.3g}, {high:+.3g}]"
