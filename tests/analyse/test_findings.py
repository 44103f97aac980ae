"""Findings of a whole run folder."""

from __future__ import annotations

import json
import shutil

import pytest

from codefit.analyse import findings
from codefit.core import types
from codefit.core.errors import InputError
from codefit.core.files import write_jsonl
from tests.report.fixture_run import ARMS, SUITE, TASKS, tasks, write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"))


def test_findings_are_plain_data_and_the_same_each_time(run):
    assert json.dumps(findings(run, tasks=tasks())) == json.dumps(findings(run, tasks=tasks()))


def test_classes_of_every_arm_add_up_to_all_tasks(run):
    found = findings(run, tasks=tasks())["suites"][SUITE]
    assert list(found["failures"]) == list(ARMS)
    assert all(sum(f["counts"].values()) == TASKS for f in found["failures"].values())


def test_churn_agrees_with_the_paired_comparison(run):
    scores = json.loads((run / "scores.json").read_text())
    for pair, comparison in zip(
        findings(run, tasks=tasks())["suites"][SUITE]["pairs"], scores["comparisons"], strict=True
    ):
        assert (pair["before"], pair["after"]) == (comparison["before_arm"], comparison["after_arm"])
        assert {c: v["n"] for c, v in pair["churn"].items()} == {c: comparison[c] for c in pair["churn"]}


def test_cases_come_from_every_cell_with_programs_diff_and_nearest_rows(run):
    pair = findings(run, tasks=tasks())["suites"][SUITE]["pairs"][0]
    assert {c["cell"] for c in pair["cases"]} == {c for c, v in pair["churn"].items() if v["n"]}
    fixed = next(c for c in pair["cases"] if c["cell"] == "fixed" and c["before"]["program"])
    assert fixed["prompt"]
    assert fixed["diff"].startswith("--- start")
    assert len(fixed["nearest"]) == 2


def test_another_seed_draws_other_cases_and_changes_nothing_else(run):
    one, two = findings(run, 0, tasks()), findings(run, 1, tasks())
    drawn = [[c["task_id"] for c in f["suites"][SUITE]["pairs"][0]["cases"]] for f in (one, two)]
    assert drawn[0] != drawn[1]
    assert one["suites"][SUITE]["failures"] == two["suites"][SUITE]["failures"]


def test_without_rows_hits_and_completions_the_rest_is_still_there(tmp_path):
    run = write_run(tmp_path)
    for name in ("data/kept.parquet", "data/hits.jsonl", "completions/micro.jsonl"):
        (run / name).unlink()
    found = findings(run, tasks=tasks())
    assert found["not_measured"] == ["training_rows", "hits"]
    assert found["suites"][SUITE]["drift"] == {}
    assert found["suites"][SUITE]["contamination"] is None
    assert found["suites"][SUITE]["pairs"][0]["cases"][0]["nearest"] == []


def test_an_empty_folder_has_no_findings(tmp_path):
    assert findings(tmp_path)["not_measured"] == ["training_rows", "hits", "verdicts"]


def test_unreadable_parquet_is_named(tmp_path):
    run = write_run(tmp_path)
    (run / "data" / "kept.parquet").write_text("no")
    with pytest.raises(InputError, match=r"kept\.parquet"):
        findings(run, tasks=tasks())


def test_asserts_that_the_prompt_shows_are_visible_tests(tmp_path):
    add = types.Tests("asserts", "add", asserts=("assert add(1, 2) == 3", "assert add(5, 6) == 11"))
    task = types.Task("m/1", "Add.\nassert add(1, 2) == 3", "add", add)
    for arm, given in (("shown", "(1, 2)"), ("hidden", "(5, 6)"), ("shown_text", "assert add(1, 2) == 3")):
        failed = {"input": given, "expected": "3", "got": "4"}
        line = {"task_id": "m/1", "sample": 0, "outcome": "wrong_answer", "failed_test": failed}
        write_jsonl(tmp_path / f"verdicts/{arm}.jsonl", [{"arm": "start", **line}])
    found = findings(tmp_path, tasks={name: [task] for name in ("shown", "hidden", "shown_text")})["suites"]
    classes = {name: list(s["failures"]["start"]["counts"]) for name, s in found.items()}
    assert classes == {
        "shown": ["visible_wrong"],
        "hidden": ["hidden_wrong"],
        "shown_text": ["visible_wrong"],
    }


def test_without_tasks_the_gap_is_named(tmp_path):
    run = write_run(tmp_path)
    shutil.rmtree(run / "tasks", ignore_errors=True)
    assert findings(run)["not_measured"] == ["tasks of micro"]
