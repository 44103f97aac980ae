"""Small parts of Markdown that the card is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_REASONS = 6


def share(part: int, whole: int) -> str:
    """Return `12.3 % (45/366)`, or `-` of nothing."""
    return f"{100 * part / whole:.1f} % ({part:,}/{whole:,})" if whole else "-"


def cell(value: Any) -> str:
    """Return a value as the text of one cell: one line, nothing in it acts as Markdown table or HTML."""
    text = " ".join(str(value).split()).replace("\\", "\\\\").replace("|", "\\|")
    return text.replace("<", "&lt;")


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(map(cell, head)) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(map(cell, row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def added_rows(funnel: Mapping[str, Any], source: str | None = None) -> int:
    """Return how many rows the funnel's steps made beside those read, of one source or of all."""
    places = (step if source is None else step.get("sources", {}).get(source, {}) for step in funnel["steps"])
    return sum(place.get("added", 0) for place in places)


def counts_text(funnel: Mapping[str, Any]) -> str:
    """Return the card's first sentence: rows read, added and kept."""
    added = added_rows(funnel)
    made = f"{added:,} added (functions beside the programs they are made of), " if added else ""
    return (
        f"{funnel['read']:,} rows read, {made}{funnel['kept']:,} kept ({funnel['kept_tokens']:,} tokens of request "
        f"and answer, by this run's counter). Seed {funnel['seed']}."
    )


def steps_text(funnel: Mapping[str, Any]) -> str:
    """Return the funnel as a table; rows that came in and rows added are kept or dropped."""
    adds = bool(added_rows(funnel))
    head = ("step", "in", *(["added"] if adds else []), "kept", "dropped", "most frequent reasons")
    rows = []
    for s in funnel["steps"]:
        reasons = "; ".join(f"{name} {count:,}" for name, count in list(s["reasons"].items())[:_REASONS])
        added = [f"{s['added']:,}"] if adds else []
        rows.append(
            (s["step"], f"{s['in']:,}", *added, f"{s['kept']:,}", f"{s['dropped']:,}", reasons or "-")
        )
    return "## Funnel\n\n" + table(head, rows)
