"""The data card as Markdown, for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from codefit.curate.card.licence import GENERATED, MEANING, NON_COMMERCIAL
from codefit.curate.card.needs import topic_shares
from codefit.curate.card.overlap import MIXTURE

_REASONS, _TOPICS, _LIBRARIES, _LANGUAGES = 6, 16, 15, 10
_MEASURES = {
    "exact": "same request", "near": "near-duplicate request", "code": "same code", "gram_8": "8 words",
    "gram_10": "10 words", "gram_13": "13 words", "similar": "similar request",
}  # fmt: skip


def card_text(card: Mapping[str, Any], funnel: Mapping[str, Any]) -> str:
    """Return the card as Markdown; the same card and funnel give the same text."""
    groups = {name: s["read"] for name, s in card["sources"].items()} | {"kept rows": card["mixture"]["kept"]}
    parts = [
        "# Data card\n",
        f"{funnel['read']:,} rows read, {funnel['kept']:,} kept ({funnel['kept_tokens']:,} tokens of request and "
        f"answer, by this run's counter). Seed {funnel['seed']}.\n",
        _sources(card, funnel),
        _licences(card),
        _steps(funnel),
        _lengths(card, groups),
        _shares("Languages of the answers, by heuristic", "languages", "language", groups, _LANGUAGES),
        _shares("What the answers are", "forms", "form", groups, _LANGUAGES),
        _evidence(card),
        _topics(card, groups),
        _libraries(card),
        _overlap("Overlap between sources", card["overlap"]["between"], card),
        _overlap("Overlap with test sets", card["overlap"]["suites"], card),
        _separation(funnel),
    ]
    return "\n".join(part for part in parts if part)


def share(part: int, whole: int) -> str:
    """Return `12.3 % (45/366)`, or `-` of nothing."""
    return f"{100 * part / whole:.1f} % ({part:,}/{whole:,})" if whole else "-"


def _cell(value: Any) -> str:
    text = " ".join(str(value).split()).replace("\\", "\\\\").replace("|", "\\|")
    return text.replace("<", "&lt;")


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join(map(_cell, head)) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _sources(card: Mapping[str, Any], funnel: Mapping[str, Any]) -> str:
    rows, notes = [], []
    for name, s in card["sources"].items():
        read, kept = s["read"]["rows"], s["kept"]["rows"]
        licence = "; ".join(s["read"]["licences"])
        rows.append(
            (name, f"{read:,}", share(kept, read), share(kept, funnel["kept"]), licence, s["revision"] or "-")
        )
        if s["about"]:
            notes.append(f"- {_cell(name)}: {_cell(s['about'])}\n")
    head = ("source", "rows read", "kept of them", "share of the mixture", "licence", "revision")
    return "## Sources\n\n" + _table(head, rows) + ("\n" + "".join(notes) if notes else "")


def _licences(card: Mapping[str, Any]) -> str:
    kinds: dict[str, list[str]] = {}
    for found in card["licences"]:
        if found["kept"]:
            kinds.setdefault(found["kind"], []).append(
                f"{found['source']} ({found['licence'] or 'not stated'}; {found['kept']:,} kept rows)"
            )
    out = "## What the licences mean for you\n\n"
    for kind, lines in MEANING.items():
        if kind in kinds:
            title = kind.replace("_", "-").capitalize()
            out += f"**{title} rows**: {_cell('; '.join(kinds[kind]))}.\n\n"
            out += "".join(f"- {line}\n" for line in lines)
            out += f"- {GENERATED}\n\n" if kind == NON_COMMERCIAL else "\n"
    return out + "This is a reading of the licences' words, not legal advice.\n" if kinds else ""


def _steps(funnel: Mapping[str, Any]) -> str:
    rows = []
    for s in funnel["steps"]:
        reasons = "; ".join(f"{name} {count:,}" for name, count in list(s["reasons"].items())[:_REASONS])
        rows.append((s["step"], f"{s['in']:,}", f"{s['kept']:,}", f"{s['dropped']:,}", reasons or "-"))
    return "## Funnel\n\n" + _table(("step", "in", "kept", "dropped", "most frequent reasons"), rows)


def _lengths(card: Mapping[str, Any], groups: Mapping[str, Any]) -> str:
    rows = []
    for name, facts in {**groups, **card["suites"]}.items():
        for part in ("request", "answer"):
            if found := facts["tokens"][part]:
                rows.append((name, part, *(f"{n:,}" for n in found.values())))
    head = ("rows of", "", "p10", "median", "p90", "longest")
    note = "\nOf test sets: the prompt, and the reference solution.\n" if card["suites"] else ""
    return "## Lengths in tokens\n\n" + _table(head, rows) + note


def _shares(title: str, key: str, column: str, groups: Mapping[str, Any], most: int) -> str:
    counts = {name: facts[key] for name, facts in groups.items()}
    order = list(dict.fromkeys(k for found in counts.values() for k in found))
    total = {k: sum(found.get(k, 0) for found in counts.values()) for k in order}
    order = sorted(order, key=lambda k: (-total[k], k))[:most]
    rows = [
        (k, *(share(found.get(k, 0), groups[name]["rows"]) for name, found in counts.items())) for k in order
    ]
    return f"## {title}\n\n" + _table((column, *counts), rows)


def _evidence(card: Mapping[str, Any]) -> str:
    columns = {**card["sources"], MIXTURE: card["mixture"]}
    rows: list[tuple[str, ...]] = [
        ("Python answers that parse", *(share(f["python"]["parses"], f["python"]["rows"]) for f in _read(columns))),
        ("rows with tests of their own", *(share(f["tests"]["rows"], f["rows"]) for f in _read(columns))),
        ("tests per such row: p10, median, p90, most", *(_numbers(f["tests"]["per_row"]) for f in _read(columns))),
    ]  # fmt: skip
    found = [c["evidence"] for c in columns.values()]
    if any(found):
        rows += [
            ("pass their own tests, of those run", *(_of(e, "with_tests", "passed") for e in found)),
            ("load without error, of those without tests", *(_of(e, "without_tests", "loads") for e in found)),
            ("could not be loaded here (input, module, file or network missing)",
             *(_of(e, "without_tests", "unproven") for e in found)),
            ("fail while loading", *(_of(e, "without_tests", "failed") for e in found)),
        ]  # fmt: skip
    kept = [
        ("kept rows with tests of their own", *(share(c["kept"]["tests"]["rows"], c["kept"]["rows"]) for c in columns.values()))
    ]  # fmt: skip
    note = "\nRun are the rows that reached the step `verify`; all others were dropped before.\n" if any(found) else ""
    return "## Evidence\n\n" + _table(("of rows read", *columns), [*rows, *kept]) + note


def _read(columns: Mapping[str, Any]) -> list[Any]:
    return [c["read"] for c in columns.values()]


def _numbers(found: Mapping[str, int] | None) -> str:
    return ", ".join(f"{n:,}" for n in found.values()) if found else "-"


def _of(evidence: Mapping[str, Any] | None, group: str, verdict: str) -> str:
    found = evidence[group] if evidence else {}
    return share(found.get(verdict, 0), sum(found.values()))


def _topics(card: Mapping[str, Any], groups: Mapping[str, Any]) -> str:
    shares = {name: topic_shares(facts) for name, facts in {**groups, **card["suites"]}.items()}
    order = sorted({t for found in shares.values() for t in found}, key=lambda t: (-sum(f.get(t, 0) for f in shares.values()), t))  # fmt: skip
    rows = [(t, *(f"{100 * f.get(t, 0):.1f} %" for f in shares.values())) for t in order[:_TOPICS]]
    lacking = "".join(
        f"- The mixture has little of what {_cell(suite)} asks for: "
        + ", ".join(f"{t['topic']} ({100 * t['suite']:.1f} % against {100 * t['mixture']:.1f} %)" for t in n["lacking_topics"])
        + ".\n"
        for suite, n in card["needs"].items()
        if n["lacking_topics"]
    )  # fmt: skip
    note = "\nShare of all topics given; a row has one to three, by a table of words, phrases, libraries and tags.\n"
    return (
        "## Topics\n\n" + _table(("topic", *shares), rows) + note + ("\n" + lacking if lacking else "")
        if rows
        else ""
    )


def _libraries(card: Mapping[str, Any]) -> str:
    out = ""
    for suite, n in card["needs"].items():
        if not n["tasks_with_libraries"]:
            continue
        rows = [
            (
                group,
                share(c["libraries_1"], n["libraries"]),
                share(c["libraries_10"], n["libraries"]),
                share(c["tasks_1"], n["tasks_with_libraries"]),
                share(c["tasks_10"], n["tasks_with_libraries"]),
            )
            for group, c in n["covered"].items()
        ]
        head = ("rows of", "libraries in 1+ rows", "in 10+ rows", "tasks with all libraries in 1+ rows", "in 10+ rows")
        most = ", ".join(
            f"{x['library']} ({x['tasks']:,} tasks; {x['rows'][MIXTURE]:,} rows)" for x in n["needed"][:_LIBRARIES]
        )
        out += f"\n### {_cell(suite)}: {n['libraries']:,} libraries in {n['tasks_with_libraries']:,} of {n['tasks']:,} tasks\n\n"
        out += _table(head, rows) + f"\nMost needed, and kept rows that import them: {_cell(most)}.\n"
    return "## Libraries that the test sets need\n" + out if out else ""


def _overlap(title: str, entries: Sequence[Mapping[str, Any]], card: Mapping[str, Any]) -> str:
    if not entries:
        return ""
    rows = [
        (
            f"{e['of']} in {e['in']}",
            f"{e['rows']:,}",
            *(f"{e[m]:,}" for m in _MEASURES),
            "-" if e["median_similarity"] is None else f"{e['median_similarity']:.2f}",
        )
        for e in entries
    ]
    about = card["overlap"]
    note = (
        f"\nRows of the first that have their like in the second. Near-duplicate: Jaccard {about['near_jaccard']} of word "
        f"runs, by MinHash. Same code: a function equal up to names. 8, 10, 13 words: a shared run of words; short runs "
        f"are often stock phrases. Similar: cosine {about['similar_cosine']} of the words that carry meaning, weighted by "
        "rarity; the last column is the median to the nearest. Not covered: the same task in other words.\n"
    )
    return f"## {title}\n\n" + _table(("", "rows", *_MEASURES.values(), "median similarity"), rows) + note


def _separation(funnel: Mapping[str, Any]) -> str:
    step = next((s for s in funnel["steps"] if s["step"] == "decontaminate"), None)
    if step is None:
        return "## Separation from test sets\n\nNot checked: the recipe leaves the step out.\n"
    if not funnel["suites"]:
        return "## Separation from test sets\n\nNot checked: no test set was given.\n"
    rows = []
    for suite, tasks in funnel["suites"].items():
        found = step["report"]["suites"].get(suite, {})
        methods = ", ".join(f"{m} {n:,}" for m, n in found.get("rows_by_method", {}).items())
        touched = share(found.get("tasks_touched", 0), tasks)
        removed, listed = found.get("rows_removed", 0), found.get("rows_listed", 0)
        rows.append((suite, f"{removed:,}", touched, f"{listed:,}", methods or "-"))
    mode = funnel["settings"]["decontaminate"]["execution_match"]
    head = ("suite", "rows removed", "tasks touched", "rows listed for review", "removed rows by method")
    return (
        "## Separation from test sets\n\n"
        + _table(head, rows)
        + f"\nExecution match: {mode}. A row may be found by several methods. Not covered: paraphrases whose "
        "answers are not Python functions.\n"
    )
