"""Answers on data, benchmarks, cases and errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codefit.report.arms import family, one_source, varied
from codefit.report.lookup import Evidence, benchmarks, main_comparisons, main_pairs, measured_suites, suites
from codefit.report.messages import Message, code, msg, term
from codefit.report.numbers import percent, share_text
from codefit.report.page_card import lacking_messages, median, passing
from codefit.report.verdict import line_arguments, not_alike

Answer = tuple[list[Message], list[str]]
_ASKED = frozenset({"mbpp", "humaneval", "bigcodebench", "micro"})
REDUNDANT, DISJOINT = 0.2, 0.02
"""Share of the smaller source that the larger one holds (by its largest measure) from which the two are
called redundant, and below which nearly disjoint."""


def q5(evidence: Evidence) -> Answer:
    """Criteria and process of selection: the funnel, and the control arms."""
    steps = (evidence["data"] or {}).get("steps") or []
    if not steps:
        return [], ["funnel", "random_arm"]
    said = [msg("answer.funnel", first=steps[0]["in"], last=steps[-1]["out"], steps=len(steps))]
    for s in steps:
        if s["added"]:
            said.append(msg("answer.added", step=term("step", s["step"]), added=s["added"]))
        if s["dropped"]:
            rows = s["in"] + s["added"]
            said.append(msg("answer.step", step=term("step", s["step"]), dropped=s["dropped"], rows=rows))
    said += _verified((evidence["data"] or {}).get("card"))
    said += _separated(evidence)
    other_rows = family(evidence, "rows")
    said += varied(evidence, other_rows)
    has_random = any(arm["settings"]["rows"] == "random" for arm in other_rows)
    return said, [] if has_random else ["random_arm"]


def _verified(card: Mapping[str, Any] | None) -> list[Message]:
    found = ((card or {}).get("mixture") or {}).get("evidence")
    figure = passing(found)
    return [msg("answer.verified", figure=figure)] if figure else []


def _separated(evidence: Evidence) -> list[Message]:
    """Return per suite how many rows went because they give away a task, and how many tasks that touches."""
    found = (evidence["data"] or {}).get("separation") or {}
    return [msg("answer.separated", suite=code(suite), **counts) for suite, counts in found.items()]


def q6(evidence: Evidence) -> Answer:
    """What characterises the sources; redundant or complementary."""
    data = evidence["data"] or {}
    if card := data.get("card"):
        said = [*_sources(card), *_overlap(card), *lacking_messages(card), *_covered(card)]
        return [*said, *varied(evidence, one_source(evidence))], _sources_without_arm(evidence)
    steps = data.get("steps") or []
    read = (steps[0].get("sources") or {}) if steps else {}
    kept = (steps[-1].get("sources") or {}) if steps else {}
    licences = {str(s.get("name")): s.get("licence") for s in data.get("sources") or []}
    said = [
        msg(
            "answer.source",
            source=code(name),
            rows=read[name].get("in"),
            kept=kept.get(name, {}).get("kept", 0),
            licence=licences.get(name) or msg("unknown"),
        )
        for name in read
    ]
    lacks = _sources_without_arm(evidence)
    return [*said, *varied(evidence, one_source(evidence))], lacks if said else ["funnel", *lacks]


def _sources_without_arm(evidence: Evidence) -> list[str]:
    """Return the missing measurement where some source of several has no arm of its own."""
    names = {str(s.get("name")) for s in (evidence["data"] or {}).get("sources") or []}
    alone = {name for arm in one_source(evidence) for name in arm["settings"]["sources"]}
    return ["source_arms"] if len(names) > 1 and names - alone else []


def _sources(card: Mapping[str, Any]) -> list[Message]:
    said = []
    for name, group in card["sources"].items():
        read = group["read"]
        facts = {
            "source": code(name),
            "rows": read["rows"],
            "kept": group["kept"]["rows"],
            "licence": list(read["licences"]),
            "python": share_text(read["languages"].get("python", 0), read["rows"]),
            "tested": share_text(read["tests"]["rows"], read["rows"]),
            "request": median(read["tokens"]["request"]),
            "answer": median(read["tokens"]["answer"]),
        }
        said.append(msg("answer.source_card", **facts, passing=passing(group["evidence"])))
    return said


def _overlap(card: Mapping[str, Any]) -> list[Message]:
    """Return per pair of sources how much of the smaller one the larger holds, and how far topics differ."""
    distance = {frozenset((d["a"], d["b"])): d["distance"] for d in card["topic_distance"]}
    found: dict[frozenset[str], Mapping[str, Any]] = {}
    for e in card["overlap"]["between"]:
        pair = frozenset((e["of"], e["in"]))
        if pair not in found or e["rows"] < found[pair]["rows"]:
            found[pair] = e
    said = []
    for pair, e in found.items():
        most = max(e["near"], e["code"], e["similar"], e["gram_13"])
        share = most / e["rows"] if e["rows"] else 0.0
        kind = "redundant" if share >= REDUNDANT else "partly" if share >= DISJOINT else "disjoint"
        said.append(
            msg(
                f"answer.overlap_{kind}",
                of=code(e["of"]),
                other=code(e["in"]),
                share=share_text(most, e["rows"]),
                distance=distance.get(pair),
            )
        )
    return said


def _covered(card: Mapping[str, Any]) -> list[Message]:
    return [
        msg(
            "answer.covered",
            suite=code(suite),
            libraries=share_text(needs["covered"]["mixture"]["libraries_10"], needs["libraries"]),
            tasks=share_text(needs["covered"]["mixture"]["tasks_10"], needs["tasks_with_libraries"]),
        )
        for suite, needs in card["needs"].items()
        if needs["tasks_with_libraries"]
    ]


def q7(evidence: Evidence) -> Answer:
    """One prompt format: parity of training and evaluation, and what was extracted."""
    form = evidence["format"]
    if not form:
        return [], ["format"]
    parity = form.get("parity") or {}
    said = [
        msg(
            "answer.parity" if parity.get("ok") else "answer.no_parity",
            checked=parity.get("checked"),
            tokens=parity.get("prefix_tokens"),
            hash=code(form.get("template_hash")),
        )
    ]
    if rows := parity.get("rows"):
        said.append(msg("answer.parity_rows", rows=sum(rows.values()), sources=[code(s) for s in rows]))
    for suite, found in suites(evidence).items():
        for arm, d in found.get("drift", {}).items():
            figure = share_text(d["well_formed"], d["n"])
            if arm in evidence["main"] and figure:
                said.append(msg("answer.well_formed", suite=code(suite), arm=code(arm), figure=figure))
    return said, []


def q11(evidence: Evidence) -> Answer:
    """Why these benchmarks: which ran, at which revision, on how many tasks."""
    said: list[Message] = []
    for suite in measured_suites(evidence):
        s = next(s for s in evidence["scores"] if s["suite"] == suite)
        said.append(
            msg(
                "answer.suite",
                suite=code(suite),
                revision=code(s.get("revision")),
                n=s.get("n"),
                excluded=len(s.get("excluded") or []),
                harness=code(s.get("harness")),
            )
        )
    about = [name for name in benchmarks(evidence) if name in _ASKED]
    said = [*(msg("answer.asks", suite=code(name), what=term("suite_asks", name)) for name in about), *said]
    return said, ["gold", "fresh_suite"] if said else ["scores", "gold"]


def q13(evidence: Evidence) -> Answer:
    """Why the BigCodeBench gain is small: the gain, the libraries that the rows have, the errors."""
    measured = [s for s in measured_suites(evidence) if s.startswith("bigcodebench")]
    if not measured:
        return [], ["bigcodebench"]
    compared = [c for c in main_comparisons(evidence) if c.get("suite") in measured]
    said = [msg("answer.line", **line_arguments(c)) for c in compared] + not_alike(compared)
    card = (evidence["data"] or {}).get("card") or {"needs": {}}
    covered = _covered({"needs": {s: n for s, n in card["needs"].items() if s.startswith("bigcodebench")}})
    said += [*covered, *(m for s in measured for m in _classes(evidence, s))]
    return said, [] if covered else ["funnel"]


def q15(evidence: Evidence) -> Answer:
    """Cases that improved and cases that still fail."""
    said = []
    for suite, _, pair in main_pairs(evidence):
        counts = {cell: pair["churn"][cell]["n"] for cell in ("fixed", "broken", "both", "neither")}
        said.append(msg("answer.churn", suite=code(suite), cases=len(pair["cases"]), **counts))
    return said, [] if said else ["findings"]


def q16(evidence: Evidence) -> Answer:
    """The most common class of error."""
    said = [m for suite in suites(evidence) for m in _classes(evidence, suite)]
    asked = [] if evidence["pass_at_k"] else ["pass_at_k"]
    return said, asked if said else ["findings"]


def _classes(evidence: Evidence, suite: str) -> list[Message]:
    said = []
    for arm, found in suites(evidence).get(suite, {}).get("failures", {}).items():
        counts = {c: n for c, n in found["counts"].items() if c not in ("passed", "not_measured")}
        total = sum(counts.values())
        if arm not in evidence["main"] or not total:
            continue
        top = sorted(counts.items(), key=lambda item: -item[1])[:3]
        shares = [msg("answer.class", cls=term("class", c), n=n, share=percent(n / total)) for c, n in top]
        said.append(msg("answer.classes", suite=code(suite), arm=code(arm), total=total, classes=shares))
    return said
