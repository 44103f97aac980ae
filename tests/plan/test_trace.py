"""The closed form against a trace of the exact step, on shapes that it was not derived from."""

from __future__ import annotations

import gc
import json
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from codefit.core.files import write_json
from codefit.core.recipe import TrainSettings
from codefit.models.start import shape_file
from codefit.plan.lean import estimate
from codefit.plan.setting import Setting
from codefit.plan.shape import read_shape
from codefit.train.attention import Documents
from codefit.train.batch import Packed
from codefit.train.model import prepare
from codefit.train.steps import FullSteps, LoraSteps, make_steps
from codefit.train.trace import trace
from tests.train.tiny import tiny_model

LLAMA = {"model_type": "llama", "hidden_size": 768, "num_hidden_layers": 6, "num_attention_heads": 12,
         "num_key_value_heads": 4, "intermediate_size": 2048, "vocab_size": 32000,
         "tie_word_embeddings": False}  # fmt: skip


@pytest.mark.parametrize(
    ("method", "bits", "recompute", "offload", "host"),
    [("lora", 32, 0, False, False), ("lora", 32, 6, True, False), ("qlora", 32, 6, False, False),
     ("qlora", 32, 3, True, True), ("full", 8, 6, False, False), ("full", 4, 6, True, False)],
)  # fmt: skip
def test_the_closed_form_is_near_the_trace_of_a_shape_it_was_not_derived_from(
    tmp_path: Path, method: str, bits: int, recompute: int, offload: bool, host: bool
) -> None:
    write_json(tmp_path / "config.json", LLAMA)
    setting = Setting(method, 1, 2048, recompute, 16, 2, "cuda", bits, offload, host)
    closed = estimate(read_shape(tmp_path / "config.json"), setting).peak
    assert closed == pytest.approx(trace(LLAMA, setting).peak, rel=0.02)


def test_a_step_of_the_7b_shape_is_traced_without_its_weights() -> None:
    path = shape_file("qwen2.5-coder-7b")
    setting = Setting("qlora", 1, 4096, 26, 16, 2, "cuda", 32, True, True)
    traced = trace(json.loads(path.read_text()), setting).peak
    assert traced == pytest.approx(estimate(read_shape(path), setting).peak, rel=0.01)
    assert traced < 6400 * 2**20


@pytest.mark.parametrize(("method", "bits", "recompute"), [("qlora", 32, 1), ("full", 8, 2), ("full", 4, 0)])
def test_the_trace_is_what_the_allocator_hands_out_in_a_real_step(
    tmp_path: Path, method: Any, bits: int, recompute: int
) -> None:
    folder = tiny_model(tmp_path / "model", vocab=4000)
    optimizer: Any = f"adamw{bits}".removesuffix("32")
    settings = TrainSettings(
        method=method, optimizer=optimizer, recompute=recompute, batch_size=1, device="cpu"
    )
    steps = make_steps(prepare(folder, settings, 0), settings, (), 0, 0)
    assert isinstance(steps, LoraSteps | FullSteps)
    ids = torch.arange(96) % 64
    batch = Packed(ids, torch.arange(96), Documents((96,), torch.tensor([0, 96])), torch.arange(96), ids)
    steps.run([batch], 1.0, 1e-4)
    gc.collect()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        steps.run([batch], 1.0, 1e-4)
    sizes = [e.nbytes() for e in recorded.profiler.kineto_results.events() if e.name() == "[memory]"]
    real = max(accumulate(sizes))
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    traced = trace(config, Setting(method, 1, 96, recompute, 16, 4, "cpu", bits), unit=1)
    own = sum(t.nbytes for t in (batch.ids_T, batch.positions_T, batch.documents.starts, batch.scored_N))
    assert traced.peak - traced.static - own == pytest.approx(real, rel=0.01)
