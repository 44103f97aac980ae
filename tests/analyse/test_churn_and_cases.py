"""Churn, transitions, sampled cases."""

from __future__ import annotations

from codefit.analyse.churn import churn, clip, natural, sample, transitions, unified_diff

BEFORE = {"t/1": "passed", "t/2": "syntax", "t/10": "timeout", "t/3": "passed", "t/4": "not_measured"}
AFTER = {"t/1": "passed", "t/2": "passed", "t/10": "timeout", "t/3": "no_code", "t/4": "passed"}


def test_each_task_is_in_one_cell_and_unmeasured_ones_in_none():
    assert churn(BEFORE, AFTER) == {"broken": ["t/3"], "fixed": ["t/2"], "neither": ["t/10"], "both": ["t/1"]}


def test_transitions_count_every_common_task():
    assert sum(n for _, _, n in transitions(BEFORE, AFTER)) == 5
    assert ["syntax", "passed", 1] in transitions(BEFORE, AFTER)


def test_tasks_sort_by_number():
    assert sorted(["t/10", "t/2", "t/1"], key=natural) == ["t/1", "t/2", "t/10"]


def test_a_sample_depends_on_the_seed_only_and_hardly_on_other_tasks():
    ids = [f"t/{i}" for i in range(100)]
    drawn = sample(ids, 5, "0", "cell")
    assert drawn == sample(list(reversed(ids)), 5, "0", "cell")
    assert drawn != sample(ids, 5, "1", "cell")
    assert len(set(drawn) & set(sample([*ids, "t/100"], 5, "0", "cell"))) >= 4


def test_a_diff_has_no_dates_and_shows_both_sides():
    assert unified_diff("a\nb", "a\nc", ("x", "y")).splitlines()[:2] == ["--- x", "+++ y"]


def test_long_texts_are_cut_with_the_number_left_out_and_lone_surrogates_replaced():
    assert clip("x" * 12, 10) == "x" * 10 + "… (+2 characters)"
    assert clip("\ud800", 10) == "?"
