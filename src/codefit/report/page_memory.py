"""Section on memory: the plan by phase and component, against what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codefit.report.blocks import Chart, Fold, Paragraph, Section, Table
from codefit.report.drawings import shows_budget
from codefit.report.lookup import Evidence, main_training
from codefit.report.messages import code, msg, term
from codefit.report.numbers import mib
from codefit.report.page_data import absent

_REJECTED_SHOWN = 12
_FILE = "plan.json"


def memory_section(evidence: Evidence) -> Section:
    """The memory plan with its parts, against the measured peak of every arm."""
    plan = evidence["plan"]
    if plan is None:
        return Section("memory", [absent("plan", evidence)])
    fits = term("fits", bool(plan.get("fits")))
    peak, budget = mib(plan.get("peak_mb")), mib(plan.get("budget_mb"))
    phase, device = term("phase", plan.get("phase")), code(plan.get("device"))
    found = msg("plan.line", peak=peak, budget=budget, phase=phase, fits=fits, device=device)
    blocks: list[Any] = [
        Paragraph(found),
        *_picture(plan, main_training(evidence).get("peak_mb")),
        *_components(plan),
        *_measured(evidence),
        *_settings(plan),
        *_rejected(plan),
    ]
    return Section("memory", blocks, [_FILE])


def _by_phase(plan: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return MiB by phase and component, without components that no phase has."""
    phases = plan.get("phases_mb") or {}
    if not phases and plan.get("components_mb"):
        phases = {plan.get("phase") or "peak": plan["components_mb"]}
    used = {name for parts in phases.values() for name, size in parts.items() if size}
    return {phase: {n: size for n, size in parts.items() if n in used} for phase, parts in phases.items()}


def _picture(plan: Mapping[str, Any], measured: float | None) -> list[Any]:
    """Return stacked bars, one a phase, with the budget and the measured peak as lines."""
    phases = _by_phase(plan)
    if not phases:
        return []
    components = list(dict.fromkeys(name for parts in phases.values() for name in parts))
    budget = plan.get("budget_mb")
    data = {"phases": phases, "components": components, "budget": budget, "measured": measured}
    legend: list[tuple[int | str, Any]] = [(i, term("component", c)) for i, c in enumerate(components)]
    if shows_budget(data):
        legend.append(("budget", msg("plan.budget", budget=mib(budget))))
    if measured:
        legend.append(("measured", msg("plan.measured", peak=mib(measured))))
    names = {phase: term("phase", phase) for phase in phases}
    chart = Chart("memory", msg("chart.memory"), data, legend, (_FILE, "phases_mb"), names)
    far = (
        [Paragraph(msg("plan.far", budget=mib(budget)), "note")] if budget and not shows_budget(data) else []
    )
    return [chart, *far]


def _components(plan: Mapping[str, Any]) -> list[Any]:
    """Return a table of one row a component and one column a phase."""
    phases = _by_phase(plan)
    if not phases:
        return []
    names = list(dict.fromkeys(name for parts in phases.values() for name in parts))
    rows: list[list[Any]] = [
        [term("component", n), *(mib(p[n]) if n in p else "—" for p in phases.values())] for n in names
    ]
    rows.append([msg("column.sum"), *(mib(_sum(plan, phase, parts)) for phase, parts in phases.items())])
    columns = [msg("column.component"), *(term("phase", p) for p in phases)]
    numeric = frozenset(range(1, len(columns)))
    return [Table(msg("table.components"), columns, rows, numeric, (_FILE, "phases_mb"))]


def _sum(plan: Mapping[str, Any], phase: str, parts: Mapping[str, float]) -> float:
    """Return a phase's sum; at the peak the plan's own figure, which is no sum of rounded parts."""
    peak: float | None = plan.get("peak_mb") if phase == plan.get("phase") else None
    return sum(parts.values()) if peak is None else peak


def _measured(evidence: Evidence) -> list[Any]:
    plan, rows = evidence["plan"] or {}, []
    for arm, found in evidence["training"].items():
        planned = ((plan.get("arms") or {}).get(arm) or plan).get("peak_mb")
        peak = (found["summary"] or {}).get("peak_mb")
        if peak is not None:
            gap = f"{100 * (planned - peak) / peak:+.1f} %" if planned and peak else None
            rows.append([code(arm), mib(planned), mib(peak), gap])
    if not rows:
        return [absent("measured_peak", evidence)]
    columns = [msg(f"column.{n}") for n in ("arm", "planned_peak", "measured_peak", "prediction_error")]
    return [Table(msg("table.measured"), columns, rows, frozenset({1, 2, 3}), (_FILE, "peak_mb"))]


def _settings(plan: Mapping[str, Any]) -> list[Any]:
    settings = plan.get("settings") or {}
    rows = [[code(name), "—" if value is None else code(_flat(value))] for name, value in settings.items()]
    columns = [msg("column.setting"), msg("column.value")]
    return [Table(msg("table.settings"), columns, rows, source=(_FILE, "settings"))] if rows else []


def _rejected(plan: Mapping[str, Any]) -> list[Any]:
    rejected = plan.get("rejected") or []
    rows = []
    for entry in rejected[:_REJECTED_SHOWN]:
        if isinstance(entry, dict):
            settings = entry.get("settings", {k: v for k, v in entry.items() if k not in ("peak_mb", "why")})
            chosen = plan.get("settings") or {}
            other = {k: v for k, v in settings.items() if chosen.get(k) != v}
            rows.append([code(_flat(other or settings)), mib(entry.get("peak_mb")), entry.get("why") or "—"])
        else:
            rows.append([code(entry), None, "—"])
    columns = [msg(f"column.{n}") for n in ("settings", "planned_peak", "reason")]
    caption = msg("table.rejected", n=len(rejected))
    table = Table(caption, columns, rows, frozenset({1}), (_FILE, "rejected"))
    return [Fold(caption, [table], printed=False)] if rows else []


def _flat(value: Any) -> str:
    return ", ".join(f"{k} = {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
