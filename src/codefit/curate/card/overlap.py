"""The overlap matrix: between sources, and of sources and mixture with each test set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from codefit.core.curation import CurateSettings
from codefit.curate.card.shared import Bools, features_shared, grams_shared, jaccard, similarity
from codefit.curate.code import functions
from codefit.curate.leaks.words import request

GRAMS = (8, 10, 13)
SHINGLE = 3
NEAR = 0.5
"""Jaccard similarity from which two requests are near-duplicates in the matrix: a wide net, on purpose
below the funnel's threshold for dropping."""
MIXTURE = "mixture"


Texts = Sequence[tuple[str, str]]
"""Requests with their Python answers; an answer in another language is left empty."""


def overlap(
    sources: Mapping[str, Texts], mixture: Texts, suites: Mapping[str, Texts], settings: CurateSettings
) -> dict[str, Any]:
    """Return `between` sources and `suites` (sources and mixture with test sets), both directions.

    Each entry says how many rows of `of` have their like in `in`: `exact` request, `near`-duplicate
    request, the same `code` up to names, shared runs of 8, 10 and 13 words, `similar` request, and the
    median similarity to the nearest. Not covered: meaning. Two requests for one thing in other words
    are only found by an embedding model, which this does not use.
    """
    # Sorted, so that bounds and float sums do not depend on the order of the rows.
    groups = {name: sorted(texts) for name, texts in {**sources, MIXTURE: mixture, **suites}.items()}
    names = list(groups)
    of_suites = [names.index(name) for name in suites]
    of_sources = [names.index(name) for name in sources]
    between = [(a, b) for i, a in enumerate(of_sources) for b in of_sources[i + 1 :]]
    tested = [(a, b) for a in (*of_sources, names.index(MIXTURE)) for b in of_suites]
    counted = _Measures(list(groups.values()), [*between, *tested], settings)
    return {
        "near_jaccard": NEAR,
        "similar_cosine": settings.decontaminate.fuzzy,
        "between": [counted.entry(names, a, b) for p in between for a, b in (p, p[::-1])],
        "suites": [counted.entry(names, a, b) for p in tested for a, b in (p, p[::-1])],
    }


class _Measures:
    """All measures over all collections at once."""

    def __init__(
        self,
        groups: Sequence[Texts],
        pairs: Sequence[tuple[int, int]],
        settings: CurateSettings,
    ) -> None:
        self._owner = np.repeat(np.arange(len(groups)), [len(g) for g in groups])
        asked = [request(prompt) for g in groups for prompt, _ in g]
        least = settings.decontaminate.generic_nodes
        shapes = [[f.shape for f in functions(code) if f.nodes > least] for g in groups for _, code in g]
        words, owner, n = [r.words for r in asked], self._owner, len(groups)
        self._hits: dict[str, Bools] = {
            "exact": features_shared([[r.key] if r.key else [] for r in asked], owner, n),
            "near": jaccard(words, SHINGLE, owner, pairs, n).round(6) >= NEAR,
            "code": features_shared(shapes, owner, n),
            **{f"gram_{k}": grams_shared(words, k, owner, n) for k in GRAMS},
        }
        self._best = similarity([r.stems for r in asked], owner, pairs, n)
        self._similar = settings.decontaminate.fuzzy

    def entry(self, names: Sequence[str], a: int, b: int) -> dict[str, Any]:
        """Return how many rows of `a` have their like in `b`."""
        rows = np.flatnonzero(self._owner == a)
        best = self._best[rows, b]
        # Rounded first: the last bits of a sum depend on the numpy build.
        return {
            "of": names[a],
            "in": names[b],
            "rows": len(rows),
            **{measure: int(hits[rows, b].sum()) for measure, hits in self._hits.items()},
            "similar": int((best.round(6) >= self._similar).sum()),
            "median_similarity": round(float(np.median(best)), 3) if len(best) and len(self._of(b)) else None,
        }

    def _of(self, collection: int) -> Any:
        return np.flatnonzero(self._owner == collection)
