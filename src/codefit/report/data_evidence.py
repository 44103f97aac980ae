"""Evidence on data: the funnel, sampled rows, planted faults, leaks found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from codefit.report.runfolder import Record, RunFiles

_REASONS_SHOWN = 8
_SHOWN = 10
_FORMAT = "format"


def data_evidence(files: RunFiles, main_arm: str) -> Record | None:
    """Return what is known about the data, or None without a funnel.

    The rows that the prompt format drops (too long) stand as a last step, `format`.
    """
    if files.funnel is None:
        return None
    return {
        "read": files.funnel.get("read"),
        "added": files.funnel.get("added") or 0,
        "kept": files.funnel.get("kept"),
        "seed": files.funnel.get("seed"),
        "steps": [_step(s) for s in files.funnel.get("steps") or []] + _format_step(files, main_arm),
        "sources": files.funnel.get("sources") or [],
        "arms": files.funnel.get("arms"),
        "card": card_evidence(files.card),
        "planted": files.planted,
        "leaks": leaks(files.hits if _looked_for_leaks(files.funnel) else None),
        "separation": _separation(files.funnel),
    }


def _step(step: Record) -> Record:
    reasons = step.get("reasons") or {}
    ranked = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    into, added, out = step.get("in"), step.get("added") or 0, step.get("kept")
    return {
        "step": step.get("step"),
        "in": into,
        "added": added,
        "out": out,
        "dropped": into + added - out if into is not None and out is not None else None,
        "reasons": dict(ranked[:_REASONS_SHOWN]),
        "other_reasons": sum(n for _, n in ranked[_REASONS_SHOWN:]),
        "sources": step.get("sources"),
        "sample_kept": (step.get("sample_kept") or [])[:_SHOWN],
        "sample_dropped": (step.get("sample_dropped") or [])[:_SHOWN],
    }


def _looked_for_leaks(funnel: Record) -> bool:
    """Return whether curation compared the rows with any test set; an empty list of hits says nothing."""
    steps = {s.get("step") for s in funnel.get("steps") or []}
    return "decontaminate" in steps and bool(funnel.get("suites"))


def _separation(funnel: Record) -> dict[str, Record]:
    """Return per suite the rows removed for giving away a task, and the tasks they touch."""
    step: Record = next((s for s in funnel.get("steps") or [] if s.get("step") == "decontaminate"), {})
    suites = (step.get("report") or {}).get("suites") or {}
    return {
        s: {"rows": f.get("rows_removed"), "tasks": f.get("tasks_touched")} for s, f in sorted(suites.items())
    }


def _format_step(files: RunFiles, main_arm: str) -> list[Record]:
    """Return what the prompt format kept and dropped of the main arm, where the run says it by source."""
    arm = ((files.format or {}).get("arms") or {}).get(main_arm) or {}
    sources = arm.get("sources")
    curated = ((files.funnel or {}).get("kept")) == sum(s["in"] for s in (sources or {}).values())
    if not sources or not curated:
        return []
    reasons = {"too long": arm.get("too_long") or 0, "control token": arm.get("control") or 0}
    step = {"step": _FORMAT, "in": sum(s["in"] for s in sources.values()), "kept": arm.get("rows")}
    return [_step({**step, "reasons": {r: n for r, n in reasons.items() if n}, "sources": sources})]


def card_evidence(card: Record | None) -> Record | None:
    """Return the data card without its long lists of libraries; None where a run has none."""
    if card is None:
        return None
    groups = {
        name: {**g, "read": _without_libraries(g["read"]), "kept": _without_libraries(g["kept"])}
        for name, g in {**card["sources"], "": card["mixture"]}.items()
    }
    mixture = groups.pop("")
    suites = {name: _without_libraries(facts) for name, facts in card["suites"].items()}
    return {**card, "sources": groups, "mixture": mixture, "suites": suites}


def _without_libraries(facts: Record) -> Record:
    return {k: v for k, v in facts.items() if k != "libraries"}


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
