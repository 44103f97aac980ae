"""Different ways to run the same training follow the same trajectory."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from codefit.core.errors import InputError
from codefit.core.progress import silent
from codefit.core.recipe import TrainSettings
from codefit.models.load import resolve_dtype
from codefit.train import loop
from codefit.train.checkpoint import Cursor, discard_foreign
from codefit.train.device import OutOfMemory
from codefit.train.loop import Job, train
from codefit.train.plain import PlainSteps
from codefit.train.schedule import Step
from tests.train.tiny import PAD, random_examples, tiny_model


def make_job(model: Path, **changes: Any) -> Job:
    if changes.get("optimizer", "adamw") != "adamw":
        changes = {"batch_size": 1, "micro_batch": 1, "max_grad_norm": None, **changes}
    settings = TrainSettings(
        method="full", learning_rate=3e-3, batch_size=4, micro_batch=4, warmup=0.1, save_every=3, threads=1
    )
    job = Job(model, random_examples(24), [], settings, 48, 1200, 7, PAD)
    own = {k: v for k, v in changes.items() if k in TrainSettings.model_fields}
    rest = {k: v for k, v in changes.items() if k not in own}
    return replace(job, settings=settings.model_copy(update=own), **rest)


def plain_steps(job: Job) -> PlainSteps:
    return PlainSteps(loop.prepare(job.model, job.settings, 0), job.settings, job.examples, PAD)


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines()]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    name = "model/model.safetensors" if (folder / "model").exists() else "adapter/adapter_model.safetensors"
    return dict(load_file(str(folder / name)))


def assert_same(a: Path, b: Path, *, exact: bool) -> None:
    if exact:
        assert losses(a) == losses(b)
    else:
        assert losses(a) == pytest.approx(losses(b), rel=1e-4)
    left, right = weights(a), weights(b)
    assert left.keys() == right.keys()
    for name, tensor in left.items():
        torch.testing.assert_close(tensor, right[name], rtol=0 if exact else 1e-3, atol=0 if exact else 1e-4)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "start")


@pytest.mark.parametrize("method", ["full", "lora"])
def test_accumulation_equals_one_large_batch(model: Path, tmp_path: Path, method: str) -> None:
    train(make_job(model, method=method, micro_batch=4), tmp_path / "a", "x", silent)
    train(make_job(model, method=method, micro_batch=1), tmp_path / "b", "x", silent)
    assert_same(tmp_path / "a", tmp_path / "b", exact=False)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_one_bin_eight_times_is_eight_bins_once_whatever_each_holds(model: Path, method: str) -> None:
    """Gradients of one step over bins of unequal label counts, one of them without any."""
    prompt = replace(
        random_examples(1, seed=3)[0], labels=(-100,) * len(random_examples(1, seed=3)[0].labels)
    )
    examples = [*random_examples(13, seed=4), prompt]
    bins = [[0], [1, 2, 3], [4], [5, 6], [7], [8, 9, 10, 11], [13], [12]]
    tokens = sum(examples[i].trained_tokens for b in bins for i in b)
    found = []
    for micro in (8, 1, 3):
        job = make_job(model, method=method, batch_size=8, micro_batch=micro, examples=examples)
        steps = plain_steps(job)
        loss, norm = steps.step(Step(bins, tokens, Cursor()), 0.0)
        assert math.isfinite(loss)
        grads = {n: p.grad for n, p in steps.trainable.items()}
        assert all(g is not None for g in grads.values())
        found.append((loss, norm, grads))
    for loss, norm, grads in found[1:]:
        assert loss == pytest.approx(found[0][0], rel=1e-6)
        assert norm == pytest.approx(found[0][1], rel=1e-6)
        for name, grad in grads.items():
            assert (grad - found[0][2][name]).norm() <= 2e-6 * norm


@pytest.mark.parametrize("method", ["full", "lora"])
def test_training_lowers_the_loss(model: Path, tmp_path: Path, method: str) -> None:
    summary = train(make_job(model, method=method, budget=4000), tmp_path / "a", "x", silent)
    assert summary["last_loss"] < 0.96 * summary["first_loss"]
    assert summary["trained_tokens"] >= 4000


@pytest.mark.parametrize("ways", [{"optimizer": "adamw8"}, {"optimizer": "adamw4"}])
def test_few_bits_end_near_classic_adam(model: Path, tmp_path: Path, ways: dict[str, Any]) -> None:
    classic = make_job(model, batch_size=1, micro_batch=1, max_grad_norm=1e9, budget=4000)
    exact = train(classic, tmp_path / "a", "x", silent)
    few = train(make_job(model, budget=4000, dtype="bfloat16", **ways), tmp_path / "b", "x", silent)
    assert few["first_loss"] == pytest.approx(exact["first_loss"], rel=2e-3)
    assert few["last_loss"] < 1.06 * exact["last_loss"]
    saved = AutoModelForCausalLM.from_pretrained(str(tmp_path / "b" / "model"))
    assert saved.dtype == torch.bfloat16
    assert saved.lm_head.weight.data_ptr() == saved.model.embed_tokens.weight.data_ptr()


def test_recomputing_layers_of_a_fused_step_changes_nothing(model: Path, tmp_path: Path) -> None:
    train(make_job(model, optimizer="adamw8"), tmp_path / "a", "x", silent)
    train(make_job(model, optimizer="adamw8", recompute=1), tmp_path / "b", "x", silent)
    train(make_job(model, optimizer="adamw8", recompute=True, offload=True), tmp_path / "c", "x", silent)
    assert_same(tmp_path / "a", tmp_path / "b", exact=True)
    assert_same(tmp_path / "a", tmp_path / "c", exact=True)


def test_recomputing_activations_changes_nothing(model: Path, tmp_path: Path) -> None:
    train(make_job(model), tmp_path / "a", "x", silent)
    train(make_job(model, recompute=True), tmp_path / "b", "x", silent)
    assert_same(tmp_path / "a", tmp_path / "b", exact=False)


def test_packed_documents_score_as_if_each_were_alone(model: Path) -> None:
    job = make_job(model)
    examples = job.examples[:6]
    steps = plain_steps(job)
    packed = steps.loss(examples, [[0, 1, 2], [3, 4, 5]])
    alone = sum(steps.loss(examples, [[i]]) for i in range(6))
    assert packed.item() == pytest.approx(float(alone), rel=1e-6)
    parameters = [p for p in steps.outer.parameters() if p.requires_grad]
    for a, b in zip(
        torch.autograd.grad(packed, parameters), torch.autograd.grad(alone, parameters), strict=True
    ):
        assert (a - b).norm() <= 1e-5 * b.norm()


def test_the_chunked_loss_takes_the_steps_of_the_plain_one(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def whole(hidden: Any, head: Any, labels: Any, chunk: int) -> torch.Tensor:
        return F.cross_entropy(hidden @ head.T, labels, reduction="sum")

    monkeypatch.setattr("codefit.train.plain.CHUNK", 7)
    train(make_job(model), tmp_path / "a", "x", silent)
    monkeypatch.setattr("codefit.train.plain.chunked_cross_entropy", whole)
    train(make_job(model), tmp_path / "b", "x", silent)
    assert losses(tmp_path / "a") == pytest.approx(losses(tmp_path / "b"), rel=2e-6)
    assert_same(tmp_path / "a", tmp_path / "b", exact=False)


def test_the_loss_is_that_of_transformers_itself(model: Path) -> None:
    job = make_job(model)
    steps = plain_steps(job)
    plain = AutoModelForCausalLM.from_pretrained(str(model), dtype=torch.float32)
    total = 0.0
    for example in job.examples[:5]:
        logits = plain(torch.tensor([example.token_ids])).logits[0, :-1]
        labels = torch.tensor(example.labels[1:])
        total += F.cross_entropy(logits, labels, ignore_index=-100, reduction="sum").item()
    found = steps.loss(job.examples, [[0, 1], [2, 3, 4]])
    assert found.item() == pytest.approx(total, rel=1e-5)


def test_the_last_short_step_is_normalised_by_its_own_tokens(model: Path, tmp_path: Path) -> None:
    examples = random_examples(5, shortest=40, longest=44)
    job = make_job(model, examples=examples, budget=10**6)
    budget = sum(e.trained_tokens for e in examples)
    train(replace(job, budget=budget), tmp_path / "a", "x", silent)
    found = losses(tmp_path / "a")
    assert len(found) == 2
    assert found[1] == pytest.approx(found[0], rel=0.3)


@pytest.mark.parametrize(
    "ways",
    [
        {"method": "full"},
        {"method": "lora"},
        {"optimizer": "adamw8"},
        {"optimizer": "adamw4", "dtype": "bfloat16"},
    ],
)
def test_killed_and_resumed_training_is_bit_identical(
    model: Path, tmp_path: Path, ways: dict[str, Any]
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(make_job(model, **ways), whole, "x", silent)

    class Killed(Exception):
        pass

    steps = iter(range(100))

    def stop_after_seven(event: object) -> None:
        if next(steps) == 7:
            raise Killed

    with pytest.raises(Killed):
        train(make_job(model, **ways), broken, "x", stop_after_seven)
    assert not (broken / "summary.json").exists()
    train(make_job(model, **ways), broken, "x", silent)
    assert_same(whole, broken, exact=True)


_SCRIPT = """
import sys
from pathlib import Path
from codefit.core.progress import silent
from codefit.train.loop import train
from tests.train.test_trajectory import make_job
train(make_job(Path(sys.argv[1]), save_every=1, budget=3000), Path(sys.argv[2]), "x", silent)
"""


def test_sigkill_at_any_instant_loses_nothing(model: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(make_job(model, save_every=1, budget=3000), whole, "x", silent)
    command = [sys.executable, "-c", _SCRIPT, str(model), str(broken)]
    root = Path(__file__).parents[2]
    env = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    child = subprocess.Popen(command, cwd=root, env=env)
    deadline = time.monotonic() + 60
    while not list((broken / "checkpoints").glob("step-*.pt")) and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.wait()
    subprocess.run(command, cwd=root, env=env, check=True)
    assert_same(whole, broken, exact=True)
    assert not list(broken.rglob("*.part"))


def test_too_little_device_memory_is_one_line_and_keeps_the_checkpoints(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(PlainSteps):
        def step(self, step: Any, rate: float) -> tuple[float, float]:
            if step.after.step > 4:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. ...")
            return super().step(step, rate)

    def full(trainee: Any, settings: Any, examples: Any, pad_id: int, *rest: int) -> Full:
        return Full(trainee, settings, examples, pad_id)

    monkeypatch.setattr(loop, "make_steps", full)
    with pytest.raises(
        OutOfMemory, match=r"more memory than the budget of 7,000 MiB; lower format.max_length"
    ):
        train(make_job(model, memory=7000 * 2**20), tmp_path / "a", "x", silent)
    assert [p.name for p in (tmp_path / "a" / "checkpoints").iterdir()] == ["step-0000003.pt"]


def test_a_checkpoint_of_another_job_is_refused(model: Path, tmp_path: Path) -> None:
    train(make_job(model), tmp_path / "a", "x", silent)
    with pytest.raises(InputError, match="other rows, settings or start model"):
        train(make_job(model, learning_rate=1e-3), tmp_path / "a", "x", silent)


def test_a_damaged_checkpoint_is_named(model: Path, tmp_path: Path) -> None:
    train(make_job(model), tmp_path / "a", "x", silent)
    newest = sorted((tmp_path / "a" / "checkpoints").iterdir())[-1]
    newest.write_bytes(newest.read_bytes()[:100])
    with pytest.raises(InputError, match="damaged checkpoint"):
        train(make_job(model), tmp_path / "a", "x", silent)


def test_a_diverging_loss_stops_and_names_the_rows(model: Path, tmp_path: Path) -> None:
    with pytest.raises(loop.LossDiverged, match="not finite"):
        train(make_job(model, learning_rate=0.99, max_grad_norm=1e30, budget=10**6), tmp_path / "a", "x",
              poison_after(3))  # fmt: skip
    saved = json.loads((tmp_path / "a" / "diverged.json").read_text())
    assert saved["rows"]


def poison_after(step: int) -> Any:
    """Return a listener that makes every later loss infinite, as an overflow would."""
    seen = iter(range(10**6))

    def listen(event: object) -> None:
        if next(seen) == step:
            for tracked in loop_trainees:
                with torch.no_grad():
                    tracked.head_VD.fill_(float("inf"))

    return listen


loop_trainees: list[Any] = []


@pytest.fixture(autouse=True)
def _track(monkeypatch: pytest.MonkeyPatch) -> None:
    loop_trainees.clear()
    original = loop.prepare

    def prepare(*args: Any) -> Any:
        trainee = original(*args)
        loop_trainees.append(trainee)
        return trainee

    monkeypatch.setattr(loop, "prepare", prepare)


def test_validation_loss_is_the_plain_mean_over_held_out_tokens(model: Path, tmp_path: Path) -> None:
    held = random_examples(6, seed=99)
    summary = train(make_job(model, validation=held), tmp_path / "a", "x", silent)
    tuned = AutoModelForCausalLM.from_pretrained(str(tmp_path / "a" / "model"), dtype=torch.float32)
    total = 0.0
    for e in held:
        logits = tuned(torch.tensor([e.token_ids])).logits[0, :-1]
        total += F.cross_entropy(
            logits, torch.tensor(e.labels[1:]), ignore_index=-100, reduction="sum"
        ).item()
    assert summary["val_loss"] == pytest.approx(total / sum(e.trained_tokens for e in held), rel=1e-4)


def test_lora_trains_every_target_and_nothing_else(model: Path, tmp_path: Path) -> None:
    train(make_job(model, method="lora"), tmp_path / "a", "x", silent)
    found = weights(tmp_path / "a")
    moved = {n for n, w in found.items() if "lora_B" in n and w.abs().sum() > 0}
    assert len(moved) == 2 * 7
    assert all("lora_" in n for n in found)


def test_tied_head_and_embedding_stay_one_after_full_tuning(model: Path, tmp_path: Path) -> None:
    train(make_job(model), tmp_path / "a", "x", silent)
    tuned = AutoModelForCausalLM.from_pretrained(str(tmp_path / "a" / "model"))
    assert tuned.lm_head.weight.data_ptr() == tuned.model.embed_tokens.weight.data_ptr()


def test_full_tuning_never_runs_in_bfloat16_where_updates_would_be_rounded_away() -> None:
    assert resolve_dtype("auto", "cuda", "full") == "float32"
    assert resolve_dtype("auto", "cuda", "full", 8) == "bfloat16"  # rounds stochastically
    assert resolve_dtype("auto", "cuda", "lora") == "bfloat16"
    assert resolve_dtype("auto", "cpu", "lora") == "float32"


def test_checkpoints_of_rows_that_are_gone_are_discarded(model: Path, tmp_path: Path) -> None:
    train(make_job(model), tmp_path / "a", "x", silent)
    other = make_job(model, examples=random_examples(25))
    assert discard_foreign(tmp_path / "a" / "checkpoints", other.key())
    assert not discard_foreign(tmp_path / "a" / "checkpoints", other.key())
    train(other, tmp_path / "a", "x", silent)
    train(other, tmp_path / "b", "x", silent)
    assert_same(tmp_path / "a", tmp_path / "b", exact=True)


def test_a_lost_log_does_not_lose_a_finished_training(model: Path, tmp_path: Path) -> None:
    train(make_job(model), tmp_path / "a", "x", silent)
    (tmp_path / "a" / "log.jsonl").unlink()
    assert train(make_job(model), tmp_path / "a", "x", silent)["last_loss"] is None


def test_the_saved_model_keeps_its_generation_cache_on(model: Path, tmp_path: Path) -> None:
    train(make_job(model), tmp_path / "a", "x", silent)
    assert json.loads((tmp_path / "a" / "model" / "config.json").read_text()).get("use_cache", True) is True
