"""GRPO through TRL on the embedded model: rewards are verdicts, the start model is the reference, a kill goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

from codefit.core.curation import VerifySettings
from codefit.core.errors import InputError
from codefit.core.files import read_jsonl
from codefit.core.progress import Event, silent
from codefit.core.recipe import TrainSettings
from codefit.core.sampling import GrpoSettings
from codefit.curate.runner import Verdicts
from codefit.curate.statement import PLAIN
from codefit.format.chat import ChatFormat
from codefit.methods.grpo import Course, Reward, train
from codefit.methods.prompts import Prompt
from codefit.micro import model_path, tasks
from codefit.models.load import load_model, load_tokenizer
from codefit.sandbox import Sandbox
from tests.curate.conftest import row

STEPS = 3


@pytest.fixture(scope="module")
def course(sandbox: Sandbox) -> Course:
    tokenizer = load_tokenizer(model_path())
    prompts = [
        Prompt(row(t.task_id, t.prompt, t.reference or "", tests=t.tests), t.tests, PLAIN)
        for t in tasks("dev")[:6]
    ]
    return Course(
        arm="rewarded",
        model=model_path(),
        prompts=prompts,
        settings=GrpoSettings(steps=STEPS, prompts=2, answers=4, learning_rate=1e-2),
        train=TrainSettings(device="cpu", save_every=1, lora_rank=4),
        max_new_tokens=24,
        micro_batch=4,
        chat=ChatFormat(tokenizer, system=None, fence=False),
        tokenizer=tokenizer,
        verify=VerifySettings(),
        sandbox=sandbox,
        seed=0,
    )


def test_an_answer_is_rewarded_when_its_program_passes_and_it_ends_by_itself(course: Course) -> None:
    prompt = course.prompts[0]
    right = prompt.row.response
    answers = [right, "def solve(*a):\n    return None", "nothing", right]
    ids = [[5, 6, course.chat.end_id], [5, course.chat.end_id], [5, course.chat.end_id], [5, 6, 7]]
    reward = Reward(course, Verdicts(), frozenset({course.chat.end_id}))
    found = reward(
        prompts=[None] * 4, completions=[[{"role": "assistant", "content": a}] for a in answers],
        completion_ids=ids, row_id=[prompt.row.id] * 4, trainer_state=None,
    )  # fmt: skip
    assert found == [1.0, 0.0, 0.0, 0.0]


class Killed(Exception):
    """The machine went away."""


def test_a_training_killed_at_a_step_goes_on_at_its_checkpoint(
    course: Course, tmp_path: Path, capsys: Any
) -> None:
    def die(event: Event) -> None:
        if event.done == 2:
            raise Killed

    with pytest.raises(Killed):
        train(course, tmp_path, die)
    assert [p.name for p in (tmp_path / "checkpoints").glob("checkpoint-*")] == ["checkpoint-1"]
    summary = train(course, tmp_path, silent)
    log = [entry for _, entry in read_jsonl(tmp_path / "log.jsonl")]
    assert [entry["step"] for entry in log] == [1, 2, 3]
    assert log[0]["kl"] == 0  # adapters begin at nothing, and the reference is the model without them
    assert all(0 <= entry["reward"] <= 1 for entry in log)
    assert (summary["steps"], summary["answers"], summary["rows"]) == (STEPS, STEPS * 8, 6)
    assert capsys.readouterr().out == ""
    tuned = load_model(course.model, dtype="float32", device="cpu", adapter=tmp_path / "adapter")
    assert tuned.peft_config["default"].r == 4


def test_too_few_requests_for_a_step_are_one_line(course: Course, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="fewer than one step takes"):
        train(replace(course, prompts=course.prompts[:1]), tmp_path, silent)
