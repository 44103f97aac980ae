"""Small parts of Markdown that the card is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


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
