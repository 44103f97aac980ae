"""Section on other people's models of the same flavour, and what of it is the tuning's doing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codefit.report.blocks import Bullets, Chart, Fold, Heading, Paragraph, Section, Table
from codefit.report.lookup import Evidence, main_comparisons, opponents
from codefit.report.messages import Message, code, msg, term, words
from codefit.report.page_data import absent
from codefit.report.verdict import not_alike

_KINDS = ("base", "instruct")


def comparison_section(evidence: Evidence) -> Section:
    """Published models beside the start model and the tuned one, a flavour at a time."""
    found = opponents(evidence)
    if not found:
        known = "comparison.stand_in" if evidence["run"]["stand_in"] else "comparison.no_flavour"
        blocks: list[Any] = [Paragraph(msg(known))] if evidence["scores"] else []
        return Section("comparison", [*blocks, absent("reference_scores", evidence)])
    blocks = [Paragraph(msg("comparison.intro"))]
    blocks += [Paragraph(m, "warn") for m in not_alike(main_comparisons(evidence))]
    for number, entry in enumerate(found):
        blocks += _flavour(entry, number)
    return Section("comparison", blocks, ["findings.json", "scores.json"])


def _flavour(entry: Mapping[str, Any], number: int) -> list[Any]:
    source = ("findings.json", f"opponents/{number}/rows")
    suite = entry["suites"][-1]
    sized = [r for r in entry["rows"] if r["params_b"]]
    data = {
        "groups": {k: [(r["params_b"], r["scores"][suite]) for r in sized if r["kind"] == k] for k in _KINDS},
        "start": entry["start"][suite],
        "tuned": entry["tuned"][suite],
    }
    legend: list[tuple[int | str, Any]] = [(i + 1, term("model_kind", k)) for i, k in enumerate(_KINDS)]
    legend += [("budget", code(entry["before"])), ("measured", code(entry["after"]))]
    title = msg("chart.rank", suite=code(suite), flavour=code(entry["flavour"]))
    passed = [r for r in entry["rows"] if r["standing"] in ("newly_passed", "lost")]
    table = _table(entry, source)
    return [
        Heading(msg("heading.flavour", flavour=code(entry["flavour"]))),
        Bullets(counts(entry)),
        *([Paragraph(msg("comparison.named", models=[_named(r) for r in passed]))] if passed else []),
        Chart("rank", title, data, legend, source, words("axis.parameters", "axis.pass")),
        Fold(table.caption, [table], printed=False),
    ]


def counts(entry: Mapping[str, Any]) -> list[Message]:
    """Return a line per kind of model: below the start model already, newly passed, not passed."""
    return [
        msg(
            "comparison.counts",
            kind=term("model_kind", kind),
            flavour=code(entry["flavour"]),
            **entry["counts"][kind],
        )
        for kind in _KINDS
        if entry["counts"][kind]["models"]
    ]


def _named(row: Mapping[str, Any]) -> Message:
    return msg("comparison.model", model=row["model"], standing=_standing(row))


def _standing(row: Mapping[str, Any]) -> Any:
    standing = term("standing", row["standing"])
    return msg("comparison.tie", standing=standing) if row["tie"] else standing


def _table(entry: Mapping[str, Any], source: tuple[str, str]) -> Table:
    ours = [(entry["before"], entry["start"]), (entry["after"], entry["tuned"])]
    rows: list[tuple[float, list[Any]]] = [
        (
            found[entry["suites"][-1]]["value"],
            [code(arm), msg("this_run"), "—", *(_figure(found[s]) for s in entry["suites"]), "—", "—"],
        )
        for arm, found in ours
    ]
    for r in entry["rows"]:
        size = "—" if r["params_b"] is None else f"{r['params_b']:g}"
        scores = [f"{r['scores'][s]:.1f}" for s in entry["suites"]]
        row = [r["model"], term("model_kind", r["kind"]), size, *scores, _standing(r), r["source"]]
        rows.append((r["scores"][entry["suites"][-1]], row))
    rows.sort(key=lambda item: -item[0])
    names = [msg(f"column.{n}") for n in ("model", "kind", "parameters")]
    suites = [msg("column.pass", suite=code(s)) for s in entry["suites"]]
    columns = [*names, *suites, msg("column.standing"), msg("column.source")]
    numeric = frozenset(range(2, 3 + len(suites)))
    return Table(
        msg("table.opponents", n=len(entry["rows"])), columns, [row for _, row in rows], numeric, source
    )


def _figure(score: Mapping[str, Any]) -> str:
    low, high = score["ci95"]
    return f"{score['value']:.1f} [{low:.1f}, {high:.1f}]"
