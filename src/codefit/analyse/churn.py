"""Churn between two arms on the same tasks, transitions of failure class, and sampled cases."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from codefit.analyse.taxonomy import CLASSES, NOT_MEASURED, PASSED, error_name
from codefit.core.files import digest

CELLS = ("broken", "fixed", "neither", "both")
TEXT_LIMIT = 4000
VALUE_LIMIT = 600


def cell(before: str, after: str) -> str | None:
    """Return the churn cell of a task from its two classes; None where one was not measured."""
    if NOT_MEASURED in (before, after):
        return None
    if before == PASSED:
        return "both" if after == PASSED else "broken"
    return "fixed" if after == PASSED else "neither"


def churn(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, list[str]]:
    """Return task ids by cell, over the tasks that both arms answered, in sorted order."""
    cells: dict[str, list[str]] = {name: [] for name in CELLS}
    for task_id in sorted(set(before) & set(after), key=natural):
        name = cell(before[task_id], after[task_id])
        if name:
            cells[name].append(task_id)
    return cells


def transitions(before: Mapping[str, str], after: Mapping[str, str]) -> list[list[Any]]:
    """Return [class before, class after, tasks] for every pair that occurs, in class order."""
    counts: dict[tuple[str, str], int] = {}
    for task_id in set(before) & set(after):
        pair = (before[task_id], after[task_id])
        counts[pair] = counts.get(pair, 0) + 1
    order = {cls: i for i, cls in enumerate(CLASSES)}
    return [[b, a, counts[b, a]] for b, a in sorted(counts, key=lambda p: (order[p[0]], order[p[1]]))]


def sample(task_ids: Sequence[str], k: int, *key: str) -> list[str]:
    """Draw `k` task ids by the hash of (key, id): seeded, and no choice of ours.

    One task more or less in the cell changes at most one of the drawn cases.
    """
    drawn = sorted(task_ids, key=lambda t: digest(*key, t))[:k]
    return sorted(drawn, key=natural)


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key that puts `micro/2` before `micro/10`."""
    parts: list[tuple[int, int, str]] = []
    number = ""
    for char in [*text, ""]:
        if char.isascii() and char.isdigit():
            number += char
            continue
        if number:
            parts.append((0, int(number[:18]), number))
            number = ""
        parts.append((1, 0, char))
    return tuple(parts)


def side(verdict: Mapping[str, Any], completion: Mapping[str, Any], cls: str) -> dict[str, Any]:
    """Return what a reader needs of one arm's answer to one task, texts bounded."""
    failed = verdict.get("failed_test")
    keys = ("input", "expected", "got")
    return {
        "class": cls,
        "outcome": verdict.get("outcome"),
        "error": clip(verdict.get("error"), VALUE_LIMIT),
        "exception": error_name(verdict.get("error")),
        "failed_test": {k: as_text(failed.get(k)) for k in keys} if isinstance(failed, Mapping) else None,
        "program": clip(completion.get("program"), TEXT_LIMIT),
        "text": clip(completion.get("text"), TEXT_LIMIT),
        "extraction": completion.get("extraction"),
        "finish_reason": completion.get("finish_reason"),
        "tokens": completion.get("tokens"),
        "mean_logprob": completion.get("mean_logprob"),
    }


def unified_diff(before: str | None, after: str | None, names: tuple[str, str]) -> str:
    """Return the unified diff of two programs, without file dates."""
    lines = difflib.unified_diff(
        (before or "").splitlines(), (after or "").splitlines(), names[0], names[1], lineterm=""
    )
    return "\n".join(lines)


def clip(text: Any, limit: int) -> str | None:
    """Return the text without lone surrogates, cut at `limit` with the number of characters left out."""
    if text is None:
        return None
    text = str(text).encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= limit else f"{text[:limit]}… (+{len(text) - limit} characters)"


def as_text(value: Any) -> str | None:
    """Return a test's value as bounded text: texts as they are, data as Python writes them."""
    return clip(value if isinstance(value, str) or value is None else repr(value), VALUE_LIMIT)
