"""Nearest training rows by token-set similarity: cheap, readable, and good enough to show copying.

The similarity is the Jaccard index of the sets of lower-cased tokens (identifiers, numbers,
single signs). It sees re-ordered copies; it does not see renamed identifiers or paraphrase.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TOKEN = re.compile(r"\w+|[^\w\s]")
_LONGEST_TEXT = 20_000


def token_set(text: str | None) -> frozenset[str]:
    """Return the set of lower-cased tokens of a text (its first 20,000 characters)."""
    return frozenset(_TOKEN.findall((text or "")[:_LONGEST_TEXT].lower()))


class TokenIndex:
    """Jaccard similarity of a text against all rows at once, by an inverted index."""

    def __init__(self, texts: Sequence[str | None]) -> None:
        postings: dict[str, list[int]] = {}
        sizes: list[int] = []
        for row, text in enumerate(texts):
            tokens = token_set(text)
            sizes.append(len(tokens))
            for token in tokens:
                postings.setdefault(token, []).append(row)
        self._sizes = np.array(sizes, dtype=np.int64)
        self._postings = {t: np.array(rows, dtype=np.int64) for t, rows in postings.items()}

    def __len__(self) -> int:
        return len(self._sizes)

    def similarity(self, text: str | None) -> NDArray[np.float64]:
        """Return the Jaccard similarity to every row, shape (rows,), each in [0, 1]."""
        query = token_set(text)
        found = [self._postings[t] for t in sorted(query) if t in self._postings]
        shared = np.bincount(np.concatenate(found), minlength=len(self)) if found else np.zeros(len(self))
        union = self._sizes + len(query) - shared
        return np.divide(shared, union, out=np.zeros(len(self)), where=union > 0)


class TrainingRows:
    """The kept training rows, searchable by request and by answer."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.rows = rows
        self.requests = TokenIndex([r.get("instruction") for r in rows])
        self.answers = TokenIndex([r.get("response") for r in rows])

    def nearest(self, prompt: str | None, program: str | None, k: int = 2) -> list[dict[str, Any]]:
        """Return the `k` nearest rows by the mean of request and answer similarity."""
        if not self.rows:
            return []
        request, answer = self.requests.similarity(prompt), self.answers.similarity(program)
        both = (request + answer) / 2
        order = sorted(range(len(self.rows)), key=lambda i: (-both[i], str(self.rows[i].get("id"))))[:k]
        return [
            {
                "row_id": self.rows[i].get("id"),
                "source": self.rows[i].get("source"),
                "request_similarity": round(float(request[i]), 3),
                "answer_similarity": round(float(answer[i]), 3),
                "instruction": str(self.rows[i].get("instruction") or "")[:600],
                "response": str(self.rows[i].get("response") or "")[:1500],
            }
            for i in order
        ]

    def answer_similarity(self, program: str | None) -> float:
        """Return the similarity of a program to the nearest training answer."""
        return float(self.answers.similarity(program).max()) if self.rows else 0.0
