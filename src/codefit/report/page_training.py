"""Sections on memory and training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from codefit.report.blocks import Chart, Paragraph, Section, Table
from codefit.report.lookup import Evidence
from codefit.report.messages import code, msg, term
from codefit.report.numbers import mib, score_text
from codefit.report.page_data import absent

_REJECTED_SHOWN = 12
_LOOKS_SHOWN = 20


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
        *_components(plan),
        *_measured(evidence),
        *_settings(plan),
        *_rejected(plan),
    ]
    return Section("memory", blocks, ["plan.json"])


def _components(plan: Mapping[str, Any]) -> list[Any]:
    """One row a component; components by phase become one column a phase."""
    parts = plan.get("components_mb") or {}
    if not parts:
        return []
    if not any(isinstance(v, dict) for v in parts.values()):
        rows = [[term("component", name), mib(value)] for name, value in parts.items()]
        columns = [msg("column.component"), msg("column.memory")]
        return [Table(msg("table.components"), columns, rows, frozenset({1}))]
    names = list(dict.fromkeys(name for phase in parts.values() for name in phase))
    rows = [[term("component", n), *(mib(p[n]) if n in p else "—" for p in parts.values())] for n in names]
    columns = [msg("column.component"), *(term("phase", p) for p in parts)]
    return [Table(msg("table.components"), columns, rows, frozenset(range(1, len(columns))))]


def _measured(evidence: Evidence) -> list[Any]:
    planned = (evidence["plan"] or {}).get("peak_mb")
    rows = []
    for arm, found in evidence["training"].items():
        peak = (found["summary"] or {}).get("peak_mb")
        if peak is not None:
            gap = f"{100 * (planned - peak) / peak:+.1f} %" if planned and peak else None
            rows.append([code(arm), mib(planned), mib(peak), gap])
    if not rows:
        return [absent("measured_peak", evidence)]
    columns = [msg(f"column.{n}") for n in ("arm", "planned_peak", "measured_peak", "prediction_error")]
    return [Table(msg("table.measured"), columns, rows, frozenset({1, 2, 3}))]


def _settings(plan: Mapping[str, Any]) -> list[Any]:
    settings = plan.get("settings") or {}
    rows = [[code(name), code(_flat(value))] for name, value in settings.items()]
    return [Table(msg("table.settings"), [msg("column.setting"), msg("column.value")], rows)] if rows else []


def _rejected(plan: Mapping[str, Any]) -> list[Any]:
    rejected = plan.get("rejected") or []
    rows = []
    for entry in rejected[:_REJECTED_SHOWN]:
        if isinstance(entry, dict):
            settings = entry.get("settings", {k: v for k, v in entry.items() if k not in ("peak_mb", "why")})
            rows.append([code(_flat(settings)), mib(entry.get("peak_mb")), entry.get("why") or "—"])
        else:
            rows.append([code(entry), None, "—"])
    columns = [msg(f"column.{n}") for n in ("settings", "planned_peak", "reason")]
    return [Table(msg("table.rejected", n=len(rejected)), columns, rows, frozenset({1}))] if rows else []


def _flat(value: Any) -> str:
    return ", ".join(f"{k} = {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)


def training_section(evidence: Evidence) -> Section:
    """Loss curves and the summary of every trained arm."""
    found = evidence["training"]
    if not found:
        return Section("training", [absent("training", evidence)])
    curves = {arm: t["curve"] for arm, t in found.items() if t["curve"]}
    blocks: list[Any] = []
    if curves:
        legend = [(i + 1, code(arm)) for i, arm in enumerate(curves)]
        blocks.append(Chart("loss", msg("chart.loss"), {"curves": curves}, legend))
        blocks.append(Paragraph(msg("training.lines"), "note"))
    rows = [_summary_row(arm, t["summary"] or {}) for arm, t in found.items()]
    names = (
        "arm",
        "method",
        "steps",
        "epochs",
        "trained_tokens",
        "trainable",
        "first_loss",
        "last_loss",
        "val_loss",
        "seed",
    )
    columns = [msg(f"column.{n}") for n in names]
    blocks.append(Table(msg("table.training"), columns, rows, frozenset(range(2, 10))))
    for arm, t in found.items():
        blocks += [*_looks(arm, t["looks"]), *_choice(arm, t["choice"])]
    files = ["train/log.jsonl", "train/summary.json"]
    chosen = any(t["choice"] for t in found.values())
    return Section("training", blocks, [*files, *(["train/choice.json"] if chosen else [])])


def _looks(arm: str, looks: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Return a table of what was seen while an arm trained, where that was more than its end."""
    if len(looks) < 2:
        return []
    stride = -(-len(looks) // _LOOKS_SHOWN)
    shown = [p for i, p in enumerate(looks) if i % stride == 0 or i == len(looks) - 1]
    rows = [
        [
            p["step"],
            *(None if p[k] is None else f"{p[k]:.4f}" for k in ("val_loss", "kl_to_start")),
            score_text(p["develop"]) if p["develop"] else None,
        ]
        for p in shown
    ]
    columns = [msg(f"column.{n}") for n in ("step", "val_loss", "kl_to_start", "development")]
    return [Table(msg("table.looks", arm=code(arm)), columns, rows, frozenset({0, 1, 2}))]


def _choice(arm: str, choice: Mapping[str, Any] | None) -> list[Any]:
    """Return a table of the weights that an arm's were chosen from."""
    if choice is None:
        return []
    rows = [
        [
            code(c["name"]),
            score_text(c),
            f"{c['against_trained']['fixed']} / {c['against_trained']['broken']}",
            f"{c['against_trained']['p_value']:.2g}",
        ]
        for c in choice["candidates"]
    ]
    columns = [msg(f"column.{n}") for n in ("candidate", "development", "fixed_broken", "p")]
    caption = msg("table.choice", arm=code(arm), suite=code(choice["suite"]), chosen=code(choice["chosen"]))
    return [Table(caption, columns, rows), Paragraph(msg("training.choice"), "note")]


def _summary_row(arm: str, s: Mapping[str, Any]) -> list[Any]:
    trainable, total = s.get("trainable_parameters"), s.get("parameters")
    share = (
        f"{100 * trainable / total:.2f} % ({trainable:,}/{total:,})"
        if trainable is not None and total
        else None
    )
    losses = [None if s.get(k) is None else f"{s[k]:.3f}" for k in ("first_loss", "last_loss", "val_loss")]
    return [
        code(arm),
        code(s.get("method")),
        s.get("steps"),
        s.get("epochs"),
        s.get("trained_tokens"),
        share,
        *losses,
        code(s.get("seed")),
    ]
