"""The same tasks asked differently: paired figures from the files of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from codefit.analyse import findings
from codefit.core.files import write_json, write_jsonl
from codefit.score.paired import mcnemar_exact, paired_interval

# tasks 0 to 9, by suite and arm: p passed, w wrong, s could not be judged, . left out of the variant
OUTCOMES = {
    "mbpp+": {"start": "ppppppwwww", "tuned": "ppppppppww"},
    "mbpp~renamed+": {"start": "pppwwpwpws", "tuned": "pppppppwp."},
    "mbpp~chinese+": {"start": "wwwwwwwwww"},
    "humaneval~renamed": {"start": "pppppppppp"},
}
NAMES = {"p": "passed", "w": "wrong_answer", "s": "sandbox_failed"}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    scores: list[dict[str, Any]] = []
    for suite, arms in OUTCOMES.items():
        lines = []
        for arm, marks in arms.items():
            decoding = "t=1" if (suite, arm) == ("mbpp~chinese+", "start") else "greedy"
            scores.append(
                {
                    "arm": arm,
                    "suite": suite,
                    "metric": "pass@1",
                    "n": 10,
                    "harness": "h",
                    "decoding": decoding,
                }
            )
            lines += [
                {"arm": arm, "task_id": f"Mbpp/{i}", "sample": 0, "outcome": NAMES[m], "error": None}
                for i, m in enumerate(marks)
                if m != "."
            ]
        write_jsonl(tmp_path / "verdicts" / f"{suite}.jsonl", lines)
    write_json(tmp_path / "scores.json", {"scores": scores, "comparisons": [
        {"suite": suite, "before_arm": "start", "after_arm": "tuned"} for suite in ("mbpp+", "mbpp~renamed+")
    ]})  # fmt: skip
    return tmp_path


def test_every_model_is_paired_with_itself_on_the_tasks_judged_both_times(run: Path) -> None:
    chinese, renamed = findings(run)["robustness"]  # humaneval was not asked as it is: nothing to pair
    assert (renamed["suite"], renamed["plain"], renamed["variant"]) == ("mbpp~renamed+", "mbpp+", "renamed")
    start, tuned = renamed["arms"]["start"], renamed["arms"]["tuned"]
    assert (start["n"], start["plain"], start["varied"]) == (9, 6, 5)
    assert (start["lost"], start["gained"], start["lost_tasks"]) == (2, 1, ["Mbpp/3", "Mbpp/4"])
    assert start["points"] == pytest.approx(100 * -1 / 9)
    assert start["relative_percent"] == pytest.approx(100 * -1 / 6)
    assert start["p_value"] == mcnemar_exact(1, 2)
    assert start["ci95"] == [100 * x for x in paired_interval(1, 2, 9)]
    assert start["consistency"] == pytest.approx(6 / 9)
    assert (tuned["n"], tuned["lost"], tuned["gained"], tuned["points"]) == (9, 1, 1, 0.0)
    assert start["stamp"] is None
    assert chinese["arms"]["start"]["stamp"] == "not like for like"  # drawn, beside greedy
    assert [d["what"] for d in chinese["arms"]["start"]["differences"]] == ["decoding"]


def test_start_and_tuned_are_set_side_by_side_on_the_tasks_that_both_have(run: Path) -> None:
    chinese, renamed = findings(run)["robustness"]
    (pair,) = renamed["pairs"]
    assert (pair["before"], pair["after"], pair["n"]) == ("start", "tuned", 9)
    assert pair["before_points"] == pytest.approx(-100 / 9)
    assert pair["points"] == pytest.approx(100 / 9)
    assert pair["ci95"][0] < pair["points"] < pair["ci95"][1]
    assert chinese["pairs"] == []


def test_without_variants_nothing_is_said_of_robustness(run: Path) -> None:
    for path in (run / "verdicts").glob("*~*"):
        path.unlink()
    assert findings(run)["robustness"] is None
