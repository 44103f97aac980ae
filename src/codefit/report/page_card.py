"""Blocks on the data card: sources, licences, topics, libraries, the overlap matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from codefit.report.blocks import Bullets, Fold, Heading, Paragraph, Table
from codefit.report.messages import Message, code, msg, term
from codefit.report.numbers import percent, share_text

LICENCE_LINES = {
    "non_commercial": ("may", "may_not", "model", "free"),
    "share_alike": ("may", "model"),
    "unstated": ("ask",),
    "open": ("may",),
}
MEASURES = ("exact", "near", "code", "gram_8", "gram_10", "gram_13", "similar")
_TOPICS = 14
_FILE = "data/card.json"
Card = Mapping[str, Any]


def card_blocks(card: Card | None) -> list[Any]:
    """Return the blocks of the data card; nothing for a run without one."""
    if card is None:
        return []
    return [
        Heading(msg("heading.sources")),
        _sources(card),
        *_licences(card),
        *_topics(card),
        *_libraries(card),
        *_overlaps(card),
    ]


def passing(evidence: Mapping[str, Any] | None) -> str | None:
    """Return the share of rows with tests that passed them, of those that were run."""
    found = (evidence or {}).get("with_tests") or {}
    return share_text(found.get("passed", 0), sum(found.values()))


def median(numbers: Mapping[str, int] | None) -> str | None:
    """Return a median with the 10th and 90th percentile."""
    return f"{numbers['p50']:,} ({numbers['p10']:,} – {numbers['p90']:,})" if numbers else None


def _sources(card: Card) -> Table:
    kept = card["mixture"]["kept"]["rows"]
    rows = []
    for name, group in [*card["sources"].items(), (None, card["mixture"])]:
        read = group["read"]
        rows.append(
            [
                code(name) if name is not None else msg("mixture"),
                read["rows"],
                group["kept"]["rows"],
                percent(group["kept"]["rows"] / kept) if kept else None,
                share_text(read["languages"].get("python", 0), read["rows"]),
                share_text(read["python"]["parses"], read["python"]["rows"]),
                share_text(read["tests"]["rows"], read["rows"]),
                passing(group["evidence"]),
                median(read["tokens"]["request"]),
                median(read["tokens"]["answer"]),
            ]
        )
    names = (
        "source",
        "read",
        "kept",
        "of_mixture",
        "python",
        "parses",
        "tested",
        "passing",
        "request_tokens",
    )
    columns = [msg(f"column.{n}") for n in (*names, "answer_tokens")]
    return Table(msg("table.sources"), columns, rows, frozenset(range(1, 10)), (_FILE, "sources"))


def _licences(card: Card) -> list[Any]:
    blocks: list[Any] = []
    for kind, lines in LICENCE_LINES.items():
        found = [x for x in card["licences"] if x["kind"] == kind and x["kept"]]
        if not found:
            continue
        named = [
            msg(
                "licence.of", source=code(x["source"]), licence=x["licence"] or msg("unknown"), rows=x["kept"]
            )
            for x in found
        ]
        tone = "warn" if kind == "non_commercial" else "plain"
        blocks.append(Paragraph(msg("licence.title", kind=msg(f"licence_kind.{kind}"), rows=named), tone))
        blocks.append(Bullets([msg(f"licence.{kind}_{line}") for line in lines]))
    return (
        [Heading(msg("heading.licences")), *blocks, Paragraph(msg("licence.note"), "note")] if blocks else []
    )


def _columns(card: Card) -> list[tuple[Any, Mapping[str, Any]]]:
    sources = [(code(name), group["read"]) for name, group in card["sources"].items()]
    suites = [(msg("tasks_of", suite=code(name)), facts) for name, facts in card["suites"].items()]
    return [*sources, (msg("mixture"), card["mixture"]["kept"]), *suites]


def _topics(card: Card) -> list[Any]:
    columns = _columns(card)
    shares = [_shares(facts["topics"]) for _, facts in columns]
    total = {t: sum(s.get(t, 0.0) for s in shares) for found in shares for t in found}
    order = sorted(total, key=lambda t: (-round(total[t], 9), t))[:_TOPICS]
    if not order:
        return []
    rows = [[term("topic", t), *(percent(s.get(t, 0.0)) for s in shares)] for t in order]
    names = [msg("column.topic"), *(name for name, _ in columns)]
    table = Table(msg("table.topics"), names, rows, frozenset(range(1, len(names))), (_FILE, "sources"))
    return [Heading(msg("heading.topics")), table, Paragraph(msg("topics.note"), "note"), *lacking(card)]


def _shares(counts: Mapping[str, int]) -> dict[str, float]:
    total = sum(counts.values())
    return {topic: n / total for topic, n in counts.items()} if total else {}


def lacking(card: Card) -> list[Any]:
    """Return a paragraph per suite on topics that the mixture has little of."""
    return [Paragraph(message) for message in lacking_messages(card)]


def lacking_messages(card: Card) -> list[Message]:
    """Return per suite what the mixture has little of, with both shares."""
    return [
        msg("topics.lacking", suite=code(suite), topics=[_lacking(t) for t in needs["lacking_topics"]])
        for suite, needs in card["needs"].items()
        if needs["lacking_topics"]
    ]


def _lacking(found: Mapping[str, Any]) -> Message:
    shares = {"suite": percent(found["suite"]), "rows": percent(found["mixture"])}
    return msg("topics.share", topic=term("topic", found["topic"]), **shares)


def group_name(name: str) -> Any:
    """Return a group of rows as text: a source's name, or the mixture."""
    return msg("mixture") if name == "mixture" else code(name)


