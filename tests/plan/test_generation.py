"""The plan of generation: its arithmetic, and that real memory stays below it."""

from __future__ import annotations

import json
import random
from itertools import accumulate
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch.profiler import ProfilerActivity, profile
from transformers import Qwen2Config, Qwen2ForCausalLM

from codefit.cli.plan import plan
from codefit.core.units import MIB
from codefit.generate.engine import TransformersEngine, footprint_of
from codefit.generate.types import Decoding, Request
from codefit.models.start import shape_file
from codefit.plan.generation import footprint, plan_generation
from codefit.plan.shape import read_shape
from tests.format.words import byte_tokenizer

BIG = read_shape(shape_file("qwen2.5-coder-1.5b"))
BIGGER = read_shape(shape_file("qwen2.5-coder-7b"))


def planned(weights: str = "plain", shape: Any = BIG, budget: int = 7000, **changes: Any) -> Any:
    wish = {"tokens": 812, "device": "cuda", "greedy": True, **changes}
    return plan_generation(footprint(shape, weights, 2), budget=budget * MIB, **wish)


def test_a_token_of_the_1_5b_model_takes_28_kib_and_the_batch_fills_the_budget() -> None:
    found = planned()
    assert footprint(BIG, "plain", 2).key_values == 28 * 1024
    assert found.columns == 816
    assert found.components["keys and values"] == found.sequences * 816 * 28 * 1024
    assert found.fits
    assert found.sequences > 100
    more = plan_generation(
        footprint(BIG, "plain", 2), tokens=812, budget=10**12, device="cuda", greedy=True,
        most=found.sequences + 1,
    )  # fmt: skip
    fixed = more.peak - more.components["prompts"] + found.components["prompts"]
    assert fixed > found.budget


def test_four_bits_bring_7b_under_8_gb_and_sixteen_do_not() -> None:
    assert not planned(shape=BIGGER).fits
    assert planned("nf4", BIGGER).fits
    assert not planned("int8", BIGGER).fits
    assert planned("nf4").sequences > planned("int8").sequences > planned().sequences


def test_an_upper_bound_and_sampling_are_heeded() -> None:
    assert planned(most=5).sequences == 5
    assert planned(greedy=False).components["logits"] > planned().components["logits"]


@pytest.mark.parametrize("decoding", [Decoding(24), Decoding(24, temperature=0.9, top_p=0.9)])
def test_what_is_held_stays_below_the_plan_and_near_it(decoding: Decoding) -> None:
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=3000, hidden_size=64, intermediate_size=160, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, eos_token_id=2, pad_token_id=0, bos_token_id=None,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config).eval()
    draw = random.Random(0)
    requests = [
        Request(f"t{i}", tuple(draw.randrange(260) for _ in range(draw.randint(60, 100)))) for i in range(40)
    ]
    engine = TransformersEngine(
        model,
        byte_tokenizer(),
        end_id=258,
        decoding=decoding,
        memory=footprint_of(model).weights + 7 * MIB // 2,
    )
    plan = engine.plan(requests)
    assert 4 < plan.sequences < 40
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        answered = sum(len(batch) for batch in engine.complete(requests))
    sizes = [e.nbytes() for e in recorded.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = max(accumulate(sizes))
    expected = plan.peak - plan.components["weights"]
    assert answered == 40
    assert 0.75 * expected < held <= expected


def test_the_plan_says_what_the_hours_of_sampling_ask_for_and_the_recipe_fills_the_card() -> None:
    runner = CliRunner()
    found = json.loads(runner.invoke(plan, ["qwen2.5-coder-1.5b-8gb", "--json"]).stdout)
    sampling = found["sampling"]
    assert (sampling["answers"], sampling["max_new_tokens"], sampling["hours"]) == (48_000, 512, 6.0)
    assert sampling["tokens_per_s"] == round(48_000 * 512 / (6 * 3600))
    assert sampling["fits"]
    one_more = (1024 + 512) * 28 * 1024 / MIB
    assert 7000 - 2 * one_more < sampling["peak_mb"] <= 7000  # nothing but the memory bounds it
    shown = runner.invoke(plan, ["qwen2.5-coder-1.5b-8gb"]).stdout
    assert "48,000 answers of up to 512 tokens in at most 6 h: all of them from 1,138 tokens/s on" in shown
    assert "sampling" not in json.loads(runner.invoke(plan, ["micro-demo", "--json"]).stdout)
