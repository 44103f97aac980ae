"""Kinds of wrong values, and runs of tokens that stand in a training answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codefit.analyse.contamination import mbpp_splits, split_scores
from codefit.analyse.mismatch import KINDS, kind_of, wrong_values
from codefit.analyse.verbatim import RUN_TOKENS, AnswerRuns, verbatim

ANSWER = """def bubble(a):
    for i in range(len(a)):
        for j in range(len(a) - 1):
            if a[j] > a[j + 1]:
                a[j], a[j + 1] = a[j + 1], a[j]
    return a
"""


@pytest.mark.parametrize(
    ("expected", "got", "kind"),
    [
        ("[1, 2]", "None", "none"),
        ("[1, 2]", "(1, 2)", "other_type"),
        ("True", "1", "other_type"),
        ("True", "False", "opposite_truth"),
        ("3", "-3", "wrong_sign"),
        ("3", "4", "off_by_one"),
        ("3.14", "3.15", "rounding"),
        ("3", "3.2", "rounding"),
        ("100", "102", "other_value"),
        ("'A b'", "'ab'", "letter_case_or_space"),
        ("'a'", "'b'", "other_value"),
        ("[1, 2]", "[2, 1]", "same_items_other_order"),
        ("[1, 2]", "[1]", "other_length"),
        ("[1, 2]", "[1, 3]", "some_items_wrong"),
        ("[1]", "[2]", "other_value"),
        ("{1: 2}", "{1: 3}", "other_value"),
        ("[1, … (+9 characters)", "[1]", "unread"),
        ("9" * 400, "9" * 401, "other_value"),
    ],
)
def test_a_wrong_value_has_one_kind(expected, got, kind):
    assert kind_of({"expected": expected, "got": got}) == kind


@given(st.text(max_size=40), st.text(max_size=40))
def test_whatever_a_program_returned_has_a_kind(expected, got):
    assert kind_of({"expected": expected, "got": got}) in KINDS


def test_failures_that_tell_no_value_are_not_counted():
    lines = [{"failed_test": {"expected": "1", "got": "2"}}, {"failed_test": {"expected": None, "got": None}},
             {"failed_test": None}]  # fmt: skip
    assert wrong_values(lines) == {"n": 1, "kinds": {"off_by_one": 1}}


def test_a_copied_run_is_found_with_its_row_and_its_length():
    runs = AnswerRuns(["x = 1", ANSWER])
    copied = "import os\n" + ANSWER.replace("bubble", "sorter")
    length, row = runs.longest(copied)
    assert row == 1
    assert 50 < length < 80
    assert runs.longest("def f(x):\n    return x") == (0, None)
    assert AnswerRuns([]).longest(ANSWER) == (0, None)


@given(st.lists(st.sampled_from("ab+()"), max_size=60), st.lists(st.sampled_from("ab+()"), max_size=60))
def test_the_longest_run_is_what_a_plain_search_finds(one, two):
    text = " ".join(two)
    best = 0
    for i in range(len(one)):
        for j in range(i + RUN_TOKENS, len(one) + 1):
            if f" {' '.join(one[i:j])} " in f" {text} ":
                best = max(best, j - i)
    found, _ = AnswerRuns([text]).longest(" ".join(one))
    assert (found >= RUN_TOKENS) == (best >= RUN_TOKENS)
    assert found <= best


def test_passes_with_and_without_a_copy_are_counted_apart():
    runs = AnswerRuns([ANSWER])
    found = verbatim({"a": ANSWER, "b": "x = 1", "c": None}, {"a": True, "b": False}, runs, ["row/1"])
    assert (found["n"], found["copied"], found["longest_task"], found["longest_row"]) == (2, 1, "a", "row/1")
    assert (found["passed_copied"], found["passed_others"]) == ([1, 1], [0, 1])


def test_a_pair_is_compared_again_without_flagged_tasks():
    passed = {"start": {"t1": False, "t2": False, "t3": True}, "main": {"t1": True, "t2": True, "t3": True}}
    (found,) = split_scores(passed, ["t1"], [("start", "main")])["without"]
    assert (found["n"], found["fixed"], found["before_arm"], found["after_arm"]) == (2, 1, "start", "main")
    assert split_scores(passed, [], [("start", "main")])["without"] == []
    assert split_scores(passed, ["t1", "t2", "t3"], [("start", "main")])["without"] == []


def test_mbpp_tasks_are_counted_by_the_split_they_come_from():
    passed = {"start": {"Mbpp/2": True, "Mbpp/600": False, "Mbpp/601": True, "Mbpp/974": False}}
    found = mbpp_splits(passed, "mbpp+")
    assert found == {"prompt": {"start": [1, 1]}, "test": {"start": [0, 0]},
                     "validation": {"start": [0, 1]}, "train": {"start": [1, 2]}}  # fmt: skip
    assert mbpp_splits(passed, "humaneval") is None
