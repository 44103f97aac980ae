"""Scaled adapters and averaged checkpoints, as PEFT and transformers load them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from codefit.core.progress import silent
from codefit.train import checkpoint, loop
from codefit.train.candidates import copy_weights, write_average, write_scaled
from codefit.train.loop import train
from codefit.train.steps import LoraSteps
from tests.train.test_trajectory import make_job, weights
from tests.train.tiny import tiny_model

IDS = torch.tensor([[5, 9, 17, 30, 4]])


def load(path: Path, adapter: Path | None = None) -> Any:
    model = AutoModelForCausalLM.from_pretrained(str(path), dtype=torch.float32)
    return PeftModel.from_pretrained(model, str(adapter)) if adapter else model


def merged(start: Path, adapter: Path) -> dict[str, torch.Tensor]:
    return dict(load(start, adapter).merge_and_unload().state_dict())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    start = tiny_model(folder / "start")
    train(make_job(start, method="lora", learning_rate=0.02), folder / "run", "x", silent)
    return folder


@pytest.mark.parametrize("scale", [0.0, 0.25, 1.5])
def test_a_scaled_adapter_is_that_share_of_the_change(trained: Path, tmp_path: Path, scale: float) -> None:
    write_scaled(trained / "run" / "adapter", tmp_path / "scaled", scale)
    start = load(trained / "start").state_dict()
    whole = merged(trained / "start", trained / "run" / "adapter")
    found = merged(trained / "start", tmp_path / "scaled")
    assert any(not torch.equal(whole[n], start[n]) for n in start)
    for name, value in start.items():
        wanted = value + scale * (whole[name] - value)
        torch.testing.assert_close(found[name], wanted, rtol=1e-5, atol=1e-6)


def test_scale_0_is_the_start_model_and_a_write_replaces_what_was_there(
    trained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "left").write_text("x")
    write_scaled(trained / "run" / "adapter", out, 0.0)
    assert not (out / "left").exists()
    assert torch.equal(load(trained / "start", out)(IDS).logits, load(trained / "start")(IDS).logits)
    copy_weights(trained / "run" / "adapter", out)
    assert {p.name for p in out.iterdir()} == {p.name for p in (trained / "run" / "adapter").iterdir()}
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    "ways", [{"method": "lora"}, {"method": "full"}, {"optimizer": "adamw8"}, {"lean": True}]
)
def test_the_average_is_the_mean_of_the_last_checkpoints(
    tmp_path: Path, ways: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if ways.pop("lean", False):
        ways = {"method": "lora"}
        steps = lambda t, s, examples, *rest: LoraSteps(t, s, examples)  # noqa: E731
        monkeypatch.setattr(loop, "make_steps", steps)
        monkeypatch.setattr("codefit.train.candidates.make_steps", steps)
    job = make_job(tiny_model(tmp_path / "start"), **ways, save_every=5)
    train(job, tmp_path / "run", "x", silent)
    files = checkpoint.files(tmp_path / "run" / "checkpoints")
    write_average(job, files, tmp_path / "run2" / "adapter")
    ends = []
    for file in files:
        write_average(job, [file], tmp_path / "one" / file.stem)
        ends.append(load_all(tmp_path / "one" / file.stem))
    found = load_all(tmp_path / "run2" / "adapter")
    assert len(files) == 2
    for name, value in found.items():
        torch.testing.assert_close(value, sum(e[name] for e in ends) / 2, rtol=1e-5, atol=1e-6)
    last = weights(tmp_path / "run")
    assert all(torch.equal(value, last[name]) for name, value in ends[-1].items())
    assert any(not torch.equal(value, last[name]) for name, value in found.items())


def load_all(folder: Path) -> dict[str, torch.Tensor]:
    file = "adapter_model.safetensors" if (folder / "adapter_config.json").exists() else "model.safetensors"
    return dict(load_file(str(folder / file)))
