"""Figures of held-out rows: exact against full logits, per source, on both ways to run a step."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import PeftModel
from transformers import AutoModelForCausalLM

from codefit.core.progress import silent
from codefit.train import loop
from codefit.train.divergence import kl_divergence, token_losses
from codefit.train.held_out import HeldOut, look
from codefit.train.loop import train
from codefit.train.steps import LoraSteps, make_steps
from tests.train.test_trajectory import make_job
from tests.train.tiny import PAD, random_examples, tiny_model

HELD = [replace(e, source="abc"[i % 3]) for i, e in enumerate(random_examples(8, seed=99))]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "start")


@settings(max_examples=40, deadline=None)
@given(n=st.integers(0, 9), vocab=st.integers(2, 40), chunk=st.integers(1, 12), spread=st.floats(0, 30))
def test_chunks_give_what_full_logits_give(n: int, vocab: int, chunk: int, spread: float) -> None:
    torch.manual_seed(n * 100 + vocab)
    start, tuned = torch.randn(2, n, 5).mul(spread)
    head, targets = torch.randn(vocab, 5), torch.randint(vocab, (n,))
    p, q = (start @ head.T).log_softmax(-1), (tuned @ head.T).log_softmax(-1)
    wanted = F.kl_div(q, p, log_target=True, reduction="none").sum(-1)
    torch.testing.assert_close(kl_divergence(start, tuned, head, chunk), wanted, rtol=1e-4, atol=1e-4)
    losses = F.cross_entropy(tuned @ head.T, targets, reduction="none")
    torch.testing.assert_close(token_losses(tuned, head, targets, chunk), losses, rtol=1e-4, atol=1e-4)


def test_the_divergence_has_its_direction_and_is_zero_from_oneself() -> None:
    head = torch.eye(2)
    start, tuned = torch.tensor([[math.log(0.9), math.log(0.1)]]), torch.tensor([[math.log(0.5)] * 2])
    wanted = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    assert kl_divergence(start, tuned, head).item() == pytest.approx(wanted, rel=1e-5)
    assert kl_divergence(tuned, tuned, head).item() == 0.0


def full_logits(start: Path, tuned: Any) -> dict[str, tuple[float, float, int]]:
    """Return per source the summed loss, the summed KL and the trained tokens, by transformers and PEFT."""
    base = AutoModelForCausalLM.from_pretrained(str(start), dtype=torch.float32)
    sums: dict[str, tuple[float, float, int]] = {}
    for e in HELD:
        ids, labels = torch.tensor([e.token_ids]), torch.tensor(e.labels[1:])
        with torch.no_grad():
            p, q = (m(ids).logits[0, :-1][labels != -100].log_softmax(-1) for m in (base, tuned))
        loss = F.nll_loss(q, labels[labels != -100], reduction="sum").item()
        kl = F.kl_div(q, p, log_target=True, reduction="sum").item()
        old = sums.get(e.source, (0.0, 0.0, 0))
        sums[e.source] = (old[0] + loss, old[1] + kl, old[2] + len(q))
    return sums


@pytest.mark.parametrize("lean", [False, True])
def test_a_lora_run_logs_the_loss_per_source_and_the_divergence_from_its_start(
    model: Path, tmp_path: Path, lean: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lean:
        monkeypatch.setattr(loop, "make_steps", lambda t, s, examples, *rest: LoraSteps(t, s, examples))
    job = make_job(
        model, method="lora", validation=HELD, validation_rows=8, validate_every=4, learning_rate=0.02
    )
    summary = train(job, tmp_path / "a", "x", silent)
    tuned = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(str(model), dtype=torch.float32), str(tmp_path / "a" / "adapter")
    )
    wanted = full_logits(model, tuned)
    for source, (loss, _, tokens) in wanted.items():
        found = summary["val_loss_by_source"][source]
        assert found["loss"] == pytest.approx(loss / tokens, rel=1e-4)
        assert (found["tokens"], found["rows"]) == (tokens, sum(e.source == source for e in HELD))
    kl = sum(k for _, k, _ in wanted.values()) / sum(t for _, _, t in wanted.values())
    assert kl > 0.01
    assert summary["kl_to_start"] == pytest.approx(kl, rel=1e-3)
    log = [json.loads(line) for line in (tmp_path / "a" / "log.jsonl").read_text().splitlines()]
    looked = [e["step"] for e in log if "val_loss" in e]
    assert looked == [*[s for s in range(4, len(log), 4)], len(log)]
    assert log[-1]["val_loss"] == summary["val_loss"]


def test_full_tuning_has_no_start_model_to_compare_with(model: Path, tmp_path: Path) -> None:
    summary = train(make_job(model, validation=HELD), tmp_path / "a", "x", silent)
    assert summary["kl_to_start"] is None
    assert summary["val_loss"] is not None


@pytest.mark.parametrize("lean", [False, True])
def test_an_untrained_adapter_is_no_step_away_and_a_look_leaves_everything_as_it_was(
    model: Path, lean: bool
) -> None:
    job = make_job(model, method="lora")
    trainee = loop.prepare(job.model, job.settings, 0)
    steps = LoraSteps(trainee, job.settings, job.examples) if lean else make_steps(
        trainee, job.settings, job.examples, PAD, 0
    )  # fmt: skip
    before = {n: p.clone() for n, p in trainee.outer.named_parameters()}
    asked = {n: p.requires_grad for n, p in trainee.outer.named_parameters()}
    first = look(steps, HELD, 3)
    assert first.kl == pytest.approx(0.0, abs=1e-7)
    second = look(steps, HELD, 3)
    assert second == first
    assert trainee.outer.training
    for name, parameter in trainee.outer.named_parameters():
        assert torch.equal(parameter, before[name])
        assert parameter.requires_grad == asked[name]


def test_rows_without_a_source_are_one_group() -> None:
    seen = HeldOut((2.0, 4.0), (1, 3), ("all", "all"), None)
    assert seen.by_source() == {"all": {"loss": 1.5, "rows": 2, "tokens": 4}}
    assert seen.loss == 1.5
