"""What a row's licence means for a user, in words; not legal advice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from codefit.core.types import Row

NON_COMMERCIAL, SHARE_ALIKE, UNSTATED, OPEN = "non_commercial", "share_alike", "unstated", "open"
_WORD = re.compile(r"[a-z0-9]+")
MEANING = {
    NON_COMMERCIAL: (
        "You may study, teach, measure and publish results with these rows, and change them, if you name their "
        "authors and the licence.",
        "You may not use the rows where a commercial advantage is the main purpose. This covers tuning a model "
        "for a product or a paid service.",
        "Whether a model tuned on them inherits the limit is an open legal question. The careful reading: treat "
        "the tuned model as non-commercial, and say so where you publish it.",
        "To be free of the question, leave the source out of the recipe and run again: the other rows, the "
        "figures and the model do not depend on it.",
    ),
    SHARE_ALIKE: (
        "You may use the rows, also commercially, if you name their authors; changed rows that you pass on keep "
        "the same licence.",
        "Whether a tuned model counts as a changed work is an open legal question.",
    ),
    UNSTATED: (
        "No licence is stated. Without one there is no permission to copy or pass on the rows: ask their owner, "
        "or leave the source out where more than private study is meant.",
    ),
    OPEN: ("You may use the rows, also commercially, under the terms that the licence names (often: name the "
           "authors).",),
}  # fmt: skip
GENERATED = (
    "The answers of Code Alpaca were written by another company's model. The terms of that company may forbid "
    "training models that compete with its own, whatever the licence of the rows says."
)


def licence_kind(licence: str | None) -> str:
    """Return `non_commercial`, `share_alike`, `unstated` or `open`, by the licence's own words."""
    text = (licence or "").lower()
    words = set(_WORD.findall(text))
    if not words or words & {"unknown", "none"}:
        return UNSTATED
    if "nc" in words or "noncommercial" in words or "non commercial" in text.replace("-", " "):
        return NON_COMMERCIAL
    return SHARE_ALIKE if "sa" in words or "sharealike" in words or "gpl" in text else OPEN


def licences(read: Sequence[Row], kept: Sequence[Row]) -> list[dict[str, Any]]:
    """Return each source's licences with their kind, rows read and rows kept, in order of the source."""
    found: dict[tuple[str, str], list[int]] = {}
    for column, rows in enumerate((read, kept)):
        for row in rows:
            found.setdefault((row.source, row.licence or ""), [0, 0])[column] += 1
    return [
        {"source": s, "licence": text or None, "kind": licence_kind(text), "read": n[0], "kept": n[1]}
        for (s, text), n in sorted(found.items())
    ]
