"""A run whose sandbox gives out is not recorded as judged, and goes on when it works again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from codefit.core.files import read_json, read_jsonl, write_json, write_jsonl
from codefit.core.progress import silent
from codefit.core.recipe import load_recipe
from codefit.core.types import Outcome
from codefit.pipeline import evidence, judge
from codefit.pipeline.context import SPENT, Context
from codefit.sandbox import Run, Runtime, Sandbox

RECIPE = Path(__file__).parents[2] / "src" / "codefit" / "recipes" / "micro-demo.yaml"


class GivingOut:
    """A sandbox whose machine gives out: every run is our own failure."""

    level = description = "giving out"
    jobs = 1

    def run(self, *_: Any) -> Run:
        return Run(Outcome.SANDBOX_FAILED, (), "no space left", 0.0, 0.0, None, False)

    def map(self, jobs: Any) -> Any:
        return ((i, self.run()) for i, _ in enumerate(jobs))


def test_a_sandbox_failure_ends_the_stage_and_is_tried_again(tmp_path: Path) -> None:
    recipe = load_recipe(RECIPE, ("evaluate.0.limit=2",))
    context = Context(recipe, tmp_path, tmp_path / "cache", silent, frozenset())
    (_, suite), answers = context.suites[0], []
    for arm in judge.arm_names(context):
        write_json(tmp_path / "arms" / arm / "micro" / SPENT, TOOK)
        for task in suite.tasks:
            answers.append({"arm": arm, "task_id": task.task_id, "sample": 0, "text": task.reference,
                            "tokens": 1, "mean_logprob": None, "min_logprob": None,
                            "finish_reason": "stop"})  # fmt: skip
    write_jsonl(tmp_path / "completions" / "micro.jsonl", answers)
    context._boxes[Runtime()] = GivingOut()  # type: ignore[assignment]
    with pytest.raises(judge.SandboxFailures, match="2 programs could not be judged") as caught:
        judge.execute_stage(context, 0)
    assert caught.value.exit_code == 1
    assert not (tmp_path / "verdicts" / "micro.jsonl").exists()
    with Sandbox(jobs=1) as sandbox:
        context._boxes[Runtime()] = sandbox
        judge.execute_stage(context, 0)
    found = [line["outcome"] for _, line in read_jsonl(tmp_path / "verdicts" / "micro.jsonl")]
    assert found == ["passed"] * 6


TOOK = {"decoding": "greedy", "weights": "float32", "engine": "transformers", "form": "begun"}
ARMS = "arms=[{name: a, train: {seed: 0}}, {name: b, train: {seed: 1}}, {name: c, rows: raw}]"


def judged(folder: Path, suites: Sequence[str], passed: Mapping[str, bool]) -> None:
    """Write what judging leaves of one arm: a score per name, and a verdict per task."""
    counts = {"value": sum(passed.values()) / len(passed), "passed": sum(passed.values()), "n": len(passed)}
    about = {"revision": "r", "harness": "h", "metric": "pass@1", "ci95": [0.0, 1.0], "limit": None}
    write_json(folder / SPENT, TOOK)
    write_json(folder / "scores.json", [{"suite": suite, **about, **counts} for suite in suites])
    outcomes = {task: "passed" if ok else "timeout" for task, ok in passed.items()}
    write_jsonl(
        folder / "verdicts.jsonl",
        ({"task_id": t, "outcome": o, "base_outcome": o, "plus_outcome": o} for t, o in outcomes.items()),
    )


def test_base_tests_that_are_asked_by_themselves_are_compared_once(tmp_path: Path) -> None:
    task = {"entry_point": "f", "prompt": '"""\nNothing.\n"""\n', "canonical_solution": "def f(x):\n    return x\n",
            "base_input": [[1]], "plus_input": [[2]], "atol": 0}  # fmt: skip
    tasks = [{"task_id": f"Mbpp/{i}", **task} for i in range(11, 21)]
    write_jsonl(tmp_path / "tasks.jsonl", tasks)
    suites = ", ".join(f"{{name: {name}, data: {tmp_path / 'tasks.jsonl'}}}" for name in ("mbpp", "mbpp+"))
    recipe = load_recipe(RECIPE, (f"evaluate=[{suites}]", "arms=[{name: a}]"))
    context = Context(recipe, tmp_path, tmp_path / "cache", silent, frozenset())
    for arm, least in (("start", 20), ("a", 11)):
        passed = {f"Mbpp/{i}": i >= least for i in range(11, 21)}
        judged(tmp_path / "arms" / arm / "mbpp", ("mbpp",), passed)
        judged(tmp_path / "arms" / arm / "mbpp+", ("mbpp", "mbpp+"), passed)
    evidence.score_stage(context)
    found = read_json(tmp_path / "scores.json")
    assert [(c["suite"], c["family"]) for c in found["comparisons"]] == [("mbpp", 2), ("mbpp+", 2)]
    assert [entry["suite"] for entry in found["gate"]["suites"]] == ["mbpp", "mbpp+"]
    assert len(found["scores"]) == 2 * 3  # what was measured is all there


def test_scores_hold_families_seeds_and_the_gate(tmp_path: Path) -> None:
    recipe = load_recipe(RECIPE, (ARMS, "evaluate.0.limit=2"))
    context = Context(recipe, tmp_path, tmp_path / "cache", silent, frozenset())
    names = [f"micro/{i}" for i in range(40)]
    passing = {"start": range(10), "a": range(30), "b": range(26), "c": range(12)}
    for arm, passed in passing.items():
        judged(tmp_path / "arms" / arm / "micro", ("micro",), {t: i in passed for i, t in enumerate(names)})
    evidence.score_stage(context)
    found = read_json(tmp_path / "scores.json")
    pairs = [(c["before_arm"], c["after_arm"]) for c in found["comparisons"]]
    assert pairs == [("start", "a"), ("start", "b"), ("start", "c"), ("b", "a"), ("c", "a")]
    assert all(c["family"] == 1 and c["p_holm"] == c["p_value"] for c in found["comparisons"])
    (spread,) = found["seeds"]
    assert (spread["arms"], spread["seeds"], spread["n"]) == (["a", "b"], [0, 1], 40)
    assert spread["points"] == pytest.approx(45)
    assert spread["seed_range_points"] == pytest.approx(10)
    assert found["gate"]["passed"]
    guarded = load_recipe(RECIPE, (ARMS, "evaluate.0.limit=2", "evaluate.0.guard=true"))
    again = Context(guarded, tmp_path, tmp_path / "cache", silent, frozenset())
    assert evidence.score_settings(again) != evidence.score_settings(context)
    evidence.score_stage(again)
    gate = read_json(tmp_path / "scores.json")["gate"]
    assert (gate["passed"], gate["suites"][0]["role"]) == (False, "guard")  # no target is left


def test_arms_of_one_seed_or_of_other_settings_are_no_seeds() -> None:
    same = "arms=[{name: a}, {name: b, train: {seed: 0}}, {name: c, train: {seed: 1, epochs: 9}, budget: epochs}]"
    assert evidence.seed_groups(load_recipe(RECIPE, (same,))) == []
