"""Published scores beside our own: flavours, and what counts as passed."""

from __future__ import annotations

import pytest

from codefit.analyse.opponents import (
    BOARDS,
    count_standings,
    flavour_of,
    of_flavour,
    opponents,
    published_scores,
    standing,
)
from codefit.score.tally import pass_figures

MBPP = ("mbpp", "mbpp+")


def rows(base: int, plus: int, n: int = 378, **more):
    return [
        {
            "suite": s,
            **pass_figures([(1, int(i < k)) for i in range(n)]),
            "excluded": [],
            "limit": None,
            **more,
        }
        for s, k in zip(MBPP, (base, plus), strict=True)
    ]


def board_6_to_16b(start, tuned):
    """The 45 entries of the EvalPlus board of 6 to 16B with both scores, with their standing."""
    found = [
        p
        for p in of_flavour("evalplus-0shot-378", ["MBPP", "MBPP+"])
        if BOARDS[0] in p.source and p.params_b and 6 <= p.params_b <= 16
    ]
    return [
        {"kind": p.kind, "tie": False,
         "standing": standing({"mbpp": p.scores["MBPP"], "mbpp+": p.scores["MBPP+"]}, start, tuned)}
        for p in found
    ]  # fmt: skip


@pytest.mark.parametrize(("tuned", "newly"), [((71.4, 62.7), 3), ((78.5, 69.0), 13), ((68.5, 59.0), 0)])
def test_the_published_gain_passes_three_more_of_45(tuned, newly):
    start, after = (dict(zip(MBPP, s, strict=True)) for s in ((68.5, 59.0), tuned))
    found = board_6_to_16b(start, after)
    counts = {k: count_standings([r for r in found if r["kind"] == k]) for k in ("base", "instruct")}
    assert (counts["base"]["models"], counts["instruct"]["models"]) == (13, 32)
    assert (counts["base"]["below_start"], counts["instruct"]["below_start"]) == (11, 17)
    assert sum(c["newly_passed"] for c in counts.values()) == newly


def test_scores_of_another_number_of_tasks_are_of_no_flavour():
    assert flavour_of(rows(259, 223)) == "evalplus-0shot-378"
    assert flavour_of(rows(270, 230, n=399)) == "evalplus-0shot-399"
    assert flavour_of(rows(50, 40, n=100)) is None
    assert flavour_of(rows(259, 223, limit=378)) is None
    assert opponents(rows(270, 230, n=399), rows(259, 223)) is None


def test_bigcodebench_is_compared_within_its_prompt_mode_only():
    row = {"suite": "bigcodebench", "n": 1140, "harness": "judge; unittest; prompt instruct, calibrated"}
    assert flavour_of([row]) == "instruct-full-1140"
    assert flavour_of([{**row, "harness": "published"}]) is None


def test_a_model_inside_the_interval_is_marked_a_tie():
    found = opponents(rows(259, 223), rows(270, 237))
    assert found is not None
    by_name = {(r["model"], r["kind"]): r for r in found["rows"]}
    magicoder = by_name["Magicoder-S-CL-7B", "instruct"]
    assert (magicoder["standing"], magicoder["tie"]) == ("newly_passed", True)
    codegemma = by_name["CodeGemma-7B-Instruct", "instruct"]
    assert (codegemma["standing"], codegemma["tie"]) == ("newly_passed", False)
    starcoder = by_name["StarCoder-15B", "base"]
    assert (starcoder["standing"], starcoder["tie"]) == ("below_start", False)
    assert found["counts"]["instruct"]["newly_passed_ties"] >= 1
    plus = [r["scores"]["mbpp+"] for r in found["rows"]]
    assert plus == sorted(plus, reverse=True)


def test_a_model_that_was_passed_before_and_is_not_any_more_is_lost():
    assert standing({"a": 50.0}, {"a": 60.0}, {"a": 40.0}) == "lost"


def test_every_published_score_is_a_percentage_with_a_source():
    assert len(published_scores()) > 500
    assert all(p.source and 0 <= s <= 100 for p in published_scores() for s in p.scores.values())
