"""Moments of few bits, stochastic rounding, and steps inside the backward pass."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor
from transformers import AutoModelForCausalLM

from codefit.core.recipe import TrainSettings
from codefit.plan.lean import BLOCK
from codefit.train.batch import concatenate
from codefit.train.fused import FusedSteps
from codefit.train.kernels import score_, swiglu, swiglu_backward_
from codefit.train.lean import LeanModel, full_layers
from codefit.train.lowbit import LowBitAdam, dequantise, quantise, random_bits, round_stochastically
from tests.train.tiny import random_examples, tiny_model

EXAMPLES = random_examples(9)
BINS = [[0, 1, 2], [3, 4], [5, 6, 7, 8]]


@pytest.mark.parametrize(
    ("bits", "signed", "bound"), [(8, True, 0.02), (8, False, 0.02), (4, True, 0.2), (4, False, 0.2)]
)
def test_quantised_values_are_right_on_average_and_near_each_time(
    bits: int, signed: bool, bound: float
) -> None:
    torch.manual_seed(0)
    x = torch.randn(200, BLOCK[bits]) * torch.logspace(-2, 0, BLOCK[bits])
    x = x if signed else x.square()
    total, worst = torch.zeros_like(x), 0.0
    for _ in range(400):
        codes, scale = quantise(x, torch.rand_like(x), bits, signed=signed)
        assert codes.dtype == torch.uint8
        assert codes.numel() == x.numel() * bits // 8
        found = dequantise(codes, scale, bits, signed=signed)
        worst = max(worst, float(((found - x).abs() / scale).max()))
        total += found
    assert worst <= {8: 0.016, 4: 0.28}[bits]  # of the block's largest: the widest gap between two levels
    rough = x.abs() > (0.0 if signed else 1e-4) * x.abs().amax(-1, keepdim=True)
    bias = (total / 400 - x)[rough].abs().mean() / x[rough].abs().mean()
    assert bias < bound


def test_a_second_moment_is_never_zero_unless_its_whole_block_is() -> None:
    x = torch.zeros(2, 256)
    x[0, 3] = 1.0
    codes, scale = quantise(x, torch.full_like(x, 0.999), 8, signed=False)
    found = dequantise(codes, scale, 8, signed=False)
    assert (found[0] > 0).all()
    assert (found[1] == 0).all()


def test_stochastic_rounding_keeps_the_mean_and_exact_values() -> None:
    noise = random_bits(torch.tensor(7), torch.tensor(0), (1000, 256)).view(-1)
    for value in (1.001, -3.3337, 1e-20, 65_504.5):
        x = torch.full((256_000,), value)
        found = round_stochastically(x, (noise & 65535).to(torch.int32)).double()
        assert found.mean().item() == pytest.approx(value, rel=2e-5)
        assert len(found.unique()) == 2
    exact = torch.tensor([0.0, 1.0, -2.5]).repeat(100)
    assert torch.equal(
        round_stochastically(exact, torch.full((300,), 65535, dtype=torch.int32)).float(), exact
    )


@settings(max_examples=20, deadline=None)
@given(key=st.integers(0, 2**32 - 1), start=st.integers(0, 2**28))
def test_random_bits_are_uniform_and_do_not_depend_on_where_a_range_begins(key: int, start: int) -> None:
    bits = random_bits(torch.tensor(key), torch.tensor(start), (64, 256))
    assert ((bits >= 0) & (bits < 2**32)).all()
    for shift in (0, 8, 16, 24):
        assert abs(((bits >> shift) & 255).double().mean().item() - 127.5) < 4
    later = random_bits(torch.tensor(key), torch.tensor(start + 256 * 3), (4, 256))
    assert torch.equal(bits[3:7], later)


@pytest.mark.parametrize("bits", [8, 4])
def test_a_thousand_tiny_updates_move_a_bfloat16_weight_as_they_move_a_float32_one(bits: int) -> None:
    grads = torch.ones(4096)
    moved = {}
    for dtype in (torch.float32, torch.bfloat16):
        weight = torch.ones(4096, dtype=dtype)
        adam = LowBitAdam({"w": weight}, bits=bits)
        for _ in range(1000):
            adam.begin(1e-6)  # a bfloat16 near 1 steps by 4e-3: nearest rounding would never move it
            adam.update("w", grads.to(dtype))
        moved[dtype] = 1 - weight.double().mean().item()
    assert moved[torch.float32] == pytest.approx(1e-3, rel=0.05)
    assert moved[torch.bfloat16] == pytest.approx(moved[torch.float32], rel=0.15)


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("size", [1, 127, 256, 1000, 4097])
def test_odd_sizes_step_every_value_and_any_division_gives_the_same(bits: int, size: int) -> None:
    torch.manual_seed(size)
    grads = [torch.randn(size) for _ in range(3)]
    found = []
    for parts in (1, 2):
        weight = torch.zeros(size)
        adam = LowBitAdam({"w": weight}, bits=bits, seed=3)
        cut = size // 2 // adam.block * adam.block if parts == 2 else 0
        for grad in grads:
            adam.begin(1e-2)
            for at, part in ((0, grad[:cut]), (cut, grad[cut:])):
                if len(part):
                    adam.update("w", part, at)
        found.append(weight)
        assert (weight != 0).all()
    assert torch.equal(found[0], found[1])


@pytest.mark.parametrize("bits", [8, 4])
def test_low_bit_adam_learns_as_adam_does(bits: int) -> None:
    torch.manual_seed(1)
    x, target = torch.randn(512, 64), torch.randn(64, 32)
    y = torch.tanh(x @ target)

    def final(low: bool) -> float:
        torch.manual_seed(2)
        net = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.Tanh(), torch.nn.Linear(256, 32))
        if low:
            net = net.to(torch.bfloat16)
        parameters = dict(net.named_parameters())
        adam = torch.optim.Adam(net.parameters(), lr=1e-3)
        ours = LowBitAdam({n: p.detach() for n, p in parameters.items()}, bits=bits)
        for s in range(400):
            rows = torch.randint(0, 512, (128,), generator=torch.Generator().manual_seed(s))
            loss = (net(x[rows].to(next(net.parameters()).dtype)).float() - y[rows]).square().mean()
            net.zero_grad()
            loss.backward()
            if low:
                ours.begin(1e-3)
                for name, p in parameters.items():
                    assert p.grad is not None
                    ours.update(name, p.grad)
            else:
                adam.step()
        return float((net.float()(x) - y).detach().square().mean())

    assert final(low=True) < 1.15 * final(low=False)


def test_a_state_of_other_parameters_or_bits_is_refused() -> None:
    eight, four = (LowBitAdam({"w": torch.zeros(256)}, bits=b) for b in (8, 4))
    with pytest.raises(ValueError, match="other parameters or another number of bits"):
        four.load_state_dict(eight.state_dict())
    with pytest.raises(ValueError, match="8 or 4 bits"):
        LowBitAdam({"w": torch.zeros(256)}, bits=3)


class Exact:
    """Stands where the optimizer does and keeps the gradients that it is given."""

    block = 8

    def __init__(self, parameters: dict[str, Tensor]) -> None:
        self.parameters = parameters
        self.found = {n: torch.zeros_like(p).view(-1) for n, p in parameters.items()}

    def begin(self, rate: float) -> None:
        """Do nothing."""

    def update(self, name: str, grad: Tensor, start: int = 0) -> None:
        """Keep a gradient."""
        self.found[name][start : start + grad.numel()] += grad.reshape(-1)


def autograd_of(model: Any, scale: float) -> dict[str, Tensor]:
    """Return all gradients by autograd alone, through the same layers and a plain loss."""
    batch = concatenate(EXAMPLES, BINS, "cpu")
    x = torch.nn.functional.embedding(batch.ids_T, model.model.embed_tokens.weight)
    cos, sin = model.model.rotary_emb(x[None], batch.positions_T[None])
    half = cos.shape[-1] // 2
    for layer in full_layers(model):
        x = layer.forward(x, cos[0, :, None, :half], sin[0, :, None, :half], batch.documents)
    norm = model.model.norm
    h = torch.nn.functional.rms_norm(x[batch.scored_N], norm.weight.shape, norm.weight, norm.variance_epsilon)
    logits = h @ model.lm_head.weight.T
    (torch.nn.functional.cross_entropy(logits, batch.targets_N, reduction="sum") * scale).backward()
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("vocab", [64, 5000])
def test_the_deferred_head_and_every_fused_gradient_are_those_of_autograd(
    tmp_path: Path, tied: bool, vocab: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codefit.train.fused.TABLE_LOGITS", 1 << 14)  # several blocks of the vocabulary
    folder = tiny_model(tmp_path / "m", tied=tied, vocab=vocab)
    model = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float64)
    expected = autograd_of(copy.deepcopy(model), 0.1)
    parameters = dict(model.named_parameters())
    exact = Exact({n: p.detach() for n, p in parameters.items()})
    tables = {"model.embed_tokens.weight"} | (set() if tied else {"lm_head.weight"})
    fused = FusedSteps(parameters, exact, tables)  # type: ignore[arg-type]
    fused.begin(1.0)
    result = LeanModel(model, full_layers(model), recompute=1, chunk=7).forward_backward(
        concatenate(EXAMPLES, BINS, "cpu"), 0.1
    )
    assert all(p.grad is None for p in model.parameters())
    fused.step_table("model.embed_tokens.weight", result.head if tied else None, result.lookup)
    if not tied:
        fused.step_table("lm_head.weight", result.head, None)
    for name, gradient in expected.items():
        torch.testing.assert_close(exact.found[name].view(gradient.shape), gradient, rtol=1e-12, atol=1e-13)
    norm = torch.sqrt(
        sum((g.square().sum() for g in expected.values()), torch.zeros((), dtype=torch.float64))
    )
    assert fused.norm() == pytest.approx(norm.item(), rel=1e-5)


def test_fused_steps_end_with_the_weights_of_steps_after_the_backward_pass(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "m")
    inside = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.bfloat16)
    after = copy.deepcopy(inside)
    batch = concatenate(EXAMPLES, BINS, "cpu")
    table = "model.embed_tokens.weight"
    adams = []
    for model in (inside, after):
        adams.append(LowBitAdam({n: p.detach() for n, p in model.named_parameters()}, bits=8, seed=5))
    fused = FusedSteps(dict(inside.named_parameters()), adams[0], {table})
    for _ in range(3):
        fused.begin(1e-3)
        result = LeanModel(inside, full_layers(inside), recompute=2).forward_backward(batch, 0.1)
        fused.step_table(table, result.head, result.lookup)
        adams[1].begin(1e-3)
        kept = LeanModel(after, full_layers(after), recompute=0).forward_backward(batch, 0.1)
        tables = FusedSteps({table: after.get_parameter(table)}, adams[1], {table})
        tables.step_table(table, kept.head, kept.lookup)
        for name, parameter in after.named_parameters():
            if parameter.grad is not None:
                adams[1].update(name, parameter.grad)
                parameter.grad = None
    for (name, a), b in zip(inside.named_parameters(), after.parameters(), strict=True):
        assert torch.equal(a, b), name
    assert inside.lm_head.weight.data_ptr() == inside.model.embed_tokens.weight.data_ptr()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fused_kernels_equal_the_plain_functions(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    gate, up, grad = (torch.randn(6, 16, dtype=dtype) for _ in range(3))
    g, u = (t.clone().float().requires_grad_() for t in (gate, up))
    out = torch.nn.functional.silu(g) * u
    out.backward(grad.float())
    tolerance = {"rtol": 2e-2, "atol": 2e-2} if dtype == torch.bfloat16 else {"rtol": 1e-5, "atol": 1e-6}
    torch.testing.assert_close(swiglu(gate, up).float(), out.detach(), **tolerance)
    swiglu_backward_(grad, gate, up)
    torch.testing.assert_close((gate.float(), up.float()), (g.grad, u.grad), **tolerance)
    logits, targets = torch.randn(5, 40, dtype=dtype), torch.randint(0, 40, (5, 1))
    x = logits.clone().float().requires_grad_()
    expected = torch.nn.functional.cross_entropy(x, targets[:, 0], reduction="none")
    (expected.sum() * 0.25).backward()
    loss, lse = score_(logits, targets, 0.25)
    torch.testing.assert_close(loss[:, 0], expected.detach(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(lse[:, 0], x.detach().logsumexp(-1), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(logits.float(), x.grad, **tolerance)


@pytest.mark.parametrize(
    ("given_settings", "reason"),
    [({"method": "lora"}, "is for method full"), ({"max_grad_norm": 1.0}, "before the global gradient norm is known"),
     ({"batch_size": 4, "micro_batch": 2}, "no gradients to accumulate")],
)  # fmt: skip
def test_what_few_bits_cannot_do_is_refused_with_the_reason(
    given_settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValidationError, match=reason):
        TrainSettings(**{"method": "full", "optimizer": "adamw8", **given_settings})
    assert TrainSettings(method="full", optimizer="adamw4", dtype="bfloat16").bits == 4
