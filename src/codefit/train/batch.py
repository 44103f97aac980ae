"""Bins of examples as tensors: position ids restart and attention stays inside a document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import torch
from torch import Tensor

from codefit.core.types import Example
from codefit.format.chat import IGNORED
from codefit.train.attention import Documents


@dataclass(frozen=True, slots=True)
class Batch:
    """One micro-batch of B bins of T tokens.

    `ids_BT`, `positions_BT` int64; `mask_B1TT` bool, true where a query may look; `scored_BT`
    bool, true where the hidden state predicts a trained token; `targets_N` those tokens, in
    row-major order of `scored_BT`.
    """

    ids_BT: Tensor
    positions_BT: Tensor
    mask_B1TT: Tensor
    scored_BT: Tensor
    targets_N: Tensor


def collate(examples: Sequence[Example], bins: Sequence[Sequence[int]], pad_id: int, device: str) -> Batch:
    """Return the bins as one batch, padded at the right to the longest bin.

    The first token of a document is never a target, so nothing is learned across documents; a
    padding token is a document of its own and is never a target.
    """
    width = max(sum(len(examples[i].token_ids) for i in b) for b in bins)
    ids = torch.full((len(bins), width), pad_id)
    positions = torch.zeros((len(bins), width), dtype=torch.int64)
    document = torch.full((len(bins), width), -1)
    labels = torch.full((len(bins), width), IGNORED)
    for row, members in enumerate(bins):
        at = 0
        for number, index in enumerate(members):
            example = examples[index]
            end = at + len(example.token_ids)
            ids[row, at:end] = torch.tensor(example.token_ids)
            positions[row, at:end] = torch.arange(end - at)
            document[row, at:end] = number
            labels[row, at + 1 : end] = torch.tensor(example.labels[1:], dtype=torch.int64)
            at = end
    same_BTT = document[:, :, None] == document[:, None, :]
    causal_TT = torch.ones(width, width, dtype=torch.bool).tril()
    shifted = torch.full_like(labels, IGNORED)
    shifted[:, :-1] = labels[:, 1:]
    scored = shifted != IGNORED
    return Batch(
        ids.to(device),
        positions.to(device),
        (same_BTT & causal_TT)[:, None].to(device),
        scored.to(device),
        shifted[scored].to(device),
    )


@dataclass(frozen=True, slots=True)
class Packed:
    """One micro-batch as a single sequence of T tokens without padding; documents lie end to end.

    `ids_T`, `positions_T` int64 on the device; `scored_N` the positions whose hidden state predicts a
    trained token, `targets_N` those tokens.
    """

    ids_T: Tensor
    positions_T: Tensor
    documents: Documents
    scored_N: Tensor
    targets_N: Tensor


def concatenate(examples: Sequence[Example], bins: Sequence[Sequence[int]], device: str) -> Packed:
    """Return the examples of all bins end to end; the first token of a document is never a target."""
    members = [examples[i] for b in bins for i in b]
    lengths = tuple(len(e.token_ids) for e in members)
    starts = [0, *accumulate(lengths)]
    labels = torch.tensor([label for e in members for label in (*e.labels[1:], IGNORED)])
    scored_N = (labels != IGNORED).nonzero()[:, 0]
    return Packed(
        torch.tensor([i for e in members for i in e.token_ids]).to(device),
        torch.tensor([i for n in lengths for i in range(n)]).to(device),
        Documents(lengths, torch.tensor(starts, dtype=torch.int32).to(device)),
        scored_N.to(device),
        labels[scored_N].to(device),
    )


@dataclass(frozen=True, slots=True)
class Size:
    """What a micro-batch is padded to: tokens, documents, and the tokens of the longest document."""

    tokens: int
    documents: int
    longest: int


def padded(batch: Packed, size: Size, pad_id: int) -> Packed | None:
    """Return the micro-batch with exactly as many tokens and documents; None where it has more.

    What is added are documents of padding, which are never scored, and empty documents, which only `starts` has.
    """
    more = size.tokens - len(batch.ids_T)
    if more < 0 or batch.documents.longest > size.longest:
        return None
    pieces = [min(size.longest, more - at) for at in range(0, more, size.longest)]
    lengths = (*batch.documents.lengths, *pieces)
    empty = size.documents - len(lengths)
    if empty < 0:
        return None
    device = batch.ids_T.device
    positions_T = torch.cat([batch.positions_T, *(torch.arange(n, device=device) for n in pieces)])
    ends = [*accumulate(pieces, initial=size.tokens - more)][1:] + [size.tokens] * empty
    starts = torch.cat([batch.documents.starts, torch.tensor(ends, dtype=torch.int32).to(device)])
    ids_T = torch.cat([batch.ids_T, batch.ids_T.new_full((more,), pad_id)])
    return replace(batch, ids_T=ids_T, positions_T=positions_T, documents=Documents(lengths, starts))
