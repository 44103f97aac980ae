"""The data card as Markdown, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codefit.curate.card.compare import libraries_text, overlap_text, topics_text
from codefit.curate.card.licence import GENERATED, MEANING, NON_COMMERCIAL
from codefit.curate.card.markdown import cell, counts_text, share, steps_text, table
from codefit.curate.card.overlap import MIXTURE

_LANGUAGES = 10


def card_text(card: Mapping[str, Any], funnel: Mapping[str, Any]) -> str:
    """Return the card as Markdown; the same card and funnel give the same text."""
    groups = {name: s["read"] for name, s in card["sources"].items()} | {"kept rows": card["mixture"]["kept"]}
    parts = [
        "# Data card\n",
        f"{counts_text(funnel)}\n",
        _sources(card, funnel),
        _licences(card),
        steps_text(funnel),
        _lengths(card, groups),
        _shares("Languages of the answers, by heuristic", "languages", "language", groups, _LANGUAGES),
        _shares("What the answers are", "forms", "form", groups, _LANGUAGES),
        _evidence(card),
        topics_text(card, groups),
        libraries_text(card),
        overlap_text("Overlap between sources", card["overlap"]["between"], card),
        overlap_text("Overlap with test sets", card["overlap"]["suites"], card),
        _separation(funnel),
    ]
    return "\n".join(part for part in parts if part)


def _sources(card: Mapping[str, Any], funnel: Mapping[str, Any]) -> str:
    rows, notes = [], []
    adds = bool(card["mixture"]["added"])
    for name, s in card["sources"].items():
        read, added, kept = s["read"]["rows"], s["added"], s["kept"]["rows"]
        shares = share(kept, read + added), share(kept, funnel["kept"])
        licence, revision = "; ".join(s["read"]["licences"]), s["revision"] or "-"
        rows.append((name, f"{read:,}", *([f"{added:,}"] if adds else []), *shares, licence, revision))
        if s["about"]:
            notes.append(f"- {cell(name)}: {cell(s['about'])}\n")
    head = (
        "source",
        "rows read",
        *(["rows added"] if adds else []),
        "kept of them",
        "share of the mixture",
        "licence",
        "revision",
    )
    return "## Sources\n\n" + table(head, rows) + ("\n" + "".join(notes) if notes else "")


def _licences(card: Mapping[str, Any]) -> str:
    kinds: dict[str, list[str]] = {}
    for found in card["licences"]:
        if found["kept"]:
            kinds.setdefault(found["kind"], []).append(
                f"{found['source']} ({found['licence'] or 'not stated'}; {found['kept']:,} kept rows)"
            )
    out = "## What the licences mean for you\n\n"
    for kind, lines in MEANING.items():
        if kind in kinds:
            title = kind.replace("_", "-").capitalize()
            out += f"**{title} rows**: {cell('; '.join(kinds[kind]))}.\n\n"
            out += "".join(f"- {line}\n" for line in lines)
            out += f"- {GENERATED}\n\n" if kind == NON_COMMERCIAL else "\n"
    return out + "This is a reading of the licences' words, not legal advice.\n" if kinds else ""


def _lengths(card: Mapping[str, Any], groups: Mapping[str, Any]) -> str:
    rows = []
    for name, facts in {**groups, **card["suites"]}.items():
        for part in ("request", "answer"):
            if found := facts["tokens"][part]:
                rows.append((name, part, *(f"{n:,}" for n in found.values())))
    head = ("rows of", "", "p10", "median", "p90", "longest")
    note = "\nOf test sets: the prompt, and the reference solution.\n" if card["suites"] else ""
    return "## Lengths in tokens\n\n" + table(head, rows) + note


def _shares(title: str, key: str, column: str, groups: Mapping[str, Any], most: int) -> str:
    counts = {name: facts[key] for name, facts in groups.items()}
    order = list(dict.fromkeys(k for found in counts.values() for k in found))
    total = {k: sum(found.get(k, 0) for found in counts.values()) for k in order}
    order = sorted(order, key=lambda k: (-total[k], k))[:most]
    rows = [
        (k, *(share(found.get(k, 0), groups[name]["rows"]) for name, found in counts.items())) for k in order
    ]
    return f"## {title}\n\n" + table((column, *counts), rows)


def _evidence(card: Mapping[str, Any]) -> str:
    columns = {**card["sources"], MIXTURE: card["mixture"]}
    rows: list[tuple[str, ...]] = [
        ("Python answers that parse", *(share(f["python"]["parses"], f["python"]["rows"]) for f in _read(columns))),
        ("rows with tests of their own", *(share(f["tests"]["rows"], f["rows"]) for f in _read(columns))),
        ("tests per such row: p10, median, p90, most", *(_numbers(f["tests"]["per_row"]) for f in _read(columns))),
    ]  # fmt: skip
    found = [c["evidence"] for c in columns.values()]
    if any(found):
        rows += [
            ("pass their own tests, of those run", *(_of(e, "with_tests", "passed") for e in found)),
            ("need a checker of their own (several right answers)",
             *(_of(e, "with_tests", "needs a checker") for e in found)),
            ("an example holds, of those without tests", *(_of(e, "without_tests", "example holds") for e in found)),
            ("run on the request's example input", *(_of(e, "without_tests", "example runs") for e in found)),
            ("load without error", *(_of(e, "without_tests", "loads") for e in found)),
            ("load, an implied example differs", *(_of(e, "without_tests", "example fails") for e in found)),
            ("could not be loaded here (input, module, file or network missing)",
             *(_of(e, "without_tests", "unproven") for e in found)),
            ("fail while loading", *(_of(e, "without_tests", "failed") for e in found)),
        ]  # fmt: skip
    kept = [c["kept"] for c in columns.values()]
    rows.append(("kept rows with tests of their own", *(share(f["tests"]["rows"], f["rows"]) for f in kept)))
    note = (
        "\nRun are the rows that reached the step `verify`; all others were dropped before.\n"
        if any(found)
        else ""
    )
    return "## Evidence\n\n" + table(("of rows read", *columns), rows) + note


def _read(columns: Mapping[str, Any]) -> list[Any]:
    return [c["read"] for c in columns.values()]


def _numbers(found: Mapping[str, int] | None) -> str:
    return ", ".join(f"{n:,}" for n in found.values()) if found else "-"


def _of(evidence: Mapping[str, Any] | None, group: str, verdict: str) -> str:
    found = evidence[group] if evidence else {}
    return share(found.get(verdict, 0), sum(found.values()))


def _separation(funnel: Mapping[str, Any]) -> str:
    step = next((s for s in funnel["steps"] if s["step"] == "decontaminate"), None)
    if step is None:
        return "## Separation from test sets\n\nNot checked: the recipe leaves the step out.\n"
    if not funnel["suites"]:
        return "## Separation from test sets\n\nNot checked: no test set was given.\n"
    rows = []
    for suite, tasks in funnel["suites"].items():
        found = step["report"]["suites"].get(suite, {})
        methods = ", ".join(f"{m} {n:,}" for m, n in found.get("rows_by_method", {}).items())
        touched = share(found.get("tasks_touched", 0), tasks)
        removed, listed = found.get("rows_removed", 0), found.get("rows_listed", 0)
        rows.append((suite, f"{removed:,}", touched, f"{listed:,}", methods or "-"))
    mode = funnel["settings"]["decontaminate"]["execution_match"]
    head = ("suite", "rows removed", "tasks touched", "rows listed for review", "removed rows by method")
    return (
        "## Separation from test sets\n\n"
        + table(head, rows)
        + f"\nExecution match: {mode}. A row may be found by several methods. Not covered: paraphrases whose "
        "answers are not Python functions.\n"
    )
