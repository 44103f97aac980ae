"""A run whose sandbox gives out is not recorded as judged, and goes on when it works again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from codefit.core.files import read_jsonl, write_json, write_jsonl
from codefit.core.progress import silent
from codefit.core.recipe import load_recipe
from codefit.core.types import Outcome
from codefit.pipeline import judge
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
        took = {"decoding": "greedy", "weights": "float32", "engine": "transformers", "form": "chat"}
        write_json(tmp_path / "arms" / arm / "micro" / SPENT, took)
        for task in suite.tasks:
            answers.append({"arm": arm, "task_id": task.task_id, "sample": 0, "text": task.reference, "tokens": 1,
                            "mean_logprob": None, "min_logprob": None, "finish_reason": "stop"})  # fmt: skip
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
