"""The parts of the card that compare: topics, libraries, overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from codefit.curate.card.markdown import cell, share, table
from codefit.curate.card.needs import topic_shares
from codefit.curate.card.overlap import MIXTURE

_TOPICS, _LIBRARIES = 16, 15
_MEASURES = {
    "exact": "same request",
    "near": "near-duplicate request",
    "code": "same code",
    "gram_8": "8 words",
    "gram_10": "10 words",
    "gram_13": "13 words",
    "similar": "similar request",
}


def topics_text(card: Mapping[str, Any], groups: Mapping[str, Any]) -> str:
    """Return the topic map of sources, mixture and test sets, and what the mixture has little of."""
    shares = {name: topic_shares(facts) for name, facts in {**groups, **card["suites"]}.items()}
    total = {t: sum(f.get(t, 0) for f in shares.values()) for found in shares.values() for t in found}
    order = sorted(total, key=lambda t: (-round(total[t], 9), t))[:_TOPICS]
    if not order:
        return ""
    rows = [(t, *(f"{100 * f.get(t, 0):.1f} %" for f in shares.values())) for t in order]
    note = (
        "\nShare of all topics given; a row has one to three, by a table of words, phrases, libraries and "
        "tags.\n"
    )
    lacking = "".join(_lacking(suite, needs["lacking_topics"]) for suite, needs in card["needs"].items())
    return "## Topics\n\n" + table(("topic", *shares), rows) + note + ("\n" + lacking if lacking else "")


def _lacking(suite: str, topics: Sequence[Mapping[str, Any]]) -> str:
    named = [f"{t['topic']} ({100 * t['suite']:.1f} % against {100 * t['mixture']:.1f} %)" for t in topics]
    return f"- The mixture has little of what {cell(suite)} asks for: {', '.join(named)}.\n" if named else ""


def libraries_text(card: Mapping[str, Any]) -> str:
    """Return how far sources and mixture cover the libraries that each test set imports."""
    parts = [_library_part(suite, n) for suite, n in card["needs"].items() if n["tasks_with_libraries"]]
    return "## Libraries that the test sets need\n\n" + "\n".join(parts) if parts else ""


def _library_part(suite: str, needs: Mapping[str, Any]) -> str:
    libraries, tasks = needs["libraries"], needs["tasks_with_libraries"]
    rows = [
        (
            group,
            share(found["libraries_1"], libraries),
            share(found["libraries_10"], libraries),
            share(found["tasks_1"], tasks),
            share(found["tasks_10"], tasks),
        )
        for group, found in needs["covered"].items()
    ]
    head = (
        "rows of",
        "libraries in 1+ rows",
        "in 10+ rows",
        "tasks with all libraries in 1+ rows",
        "in 10+ rows",
    )
    most = [
        f"{x['library']} ({x['tasks']:,} tasks; {x['rows'][MIXTURE]:,} rows)"
        for x in needs["needed"][:_LIBRARIES]
    ]
    title = f"### {cell(suite)}: {libraries:,} libraries in {tasks:,} of {needs['tasks']:,} tasks\n\n"
    return (
        title
        + table(head, rows)
        + f"\nMost needed, and kept rows that import them: {cell(', '.join(most))}.\n"
    )


def overlap_text(title: str, entries: Sequence[Mapping[str, Any]], card: Mapping[str, Any]) -> str:
    """Return one half of the overlap matrix as a table with its reading."""
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
        "\nRows of the first that have their like in the second. Near-duplicate: Jaccard "
        f"{about['near_jaccard']} of runs of three words. Same code: a function equal up to names. 8, 10, 13 "
        "words: a shared run of words; short runs are often stock phrases. Similar: cosine "
        f"{about['similar_cosine']} of the words that carry meaning, weighted by rarity; the last column is the "
        "median to the nearest. Not covered: the same task in other words.\n"
    )
    return f"## {title}\n\n" + table(("", "rows", *_MEASURES.values(), "median similarity"), rows) + note
