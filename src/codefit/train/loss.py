"""Cross-entropy over the vocabulary head in row chunks; the full logits never exist.

For 1,024 tokens of a 151,936-word vocabulary the usual loss holds three float32 copies of the
logits, 1.87 GB. Here one chunk of rows at a time is multiplied, scored and differentiated, so
the extra memory is `3 * 4 * V * chunk` bytes and two buffers of the inputs' size.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from codefit.train.kernels import score_


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Sum of token losses; gradients are computed in the forward pass, as the logits are gone later."""

    @staticmethod
    def forward(ctx: Any, hidden_ND: Tensor, head_VD: Tensor, labels_N: Tensor, chunk: int) -> Tensor:
        needs_hidden, needs_head = ctx.needs_input_grad[:2]
        grad_hidden_ND = torch.empty_like(hidden_ND) if needs_hidden else None
        exact = torch.promote_types(hidden_ND.dtype, torch.float32)
        grad_head_VD = torch.zeros_like(head_VD, dtype=exact) if needs_head else None
        total = torch.zeros((), dtype=exact, device=hidden_ND.device)
        for start in range(0, hidden_ND.shape[0], chunk):
            h_CD = hidden_ND[start : start + chunk]
            y_C1 = labels_N[start : start + chunk, None]
            logits_CV = (h_CD @ head_VD.T).to(exact)
            norm_C1 = logits_CV.logsumexp(-1, keepdim=True)
            total += (norm_C1 - logits_CV.gather(1, y_C1)).sum()
            if not (needs_hidden or needs_head):
                continue
            grad_CV = logits_CV.sub_(norm_C1).exp_()
            grad_CV.scatter_add_(1, y_C1, torch.full_like(y_C1, -1.0, dtype=grad_CV.dtype))
            grad_CV = grad_CV.to(hidden_ND.dtype)
            if grad_hidden_ND is not None:
                grad_hidden_ND[start : start + chunk] = grad_CV @ head_VD
            if grad_head_VD is not None:
                grad_head_VD += (grad_CV.T @ h_CD).to(exact)
        ctx.grad_hidden_ND = grad_hidden_ND
        ctx.grad_head_VD = None if grad_head_VD is None else grad_head_VD.to(head_VD.dtype)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        # Scaled in place: a second copy of the head's gradient would be 445 MiB at 1.5B.
        scaled = [
            None if g is None else g.mul_(grads[0].to(g.dtype))
            for g in (ctx.grad_hidden_ND, ctx.grad_head_VD)
        ]
        return scaled[0], scaled[1], None, None


def chunked_cross_entropy(hidden_ND: Tensor, head_VD: Tensor, labels_N: Tensor, chunk: int = 256) -> Tensor:
    """Return the summed cross-entropy (natural log, float32 scalar) of N positions.

    `hidden_ND` are the last hidden states, `head_VD` the vocabulary head, `labels_N` token ids;
    ignored positions must be left out beforehand. Equal to `F.cross_entropy(..., reduction="sum")`
    in value and in both gradients.
    """
    if chunk < 1:
        raise ValueError("chunk must be at least 1")
    loss: Tensor = _ChunkedCrossEntropy.apply(hidden_ND, head_VD, labels_N, chunk)
    return loss


def loss_and_gradient(
    hidden_ND: Tensor, head_VD: Tensor, targets_N: Tensor, scale: float, chunk: int = 256
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the summed cross-entropy, the gradient of `hidden_ND` for `scale` times it, and each log-sum-exp.

    The head's own gradient is left to `train.fused`. Sums are float32 or more; no logit outlives its chunk.
    """
    exact = torch.promote_types(hidden_ND.dtype, torch.float32)
    grad_ND, lse_N = torch.empty_like(hidden_ND), hidden_ND.new_empty(len(hidden_ND), dtype=exact)
    total = torch.zeros((), dtype=exact, device=hidden_ND.device)
    for start in range(0, len(hidden_ND), chunk):
        part = slice(start, start + chunk)
        logits_CV = hidden_ND[part] @ head_VD.T
        loss_C1, lse_C1 = score_(logits_CV, targets_N[part, None], scale)
        total += loss_C1.sum()
        lse_N[part] = lse_C1[:, 0]
        grad_ND[part] = logits_CV @ head_VD
        del logits_CV  # before the next chunk's are made
    return total, grad_ND, lse_N
