"""The data card as data: `data/card.json`, for reports and other programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from codefit.core.types import Dropped, Row
from codefit.curate.card.groups import About, Facts, about_row, about_task, common_facts, rows_facts
from codefit.curate.card.licence import licences
from codefit.curate.card.markdown import added_rows
from codefit.curate.card.needs import lacking_topics, library_needs, topic_distance
from codefit.curate.card.overlap import MIXTURE, overlap
from codefit.curate.step import Context

LAYOUT = 1


def data_card(
    read: Sequence[Row], kept: Sequence[Row], dropped: Sequence[Dropped], funnel: Mapping[str, Any], ctx: Context
) -> dict[str, Any]:  # fmt: skip
    """Return the card of the rows read and kept: the same rows and settings give the same data.

    `sources`, `mixture` and `suites` hold counts, lengths in tokens (by the run's counter), languages,
    forms, topics and libraries; `evidence` what was run; `overlap` the overlap matrix; `needs` what the
    test sets ask for; `licences` what a user must know. Nothing is executed here. About 1 ms a row.
    """
    about = {row.id: about_row(row, ctx) for row in read}
    final = _final(read, kept, about, ctx)
    groups = _by_source(read)
    left = _by_source(kept)
    known = {s["name"]: s for s in funnel["sources"]}
    sources = {
        name: {
            "about": known.get(name, {}).get("about"),
            "revision": known.get(name, {}).get("revision"),
            "read": rows_facts(rows, about),
            "added": added_rows(funnel, name),
            "kept": rows_facts(left.get(name, []), final),
            "evidence": _evidence(rows, dropped, funnel, ctx),
        }
        for name, rows in groups.items()
    }
    mixture: dict[str, Any] = {
        "read": rows_facts(read, about),
        "added": added_rows(funnel),
        "kept": rows_facts(kept, final),
        "evidence": _evidence(read, dropped, funnel, ctx),
    }
    tasks = {
        name: [about_task(t, ctx.count_tokens) for t in members]
        for name, members in sorted(ctx.tasks.items())
    }
    suites = {name: common_facts(members) for name, members in tasks.items()}
    compared: dict[str, Facts] = {name: s["read"] for name, s in sources.items()} | {MIXTURE: mixture["kept"]}
    return {
        "layout": LAYOUT,
        "seed": ctx.seed,
        "sources": sources,
        "mixture": mixture,
        "suites": suites,
        "licences": licences(read, kept),
        "overlap": overlap(
            {name: _texts(rows, about) for name, rows in groups.items()},
            _texts(kept, final),
            {name: [(t.prompt, t.reference or "") for t in ctx.tasks[name]] for name in suites},
            ctx.settings,
        ),
        "topic_distance": _distances(compared, suites),
        "needs": {
            name: library_needs(members, compared)
            | {"lacking_topics": lacking_topics(suites[name], mixture["kept"])}
            for name, members in tasks.items()
        },
    }


def _by_source(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.source, []).append(row)
    return dict(sorted(found.items()))


def _final(
    read: Sequence[Row], kept: Sequence[Row], about: Mapping[str, About], ctx: Context
) -> dict[str, About]:
    """Return what is known of the kept rows; looked at again only where a step changed the text."""
    before = {row.id: _seen(row) for row in read}
    return {
        row.id: about[row.id] if before.get(row.id) == _seen(row) else about_row(row, ctx) for row in kept
    }


def _seen(row: Row) -> tuple[str, str, str | None]:
    return row.instruction, row.response, row.tests.kind if row.tests else None


def _texts(rows: Sequence[Row], about: Mapping[str, About]) -> list[tuple[str, str]]:
    """Return requests with their answers, as far as these are Python."""
    return [(r.instruction, r.response if about[r.id].parses else "") for r in rows]


def _evidence(
    rows: Sequence[Row], dropped: Sequence[Dropped], funnel: Mapping[str, Any], ctx: Context
) -> dict[str, Any] | None:
    """Return what running showed of the rows that reached the step `verify`; None where it is left out.

    `with_tests` and `without_tests` count the rows by what became of them; `failed` are those dropped.
    """
    order = [step["step"] for step in funnel["steps"]]
    if "verify" not in order:
        return None
    at = order.index("verify")
    gone = {d.row_id: order.index(d.step) for d in dropped if d.step in order}
    reached = [row for row in rows if gone.get(row.id, len(order)) >= at]
    verdicts: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for row in reached:
        verdict = "failed" if gone.get(row.id) == at else str(ctx.fact(row.id, "verdict", "not_run"))
        verdicts[row.tests is not None][verdict] += 1
    return {
        "reached": len(reached),
        "with_tests": dict(sorted(verdicts[True].items())),
        "without_tests": dict(sorted(verdicts[False].items())),
    }


def _distances(groups: Mapping[str, Facts], suites: Mapping[str, Facts]) -> list[dict[str, Any]]:
    """Return how far apart the topics of two groups are, for sources, the mixture and suites."""
    names = list(groups)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :] if MIXTURE not in (a, b)]
    found = [{"a": a, "b": b, "distance": topic_distance(groups[a], groups[b])} for a, b in pairs]
    return found + [
        {"a": a, "b": s, "distance": topic_distance(groups[a], suites[s])} for a in names for s in suites
    ]
