"""The chunked loss is the plain loss, in value and in both gradients."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from codefit.train.loss import chunked_cross_entropy


@settings(max_examples=40, deadline=None)
@given(rows=st.integers(1, 40), chunk=st.integers(1, 50), seed=st.integers(0, 1000))
def test_equals_plain_cross_entropy_for_any_chunk(rows: int, chunk: int, seed: int) -> None:
    torch.manual_seed(seed)
    hidden = torch.randn(rows, 8, dtype=torch.float64, requires_grad=True)
    head = torch.randn(17, 8, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(0, 17, (rows,))
    plain = F.cross_entropy(hidden @ head.T, labels, reduction="sum")
    expected = torch.autograd.grad(plain * 0.3, (hidden, head))
    chunked = chunked_cross_entropy(hidden, head, labels, chunk)
    found = torch.autograd.grad(chunked * 0.3, (hidden, head))
    assert chunked.item() == pytest.approx(plain.item(), rel=1e-12)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_a_frozen_head_gets_no_gradient() -> None:
    hidden = torch.randn(5, 8, requires_grad=True)
    head = torch.randn(17, 8)
    chunked_cross_entropy(hidden, head, torch.zeros(5, dtype=torch.int64), 2).backward()
    assert hidden.grad is not None
    assert head.grad is None


def test_no_scored_position_gives_zero_and_finite_gradients() -> None:
    hidden = torch.randn(0, 8, requires_grad=True)
    head = torch.randn(17, 8, requires_grad=True)
    loss = chunked_cross_entropy(hidden, head, torch.zeros(0, dtype=torch.int64))
    loss.backward()
    assert loss.item() == 0.0
    assert head.grad is not None
    assert head.grad.abs().sum() == 0


def test_a_chunk_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="chunk"):
        chunked_cross_entropy(torch.randn(1, 2), torch.randn(3, 2), torch.zeros(1, dtype=torch.int64), 0)
