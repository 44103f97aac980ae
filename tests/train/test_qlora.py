"""QLoRA: over 4-bit weights the lean decoder does what PEFT and bitsandbytes do, and the merge keeps it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from codefit.core.errors import InputError
from codefit.core.recipe import TrainSettings, load_recipe
from codefit.models.load import load_model
from codefit.pipeline.run import run_recipe
from codefit.publish.merge import export_merged
from codefit.train.checkpoint import Cursor
from codefit.train.loop import Job, train
from codefit.train.model import prepare
from codefit.train.plain import PlainSteps
from codefit.train.schedule import Step
from codefit.train.steps import make_steps
from tests.publish.test_merge import byte_tokenizer
from tests.train.tiny import PAD, random_examples, tiny_model

EXAMPLES = random_examples(8)
BINS = [[0, 1], [2, 3]]
STEP = Step(BINS, sum(EXAMPLES[i].trained_tokens for b in BINS for i in b), Cursor())


def settings(**changes: object) -> TrainSettings:
    return TrainSettings.model_validate(
        {"method": "qlora", "batch_size": 2, "lora_rank": 4, "device": "cpu", **changes}
    )


@pytest.mark.parametrize("recompute", [0, 1, 2])
def test_steps_over_4_bit_weights_equal_those_of_peft(tmp_path: Path, recompute: int) -> None:
    folder = tiny_model(tmp_path / "model")
    s = settings(recompute=recompute)
    ours = make_steps(prepare(folder, s, 0), s, EXAMPLES, PAD, 0)
    theirs = PlainSteps(prepare(folder, s, 0), s, EXAMPLES, PAD)
    for _ in range(4):
        found, expected = ours.step(STEP, 1e-2), theirs.step(STEP, 1e-2)
        assert found == pytest.approx(expected, rel=1e-5)


def test_every_matrix_but_the_head_is_quantised_and_nothing_else(tmp_path: Path) -> None:
    model = load_model(
        tiny_model(tmp_path / "model", tied=False), dtype="float32", device="cpu", weights="nf4"
    )
    bytes_of = {n for n, p in model.named_parameters() if p.dtype == torch.uint8}
    assert len(bytes_of) == 2 * 7
    assert not any("embed" in n or "head" in n or "norm" in n or "bias" in n for n in bytes_of)


def test_an_embedding_in_the_host_s_memory_changes_no_number(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "model", tied=False)
    losses = []
    for host in (None, True):
        s = settings(host_embedding=host)
        steps = make_steps(prepare(folder, s, 0), s, EXAMPLES, PAD, 0)
        losses.append([steps.step(STEP, 1e-2) for _ in range(3)])
    assert losses[0] == losses[1]


def test_a_recipe_with_qlora_trains_answers_and_publishes(tmp_path: Path) -> None:
    recipe = tmp_path / "q.yaml"
    recipe.write_text(
        "name: q\nmodel: {name: micro}\nsources: [{kind: micro, limit: 60}]\nformat: {max_length: 256}\n"
        "curate: {steps: [normalise, language, syntax]}\n"
        "train: {method: qlora, device: cpu, batch_size: 4, validation_rows: 4}\n"
        "generate: {max_new_tokens: 8}\nevaluate: [{name: micro, limit: 3}]\n"
    )
    result = run_recipe(
        load_recipe(recipe), tmp_path / "run", cache=tmp_path, listen=lambda event: None, verbs=frozenset()
    )
    assert len(result.scores()["scores"]) == 2
    plan = json.loads((tmp_path / "run" / "plan.json").read_text())
    assert plan["settings"]["weights"].startswith("nf4")
    assert (tmp_path / "run" / "train" / "model" / "model.safetensors").exists()


def test_a_tied_embedding_stays_on_the_device(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="also the head"):
        prepare(tiny_model(tmp_path / "model"), settings(host_embedding=True), 0)


def test_the_merged_model_answers_as_the_adapter_over_4_bit_weights_did(tmp_path: Path) -> None:
    """Merged into the weights as they were trained on; merged into the start model's own it would not."""
    start = tiny_model(tmp_path / "start")
    job = Job(
        model=start, examples=EXAMPLES, validation=(), settings=settings(learning_rate=1e-2), capacity=32,
        budget=600, seed=0, pad_id=PAD,
    )  # fmt: skip
    train(job, tmp_path / "run", "arm", lambda event: None)
    adapter = tmp_path / "run" / "adapter"
    ids = torch.tensor([EXAMPLES[5].token_ids])

    def logits(path: Path, *, nf4: bool = False, adapter: Path | None = None) -> torch.Tensor:
        with torch.no_grad():
            model = load_model(
                path, dtype="float32", device="cpu", weights="nf4" if nf4 else "plain", adapter=adapter
            ).eval()
            found: torch.Tensor = model(ids).logits
        return found

    trained = logits(start, nf4=True, adapter=adapter)
    errors = {}
    for nf4 in (True, False):
        export_merged(start, adapter, byte_tokenizer(), tmp_path / f"merged-{nf4}", nf4=nf4)
        errors[nf4] = (logits(tmp_path / f"merged-{nf4}") - trained).abs().max().item()
    assert errors[True] < 1e-4
    assert errors[False] > 20 * errors[True]
