"""Evidence on data: the funnel, sampled rows, planted faults, leaks found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from codefit.report.runfolder import Record, RunFiles

_REASONS_SHOWN = 8
_KEPT_SHOWN, _DROPPED_SHOWN = 3, 5


def data_evidence(files: RunFiles) -> Record | None:
    """Return what is known about the data, or None without a funnel."""
    if files.funnel is None:
        return None
    return {
        "read": files.funnel.get("read"),
        "kept": files.funnel.get("kept"),
        "seed": files.funnel.get("seed"),
        "steps": [_step(s) for s in files.funnel.get("steps") or []],
        "sources": files.funnel.get("sources") or [],
        "arms": files.funnel.get("arms"),
        "planted": files.planted,
        "leaks": leaks(files.hits),
    }


def _step(step: Record) -> Record:
    reasons = step.get("reasons") or {}
    ranked = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return {
        "step": step.get("step"),
        "in": step.get("in"),
        "out": step.get("kept"),
        "reasons": dict(ranked[:_REASONS_SHOWN]),
        "other_reasons": sum(n for _, n in ranked[_REASONS_SHOWN:]),
        "sources": step.get("sources"),
        "sample_kept": (step.get("sample_kept") or [])[:_KEPT_SHOWN],
        "sample_dropped": (step.get("sample_dropped") or [])[:_DROPPED_SHOWN],
    }


def leaks(hits: Sequence[Mapping[str, Any]] | None) -> list[Record] | None:
    """Count leak hits by suite, method and action: rows and tasks touched."""
    if hits is None:
        return None
    groups: dict[tuple[str, str, str], tuple[set[str], set[str]]] = {}
    for hit in hits:
        key = (str(hit.get("suite")), str(hit.get("method")), str(hit.get("action")))
        rows, tasks = groups.setdefault(key, (set(), set()))
        rows.add(str(hit.get("row_id")))
        tasks.add(str(hit.get("task_id")))
    return [
        {"suite": s, "method": m, "action": a, "rows": len(rows), "tasks": len(tasks)}
        for (s, m, a), (rows, tasks) in sorted(groups.items())
    ]
