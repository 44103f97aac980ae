"""Failure classes from verdict lines."""

from __future__ import annotations

import pytest

from codefit.analyse.taxonomy import CLASSES, classify, cluster_errors, count_classes, error_shape
from codefit.core.types import Outcome


def verdict(outcome, error=None, **more):
    return {"task_id": "t", "sample": 0, "outcome": outcome, "error": error, **more}


@pytest.mark.parametrize(
    ("outcome", "error", "expected"),
    [
        ("passed", None, "passed"),
        ("no_code", None, "no_code"),
        ("syntax_error", "SyntaxError: x", "syntax"),
        ("runtime_error", "NameError: name 'np' is not defined", "import_or_name"),
        ("runtime_error", "ModuleNotFoundError: No module named 'x'", "import_or_name"),
        ("runtime_error", "TypeError: x", "api_misuse"),
        ("runtime_error", "KeyError: 'a'", "api_misuse"),
        ("runtime_error", "json.decoder.JSONDecodeError: x", "other_exception"),
        ("runtime_error", "ZeroDivisionError: division by zero", "other_exception"),
        ("wrong_answer", None, "wrong_answer"),
        ("timeout", None, "timeout"),
        ("memory_limit", None, "memory"),
        ("output_limit", None, "output"),
        ("tampering", None, "tampering"),
        ("sandbox_failed", None, "not_measured"),
        ("not_run", None, "not_measured"),
        ("no such outcome", None, "not_measured"),
    ],
)
def test_an_outcome_and_its_error_give_one_class(outcome, error, expected):
    assert classify(verdict(outcome, error), {}, {}) == expected


def test_every_outcome_has_a_class():
    assert all(classify(verdict(o), {}, {}) in CLASSES for o in Outcome)


def test_a_wrong_value_is_told_apart_by_whether_the_prompt_showed_the_test():
    task = {"visible_tests": ["(1, 2)"]}
    shown, hidden = ({"input": i, "expected": "3", "got": "4"} for i in ("(1,2)", "(5, 6)"))
    assert classify(verdict("wrong_answer", failed_test=shown), {}, task) == "visible_wrong"
    assert classify(verdict("wrong_answer", failed_test=hidden), {}, task) == "hidden_wrong"
    assert classify(verdict("wrong_answer", failed_test=hidden), {}, {}) == "wrong_answer"


def test_passing_base_and_failing_plus_is_an_edge_case_unless_it_ran_out_of_something():
    plus = {"base_outcome": "passed", "plus_outcome": "wrong_answer"}
    assert classify(verdict("wrong_answer", **plus), {}, {}) == "plus_only"
    assert classify(verdict("runtime_error", "IndexError: x", **plus), {}, {}) == "plus_only"
    assert classify(verdict("timeout", base_outcome="passed", plus_outcome="timeout"), {}, {}) == "timeout"


def test_output_cut_at_the_limit_is_truncated_only_where_no_whole_program_came_of_it():
    cut = {"finish_reason": "length"}
    assert classify(verdict("syntax_error"), cut, {}) == "truncated"
    assert classify(verdict("no_code"), cut, {}) == "truncated"
    assert classify(verdict("wrong_answer"), cut, {}) == "wrong_answer"


def test_a_program_without_the_function_asked_for_has_a_wrong_entry_point():
    task = {"entry_point": "solve"}
    other = {"program": "def answer(x):\n    return x"}
    own = {"program": "from a import solve"}
    assert classify(verdict("runtime_error", "AttributeError: x"), other, task) == "wrong_entry_point"
    assert classify(verdict("runtime_error", "AttributeError: x"), own, task) == "api_misuse"
    missing = "NameError: name 'solve' is not defined"
    assert classify(verdict("runtime_error", missing), {}, task) == "wrong_entry_point"


def test_counts_follow_the_order_of_classes():
    assert list(count_classes(["timeout", "passed", "timeout"])) == ["passed", "timeout"]


def test_errors_that_differ_only_in_particulars_fall_together():
    assert error_shape("KeyError: 'a12'") == error_shape("KeyError: 'b3'")
    groups = cluster_errors([("t1", "IndexError: 1"), ("t2", "IndexError: 22"), ("t3", "TypeError: x")])
    assert [(g["error"], g["n"]) for g in groups] == [("IndexError: 0", 2), ("TypeError: x", 1)]
