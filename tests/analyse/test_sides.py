"""Both sides of a comparison, read from folders of judged completions."""

from __future__ import annotations

import json
import shutil

import pytest

from codefit.analyse import findings
from codefit.analyse.sides import compare_all, read_side, write_as_run
from codefit.core.errors import InputError
from codefit.core.files import write_json, write_jsonl


def judged(folder, suites, passing, n=20):
    """Write a folder as execute does: base tests alone pass everywhere in a plus suite."""
    score = {
        "revision": "r",
        "harness": "h",
        "metric": "pass@1",
        "value": 0.5,
        "passed": 1,
        "n": n,
        "ci95": [0, 1],
    }
    write_json(folder / "scores.json", [{"suite": s, **score} for s in suites])
    lines = []
    for i in range(n):
        outcome = "passed" if i in passing else "wrong_answer"
        plus = {"base_outcome": "passed", "plus_outcome": outcome} if len(suites) > 1 else {}
        lines.append({"task_id": f"Mbpp/{i}", "sample": 0, "outcome": outcome, **plus})
    write_jsonl(folder / "verdicts.jsonl", lines)
    return folder


@pytest.fixture
def arms(tmp_path):
    """Two models, each judged on MBPP by its own layout, on MBPP+, and on a guard."""
    for arm, n in (("start", 5), ("tuned", 15)):
        judged(tmp_path / arm / "mbpp", ["mbpp"], range(n))
        judged(tmp_path / arm / "mbpp+", ["mbpp", "mbpp+"], range(n))
        judged(tmp_path / arm / "humaneval", ["humaneval"], range(20))
    return tmp_path


def test_base_tests_are_left_out_where_both_sides_have_their_suite(arms):
    found = compare_all(read_side(arms / "start"), read_side(arms / "tuned"), guards=["humaneval"])
    cells = {(c["suite"], c["role"], c["fixed"], c["both"]) for c in found}
    assert cells == {("humaneval", "guard", 0, 20), ("mbpp", "target", 10, 5), ("mbpp+", "target", 10, 5)}
    assert {c["family"] for c in found} == {3}


def test_suites_of_one_name_are_paired_within_their_folder(arms):
    shutil.rmtree(arms / "tuned" / "mbpp")
    found = compare_all(read_side(arms / "start"), read_side(arms / "tuned"))
    cells = [(c["suite"], c["fixed"], c["both"]) for c in found if c["suite"] != "humaneval"]
    assert sorted(cells) == [("mbpp", 0, 20), ("mbpp+", 10, 5)]


def test_what_is_written_is_a_run_to_analysis(arms):
    sides = read_side(arms / "start"), read_side(arms / "tuned")
    write_as_run(arms / "out", *sides, compare_all(*sides))
    found = findings(arms / "out")["suites"]
    assert sorted(found) == ["humaneval", "mbpp", "mbpp+"]
    assert found["mbpp+"]["pairs"][0]["churn"]["fixed"]["n"] == 10
    scores = json.loads((arms / "out" / "scores.json").read_text())
    assert {s["arm"] for s in scores["scores"]} == {"start", "tuned"}
    assert not scores["gate"]["passed"]  # HumanEval gained nothing


def test_a_suite_of_another_folder_is_taken_where_no_folder_is_shared(arms):
    found = compare_all(read_side(arms / "start" / "mbpp"), read_side(arms / "tuned" / "mbpp+"))
    assert [c["suite"] for c in found] == ["mbpp"]


@pytest.mark.parametrize(
    "text", ['{"eval": {"Mbpp/1": [5]}}', '{"eval": {"Mbpp/1": 5}}', '{"eval": {}}', '{"eval": 3}']
)
def test_a_damaged_published_file_is_one_line(tmp_path, text):
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(InputError, match="result"):
        read_side(path)


def test_a_run_is_not_one_model_and_its_arms_are_named(arms, tmp_path):
    run = tmp_path / "run"
    for arm in ("start", "tuned"):
        (run / "arms").mkdir(parents=True, exist_ok=True)
        (tmp_path / arm).rename(run / "arms" / arm)
    write_json(run / "scores.json", {"scores": [], "comparisons": []})
    with pytest.raises(InputError, match=r"several models.*name one of .*arms/start, .*arms/tuned"):
        read_side(run)
    assert read_side(run / "arms" / "tuned")
