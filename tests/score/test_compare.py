"""Paired comparison, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from codefit.core.errors import InputError
from codefit.score.compare import Side, compare, read_sides

KEYS = {
    "suite", "before", "after", "points", "relative_percent", "ci95", "p_value", "test",
    "fixed", "broken", "both", "neither", "minimum_detectable_points", "detectable_points_power80", "n", "stamp",
    "differences",
}  # fmt: skip


def a_side(outcomes: str, **changes: Any) -> Side:
    passed = {f"t/{i}": [c == "1"] for i, c in enumerate(outcomes)}
    return dataclasses.replace(Side("mbpp", "rev", "judge 1", passed), **changes)


def test_comparison_counts_the_four_cells() -> None:
    found = compare(a_side("1100110000"), a_side("1011111100"))
    assert set(found) == KEYS
    assert (found["fixed"], found["broken"], found["both"], found["neither"]) == (4, 1, 3, 2)
    assert found["before"] == pytest.approx(0.4)
    assert found["after"] == pytest.approx(0.7)
    assert found["points"] == pytest.approx(30)
    assert found["relative_percent"] == pytest.approx(75)
    assert found["p_value"] == pytest.approx(0.375)
    assert found["test"] == "exact McNemar"
    assert found["ci95"][0] < 30 < found["ci95"][1]


def test_relative_gain_over_nothing_is_not_measured() -> None:
    assert compare(a_side("000"), a_side("100"))["relative_percent"] is None


def test_several_samples_are_compared_by_rates() -> None:
    before = Side("s", "r", "h", {f"t{i}": [False, False] for i in range(12)})
    after = Side("s", "r", "h", {f"t{i}": [True, False] for i in range(12)})
    found = compare(before, after)
    assert found["test"] == "paired permutation"
    assert found["points"] == pytest.approx(50)
    assert found["p_value"] < 0.01


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"revision": "other"}, "revision"),
        ({"harness": "judge 2"}, "harness"),
        ({"suite": "mbpp+"}, "suite"),
        ({"extraction": "2, from solution"}, "extraction: not stated and '2, from solution'"),
        ({"prompts": "0123"}, "prompts"),
        ({"decoding": "greedy, 512"}, "decoding"),
        ({"unjudged": ("t/1",)}, "could not be judged"),
        ({"passed": {"t/0": [True]}}, "one side only"),
    ],
)
def test_sides_that_were_not_judged_alike_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        compare(a_side("101"), a_side("101", **change))


def test_a_comparison_of_unlike_sides_is_stamped_and_says_what_differs() -> None:
    other = a_side("10", harness="judge 2", prompts="chat")
    found = compare(a_side("0010"), other, allow_different_harness=True)
    assert found["stamp"] == "not like for like"
    assert [d["what"] for d in found["differences"]] == ["harness", "prompts", "tasks"]
    assert found["differences"][2] == {"what": "tasks", "before": 4, "after": 2, "shared": 2}
    assert (found["n"], found["fixed"], found["broken"]) == (2, 1, 0)


def test_sides_that_are_alike_bear_no_stamp_even_where_other_ones_are_allowed() -> None:
    found = compare(a_side("01"), a_side("11"), allow_different_harness=True)
    assert (found["stamp"], found["differences"]) == (None, [])


def test_sides_without_a_task_in_common_are_never_compared() -> None:
    with pytest.raises(InputError, match="no task on both sides"):
        compare(a_side("1"), a_side("1", passed={"u": [True]}), allow_different_harness=True)


def test_no_tasks_at_all_are_refused() -> None:
    with pytest.raises(InputError):
        compare(a_side(""), a_side(""))


def test_base_score_of_a_plus_run_is_counted_from_base_outcomes(tmp_path: Path) -> None:
    score = {"revision": "r", "harness": "h", "metric": "pass@1"}
    (tmp_path / "scores.json").write_text(
        json.dumps([{"suite": "mbpp", **score}, {"suite": "mbpp+", **score}])
    )
    line = {"task_id": "t", "sample": 0, "outcome": "wrong_answer"}
    line |= {"base_outcome": "passed", "plus_outcome": "wrong_answer"}
    (tmp_path / "verdicts.jsonl").write_text(json.dumps(line) + "\n")
    sides = read_sides(tmp_path)
    assert sides["mbpp"].passed == {"t": [True]}
    assert sides["mbpp+"].passed == {"t": [False]}


def test_a_folder_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_text('[{"score": 1}]')
    (tmp_path / "verdicts.jsonl").write_text("")
    with pytest.raises(InputError, match="codefit execute"):
        read_sides(tmp_path)


@pytest.mark.parametrize(
    ("scores", "verdicts"),
    [
        (5, []),
        ([5], []),
        ({"scores": []}, []),
        ([{"metric": "pass@1", "suite": 5, "revision": "r", "harness": "h"}], []),
        ([{"metric": "pass@1", "suite": "s", "revision": "r", "harness": "h"}], [{"task_id": 1}]),
        ([{"metric": "pass@1", "suite": "s", "revision": "r", "harness": "h"}], [{"outcome": "passed"}]),
    ],
)
def test_results_that_are_damaged_are_one_line(tmp_path: Path, scores: Any, verdicts: list[Any]) -> None:
    (tmp_path / "scores.json").write_text(json.dumps(scores))
    (tmp_path / "verdicts.jsonl").write_text("".join(json.dumps(v) + "\n" for v in verdicts))
    with pytest.raises(InputError, match="not the results of codefit execute"):
        read_sides(tmp_path)
