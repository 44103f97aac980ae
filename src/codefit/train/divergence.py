"""Per-token figures of held-out rows in row chunks of the vocabulary: full logits never exist."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

CHUNK = 64  # rows of logits at a time; two float32 copies of 152,000 words are 78 MB


def token_losses(hidden_ND: Tensor, head_VD: Tensor, targets_N: Tensor, chunk: int = CHUNK) -> Tensor:
    """Return the cross-entropy of each of N positions (natural log, float32 or more)."""
    found = [
        -log_p_CV.gather(1, targets_N[part, None])[:, 0]
        for part, log_p_CV in _log_probabilities(hidden_ND, head_VD, chunk)
    ]
    return torch.cat(found) if found else hidden_ND.new_zeros(0)


def kl_divergence(start_ND: Tensor, tuned_ND: Tensor, head_VD: Tensor, chunk: int = CHUNK) -> Tensor:
    """Return KL(start || tuned) of each of N positions, in nats: `sum_v p(v) (log p(v) - log q(v))`.

    p is the next-token distribution of the start model, whose last hidden states are `start_ND`, q that of
    the tuned one; both share the vocabulary head, as adapters leave it alone. This direction (forward KL)
    is large where the tuned model gives up what the start model would have said. The sum over the
    vocabulary is exact, no sample. Source: Kullback and Leibler 1951, equation 2.4.
    """
    found = [
        (log_p_CV.exp() * (log_p_CV - log_q_CV)).sum(1)
        for (_, log_p_CV), (_, log_q_CV) in zip(
            _log_probabilities(start_ND, head_VD, chunk),
            _log_probabilities(tuned_ND, head_VD, chunk),
            strict=True,
        )
    ]
    return torch.cat(found) if found else start_ND.new_zeros(0)


def _log_probabilities(hidden_ND: Tensor, head_VD: Tensor, chunk: int) -> Iterator[tuple[slice, Tensor]]:
    exact = torch.promote_types(hidden_ND.dtype, torch.float32)
    for at in range(0, len(hidden_ND), chunk):
        part = slice(at, at + chunk)
        yield part, (hidden_ND[part] @ head_VD.T).to(exact).log_softmax(-1)
