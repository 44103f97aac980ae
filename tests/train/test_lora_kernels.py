"""The Triton kernels of a LoRA layer compute what their equations say; here in Triton's interpreter, without a GPU."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest

_CHECK = """
import torch
import torch.nn.functional as F

from codefit.train import lora_kernels as kernels

torch.manual_seed(0)
for tokens, width, rank in ((70, 200, 8), (33, 129, 16), (5, 300, 24), (1, 16, 40)):
    gate, up, grad = (torch.randn(tokens, width) for _ in range(3))
    t, s = torch.randn(tokens, 2 * rank), torch.randn(tokens, rank)
    b_gate, b_up, down = torch.randn(width, rank), torch.randn(width, rank), torch.randn(rank, width)
    whole_gate = (gate + t[:, :rank] @ b_gate.T).requires_grad_()
    whole_up = (up + t[:, rank:] @ b_up.T).requires_grad_()
    expected = F.silu(whole_gate) * whole_up
    expected.backward(grad + s @ down)
    before = gate.clone(), up.clone()
    torch.testing.assert_close(kernels.swiglu(gate, up, t, [b_gate, b_up]), expected)
    torch.testing.assert_close((gate, up), before)
    kernels.swiglu_backward_(grad, s, down, gate, up, t, [b_gate, b_up])
    torch.testing.assert_close((grad, gate, up), (expected, whole_gate.grad, whole_up.grad), rtol=1e-4, atol=1e-4)

x, cos, sin = torch.randn(9, 14, 64), torch.randn(9, 1, 32), torch.randn(9, 1, 32)
left, right = x[..., :32], x[..., 32:]
turned = torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1)
back = torch.cat([left * cos + right * sin, right * cos - left * sin], dim=-1)
for expected, way in ((turned, False), (back, True)):
    found = x.clone()
    kernels.rotate_(found[:, :12], cos, sin, back=way)  # the heads behind are not its own
    torch.testing.assert_close(found[:, :12], expected[:, :12])
    torch.testing.assert_close(found[:, 12:], x[:, 12:])
print("equal")
"""


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="needs triton")
def test_kernels_equal_their_equations_in_triton_s_interpreter() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _CHECK], capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "TRITON_INTERPRET": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "equal"
