"""Neighbours by meaning: rows whose request lies near a task's in the space of an encoder, where there is one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from codefit.core.curation import DecontaminateSettings
from codefit.curate.leaks.index import TaskIndex
from codefit.curate.leaks.signals import Evidence
from codefit.curate.leaks.words import opposed, request_text
from codefit.curate.step import Embed

LISTED_BELOW = 0.1
_PER_ROW = 3
_BLOCK_ROWS = 4_096


def add_neighbours(
    evidence: Sequence[Evidence], index: TaskIndex, settings: DecontaminateSettings, embed: Embed
) -> None:
    """Add the nearest tasks of each row by cosine: a leak from `embedding_near` on, listed from .1 below it.

    Requests that are near and ask for opposite things (`first` and `last` lie close together in any such
    space) are listed only.
    """
    if not index.targets:
        return
    tasks_TD = embed([request_text(t.task.prompt) for t in index.targets])
    least = settings.embedding_near - LISTED_BELOW
    for start in range(0, len(evidence), _BLOCK_ROWS):
        block = evidence[start : start + _BLOCK_ROWS]
        cosine_NT = embed([request_text(e.row.instruction) for e in block]) @ tasks_TD.T
        for one, cosine_T in zip(block, cosine_NT, strict=True):
            near = np.flatnonzero(cosine_T >= least)
            for i in near[np.argsort(-cosine_T[near], kind="stable")][:_PER_ROW].tolist():
                leak = cosine_T[i] >= settings.embedding_near
                different = opposed(one.request, index.targets[i].request)
                one.add(i, "embedding", min(1.0, float(cosine_T[i])), strong=bool(leak and not different))
