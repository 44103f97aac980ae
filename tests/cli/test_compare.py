"""compare, its gate, and analyse on what it wrote: through the command line, on judged programs of ours."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli, one_line

NAMES = ("Mbpp/11", "Mbpp/12", "Mbpp/602")
RIGHT = "def total(v):\n    return sum(x * x for x in v)\n"
SLOW = (
    "def total(v):\n    s = 0\n    for x in v:\n        for _ in range(8):\n            y = x * x\n"
    "        s += y\n    return s\n"
)
WRONG = "def total(v):\n    return sum(v)\n"


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """Judge three sets of answers to three tasks of our own in MBPP+'s layout."""
    folder = tmp_path_factory.mktemp("judged")
    tasks = [
        {"task_id": name, "entry_point": "total",
         "prompt": f'"""\nSquares of {name}.\nassert total([1, 2]) == 5\n"""\n',
         "canonical_solution": RIGHT, "base_input": [[[1, 2]], [[3]]], "plus_input": [[[0, 5] * 90]], "atol": 0}
        for name in NAMES
    ]  # fmt: skip
    write(folder / "tasks.jsonl", tasks)
    answers = {"start": (WRONG, RIGHT, WRONG), "tuned": (RIGHT, SLOW, RIGHT), "raw": (RIGHT, SLOW, RIGHT)}
    for name, programs in answers.items():
        field = "completion" if name == "raw" else "solution"
        write(
            folder / f"{name}.jsonl", [{"task_id": t, field: p} for t, p in zip(NAMES, programs, strict=True)]
        )
    return folder


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def execute(cli: Cli, judged: Path, name: str, *more: str) -> Path:
    out = judged / f"{name}{''.join(more)}".replace(" ", "")
    if not out.exists():
        data, answers = judged / "tasks.jsonl", judged / f"{name}.jsonl"
        result = cli(
            "execute", "mbpp+", "--data", data, "--completions", answers, "--out", out, "--jobs", "1", *more
        )
        assert result.returncode == 0, result.stderr
    return out


def test_a_comparison_holds_churn_cases_and_both_sides_as_a_run(
    cli: Cli, judged: Path, tmp_path: Path
) -> None:
    start, tuned = (execute(cli, judged, name) for name in ("start", "tuned"))
    result = cli("compare", start, tuned, "--out", "cmp", "--json")
    assert result.returncode == 0, result.stderr
    plus = json.loads(result.stdout)["comparisons"][1]
    assert (plus["suite"], plus["fixed"], plus["both"], plus["family"]) == ("mbpp+", 2, 1, 2)
    assert plus["p_holm"] >= plus["p_value"]
    findings = json.loads((tmp_path / "cmp" / "findings.json").read_text())["suites"]["mbpp+"]
    (pair,) = findings["pairs"]
    assert pair["churn"]["fixed"]["tasks"] == ["Mbpp/11", "Mbpp/602"]
    case = next(c for c in pair["cases"] if c["cell"] == "fixed")
    assert "Squares of" in case["prompt"]
    assert "-    return sum(v)" in case["diff"]
    assert case["before"]["failed_test"]["expected"] == "5"
    assert case["before"]["class"] == "visible_wrong"
    assert findings["failures"]["start"]["wrong_values"]["kinds"] == {"other_value": 2}
    assert findings["splits"]["train"] == {"start": [0, 1], "tuned": [1, 1]}
    assert cli("report", "cmp").returncode == 0
    assert "mbpp+" in (tmp_path / "cmp" / "report" / "report.md").read_text()
    scores = json.loads((tmp_path / "cmp" / "scores.json").read_text())
    assert [(s["arm"], s["suite"]) for s in scores["scores"]][:2] == [("start", "mbpp"), ("start", "mbpp+")]


def test_base_tests_that_are_asked_by_themselves_are_compared_once(
    cli: Cli, judged: Path, tmp_path: Path
) -> None:
    data = judged / "tasks.jsonl"
    for side in ("start", "tuned"):
        for suite in ("mbpp", "mbpp+"):
            judging = ("--completions", judged / f"{side}.jsonl", "--out", f"{side}/{suite}", "--jobs", "1")
            assert cli("execute", suite, "--data", data, *judging).returncode == 0
    result = cli("compare", "start", "tuned", "--out", "cmp", "--json")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert [(c["suite"], c["family"]) for c in found["comparisons"]] == [("mbpp", 2), ("mbpp+", 2)]
    assert [entry["suite"] for entry in found["gate"]["suites"]] == ["mbpp", "mbpp+"]


def test_the_gate_names_the_suite_that_shuts_it(cli: Cli, judged: Path, tmp_path: Path) -> None:
    sides = execute(cli, judged, "start"), execute(cli, judged, "tuned")
    shut = cli("compare", *sides, "--out", "a", "--gate")
    assert shut.returncode == 4
    assert "the gain's lower bound is" in shut.stderr
    guarded = cli("compare", *sides, "--out", "b", "--gate", "--guard", "mbpp")
    assert "mbpp: the loss's lower bound is" in guarded.stderr
    unknown = cli("compare", *sides, "--out", "c", "--guard", "humaneval+")
    assert unknown.returncode == 2
    assert "'humaneval+' is not on both sides" in one_line(unknown)


