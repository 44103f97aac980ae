"""Sections on the result: verdict, arms, limits, questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from codefit.report import arms
from codefit.report.blocks import Bullets, Chart, Fold, Heading, Paragraph, Section, Table
from codefit.report.limits import limits, unstated
from codefit.report.lookup import Evidence, main_comparisons, other_comparisons
from codefit.report.messages import code, msg, term, words
from codefit.report.numbers import interval_text, mib, p_text, percent, signed
from codefit.report.verdict import p_value, relative_text, side_value

_MOST_WANTED = 5
_COMPARISONS = ("scores.json", "comparisons")
_SCORES = ("scores.json", "scores")


def verdict_section(evidence: Evidence) -> Section:
    """The first screen: the sentence, the table, what got worse, what was not measured."""
    found = evidence["verdict"]
    main = main_comparisons(evidence)
    blocks: list[Any] = [Paragraph(m, "lead") for m in found["sentences"]]
    blocks += [Paragraph(_stamp(c), "warn") for c in main if c.get("stamp")]
    blocks += [Paragraph(m, "warn") for m in unstated(evidence)]
    blocks.append(Paragraph(msg("verdict.rule"), "note"))
    if main:
        blocks.append(comparison_table(msg("table.main"), main, evidence))
        blocks += _gate(evidence["gate"])
        blocks += [Paragraph(_revision(c["suite"], evidence), "note") for c in main]
    blocks.append(Heading(msg("heading.worse")))
    blocks.append(Bullets(evidence["worse"]) if evidence["worse"] else _nothing_worse(evidence))
    blocks.append(Heading(msg("heading.not_measured")))
    blocks.append(Paragraph(msg("not_measured.intro")))
    blocks.append(Bullets([_wanted(m) for m in evidence["not_measured"][:_MOST_WANTED]]))
    blocks.append(Fold(msg("not_measured.summary", n=len(evidence["not_measured"])), [_unmeasured(evidence)]))
    return Section("verdict", blocks, ["scores.json", "findings.json"])


def _stamp(comparison: Mapping[str, Any]) -> Any:
    """Return what differed between the sides of a comparison that was made all the same."""
    different = [
        msg("difference", what=code(d["what"]), before=code(d["before"]), after=code(d["after"]))
        for d in comparison.get("differences") or []
    ]
    return msg("stamp", suite=code(comparison["suite"]), differences=different)


def _gate(gate: Mapping[str, Any] | None) -> list[Any]:
    """Return whether the gate for a release is passed, and each suite that holds it back."""
    if gate is None:
        return []
    held = [
        msg(
            "gate.not_alike" if s.get("stamp") else f"gate.{s['role']}",
            suite=code(s["suite"]),
            bound=signed(s["lower_bound"]),
            needed=signed(s["must_be"]),
        )
        for s in gate["suites"]
        if not s["passed"]
    ]
    passed = Paragraph(msg("gate.passed" if gate["passed"] else "gate.failed"))
    return [passed, Bullets(held)] if held else [passed]


def _revision(suite: str, evidence: Evidence) -> Any:
    score: Mapping[str, Any] = next((s for s in evidence["scores"] if s["suite"] == suite), {})
    return msg(
        "revision",
        suite=code(suite),
        revision=code(score.get("revision")),
        harness=code(score.get("harness")),
        n=score.get("n"),
    )


def _wanted(measure: Mapping[str, Any]) -> Any:
    return msg("missing", what=msg(f"measure.{measure['id']}"), command=command(measure))


def _nothing_worse(evidence: Evidence) -> Paragraph:
    return Paragraph(msg("worse.none" if main_comparisons(evidence) else "worse.unknown"))


def _unmeasured(evidence: Evidence) -> Table:
    rows = [
        [msg(f"measure.{m['id']}"), command(m), [msg("question_ref", number=q) for q in m["questions"]]]
        for m in evidence["not_measured"]
    ]
    columns = [msg("column.measure"), msg("column.command"), msg("column.questions")]
    return Table(msg("table.not_measured"), columns, rows, source=("report/report.json", "not_measured"))


def command(measure: Mapping[str, Any]) -> Any:
    """Return the command of a measurement, marked where it comes later."""
    text = code(measure["command"])
    return text if measure["exists"] else msg("planned", command=text)


def comparison_table(caption: Any, comparisons: Sequence[Mapping[str, Any]], evidence: Evidence) -> Table:
    """Return the before/after table: every difference with interval, p and churn."""
    rows, corrected = [], any((c.get("family") or 1) > 1 for c in comparisons)
    for c in comparisons:
        ends = (code(c["before_arm"]), code(c["after_arm"]))
        pair = "pair_guard" if c.get("role") == "guard" else "pair"
        p = p_value(c, usual="exact McNemar")
        p = msg("p_with_holm", p=p, holm=p_text(c.get("p_holm"))) if corrected else p
        detectable = c.get("minimum_detectable_points")
        rows.append(
            [
                msg(pair, suite=code(c["suite"]), before=ends[0], after=ends[1]),
                _figure(c, "before", evidence),
                _figure(c, "after", evidence),
                msg("points_relative", points=signed(c.get("points")), relative=relative_text(c)),
                interval_text(c.get("ci95")),
                p,
                f"{c.get('fixed')} / {c.get('broken')}",
                None if detectable is None else f"{detectable:.1f}",
                term("reading", "not_alike" if c.get("stamp") else c["reading"]),
            ]
        )
    columns = [msg(f"column.{n}") for n in _COMPARISON_COLUMNS]
    numeric = frozenset({1, 2, 4, 6, 7} if corrected else {1, 2, 4, 5, 6, 7})
    return Table(caption, columns, rows, numeric, _COMPARISONS, stacked=True)


_COMPARISON_COLUMNS = (
    *("pair", "before", "after", "points", "interval", "p"),
    *("fixed_broken", "detectable", "reading"),
)


def _figure(comparison: Mapping[str, Any], end: str, evidence: Evidence) -> Any:
    """Return one side's score with counts and interval where it is known, else the bare rate."""
    suite, arm = comparison["suite"], comparison[f"{end}_arm"]
    found = [s["figure"] for s in evidence["scores"] if (s["suite"], s["arm"]) == (suite, arm)]
    return (found and found[0]) or percent(side_value(comparison.get(end)))


