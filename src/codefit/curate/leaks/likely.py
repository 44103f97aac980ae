"""Which tasks a row most looks like, by all of its words: those of its answer and the names in it too.

Far too weak to accuse anyone. It says where the search by execution may go to more trouble.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from codefit.curate.leaks.index import Floats, Target
from codefit.curate.leaks.words import sketch

_NAME = re.compile(r"[^\W\d]+")
_MOST_CHARS = 6_000


class Likely:
    """The tasks by the words of their prompts, names and references."""

    def __init__(self, targets: Sequence[Target]) -> None:
        stems = [_stems(f"{t.task.prompt} {t.task.entry_point or ''}", t.reference) for t in targets]
        counts = Counter(s for found in stems for s in found)
        self._weight = {s: math.log(1 + len(targets) / c) ** 2 for s, c in counts.items()}
        self._norms = np.sqrt([sum(self._weight[s] for s in sorted(found)) or 1.0 for found in stems])
        places: dict[str, list[int]] = {}
        for i, found in enumerate(stems):
            for stem in found:
                places.setdefault(stem, []).append(i)
        self._places = {stem: np.array(at) for stem, at in places.items()}

    def scores(self, instruction: str, answer: str) -> Floats:
        """Return score_T of every task; 0 where no word is shared."""
        found = np.zeros(len(self._norms))
        for stem in sorted(_stems(instruction, answer) & self._places.keys()):
            found[self._places[stem]] += self._weight[stem]
        return np.asarray(found / self._norms)


def _stems(words: str, code: str) -> frozenset[str]:
    names = " ".join(_NAME.findall(code[:_MOST_CHARS])).replace("_", " ")
    return sketch(f"{words[:_MOST_CHARS]} {names}").stems
