"""Runs of tokens that stand word for word in a training answer: a probe for memorised text.

Common idioms are shared by chance, so the start model's share, which never saw the rows, is the
figure to hold the tuned model's against.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

RUN_TOKENS = 20
_TOKEN = re.compile(r"\w+|[^\w\s]")
_LONGEST_TEXT = 20_000
_PLACES = 4  # of one run in the answers that are looked at
_BASE = np.uint64(0x9E3779B97F4A7C15)
Hashes = NDArray[np.uint64]


class AnswerRuns:
    """Every run of 20 tokens of the training answers, to be asked for the longest one in a program."""

    def __init__(self, answers: Sequence[str | None]) -> None:
        self._words: dict[str, int] = {}
        self._answers = [self._ids(a, learn=True) for a in answers]
        hashes = [_rolling(ids) for ids in self._answers]
        sizes = [len(h) for h in hashes]
        joined = np.concatenate(hashes) if hashes else np.empty(0, np.uint64)
        order = np.argsort(joined, kind="stable")
        self._hashes = joined[order]
        self._rows = np.repeat(np.arange(len(sizes)), sizes)[order]
        self._places = np.concatenate([np.arange(n) for n in sizes])[order] if sizes else order

    def _ids(self, text: str | None, *, learn: bool = False) -> list[int]:
        words = _TOKEN.findall((text or "")[:_LONGEST_TEXT])
        if learn:
            return [self._words.setdefault(w, len(self._words) + 1) for w in words]
        return [self._words.get(w, 0) for w in words]

    def longest(self, program: str | None) -> tuple[int, int | None]:
        """Return tokens and row index of the longest run shared with an answer; (0, None) below 20."""
        ids = self._ids(program)
        best: tuple[int, int | None] = (0, None)
        reached = 0
        for at, value in enumerate(_rolling(ids)):
            if at + RUN_TOKENS <= reached:  # inside a run that was followed to its end
                continue
            first = int(np.searchsorted(self._hashes, value))
            for i in range(first, min(first + _PLACES, len(self._hashes))):
                if self._hashes[i] != value:
                    break
                row = int(self._rows[i])
                length = _shared(ids, at, self._answers[row], int(self._places[i]))
                if length >= RUN_TOKENS:
                    reached = max(reached, at + length)
                    best = max(best, (length, row), key=lambda b: b[0])
        return best


def _rolling(ids: Sequence[int]) -> Hashes:
    """Return a hash of every run of 20 ids, shape (len(ids) - 19,); equal runs have equal hashes."""
    if len(ids) < RUN_TOKENS:
        return np.empty(0, np.uint64)
    values = np.array(ids, dtype=np.uint64) * _BASE
    windows = np.lib.stride_tricks.sliding_window_view(values ^ (values >> np.uint64(29)), RUN_TOKENS)
    weights = np.cumprod(np.full(RUN_TOKENS, np.uint64(1_000_003)), dtype=np.uint64)
    found: Hashes = (windows * weights).sum(axis=1, dtype=np.uint64)
    return found


def _shared(one: Sequence[int], i: int, two: Sequence[int], j: int) -> int:
    """Return how many ids are equal from i and j on; an unknown token equals nothing."""
    length = 0
    while i + length < len(one) and j + length < len(two) and one[i + length] == two[j + length] != 0:
        length += 1
    return length


def verbatim(
    programs: Mapping[str, str | None], passed: Mapping[str, bool], runs: AnswerRuns, row_ids: Sequence[str]
) -> dict[str, Any]:
    """Return how many programs hold a run of a training answer, the longest, and passes with and without."""
    found = {task: runs.longest(p) for task, p in programs.items() if p}
    copied = [t for t, (length, _) in found.items() if length]
    others = [t for t in found if t not in set(copied)]
    longest = max(found, key=lambda t: found[t][0], default=None) if copied else None
    row = found[longest][1] if longest else None
    return {
        "n": len(found),
        "run_tokens": RUN_TOKENS,
        "copied": len(copied),
        "longest": found[longest][0] if longest else None,
        "longest_task": longest,
        "longest_row": row_ids[row] if row is not None else None,
        "passed_copied": [sum(passed.get(t, False) for t in copied), len(copied)],
        "passed_others": [sum(passed.get(t, False) for t in others), len(others)],
    }
