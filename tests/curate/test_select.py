"""Selection: shares, the difficulty mix and its soft fill, any order, the lazy greedy against the plain one."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from codefit.core.types import Row
from codefit.curate import CurateSettings
from codefit.curate.select import Select, diversity_features
from codefit.curate.step import Context
from tests.curate.conftest import context, row

LEVELS = ("EASY", "MEDIUM", "MEDIUM_HARD", "HARD", "VERY_HARD")


def made(counts: dict[tuple[str, str], int], **select: Any) -> tuple[list[Row], Context]:
    """Return rows per (source, level), with topics and libraries noted, and a context."""
    rng, ctx, rows = random.Random(1), context(select=select), []
    for (source, level), count in counts.items():
        for i in range(count):
            r = row(f"{source}-{level}-{i}", f"Task {rng.random()} about {rng.choice('abcdef')}.", f"x = f{i % 9}(y)",
                    source=source, difficulty=level)  # fmt: skip
            topic, library = ("strings", "graphs", "files")[i % 3], ("os", "re")[i % 2]
            ctx.note(
                r.id, quality=rng.random(), level=level, topics=[topic], libraries=[library] if i % 4 else []
            )
            rows.append(r)
    rng.shuffle(rows)
    return rows, ctx


def taken(rows: list[Row], ctx: Context) -> list[Row]:
    result = Select().run(rows, ctx)
    kept, dropped = {r.id for r in result.kept}, {d.row_id for d in result.dropped}
    assert not kept & dropped
    assert kept | dropped == {r.id for r in rows}
    assert all(d.reason for d in result.dropped)
    return result.kept


MIX = dict(zip(LEVELS, (0.45, 0.25, 0.18, 0.09, 0.03), strict=True))


def test_the_mix_is_met_where_there_are_rows() -> None:
    rows, ctx = made({("a", level): 80 for level in LEVELS}, rows=100, difficulty=MIX)
    levels = Counter(r.difficulty for r in taken(rows, ctx))
    assert levels == {"EASY": 45, "MEDIUM": 25, "MEDIUM_HARD": 18, "HARD": 9, "VERY_HARD": 3}


def test_what_a_level_lacks_is_filled_from_the_others() -> None:
    rows, ctx = made({("a", "EASY"): 20, ("a", "MEDIUM"): 80, ("a", "HARD"): 80}, rows=100, difficulty=MIX)
    levels = Counter(r.difficulty for r in taken(rows, ctx))
    assert levels.total() == 100
    assert levels["EASY"] == 20
    assert levels["MEDIUM"] >= 25
    assert levels["HARD"] >= 9


def test_a_share_of_a_source_is_one_of_the_selected_rows() -> None:
    rows, ctx = made({("a", "EASY"): 100, ("b", "EASY"): 30}, rows=1_000, max_share={"a": 0.25})
    by = Counter(r.source for r in taken(rows, ctx))
    assert by == {"a": 10, "b": 30}


def test_shares_that_leave_no_whole_are_shares_of_the_budget() -> None:
    rows, ctx = made({("a", "EASY"): 100}, rows=40, max_share={"a": 0.25})
    assert len(taken(rows, ctx)) == 10


def test_topics_and_libraries_have_limits() -> None:
    rows, ctx = made({("a", "EASY"): 120}, rows=60, topics={"strings": 0.1, "*": 0.5}, libraries={"re": 0.2})
    kept = taken(rows, ctx)
    topics = Counter(ctx.fact(r.id, "topics")[0] for r in kept)
    assert topics["strings"] == 6
    assert max(topics["graphs"], topics["files"]) <= 30
    assert sum("re" in ctx.fact(r.id, "libraries") for r in kept) == 12
    reasons = {d.reason for d in Select().run(rows, ctx).dropped}
    assert {"over the share of topic strings", "over the share of library re"} <= reasons


def test_a_token_budget_measures_shares_in_tokens() -> None:
    rows, ctx = made(
        {("a", "EASY"): 60, ("b", "HARD"): 60}, tokens=600, difficulty={"EASY": 0.2, "HARD": 0.8}
    )
    kept = taken(rows, ctx)
    tokens = Counter[str]()
    for r in kept:
        tokens[r.source] += ctx.row_tokens(r)
    assert 560 < tokens.total() <= 600
    assert tokens["a"] <= 0.2 * 600 + 20


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 40), st.randoms(use_true_random=False))
def test_any_order_gives_the_same_rows(a: int, b: int, budget: int, rng: random.Random) -> None:
    rows, ctx = made({("a", "EASY"): a, ("b", "HARD"): b}, rows=budget, max_share={"a": 0.5},
                     difficulty={"EASY": 0.6, "HARD": 0.4}, topics={"*": 0.6})  # fmt: skip
    first = {r.id for r in taken(rows, ctx)}
    assert len(first) <= budget
    rng.shuffle(rows)
    assert {r.id for r in taken(rows, ctx)} == first


def test_the_lazy_greedy_takes_what_the_plain_one_takes() -> None:
    rows, ctx = made({("a", "EASY"): 40}, rows=12, diversity=0.7)
    counts, left, wanted = Counter[str](), list(rows), []
    features = {r.id: diversity_features(r, ctx) for r in rows}
    common = Counter(f for found in features.values() for f in found)
    mean = sum(sum(common[f] ** 0.5 for f in found) / len(found) for found in features.values()) / len(rows)

    def gain(r: Row) -> float:
        found = features[r.id]
        adds = [common[f] ** 0.5 * ((counts[f] + 1) ** 0.5 - counts[f] ** 0.5) for f in found]
        return 0.3 * ctx.fact(r.id, "quality") + 0.7 * sum(adds) / len(found) / mean

    for _ in range(12):
        best = max(left, key=gain)
        left.remove(best)
        wanted.append(best.id)
        counts.update(diversity_features(best, ctx))
    assert {r.id for r in taken(rows, ctx)} == set(wanted)


def test_without_wishes_all_rows_stay() -> None:
    rows, ctx = made({("a", "EASY"): 5})
    assert taken(rows, ctx) == rows


def test_rows_without_a_quality_step_are_selected_too() -> None:
    rows = [row(f"r{i}", f"Sort list {i}.", "import re\nx = 1") for i in range(9)]
    assert (
        len(taken(rows, context(select={"rows": 4, "difficulty": {"EASY": 1.0}, "libraries": {"re": 0.5}})))
        == 2
    )


@pytest.mark.parametrize(
    "wrong",
    [{"difficulty": {"EASY": 0.5}}, {"difficulty": {"SIMPLE": 1.0}}, {"difficulty": {"EASY": 1.5, "HARD": -0.5}},
     {"topics": {"strings": 0.0}}, {"libraries": {"os": 2.0}}],
)  # fmt: skip
def test_wrong_shares_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CurateSettings(select=wrong)
