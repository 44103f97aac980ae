"""Nearest training rows and drift of outputs."""

from __future__ import annotations

import pytest

from codefit.analyse.contamination import flagged_tasks, split_scores
from codefit.analyse.drift import output_drift, similarity_summary, spread
from codefit.analyse.nearest import TokenIndex, TrainingRows, token_set

ROWS = [
    {"id": "a", "source": "s", "instruction": "add one to x", "response": "def f(x): return x + 1"},
    {"id": "b", "source": "s", "instruction": "sort a list", "response": "def g(v): return sorted(v)"},
]


def test_similarity_is_the_jaccard_index_of_token_sets():
    one, two = "def f(x): return x + 1", "def f(y): return y"
    expected = len(token_set(one) & token_set(two)) / len(token_set(one) | token_set(two))
    assert TokenIndex([one, two]).similarity(two) == pytest.approx([expected, 1.0])


def test_nothing_is_similar_to_nothing():
    assert list(TokenIndex(["", "a"]).similarity("")) == [0.0, 0.0]


def test_the_nearest_row_is_the_one_alike_in_request_and_answer():
    near = TrainingRows(ROWS).nearest("sort a list of numbers", "def g(v): return sorted(v)", k=1)
    assert [n["row_id"] for n in near] == ["b"]
    assert near[0]["answer_similarity"] == 1.0


def test_without_rows_there_is_no_nearest_row():
    assert TrainingRows([]).nearest("x", "y") == []


def test_drift_counts_form_apart_from_rightness():
    lines = [
        {
            "text": "```python\nx = 1  \n```",
            "program": "# c\nimport os",
            "tokens": 9,
            "finish_reason": "stop",
        },
        {"text": "no", "program": None, "tokens": 3, "finish_reason": "length", "extraction": "none"},
        {"text": "x =", "program": "x =", "tokens": 3, "finish_reason": "stop", "extraction": "unparsed"},
    ]
    found = output_drift(lines, [True, False, False])
    assert (found["fenced"], found["with_comment"], found["with_import"], found["well_formed"]) == (
        1,
        1,
        1,
        1,
    )
    assert found["finish_reason"] == {"stop": 2, "length": 1}
    assert found["extraction"] == {"none": 1, "unknown": 1, "unparsed": 1}
    assert found["well_formed_passed"] == 1


def test_spread_of_no_values_is_not_measured():
    assert spread([]) is None
    assert spread([3, 1, 2])["p50"] == 2


def test_likeness_quartiles_hold_every_program_once():
    found = similarity_summary([0.1, 0.9, 0.5, 0.8, 0.2], [True, False, True, False, True])
    assert sum(q["n"] for q in found["quartiles"]) == 5
    assert sum(q["passed"] for q in found["quartiles"]) == 3
    assert found["copies"] == 2


def test_flagged_tasks_split_the_score_and_plus_suites_share_flags():
    hits = [{"suite": "mbpp", "task_id": "t1"}, {"suite": "humaneval", "task_id": "t2"}]
    assert flagged_tasks(hits, "mbpp+") == ["t1"]
    split = split_scores({"a": {"t1": True, "t2": False, "t3": True}}, ["t1"])
    assert split["arms"]["a"] == {"flagged": [1, 1], "others": [1, 2]}
