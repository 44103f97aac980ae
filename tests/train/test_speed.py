"""Speed and memory: the stated formula, the card's peak by its name, the plan against the measurement."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from codefit.core.progress import silent
from codefit.core.recipe import TrainSettings
from codefit.plan.cards import peak_tflops
from codefit.plan.shape import Shape, read_shape
from codefit.train.loop import train
from codefit.train.speed import Meter, model_flops, summary
from tests.train.test_trajectory import make_job
from tests.train.tiny import tiny_model

SHAPE = Shape(
    hidden=8, layers=3, heads=2, kv_heads=1, head_dim=4, ffn=16, vocab=50, tied=True, attention_bias=True
)


@pytest.mark.parametrize(("method", "passes"), [("full", 3), ("lora", 2)])
def test_model_flops_are_6n_or_4n_and_the_attention_of_each_document(method: str, passes: int) -> None:
    lengths = [10, 3, 7]
    n = 3 * SHAPE.layer + 50 * 8
    attention = sum(2 * 3 * 8 * t * t for t in lengths)
    assert model_flops(SHAPE, method, lengths) == pytest.approx(passes * (2 * n * sum(lengths) + attention))
    # Packed into one sequence, documents that do not see each other cost no more.
    assert model_flops(SHAPE, method, [20]) > model_flops(SHAPE, method, [10, 10])


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989.4),
        ("NVIDIA H100 PCIe", 756.0),
        ("NVIDIA H200", 989.4),
        ("NVIDIA A100-SXM4-40GB", 312.0),
        ("NVIDIA GeForce RTX 4060", 30.23),
        ("NVIDIA GeForce RTX 4060 Ti", 44.1),
        ("NVIDIA GeForce RTX 4060 Laptop GPU", None),
        ("NVIDIA GeForce RTX 4070 SUPER", None),
        ("Tesla T4", None),
        ("", None),
    ],
)
def test_a_card_is_known_by_its_whole_name(name: str, peak: float | None) -> None:
    assert peak_tflops(name) == peak


def test_mfu_is_the_share_of_the_peak(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    meter = Meter(tiny_model(tmp_path / "m"), TrainSettings(), torch.zeros(2, 2))
    assert meter.step([100], 0.5) == {"tokens_per_s": 200.0, "mfu": None, "peak_mb": None}
    meter._peak, meter._shape = 1e-6, read_shape(tmp_path / "m" / "config.json")
    flops = model_flops(meter._shape, "lora", [100, 20])
    assert meter.step([100, 20], 2.0)["mfu"] == pytest.approx(flops / 2.0 / 1e6, rel=1e-3)


def test_the_measured_peak_stands_beside_the_planned_one() -> None:
    log = [{"tokens_per_s": float(s), "mfu": None, "peak_mb": 100.0 + s} for s in (1, 5, 3)]
    found = summary(log, 100.0)
    assert found["memory"] == {"measured_mb": 105.0, "planned_mb": 100.0, "difference_percent": 5.0}
    assert found["speed"]["tokens_per_s"] == 3.0
    assert summary([], None)["memory"] == {
        "measured_mb": None,
        "planned_mb": None,
        "difference_percent": None,
    }


def test_a_cpu_has_no_peak_and_says_so_with_null(tmp_path: Path) -> None:
    job = make_job(tiny_model(tmp_path / "start"), planned_mb=12.5)
    found = train(job, tmp_path / "a", "x", silent)
    assert found["memory"] == {"measured_mb": None, "planned_mb": 12.5, "difference_percent": None}
    assert found["speed"]["mfu"] is None
    assert found["speed"]["tokens_per_s"] > 0
