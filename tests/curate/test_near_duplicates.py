"""Near-duplicates: planted copies found, different tasks kept, order without effect."""

from __future__ import annotations

import random
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from codefit.core.types import Row
from codefit.curate.dedup_near import DedupNear
from tests.curate.conftest import asserts, context, row

WORDS = [f"{a}{b}" for a in ("ba", "co", "di", "fu", "le", "mo") for b in ("rin", "tel", "van", "sor", "pim")]


def _text(rng: random.Random, count: int) -> str:
    return " ".join(rng.choice(WORDS) + str(rng.randrange(40)) for _ in range(count))


def _kept(rows: list[Row], **near: float) -> set[str]:
    return {r.id for r in DedupNear().run(rows, context(near_dup=near)).kept}


def test_planted_copies_with_small_edits_are_found() -> None:
    rng = random.Random(1)
    rows = [row(f"o{i:03}", _text(rng, 40), _text(rng, 60)) for i in range(200)]
    copies = []
    for i, original in enumerate(rows):
        words = original.response.split(" ")
        for _ in range(1 + i % 2):
            words[rng.randrange(len(words))] = "changed"
        copies.append(row(f"z{i:03}", original.instruction, " ".join(words)))
    reworded = [row(c.id, c.instruction.replace(" ", " also ", 1), c.response) for c in copies]
    kept = _kept(rows + reworded, threshold=0.75)
    pairs = [(f"o{i:03}" in kept, f"z{i:03}" in kept) for i in range(200)]
    assert all(any(pair) for pair in pairs)
    assert sum(all(pair) for pair in pairs) <= 2


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=14), st.randoms())
def test_order_does_not_change_what_is_kept_and_none_vanishes(
    pairs: list[tuple[int, int]], rng: random.Random
) -> None:
    texts = [" ".join(WORDS[k : k + 12]) for k in range(4)]
    rows = [row(f"r{i}", texts[a] + f" {b}" * (b // 3), texts[b]) for i, (a, b) in enumerate(pairs)]
    shuffled = rows[:]
    rng.shuffle(shuffled)
    result = DedupNear().run(rows, context())
    assert {r.id for r in result.kept} == _kept(shuffled)
    assert sorted([r.id for r in result.kept] + [d.row_id for d in result.dropped]) == sorted(
        r.id for r in rows
    )


def test_best_of_a_cluster_is_the_verified_one_then_the_one_with_more_tests() -> None:
    text = " ".join(WORDS)
    rows = [
        row("a", text, "x = 1"),
        row("b", text, "x = 1", tests=asserts("assert f(1) == 2")),
        row("c", text, "x = 1"),
    ]
    ctx = context()
    assert [r.id for r in DedupNear().run(rows, ctx).kept] == ["b"]
    ctx.note("c", verdict="passed")
    assert [r.id for r in DedupNear().run(rows, ctx).kept] == ["c"]


def test_rows_that_ask_for_other_numbers_or_the_opposite_are_no_duplicates() -> None:
    frame = "Write a function solve(nums) that returns a list of the {} numbers in nums times {} please and thanks"
    code = "def solve(nums):\n    return [x * 2 for x in nums if x % 2 == 0 and x is not None]"
    rows = [row("a", frame.format("even", 3), code), row("b", frame.format("even", 4), code)]
    rows.append(row("c", frame.format("odd", 3), code))
    assert _kept(rows, threshold=0.6) == {"a", "b", "c"}
    assert _kept([rows[0], row("d", frame.format("even", 3) + "!", code)], threshold=0.6) == {"d"}


def test_rows_whose_tests_disagree_are_no_duplicates() -> None:
    text, code = " ".join(WORDS), "def f(x):\n    return x"
    rows = [
        row("a", text, code, tests=asserts("assert f(1) == 1")),
        row("b", text + "!", code, tests=asserts("assert f(1) == 2")),
    ]
    assert _kept(rows) == {"a", "b"}


def test_dropped_rows_name_a_kept_row() -> None:
    rng = random.Random(3)
    rows = [row(f"r{i}", " ".join(WORDS[: 20 + i % 9]), _text(rng, 2)) for i in range(60)]
    result = DedupNear().run(rows, context(near_dup={"threshold": 0.5}))
    kept = {r.id for r in result.kept}
    assert result.dropped
    assert all(re.findall(r"\br\d+\b", d.reason)[-1] in kept for d in result.dropped)
