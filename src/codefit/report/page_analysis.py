"""Sections on failures, cases and outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from codefit.analyse.taxonomy import CLASSES, FAILURES
from codefit.report.blocks import (
    Bullets,
    Chart,
    Code,
    Fold,
    Heading,
    Paragraph,
    Section,
    Source,
    Table,
    Tasks,
)
from codefit.report.lookup import Evidence, main_pairs, suites
from codefit.report.messages import code, msg, term, words
from codefit.report.numbers import rate_text, share_text
from codefit.report.page_data import absent
from codefit.report.page_robustness import robustness_blocks

_CLUSTERS_SHOWN = 6
_STYLE_COUNTS = ("fenced", "with_comment", "with_docstring", "with_import")
_SKIP = ("passed", "not_measured")


def failures_section(evidence: Evidence) -> Section:
    """Why programs fail, by arm; and how tasks moved between classes."""
    if not suites(evidence):
        return Section("failures", [absent("findings", evidence)])
    blocks: list[Any] = [Paragraph(msg("failures.intro"))]
    for suite, found in suites(evidence).items():
        blocks.append(Heading(msg("heading.suite", suite=code(suite))))
        blocks += _suite_failures(suite, found)
    for suite, _, pair in main_pairs(evidence):
        blocks.append(_transitions(suite, pair))
    return Section("failures", blocks, ["findings.json"])


def _suite_failures(suite: str, found: Mapping[str, Any]) -> list[Any]:
    arms = found["failures"]
    source = ("findings.json", f"suites/{suite}/failures")
    classes = [c for c in FAILURES if any(f["counts"].get(c) for f in arms.values())]
    legend = [(i, term("class", c)) for i, c in enumerate(classes)]
    data = {"arms": {a: f["counts"] for a, f in arms.items()}, "classes": classes}
    rows = [
        [term("class", c), *(share_text(f["counts"].get(c, 0), f["n"]) for f in arms.values())]
        for c in ["passed", *classes, "not_measured"]
        if c not in _SKIP or any(f["counts"].get(c) for f in arms.values())
    ]
    columns = [msg("column.class"), *(code(a) for a in arms)]
    table = Table(msg("table.failures"), columns, rows, frozenset(range(1, len(columns))), source)
    chart = [Chart("failures", msg("chart.failures"), data, legend, source, words("axis.tasks"))]
    folds = (_clusters(source, arm, f["clusters"]) for arm, f in arms.items() if f["clusters"])
    return [*(chart if classes else []), table, *_wrong_values(source, arms), *folds]


def _wrong_values(source: Source, arms: Mapping[str, Any]) -> list[Any]:
    """Return how wrong values differ from the expected ones, by arm; nothing where no verdict names them."""
    found = {arm: f.get("wrong_values") or {"n": 0, "kinds": {}} for arm, f in arms.items()}
    kinds = list(dict.fromkeys(kind for f in found.values() for kind in f["kinds"]))
    if not kinds:
        return []
    rows = [
        [term("wrong", k), *(share_text(f["kinds"].get(k, 0), f["n"]) for f in found.values())] for k in kinds
    ]
    columns = [msg("column.wrong"), *(code(a) for a in found)]
    return [Table(msg("table.wrong"), columns, rows, frozenset(range(1, len(columns))), source)]


def _clusters(source: Source, arm: str, clusters: Sequence[Mapping[str, Any]]) -> Fold:
    rows = [[code(c["error"]), c["n"], [code(t) for t in c["tasks"][:3]]] for c in clusters[:_CLUSTERS_SHOWN]]
    columns = [msg(f"column.{n}") for n in ("error", "tasks", "examples")]
    place = (source[0], f"{source[1]}/{arm}/clusters")
    table = Table(msg("table.clusters"), columns, rows, frozenset({1}), place)
    return Fold(msg("clusters", arm=code(arm)), [table])


def _transitions(suite: str, pair: Mapping[str, Any]) -> Table:
    moves = {(b, a): n for b, a, n in pair["transitions"]}
    before = [c for c in CLASSES if any(c == b for b, _ in moves)]
    after = [c for c in CLASSES if any(c == a for _, a in moves)]
    rows = [[term("class", b), *(moves.get((b, a), "·") for a in after)] for b in before]
    columns = [msg("column.from_to"), *(term("class", a) for a in after)]
    caption = msg(
        "table.transitions", suite=code(suite), before=code(pair["before"]), after=code(pair["after"])
    )
    source = ("findings.json", f"suites/{suite}/pairs")
    return Table(caption, columns, rows, frozenset(range(1, len(columns))), source)


def cases_section(evidence: Evidence) -> Section:
    """Cases of the main pair, drawn by a seed from every cell of the churn."""
    pairs = list(main_pairs(evidence))
    if not pairs:
        return Section("cases", [absent("findings", evidence)])
    seed = (evidence["findings"] or {}).get("seed")
    blocks: list[Any] = [Paragraph(msg("cases.intro", seed=code(seed)))]
    for suite, _, pair in pairs:
        counts = {cell: pair["churn"][cell]["n"] for cell in ("fixed", "broken", "both", "neither")}
        blocks.append(Heading(msg("heading.suite", suite=code(suite))))
        blocks.append(Paragraph(msg("cases.churn", **counts)))
        blocks += [_case(c, pair) for c in pair["cases"]]
    return Section("cases", blocks, ["findings.json"])


def _case(case: Mapping[str, Any], pair: Mapping[str, Any]) -> Fold:
    ends = [(pair["before"], case["before"]), (pair["after"], case["after"])]
    classes = {
        "before": term("class", case["before"]["class"]),
        "after": term("class", case["after"]["class"]),
    }
    title = msg("cases.title", cell=term("cell", case["cell"]), task=code(case["task_id"]), **classes)
    blocks: list[Any] = [Code(case["prompt"], msg("column.prompt"))] if case["prompt"] else []
    for arm, found in ends:
        blocks += _side(arm, found)
    if case["diff"]:
        blocks.append(Code(case["diff"], msg("column.diff"), "diff"))
    if case["nearest"]:
        blocks.append(_nearest(case["nearest"]))
    return Fold(title, blocks)


def _side(arm: str, found: Mapping[str, Any]) -> list[Any]:
    program = found["program"] or found["text"]
    caption = msg("cases.program", arm=code(arm), cls=term("class", found["class"]))
    blocks: list[Any] = [
        Code(program, caption) if program else Paragraph(msg("cases.no_program", arm=code(arm)))
    ]
    failed = found["failed_test"]
    if failed:
        values = {k: code(v) if v is not None else None for k, v in failed.items()}
        blocks.append(Bullets([msg("cases.failed_test", **values)]))
    if found["error"]:
        blocks.append(Bullets([msg("cases.error", error=code(found["error"]))]))
    return blocks


def _nearest(rows: Sequence[Mapping[str, Any]]) -> Fold:
    blocks: list[Any] = []
    for row in rows:
        request, answer = f"{row['request_similarity']:.2f}", f"{row['answer_similarity']:.2f}"
        title = msg("cases.nearest_row", id=code(row["row_id"]), request=request, answer=answer)
        blocks += [Paragraph(title), Code(f"{row['instruction']}\n\n{row['response']}")]
    return Fold(msg("cases.nearest"), blocks, printed=False)


def tasks_section(evidence: Evidence) -> Section:
    """Every task of the main pair, to search and open."""
    lists = evidence["tasks"]
    if not lists:
        return Section("tasks", [absent("findings", evidence)])
    files = [
        f"{kind}/{found['suite']}.jsonl" for found in lists for kind in ("tasks", "completions", "verdicts")
    ]
    return Section("tasks", [Tasks(lists)], files)


def outputs_section(evidence: Evidence) -> Section:
    """How outputs changed in length, format and likeness to the training rows."""
    blocks: list[Any] = []
    for suite, found in suites(evidence).items():
        if found["drift"]:
            blocks.append(Heading(msg("heading.suite", suite=code(suite))))
            blocks.append(_drift(suite, found["drift"]))
        if found["similarity"]:
            blocks += [_likeness(suite, found["similarity"]), Paragraph(msg("likeness.note"), "note")]
        if found.get("verbatim"):
            blocks.append(_verbatim(suite, found["verbatim"]))
    if found_memorised := (evidence["findings"] or {}).get("memorised"):
        blocks += [_finished(found_memorised), Paragraph(msg("memorised.note"), "note")]
    blocks += robustness_blocks(evidence)
    blocks = [Paragraph(msg("outputs.intro")), *blocks] if blocks else [absent("findings", evidence)]
    return Section("outputs", blocks, ["findings.json", "completions/"])


def _drift(suite: str, drift: Mapping[str, Mapping[str, Any]]) -> Table:
    arms = list(drift.values())
    rows: list[list[Any]] = [
        [msg("drift.tokens"), *(_spread(d["tokens"]) for d in arms)],
        [msg("drift.lines"), *(_spread(d["program_lines"]) for d in arms)],
        [msg("drift.well_formed"), *(share_text(d["well_formed"], d["n"]) for d in arms)],
        [
            msg("drift.passed_well_formed"),
            *(rate_text(d["well_formed_passed"], d["well_formed"]) for d in arms),
        ],
        *([msg(f"drift.{name}"), *(share_text(d[name], d["n"]) for d in arms)] for name in _STYLE_COUNTS),
        [msg("drift.extraction"), *(_shares(d["extraction"], d["n"]) for d in arms)],
        [msg("drift.finish"), *(_shares(d["finish_reason"], d["n"]) for d in arms)],
    ]
    columns = [msg("column.trait"), *(code(a) for a in drift)]
    return Table(msg("table.drift"), columns, rows, source=("findings.json", f"suites/{suite}/drift"))


def _spread(found: Mapping[str, Any] | None) -> Any:
    return None if found is None else f"{found['p50']} ({found['p10']}-{found['p90']})"


def _shares(counts: Mapping[str, int], n: int) -> list[Any]:
    return [msg("named_share", name=code(name), share=share_text(count, n)) for name, count in counts.items()]


def _verbatim(suite: str, found: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return how many programs hold a long run of tokens of a training answer, word for word."""
    rows = [
        [
            code(arm),
            share_text(v["copied"], v["n"]),
            v["longest"],
            code(v["longest_task"]) if v["longest_task"] else "—",
            code(v["longest_row"]) if v["longest_row"] else "—",
            rate_text(*v["passed_copied"]),
            rate_text(*v["passed_others"]),
        ]
        for arm, v in found.items()
    ]
    names = ("arm", "copied", "longest", "longest_task", "longest_row", "passed_copied", "passed_others")
    columns = [msg(f"column.{n}") for n in names]
    caption = msg("table.verbatim", tokens=next(iter(found.values()))["run_tokens"])
    source = ("findings.json", f"suites/{suite}/verbatim")
    return Table(caption, columns, rows, frozenset({1, 2, 5, 6}), source)