def _libraries(card: Card) -> list[Any]:
    rows = [
        [
            code(suite),
            group_name(group),
            share_text(found["libraries_1"], needs["libraries"]),
            share_text(found["libraries_10"], needs["libraries"]),
            share_text(found["tasks_1"], needs["tasks_with_libraries"]),
            share_text(found["tasks_10"], needs["tasks_with_libraries"]),
        ]
        for suite, needs in card["needs"].items()
        if needs["tasks_with_libraries"]
        for group, found in needs["covered"].items()
    ]
    if not rows:
        return []
    names = ("suite", "rows_of", "libraries_1", "libraries_10", "tasks_1", "tasks_10")
    columns = [msg(f"column.{n}") for n in names]
    table = Table(msg("table.libraries"), columns, rows, frozenset(range(2, 6)), (_FILE, "needs"))
    folds = [_needed(suite, needs) for suite, needs in card["needs"].items() if needs["needed"]]
    return [Heading(msg("heading.libraries")), table, *folds]


def _needed(suite: str, needs: Mapping[str, Any]) -> Fold:
    groups = list(needs["covered"])
    rows = [[code(x["library"]), x["tasks"], *(x["rows"].get(g, 0) for g in groups)] for x in needs["needed"]]
    columns = [msg("column.library"), msg("column.tasks"), *(group_name(g) for g in groups)]
    numeric, source = frozenset(range(1, len(columns))), (_FILE, f"needs/{suite}/needed")
    table = Table(msg("table.needed", suite=code(suite)), columns, rows, numeric, source)
    return Fold(msg("table.needed", suite=code(suite)), [table])


def _overlaps(card: Card) -> list[Any]:
    about = card["overlap"]
    tables = [_matrix(part, about[part]) for part in ("between", "suites") if about[part]]
    if not tables:
        return []
    note = msg("overlap.note", near=about["near_jaccard"], similar=about["similar_cosine"])
    return [Heading(msg("heading.overlap")), *tables, Paragraph(note, "note")]


def _matrix(part: str, entries: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        [
            msg("overlap.pair", of=group_name(e["of"]), other=group_name(e["in"])),
            e["rows"],
            *(e[m] for m in MEASURES),
            None if e["median_similarity"] is None else f"{e['median_similarity']:.2f}",
        ]
        for e in entries
    ]
    names = ("overlap_pair", "rows", *(f"overlap_{m}" for m in MEASURES), "overlap_median")
    columns, numeric = [msg(f"column.{n}") for n in names], frozenset(range(1, len(names)))
    return Table(msg(f"table.overlap_{part}"), columns, rows, numeric, (_FILE, f"overlap/{part}"))
