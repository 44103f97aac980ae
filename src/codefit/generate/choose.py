"""The next token of each sequence: the likeliest one, or one drawn by inverting the distribution.

Letters: B sequences, C sequences looked at together, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from codefit.generate.types import Decoding
from codefit.plan.generation import ROWS


def choose(logits_BV: Tensor, decoding: Decoding, uniforms: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Return the chosen tokens (B) and their log-probabilities (B) in the model's own distribution.

    `uniforms` are one number in [0, 1) per sequence, which greedy decoding does not look at. What one
    sequence gets does not depend on the others.
    """
    tokens, logprobs = [], []
    for at in range(0, len(logits_BV), ROWS):
        logits_CV = logits_BV[at : at + ROWS].float()
        if decoding.greedy:
            tokens_C = logits_CV.argmax(-1)
        else:
            u_C = torch.tensor(uniforms[at : at + ROWS], dtype=torch.float64, device=logits_CV.device)
            tokens_C = inverse_cdf(logits_CV / decoding.temperature, decoding.top_p, u_C)
        own_C = logits_CV.gather(1, tokens_C[:, None])[:, 0]
        tokens.append(tokens_C)
        logprobs.append(own_C - logits_CV.logsumexp(-1))
    return torch.cat(tokens), torch.cat(logprobs)


def inverse_cdf(logits_CV: Tensor, top_p: float, u_C: Tensor) -> Tensor:
    """Return the token at which the cumulative distribution, in the vocabulary's order, passes u.

    With `top_p` below 1 only the likeliest tokens whose share first reaches it count (Holtzman et al.
    2020, arXiv 1904.09751). A token of probability 0 is never chosen.
    """
    probs_CV = logits_CV.softmax(-1).double()
    if top_p < 1:
        sorted_CV, order_CV = probs_CV.sort(dim=-1, descending=True, stable=True)
        before_CV = sorted_CV.cumsum(-1) - sorted_CV
        kept_CV = torch.zeros_like(probs_CV, dtype=torch.bool).scatter(-1, order_CV, before_CV < top_p)
        probs_CV = probs_CV * kept_CV
    sums_CV = probs_CV.cumsum(-1)
    total_C1 = sums_CV[:, -1:]
    below_C1 = torch.nextafter(total_C1, torch.zeros_like(total_C1))
    at_C = torch.searchsorted(sums_CV, torch.minimum(u_C[:, None] * total_C1, below_C1), right=True)[:, 0]
    return at_C.clamp(max=logits_CV.shape[1] - 1)  # behind the last one where logits are not numbers