def arms_section(evidence: Evidence) -> Section:
    """All arms side by side: rows, trained tokens, scores; and every other comparison."""
    blocks: list[Any] = []
    scores = [s for s in evidence["scores"] if s.get("figure")]
    if scores:
        title, names = msg("chart.pass_bars"), words("axis.pass")
        blocks.append(Chart("pass_bars", title, {"scores": scores}, (), _SCORES, names))
    keys = arms.set_apart({a["arm"]: a["settings"] for a in evidence["arms"] if a["settings"]})
    columns, rows = _arm_columns(evidence, keys), [_arm_row(a, evidence, keys) for a in evidence["arms"]]
    told = range(1 + len(_suites(evidence)), 1 + len(_suites(evidence)) + len(keys))
    numeric = frozenset(range(1, len(columns))) - {*told}
    blocks.append(Table(msg("table.arms"), columns, rows, numeric, _SCORES))
    if evidence["seeds"]:
        blocks += [_seeds_table(evidence["seeds"]), Paragraph(msg("seeds.note"), "note")]
    if evidence["pass_at_k"]:
        blocks.append(_samples_table(evidence))
    if evidence["models"]:
        blocks.append(_models_table(evidence))
    others = other_comparisons(evidence)
    if others:
        blocks.append(comparison_table(msg("table.others"), others, evidence))
        blocks += [Paragraph(msg("arms_note", n=len(others)), "note")] if len(others) > 2 else []
    if any(s.get("isolation") for s in evidence["scores"]):
        levels = sorted({str(s["isolation"]) for s in evidence["scores"] if s.get("isolation")})
        blocks.append(Paragraph(msg("isolation", levels=[code(level) for level in levels]), "note"))
    return Section("arms", blocks, ["scores.json", "format.json"])


def _seeds_table(seeds: Sequence[Mapping[str, Any]]) -> Table:
    """Return the spread over training seeds, apart from the doubt that the tasks leave."""
    rows = [
        [
            msg("seeds.arms", suite=code(s["suite"]), arms=[code(a) for a in s["arms"]]),
            [percent(v) for v in s["values"]],
            percent(s["mean"]),
            f"{s['seed_sd_points']:.1f}",
            interval_text(s["ci95_seeds"]),
            interval_text(s["ci95_tasks"]),
            p_text(s["seeds_differ_p"]),
        ]
        for s in seeds
    ]
    names = ("pair", "by_seed", "mean", "seed_sd", "ci_seeds", "ci_tasks", "seeds_differ")
    columns = [msg(f"column.{n}") for n in names]
    return Table(
        msg("table.seeds"), columns, rows, frozenset(range(2, 7)), ("scores.json", "seeds"), stacked=True
    )