@pytest.mark.parametrize(
    ("name", "more", "what"),
    [
        ("tuned", ("--prompts", "a chat"), "prompts: 'a completion' and 'a chat'"),
        ("raw", (), "extraction"),
    ],
)
def test_answers_that_came_about_otherwise_are_compared_only_with_a_stamp(
    cli: Cli, judged: Path, tmp_path: Path, name: str, more: tuple[str, ...], what: str
) -> None:
    asked = ("--prompts", "a completion") if more else ()
    sides = execute(cli, judged, "start", *asked), execute(cli, judged, name, *more)
    refused = cli("compare", *sides, "--out", "cmp")
    assert refused.returncode == 2
    assert what in one_line(refused)
    assert not (tmp_path / "cmp").exists()
    stamped = cli("compare", *sides, "--out", "cmp", "--allow-different-harness", "--gate")
    assert stamped.returncode == 4
    assert "NOT LIKE FOR LIKE" in stamped.stdout
    assert "is not like for like" in stamped.stderr.splitlines()[-1]
    found = json.loads((tmp_path / "cmp" / "comparison.json").read_text())["comparisons"][0]
    assert [d["what"] for d in found["differences"]] == [what.split(":")[0]]
    report = cli("report", "cmp", "--lang", "en").stdout
    assert "## Verdict: Not shown" in report
    assert "> `mbpp+`: the two sides were not measured alike" in report
    assert f"What differs: `{what.split(':')[0]}` (" in report


def test_published_verdicts_are_compared_on_common_tasks_with_a_stamp(cli: Cli, tmp_path: Path) -> None:
    for name, n in (("one", 4), ("two", 3)):
        (tmp_path / name).mkdir()
        found = {
            f"Mbpp/{i}": [{"solution": RIGHT, "base_status": "pass", "plus_status": "pass" if i else "fail",
                           "base_fail_tests": [], "plus_fail_tests": []}] for i in range(n)
        }  # fmt: skip
        data = gzip.compress(json.dumps({"date": "d", "hash": "h", "eval": found}).encode())
        (tmp_path / name / "r.json.gz").write_bytes(data)
    sides = ("one/r.json.gz", "two/r.json.gz")
    assert "harness not stated" in one_line(cli("compare", *sides, "--out", "cmp"))
    result = cli("compare", *sides, "--out", "cmp", "--allow-different-harness", "--json")
    plus = json.loads(result.stdout)["comparisons"][1]
    assert (plus["n"], plus["both"], plus["neither"], plus["stamp"]) == (3, 2, 1, "not like for like")


def test_traits_of_a_comparison_are_measured_and_measured_again(
    cli: Cli, judged: Path, tmp_path: Path
) -> None:
    sides = execute(cli, judged, "start"), execute(cli, judged, "tuned")
    assert cli("compare", *sides, "--out", "cmp").returncode == 0
    args = ("analyse", "cmp", "--traits", "all", "--data", f"mbpp+={judged / 'tasks.jsonl'}", "--json")
    first = cli(*args)
    assert first.returncode == 0, first.stderr
    (pair,) = json.loads(first.stdout)["traits"]
    rows = {(r["trait"], r["on"]): r for r in pair["rows"]}
    assert (pair["tasks"], pair["both_pass"]) == (3, 1)
    assert rows["cpu_log2", "both_pass"]["difference"] > 1
    assert rows["complexity", "all"]["after"] > rows["complexity", "all"]["before"]
    assert pair["not_measured"] == []
    again = cli("analyse", "cmp", "--traits", "efficiency", *args[4:])
    rows_again = json.loads(again.stdout)["traits"][0]["rows"]
    assert rows_again == [r for r in pair["rows"] if r["group"] == "efficiency"]  # read, not timed again
    without = json.loads(cli("analyse", "cmp", "--traits", "efficiency", "--json").stdout)["traits"][0]
    assert "inputs are not at hand" in without["not_measured"][-1]["why"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("compare", "none", "none", "--out", "o"), "no results of codefit execute"),
        (("analyse", "none"), "no run and no comparison"),
        (("analyse", "none", "--traits", "beauty"), "no traits 'beauty'"),
        (("models", "--memory", "much"), "--memory"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(cli: Cli, args: tuple[str, ...], said: str) -> None:
    result = cli(*args)
    assert result.returncode == 2
    assert said in one_line(result)


def test_models_tell_scores_their_source_and_what_fits(cli: Cli) -> None:
    found = {(m["model"], m["kind"]): m for m in json.loads(cli("models", "--json").stdout)["models"]}
    start = found["Qwen2.5-Coder-1.5B-Instruct", "instruct"]
    assert start["scores"]["mbpp+"]["flavour"] == "evalplus-0shot-378"
    assert (
        start["scores"]["bigcodebench-instruct"]["highest"]
        - start["scores"]["bigcodebench-instruct"]["lowest"]
        > 5
    )
    assert {p["method"] for p in start["plan"] if p["fits"]} >= {"lora", "qlora"}
    assert found["StarCoder2-3B", "base"]["plan"] is None
    assert all(m["params_b"] <= 3 and " + " not in m["model"] for m in found.values())
    assert {m["kind"] for m in json.loads(cli("models", "--kind", "base", "--json").stdout)["models"]} == {
        "base"
    }
