"""Sections on data and on the prompt format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from codefit.report.blocks import Chart, Code, Fold, Heading, Masked, Paragraph, Section, Table
from codefit.report.lookup import Evidence, suites
from codefit.report.messages import code, msg, term, words
from codefit.report.numbers import percent, rate_text, share_text
from codefit.report.page_card import card_blocks
from codefit.report.page_result import command

PREVIEWS_SHOWN = 6
_FUNNEL = ("data/funnel.json", "steps")


def data_section(evidence: Evidence) -> Section:
    """The funnel with reasons, sampled rows, planted faults, leaks."""
    data = evidence["data"]
    splits = [table for suite, found in suites(evidence).items() for table in _splits(suite, found)]
    if data is None:
        return Section("data", [absent("funnel", evidence), *splits], ["findings.json"] if splits else [])
    blocks: list[Any] = []
    if data["planted"]:
        blocks += _planted(data["planted"])
    counted = [s for s in data["steps"] if s["in"] is not None and s["out"] is not None]
    if counted:
        names: dict[str, Any] = {s["step"]: term("step", s["step"]) for s in counted}
        names |= words("axis.rows", "axis.raw")
        blocks.append(Chart("funnel", msg("chart.funnel"), {"steps": counted}, (), _FUNNEL, names))
    blocks.append(_funnel(data["steps"]))
    blocks += card_blocks(data["card"])
    blocks += _samples(data)
    blocks += _leaks(data["leaks"], evidence)
    blocks += splits
    return Section("data", blocks, ["data/funnel.json", "data/card.json", "data/card.md", "data/hits.jsonl"])


def absent(measure: str, evidence: Evidence) -> Paragraph:
    """Return the paragraph of a part that was not measured, with its command."""
    found = next((m for m in evidence["not_measured"] if m["id"] == measure), None)
    if found is None:
        return Paragraph(msg("absent_plain", what=msg(f"measure.{measure}")), "warn")
    return Paragraph(msg("absent", what=msg(f"measure.{measure}"), command=command(found)), "warn")


def _planted(planted: Mapping[str, Any]) -> list[Any]:
    rows = [
        [term("fault", f.get("fault")), f.get("rows"), _rate(f), f.get("source")]
        for f in planted.get("faults") or []
    ]
    columns = [msg(f"column.{n}") for n in ("fault", "rows", "rate", "rate_source")]
    intro = Paragraph(msg("planted.intro", rows=planted.get("rows")), "warn")
    source = ("data/planted.json", "faults")
    table = Table(msg("table.planted"), columns, rows, frozenset({1}), source)
    return [intro, Fold(msg("table.planted"), [table], printed=False)]


def _rate(fault: Mapping[str, Any]) -> Any:
    rate = percent(fault.get("rate"))
    return msg("rate_of", rate=rate, of=fault["of"]) if fault.get("of") else rate


def _funnel(steps: Sequence[Mapping[str, Any]]) -> Table:
    rows = []
    adds = any(s["added"] for s in steps)
    for s in steps:
        reasons = [msg("reason", reason=code(r), n=n) for r, n in s["reasons"].items()]
        if s["other_reasons"]:
            reasons.append(msg("reason", reason=msg("other_reasons"), n=s["other_reasons"]))
        dropped, added = s["dropped"], [s["added"]] if adds else []
        share = share_text(dropped, s["in"] + s["added"]) if dropped is not None and s["in"] else dropped
        rows.append([term("step", s["step"]), s["in"], *added, s["out"], share, reasons or "—"])
    names = ("step", "in", *(["added"] if adds else []), "out", "dropped", "reasons")
    columns = [msg(f"column.{n}") for n in names]
    return Table(
        msg("table.funnel"), columns, rows, frozenset(range(1, len(names) - 1)), _FUNNEL, stacked=True
    )


def _samples(data: Mapping[str, Any]) -> list[Any]:
    folds = [_step_sample(s) for s in data["steps"] if s["sample_kept"] or s["sample_dropped"]]
    if not folds:
        return []
    return [
        Heading(msg("heading.rows")),
        Paragraph(msg("rows.intro", seed=code(data["seed"])), "note"),
        *folds,
    ]


def _step_sample(step: Mapping[str, Any]) -> Fold:
    dropped, kept = step["sample_dropped"], step["sample_kept"]
    blocks: list[Any] = []
    for row in dropped:
        blocks.append(Paragraph(msg("rows.dropped", **_named(row), reason=code(row.get("reason")))))
        blocks += _texts(row)
    for row in kept:
        blocks.append(Paragraph(msg("rows.kept", **_named(row))))
        blocks += _texts(row)
    title = msg("rows.step", step=term("step", step["step"]), dropped=len(dropped), kept=len(kept))
    return Fold(title, blocks, printed=False)


def _named(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": code(row.get("row_id")), "source": code(row.get("source"))}


def _texts(row: Mapping[str, Any]) -> list[Any]:
    shown = [(msg("column.request"), row.get("instruction")), (msg("column.answer"), row.get("response"))]
    return [Code(str(text), caption) for caption, text in shown if text]


def _leaks(leaks: Sequence[Mapping[str, Any]] | None, evidence: Evidence) -> list[Any]:
    blocks: list[Any] = [Heading(msg("heading.leaks"))]
    if leaks is None:
        return [*blocks, absent("leaks", evidence)]
    if not leaks:
        return [*blocks, Paragraph(msg("leaks.none"))]
    rows = [[code(h["suite"]), code(h["method"]), code(h["action"]), h["rows"], h["tasks"]] for h in leaks]
    columns = [msg(f"column.{n}") for n in ("suite", "method", "action", "rows", "tasks")]
    return [*blocks, Table(msg("table.leaks"), columns, rows, frozenset({3, 4}), ("data/hits.jsonl", ""))]


def _splits(suite: str, found: Mapping[str, Any]) -> list[Table]:
    """Return scores by the splits of the original benchmark: a model may have been tuned on one of them."""
    splits = found.get("splits")
    if not splits:
        return []
    arms = list(dict.fromkeys(arm for by_arm in splits.values() for arm in by_arm))
    rows = [[code(split), *(rate_text(*by_arm[a]) for a in arms)] for split, by_arm in splits.items()]
    columns = [msg("column.split"), *(code(a) for a in arms)]
    source = ("findings.json", f"suites/{suite}/splits")
    return [
        Table(
            msg("table.splits", suite=code(suite)), columns, rows, frozenset(range(1, len(columns))), source
        )
    ]


def format_section(evidence: Evidence) -> Section:
    """Prompt parity, lengths, and rendered examples with the loss mask."""
    form = evidence["format"]
    if form is None:
        return Section("format", [absent("format", evidence)])
    parity = form.get("parity") or {}
    key = "parity.ok" if parity.get("ok") else "parity.broken"
    found = msg(
        key,
        tokens=parity.get("prefix_tokens"),
        checked=parity.get("checked"),
        hash=code(form.get("template_hash")),
    )
    blocks: list[Any] = [Paragraph(found, "plain" if parity.get("ok") else "warn")]
    arms = [
        [
            code(arm),
            a.get("rows"),
            a.get("too_long"),
            a.get("tokens"),
            a.get("trained_tokens"),
            percent(a.get("packing_efficiency")),
        ]
        for arm, a in (form.get("arms") or {}).items()
    ]
    columns = [msg(f"column.{n}") for n in ("arm", "rows", "too_long", "tokens", "trained_tokens", "packing")]
    caption, source = msg("table.format", length=form.get("max_length")), ("format.json", "arms")
    blocks.append(Table(caption, columns, arms, frozenset(range(1, 6)), source))
    previews = (form.get("previews") or [])[:PREVIEWS_SHOWN]
    if previews:
        blocks.append(Paragraph(msg("mask.legend"), "note"))
    blocks += [Masked(_preview_title(p), p.get("pieces") or []) for p in previews]
    return Section("format", blocks, ["format.json"])


def _preview_title(preview: Mapping[str, Any]) -> Any:
    kind = "evaluation" if preview.get("kind") == "evaluation" else "row"
    origin = preview.get("suite" if kind == "evaluation" else "source")
    return msg(f"mask.{kind}", id=code(preview.get("id")), origin=code(origin))
