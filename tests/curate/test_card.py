"""The data card: counts, licences, overlap, needs; the same for any order of rows; nothing in it acts."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codefit.core.types import Dropped, Row, Task
from codefit.curate.card import card_text, data_card
from codefit.curate.card.licence import licence_kind
from codefit.curate.card.needs import topic_distance
from codefit.curate.card.shared import features_shared, grams_shared, jaccard, similarity
from codefit.sources import open_source
from codefit.suites.load import load_suite
from tests.curate.conftest import asserts, context, row, task
from tests.shared_data import shared_data

ADD = "def add(first, second):\n    total = first + second\n    return total"
RENAMED = "def plus(a, b):\n    c = a + b\n    return c"
LONG = "Count how often every single letter of the alphabet occurs in a text that the user gives"


def funnel_of(read: Sequence[Row], kept: Sequence[Row], **more: Any) -> dict[str, Any]:
    base = {"read": len(read), "kept": len(kept), "kept_tokens": 1, "seed": 0, "steps": [], "sources": []}
    return {**base, "suites": {}, **more}


def made(
    read: Sequence[Row], kept: Sequence[Row], tasks: dict[str, list[Task]] | None = None,
    dropped: Sequence[Dropped] = (), **funnel: Any,
) -> dict[str, Any]:  # fmt: skip
    ctx = context(tasks=tasks)
    for r in kept:
        ctx.note(r.id, verdict="passed" if r.tests else "loads")
    return data_card(read, kept, dropped, funnel_of(read, kept, **funnel), ctx)


def entry(card: dict[str, Any], part: str, of: str, other: str) -> dict[str, Any]:
    return dict(next(e for e in card["overlap"][part] if (e["of"], e["in"]) == (of, other)))


ROWS = [
    row("a1", LONG, ADD, source="a", licence="CC BY-NC 4.0", tests=asserts("assert add(1, 2) == 3")),
    row(
        "a2",
        "Print a table of prices.",
        "SELECT price FROM t WHERE x = 1;",
        source="a",
        licence="CC BY-NC 4.0",
    ),
    row("a3", "Plot the prices.", "import pandas\nimport os\n\ndef f():\n    return 1", source="a"),
    row(
        "b1", LONG, RENAMED, source="b", licence="MIT", tests=asserts("assert f(1) == 2", "assert f(2) == 3")
    ),
    row("b2", "Multiply two matrices.", "def g(x:", source="b", licence="MIT", language="python"),
]


def test_counts_of_sources_and_mixture_are_those_of_the_rows() -> None:
    card = made(ROWS, [ROWS[0], ROWS[3]])
    assert [(n, s["read"]["rows"], s["kept"]["rows"]) for n, s in card["sources"].items()] == [
        ("a", 3, 1),
        ("b", 2, 1),
    ]
    assert card["mixture"]["read"]["rows"] == 5
    assert card["sources"]["a"]["read"]["languages"] == {"python": 2, "sql": 1}
    assert card["sources"]["b"]["read"]["python"] == {"rows": 2, "parses": 1}
    assert card["sources"]["b"]["read"]["tests"] == {
        "rows": 1,
        "per_row": {"p10": 2, "p50": 2, "p90": 2, "max": 2},
    }
    assert card["sources"]["a"]["read"]["libraries"] == {"os": 1, "pandas": 1}
    assert card["sources"]["a"]["read"]["forms"] == {"function": 2, "other language": 1}
    assert card["mixture"]["kept"]["tokens"]["request"]["max"] >= 15


def test_evidence_counts_rows_that_reached_verification_only() -> None:
    steps = [
        {"step": s, "in": 0, "kept": 0, "dropped": 0, "reasons": {}} for s in ("language", "verify", "select")
    ]
    dropped = [
        Dropped("a2", "language", "sql"),
        Dropped("b1", "verify", "wrong"),
        Dropped("a3", "select", "full"),
    ]
    card = made(ROWS, [ROWS[0]], dropped=dropped, steps=steps)
    assert card["sources"]["a"]["evidence"] == {
        "reached": 2,
        "with_tests": {"passed": 1},
        "without_tests": {"not_run": 1},
    }
    assert card["sources"]["b"]["evidence"] == {
        "reached": 2,
        "with_tests": {"failed": 1},
        "without_tests": {"not_run": 1},
    }
    assert made(ROWS, [ROWS[0]])["mixture"]["evidence"] is None
    text = card_text(card, funnel_of(ROWS, [ROWS[0]], steps=steps))
    assert "| pass their own tests, of those run | 100.0 % (1/1) | 0.0 % (0/1) | 50.0 % (1/2) |" in text


def test_what_two_sources_share_is_counted_both_ways_by_every_measure() -> None:
    card = made(ROWS, ROWS[:1])
    found = entry(card, "between", "a", "b")
    assert {m: found[m] for m in ("exact", "near", "gram_8", "gram_10", "gram_13", "similar", "code")} == {
        "exact": 1, "near": 1, "gram_8": 1, "gram_10": 1, "gram_13": 1, "similar": 1, "code": 1,
    }  # fmt: skip
    assert found["rows"] == 3
    assert entry(card, "between", "b", "a")["rows"] == 2


def test_a_suite_is_compared_with_every_source_and_with_the_mixture() -> None:
    tasks = {"mine": [task("t/1", f"{LONG}, in any language.", ADD.replace("add", "f"), [((1, 2), 3)])]}
    card = made(ROWS, [ROWS[1]], tasks)
    assert entry(card, "suites", "a", "mine")["gram_13"] == 1
    assert entry(card, "suites", "mine", "b")["code"] == 1
    assert entry(card, "suites", "mixture", "mine")["gram_8"] == 0
    assert {(e["of"], e["in"]) for e in card["overlap"]["suites"]} == {
        (x, y) for s in ("a", "b", "mixture") for x, y in ((s, "mine"), ("mine", s))
    }


def test_needs_say_which_libraries_of_a_suite_the_rows_cover() -> None:
    tasks = {"mine": [
        task("t/1", "Plot.", "import pandas\nimport seaborn\n\ndef f():\n    pass", [((), None)]),
        task("t/2", "List.", "import os\n\ndef f():\n    pass", [((), None)]),
        task("t/3", "Add.", "def f():\n    pass", [((), None)]),
    ]}  # fmt: skip
    needs = made(ROWS, [ROWS[0]], tasks)["needs"]["mine"]
    assert (needs["libraries"], needs["tasks_with_libraries"], needs["tasks"]) == (3, 2, 3)
    assert needs["covered"]["a"] == {"libraries_1": 2, "tasks_1": 1, "libraries_10": 0, "tasks_10": 0}
    assert needs["covered"]["mixture"]["libraries_1"] == 0
    assert {x["library"]: x["rows"]["a"] for x in needs["needed"]} == {"os": 1, "pandas": 1, "seaborn": 0}
    assert [x["library"] for x in needs["needed"] if x["standard"]] == ["os"]


def test_topics_that_the_mixture_lacks_are_named_with_both_shares() -> None:
    tasks = {"mine": [task(f"t/{i}", "Draw a bar plot of the data.", "", []) for i in range(3)]}
    card = made(ROWS, [ROWS[0]], tasks)
    assert "plots" in [t["topic"] for t in card["needs"]["mine"]["lacking_topics"]]
    assert "has little of what mine asks for" in card_text(card, funnel_of(ROWS, [ROWS[0]]))


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=5), st.lists(st.integers(0, 50), min_size=1, max_size=5)
)
def test_topic_distance_is_symmetric_and_between_0_and_1(a: list[int], b: list[int]) -> None:
    left, right = ({"topics": {str(i): n for i, n in enumerate(x)}} for x in (a, b))
    distance = topic_distance(left, right)
    assert distance == topic_distance(right, left)
    assert distance is None or 0 <= distance <= 1
    if sum(a):
        assert topic_distance(left, left) == 0


WORDS = st.lists(st.sampled_from("abc"), max_size=12)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), WORDS), max_size=12), st.integers(1, 4))
def test_shared_grams_are_those_of_a_plain_search(rows: list[tuple[int, list[str]]], n: int) -> None:
    owner = np.array([o for o, _ in rows], np.int64)
    grams = [{tuple(w[i : i + n]) for i in range(len(w) - n + 1)} for _, w in rows]
    expected = [
        [
            any(o == c and o != mine and g & grams[i] for g, (o, _) in zip(grams, rows, strict=True))
            for c in range(3)
        ]
        for i, (mine, _) in enumerate(rows)
    ]
    assert grams_shared([w for _, w in rows], n, owner, 3).tolist() == expected
    assert features_shared([sorted(g) for g in grams], owner, 3).tolist() == expected


def test_near_duplicates_and_similarity_are_found_across_collections_only() -> None:
    words = [LONG.lower().split(), [*LONG.lower().split(), "now"], LONG.lower().split(), ["another", "thing"]]
    owner = np.array([0, 1, 1, 1])
    near = jaccard(words, 3, owner, [(0, 1)], 2)
    runs = len(words[0]) - 2
    assert near[:, 0][1:].tolist() == [pytest.approx(runs / (runs + 1)), 1.0, 0.0]
    assert near[0, 1] == 1.0
    best = similarity([frozenset(w) for w in words], owner, [(0, 1)], 2)
    assert best[0, 1] == pytest.approx(1.0)
    assert best[3, 0] == 0.0
    assert best[2, 0] == pytest.approx(1.0)
    assert np.isnan(best[0, 0])


@pytest.mark.parametrize(
    ("licence", "kind"),
    [
        ("CC BY-NC 4.0", "non_commercial"), ("cc-by-nc-sa-4.0", "non_commercial"), ("Non-Commercial", "non_commercial"),
        ("CC BY-SA 4.0", "share_alike"), ("GPLv3", "share_alike"), ("MIT", "open"), ("Apache-2.0", "open"),
        ("CC BY 4.0; science", "open"), ("", "unstated"), (None, "unstated"), ("unknown", "unstated"),
    ],
)  # fmt: skip
def test_licences_are_read_by_their_own_words(licence: str | None, kind: str) -> None:
    assert licence_kind(licence) == kind


def test_only_licences_of_kept_rows_are_explained() -> None:
    with_nc = card_text(made(ROWS, [ROWS[0], ROWS[3]]), funnel_of(ROWS, ROWS[:2]))
    assert "**Non-commercial rows**: a (CC BY-NC 4.0; 1 kept rows)" in with_nc
    assert "not legal advice" in with_nc
    assert "Non-commercial" not in card_text(made(ROWS, [ROWS[3]]), funnel_of(ROWS, [ROWS[3]]))


def test_the_card_does_not_depend_on_the_order_of_rows() -> None:
    rows = list(open_source({"kind": "micro", "limit": 160}).rows())
    tasks = {"mine": [task("t/1", "Add one.", "def f(x):\n    return x + 1", [((1,), 2)])]}
    cards = []
    for seed in range(2):
        mixed = random.Random(seed).sample(rows, len(rows))
        kept = sorted(mixed, key=lambda r: r.id)[:60]
        random.Random(seed + 9).shuffle(kept)
        cards.append(json.dumps(made(mixed, kept, tasks)))
    assert cards[0] == cards[1]


def test_hostile_names_do_not_act_in_the_card() -> None:
    evil = "<script>alert(1)</script>|\n# x"
    rows = [row("r", "Do it.", "x = 1", source=evil, licence=evil)]
    sources = [{"name": evil, "revision": evil, "about": evil}]
    text = card_text(made(rows, rows, sources=sources), funnel_of(rows, rows))
    assert "<script" not in text
    assert "\n# x" not in text
    for table in text.split("\n\n"):
        lines = [line.replace("\\|", "") for line in table.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in lines}) <= 1


def test_no_kept_row_and_no_answer_are_counted_and_not_fatal() -> None:
    rows = [row("r", "Do it.", ""), row("s", "", "x = 1")]
    card = made(rows, [])
    assert card["mixture"]["kept"]["tokens"]["request"] is None
    assert card["mixture"]["read"]["languages"] == {"no answer": 1, "python": 1}
    assert "0 kept" in card_text(card, funnel_of(rows, []))


def test_real_sources_are_nearly_disjoint_and_leave_libraries_open() -> None:
    rows = list(
        open_source(
            {"kind": "code_alpaca", "path": shared_data("code_alpaca_20k.jsonl.gz"), "limit": 600}
        ).rows()
    )
    rows += open_source(
        {"kind": "taco", "name": "taco", "path": shared_data("taco_schema_stdin.jsonl.gz"), "limit": 80}
    ).rows(lambda error: None)
    suite = load_suite("bigcodebench", shared_data("bigcodebench.jsonl.gz"), judging=False, limit=120)
    card = made(rows, rows[:300], {"bigcodebench": list(suite.tasks)})
    between = entry(card, "between", "taco", "code_alpaca")
    assert between["exact"] == between["near"] == 0
    assert between["gram_13"] <= 2
    assert card["sources"]["code_alpaca"]["read"]["licences"] == {"CC BY-NC 4.0": 600}
    assert 0.3 < card["sources"]["code_alpaca"]["read"]["languages"]["python"] / 600 < 0.55
    needs = card["needs"]["bigcodebench"]
    assert needs["needed"][0]["tasks"] > 12
    assert needs["covered"]["taco"]["tasks_10"] < 0.2 * needs["tasks_with_libraries"]