def _finished(found: Mapping[str, Any]) -> Table:
    """Return how many answers of training and held-out rows the models finish exactly."""
    rows = [
        [
            code(arm),
            *(
                rate_text(*part["finished"]) if (part := by[name]) else None
                for name in ("trained", "held_out")
            ),
        ]
        for arm, by in found["arms"].items()
    ]
    columns = [msg(f"column.{n}") for n in ("arm", "finished_trained", "finished_held_out")]
    caption = msg("table.memorised", tokens=found["given_tokens"])
    return Table(caption, columns, rows, frozenset({1, 2}), ("findings.json", "memorised"))


def _likeness(suite: str, similarity: Mapping[str, Mapping[str, Any]]) -> Table:
    rows = []
    for arm, s in similarity.items():
        quarters = [rate_text(q["passed"], q["n"]) for q in s["quartiles"]]
        median = None if s["median"] is None else f"{s['median']:.2f}"
        rows.append(
            [code(arm), median, share_text(s["copies"], s["n"]), *quarters, *[None] * (4 - len(quarters))]
        )
    columns = [msg(f"column.{n}") for n in ("arm", "median_likeness", "copies", "q1", "q2", "q3", "q4")]
    source = ("findings.json", f"suites/{suite}/similarity")
    return Table(msg("table.likeness"), columns, rows, frozenset({1, 2, 3, 4, 5, 6}), source)
