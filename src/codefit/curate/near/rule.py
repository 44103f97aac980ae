"""When two documents are near-duplicates, and the bands that look for such pairs.

Leskovec et al., Mining of Massive Datasets, chapter 3: with b bands of r minima a pair of Jaccard
similarity s is found with the probability 1 - (1 - s^r)^b.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Bands:
    """How a signature is cut: `bands` pieces of `rows` values; equal pieces make a candidate pair."""

    bands: int
    rows: int

    def found(self, similarity: float) -> float:
        """Return the probability that a pair of this Jaccard similarity has an equal piece."""
        return 1.0 - (1.0 - similarity**self.rows) ** self.bands


def bands_for(similarity: float, permutations: int, found: float) -> Bands:
    """Return the widest bands that find a pair of this similarity with this probability."""
    for rows in range(permutations, 1, -1):
        bands = Bands(permutations // rows, rows)
        if bands.found(similarity) >= found:
            return bands
    return Bands(permutations, 1)


@dataclass(frozen=True)
class Rule:
    """When two documents are near-duplicates, and how they are looked for.

    Two documents are if the Jaccard similarity of their shingles is `threshold` or more; or if it is
    `floor` or more and at most `edits` words were changed, inserted or deleted: a word lies in
    `shingle` shingles, so neither has more than `edits * shingle` that the other lacks.
    """

    threshold: float = 0.75
    floor: float = 0.5
    edits: int = 4
    shingle: int = 2
    permutations: int = 64

    @property
    def lost(self) -> int:
        """Return how many shingles either document may have alone when words were edited."""
        return self.edits * self.shingle

    @property
    def strict(self) -> Bands:
        """Return the bands that look for pairs at the threshold."""
        return bands_for(self.threshold, self.permutations, 0.98)

    @property
    def loose(self) -> Bands:
        """Return the bands that look for short documents with a few edits, down to the floor."""
        if not self.edits:
            return Bands(0, 1)
        return bands_for(min(self.floor, self.threshold), self.permutations, 0.9)

    @property
    def loose_below(self) -> float:
        """Return the shingles from which the threshold alone finds every pair that the edits allow.

        Of n shingles, n - lost are shared by a pair of n + lost: from n = lost (1 + t) / (1 - t)
        on, that is the threshold t or more.
        """
        if self.threshold >= 1:
            return math.inf if self.lost else 0
        return self.lost * (1 + self.threshold) / (1 - self.threshold) + self.lost if self.lost else 0
