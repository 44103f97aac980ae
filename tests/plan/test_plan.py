"""The plan's arithmetic against measured facts and real tensors."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

from codefit.core.errors import InputError, MissingPrerequisite
from codefit.core.files import read_json, write_json
from codefit.core.recipe import ModelSettings, TrainSettings
from codefit.core.units import MIB
from codefit.models.start import check_model, shape_file, start_model
from codefit.plan.memory import _plain, estimate
from codefit.plan.search import Wish, plan
from codefit.plan.setting import Setting
from codefit.plan.shape import read_shape

SHAPE_1_5B = read_shape(shape_file("Qwen/Qwen2.5-Coder-1.5B-Instruct"))


def setting(**changes: object) -> Setting:
    base: dict[str, object] = {"method": "lora", "micro_batch": 1, "max_length": 2048, "recompute": 28,
                               "rank": 16, "element": 2, "device": "cuda"}  # fmt: skip
    return Setting(**{**base, **changes})  # type: ignore[arg-type]


def test_the_exact_shape_counts_its_published_parameters() -> None:
    assert SHAPE_1_5B.parameters == 1_543_714_304
    assert SHAPE_1_5B.lora_parameters(16) == 18_464_768


@pytest.mark.parametrize("tied", [True, False])
def test_parameters_equal_those_of_the_real_module(tmp_path: Path, tied: bool) -> None:
    fields = {**read_json(shape_file("qwen2-tiny")), "vocab_size": 500, "tie_word_embeddings": tied}
    write_json(tmp_path / "config.json", fields)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**fields))
    shape = read_shape(tmp_path / "config.json")
    assert shape.parameters == sum(p.numel() for p in model.parameters())
    peft = get_peft_model(model, LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM"))
    assert shape.lora_parameters(8) == sum(p.numel() for p in peft.parameters() if p.requires_grad)


@pytest.mark.parametrize(("tokens", "recompute", "traced_mb"), [(1024, 28, 3921), (1024, 0, 6967)])
def test_the_closed_form_is_near_the_traced_peak_of_float32_adapters(
    tokens: int, recompute: int, traced_mb: float
) -> None:
    """Traced live storages of the 1.5B step in 10^6 bytes, with the logits of a 256-row chunk."""
    found = _plain(SHAPE_1_5B, setting(max_length=tokens, recompute=recompute))
    live = sum(v for k, v in found.components.items() if k not in ("slack", "context"))
    assert live / 1e6 == pytest.approx(traced_mb, rel=0.03)


def test_more_tokens_or_no_recomputing_never_take_less() -> None:
    for recompute in (28, 14, 0):
        peaks = [
            estimate(SHAPE_1_5B, setting(max_length=t, recompute=recompute)).peak for t in (256, 512, 4096)
        ]
        assert peaks == sorted(peaks)
    on, off = (estimate(SHAPE_1_5B, setting(recompute=r)).peak for r in (28, 0))
    assert on < off


def test_the_chosen_setting_is_the_fastest_that_fits() -> None:
    wish = Wish("lora", 2048, 16, 16, 2, "cuda")
    found = plan(SHAPE_1_5B, wish, 7000 * MIB)
    assert found.fits
    assert found.chosen.peak <= 7000 * MIB
    for other in found.rejected:
        fits = other["peak_mb"] <= 7000
        assert ("slower" in other["why"] or "more memory" in other["why"]) == fits
    wide = plan(SHAPE_1_5B, wish, 24_000 * MIB)
    assert wide.tokens_per_s is not None
    assert found.tokens_per_s is not None
    assert wide.tokens_per_s >= found.tokens_per_s


def test_full_tuning_with_classic_adam_does_not_fit_8_gb() -> None:
    found = plan(SHAPE_1_5B, Wish("full", 1024, 16, 16, 2, "cuda"), 7000 * MIB)
    assert not found.fits
    assert found.chosen.peak > 12_000 * MIB


def test_a_cpu_is_planned_but_not_bound_by_the_budget() -> None:
    found = plan(SHAPE_1_5B, Wish("full", 1024, 16, 16, 4, "cpu"), 7000 * MIB)
    assert found.fits
    assert found.to_json(None)["enforced"] is False
    assert found.tokens_per_s is None


@pytest.mark.parametrize("content", ['{"model_type": "gpt2"}', '{"model_type": "qwen2"}', "[]", "{"])
def test_configs_that_cannot_be_planned_are_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(InputError):
        read_shape(tmp_path / "config.json")


@pytest.mark.parametrize(
    ("key", "value"),
    [("num_attention_heads", 0), ("num_hidden_layers", 0), ("num_hidden_layers", float("inf")),
     ("hidden_size", 2**40), ("vocab_size", True), ("intermediate_size", "512"), ("num_key_value_heads", 0),
     ("hidden_size", 1)],
)  # fmt: skip
def test_a_shape_that_no_model_can_have_is_one_line(tmp_path: Path, key: str, value: object) -> None:
    fields = {**read_json(shape_file("qwen2-tiny")), key: value}
    (tmp_path / "config.json").write_text(json.dumps(fields))
    with pytest.raises(InputError, match=r"config\.json: .* is not a whole number"):
        read_shape(tmp_path / "config.json")


def test_a_huge_batch_is_planned_at_once_and_an_impossible_one_refused() -> None:
    found = plan(SHAPE_1_5B, Wish("lora", 1024, 10**9, 16, 2, "cuda"), 7000 * MIB)
    assert found.fits
    assert 10**9 % found.chosen.setting.micro_batch == 0
    with pytest.raises(InputError, match="batch_size"):
        plan(SHAPE_1_5B, Wish("lora", 1024, 10**400, 16, 2, "cuda"), 7000 * MIB)


def test_a_start_model_that_cannot_be_had_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    for settings in (
        ModelSettings(name="~nosuch/model"),
        ModelSettings(name=str(tmp_path)),
        ModelSettings(name="random:qwen2-tiny"),
        ModelSettings(name="random:qwen2-tiny", tokenizer=str(tmp_path / "none")),
        ModelSettings(name="random:qwen9-tiny", tokenizer=str(tmp_path)),
    ):
        with pytest.raises(InputError):
            check_model(settings)
        with pytest.raises(InputError):
            start_model(settings, tmp_path / "made", 0)
    assert not (tmp_path / "made").exists()
    check_model(ModelSettings(name="micro"))


def test_a_random_model_without_torch_names_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPrerequisite, match="pip install torch"):
        start_model(ModelSettings(name="random:qwen2-tiny", tokenizer=str(tmp_path)), tmp_path, 0)


GPU = json.loads((Path(__file__).parents[2] / "benchmarks" / "results" / "gpu.json").read_text())["runs"]
GPU_STEPS = [
    n for n, r in GPU.items() if "allocated_mib" in r and "method" in r and r["shape"].endswith("1.5b")
]


@pytest.mark.parametrize("name", GPU_STEPS)
def test_the_closed_form_is_near_what_a_gpu_took(name: str) -> None:
    """Measured on an H100 under the memory of an 8 GB card; its cuBLAS workspaces are 2 x 32 MiB."""
    run = GPU[name]
    graphs = run.get("graphs", False)
    found = estimate(SHAPE_1_5B, setting(
        method=run["method"], max_length=run["tokens"], recompute=run["recompute"], bits=run.get("bits", 32),
        offload=run.get("offload", False), graphs=graphs,
    ))  # fmt: skip
    slack = found.components["slack"] / MIB
    allocated = (found.peak - found.components["context"]) / MIB - slack + 64
    if graphs:  # what they use is not counted as allocated while they run
        assert allocated + slack == pytest.approx(run["reserved_mib"], rel=0.02)
        return
    assert allocated == pytest.approx(run["allocated_mib"], rel=0.005)
    assert abs(run["reserved_mib"] - run["allocated_mib"] - slack) < 50


def test_full_tuning_of_1_5b_fits_8_gb_with_few_bits() -> None:
    for bits, tokens, offload in ((8, 2048, False), (8, 2048, True), (4, 4096, False)):
        wish = Wish("full", tokens, 1, 16, 2, "cuda", bits=bits, offload=offload)
        found = plan(SHAPE_1_5B, wish, 7000 * MIB)
        assert found.fits
        assert found.chosen.setting.bits == bits
        assert found.to_json(None)["seen_on_gpu"] is True


def test_only_as_many_layers_are_recomputed_as_the_budget_asks_for() -> None:
    budgets = (4700, 5500, 6200, 7000)
    chosen = [plan(SHAPE_1_5B, Wish("lora", 2048, 1, 16, 2, "cuda"), b * MIB).chosen for b in budgets]
    counts = [c.setting.recompute for c in chosen]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 0
    assert counts[0] > counts[1] > counts[2]
    for c, budget in zip(chosen, budgets, strict=True):
        assert c.peak <= budget * MIB
        fewer = setting(recompute=c.setting.recompute - 1)
        assert c.setting.recompute == 0 or estimate(SHAPE_1_5B, fewer).peak > budget * MIB


def test_a_fused_step_is_planned_with_the_whole_batch_in_one_pass() -> None:
    found = plan(SHAPE_1_5B, Wish("full", 2048, 4, 16, 2, "cuda", bits=8), 7000 * MIB)
    assert found.chosen.setting.micro_batch == 4
    assert not found.fits


def test_a_tied_embedding_is_not_planned_into_the_host_s_memory() -> None:
    wish = Wish("qlora", 2048, 16, 16, 2, "cuda", host_embedding=True)
    with pytest.raises(InputError, match="also the head"):
        plan(SHAPE_1_5B, wish, 7000 * MIB)


@pytest.mark.parametrize(
    ("given", "why"),
    [({"method": "full"}, "frozen embedding"), ({"develop": {"suite": "micro-dev"}}, "development set")],
)
def test_an_embedding_moves_only_where_nothing_else_needs_it(given: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        TrainSettings.model_validate({"method": "qlora", "host_embedding": True, **given})


@pytest.mark.parametrize("changes", [{}, {"method": "full", "bits": 8}, {"device": "cpu", "element": 4}])
def test_every_phase_is_told_whole_and_the_largest_one_is_the_peak(changes: dict[str, object]) -> None:
    found = estimate(SHAPE_1_5B, setting(**changes))
    sums = {name: sum(parts.values()) for name, parts in found.phases.items()}
    assert max(sums, key=lambda name: sums[name]) == found.phase
    assert found.phases[found.phase] == found.components
    assert len(sums) > 1
    assert all(parts["weights"] > 0 for parts in found.phases.values())


def test_recorded_layers_are_planned_with_what_they_keep_and_nothing_on_the_host() -> None:
    usual, recorded = (
        plan(SHAPE_1_5B, Wish("lora", 2048, 1, 16, 2, "cuda", graphs=graphs), 7900 * MIB).chosen
        for graphs in (False, True)
    )
    assert 100 < (recorded.peak - usual.peak) / MIB < 250
    tight = Wish("lora", 2048, 1, 16, 2, "cuda", recompute=True, graphs=True)
    needed = plan(SHAPE_1_5B, tight, 9000 * MIB).chosen.peak
    assert not plan(SHAPE_1_5B, tight, int(needed) - MIB).fits


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"method": "full"}, "full tuning"),
        ({"offload": True}, "remove offload"),
        ({"engine": "trl"}, "cuda_graphs"),
        ({"dtype": "float32"}, "float32"),
    ],
)
def test_cuda_graphs_are_refused_where_they_cannot_be(more: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        TrainSettings(cuda_graphs=True, **more)
