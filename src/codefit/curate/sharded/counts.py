"""Counts of a step over shards, put together as if the step had seen all rows at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from codefit.core.files import digest
from codefit.curate.funnel import SAMPLES

Counts = dict[str, Any]


def merged(parts: Sequence[Counts], seed: int) -> Counts:
    """Return one step's part of `funnel.json` from those of its shards."""
    step = parts[0]["step"]
    reasons = Counter[str]()
    sources: dict[str, dict[str, int]] = {}
    for part in parts:
        reasons.update(part["reasons"])
        for name, count in part["sources"].items():
            into = sources.setdefault(name, dict.fromkeys(count, 0))
            for kind in count:
                into[kind] += count[kind]
    return {
        "step": step,
        **{name: sum(part[name] for part in parts) for name in ("in", "added", "kept", "dropped")},
        "reasons": dict(_frequent(reasons)),
        "sources": {name: sources[name] for name in sorted(sources)},
        "report": _merged_reports(step, [part["report"] for part in parts]),
        "sample_kept": _sample((row for part in parts for row in part["sample_kept"]), step, seed),
        "sample_dropped": _sample((row for part in parts for row in part["sample_dropped"]), step, seed),
    }


def _frequent(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda kv: (-kv[1], kv[0]))


def _sample(rows: Iterable[dict[str, Any]], step: str, seed: int) -> list[dict[str, Any]]:
    """Return the rows that a draw from all of them takes: the draw is by a hash of the id."""
    return sorted(rows, key=lambda row: digest("sample", step, str(seed), row["row_id"]))[:SAMPLES]


def _merged_reports(step: str, reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    total = _added(reports)
    if step == "language":
        total["languages"] = dict(_frequent(Counter(total["languages"])))
    return total


def _added(reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Add up reports of counts, also within objects; a name that some lack counts as 0 there."""
    total: dict[str, Any] = {}
    for name in dict.fromkeys(name for report in reports for name in report):
        values = [report[name] for report in reports if name in report]
        nested = isinstance(values[0], dict)
        total[name] = dict(sorted(_added(values).items())) if nested else sum(values)
    return total