def _samples_table(evidence: Evidence) -> Table:
    """Return the scores over several answers to a task."""
    rows = [
        [code(s["arm"]), code(s["suite"]), s["metric"], s["figure"], s.get("decoding")]
        for s in evidence["pass_at_k"]
    ]
    columns = [msg(f"column.{name}") for name in ("arm", "suite", "metric", "score", "decoding")]
    return Table(msg("table.samples"), columns, rows, frozenset({3}), _SCORES)


def _models_table(evidence: Evidence) -> Table:
    """Return every model with its pass@1, and what its answers took."""
    rows = [
        [
            code(m["arm"]), code(m["suite"]), m["weights"], m["figure"], mib(m.get("weights_mb")),
            mib(m.get("peak_mb")), m.get("tokens_per_s"), m.get("seconds_per_task"),
        ]
        for m in evidence["models"]
    ]  # fmt: skip
    names = ("arm", "suite", "weights", "score", "weights_mb", "peak_mb", "tokens_per_s", "seconds_per_task")
    columns, source = [msg(f"column.{n}") for n in names], ("models.json", "models")
    return Table(msg("table.models"), columns, rows, frozenset(range(3, 8)), source)


def _suites(evidence: Evidence) -> list[str]:
    return list(dict.fromkeys(str(s["suite"]) for s in evidence["scores"]))


def _arm_columns(evidence: Evidence, keys: Sequence[str]) -> list[Any]:
    names = ("rows", "trained_tokens", "steps", "epochs")
    suites = [msg("column.pass", suite=code(s)) for s in _suites(evidence)]
    return [msg("column.arm"), *suites, *arms.columns(keys), *(msg(f"column.{n}") for n in names)]


def _arm_row(arm: Mapping[str, Any], evidence: Evidence, keys: Sequence[str]) -> list[Any]:
    training, formatted = arm["training"] or {}, arm["rows"] or {}
    rival = not formatted and any(m["arm"] == arm["arm"] for m in evidence["models"])
    of_recipe = evidence["run"]["name"] is not None  # the start of a bare comparison may be tuned itself
    start = of_recipe and arm["arm"] == evidence["main"][0]
    if (start or rival) and not training:
        trained: list[Any] = [msg("untouched")] + ["—"] * 3
    else:
        trained = [
            training.get("rows", formatted.get("rows")),
            training.get("trained_tokens", formatted.get("trained_tokens")),
            training.get("steps"),
            training.get("epochs"),
        ]
    by_suite = {s["suite"]: s.get("figure") for s in evidence["scores"] if s["arm"] == arm["arm"]}
    settings = arms.cells(arm["settings"], keys)
    return [code(arm["arm"]), *(by_suite.get(s) for s in _suites(evidence)), *settings, *trained]


def limits_section(evidence: Evidence) -> Section:
    """What this run does not show."""
    return Section("limits", [Bullets(limits(evidence))], ["scores.json", "manifest.json"])


def questions_section(evidence: Evidence) -> Section:
    """The 19 questions, each with this run's answer and the commands for the rest."""
    counts = {
        s: sum(q["status"] == s for q in evidence["questions"])
        for s in ("answered", "partly", "not_measured")
    }
    blocks: list[Any] = [Paragraph(msg("questions.intro", **counts))]
    group = None
    for question in evidence["questions"]:
        if question["group"] != group:
            group = question["group"]
            blocks.append(Heading(msg(f"group.{group}")))
        anchor = f"q{question['number']}"
        blocks.append(Fold(_question_title(question), _question_blocks(question), anchor))
    return Section("questions", blocks, ["report/report.json"])


def _question_title(question: Mapping[str, Any]) -> Any:
    return msg(
        "question_title",
        number=question["number"],
        text=msg(f"question.q{question['number']}"),
        status=term("status", question["status"]),
    )


def _question_blocks(question: Mapping[str, Any]) -> list[Any]:
    blocks: list[Any] = [Bullets(question["answer"])] if question["answer"] else []
    if question["missing"]:
        wanted = [_wanted(m) for m in question["missing"]]
        blocks += [Paragraph(msg("missing_intro"), "note"), Bullets(wanted)]
    return blocks
