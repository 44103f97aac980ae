"""Which tasks a row most looks like, by all of its words: those of its answer and the names in it too.

Far too weak to accuse anyone. It says where the search by execution may go to more trouble, and how much a match
has to show (`weight`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from codefit.curate.leaks.index import Floats, Likeness, Target
from codefit.curate.leaks.words import sketch

_NAME = re.compile(r"[^\W\d]+")
_MOST_CHARS = 6_000


class Likely:
    """The tasks by the words of their prompts, names and references."""

    def __init__(self, targets: Sequence[Target]) -> None:
        self._likeness = Likeness(
            [_stems(f"{t.task.prompt} {t.task.entry_point or ''}", t.reference) for t in targets]
        )

    def scores(self, instruction: str, answer: str) -> Floats:
        """Return score_T of every task; 0 where no word is shared."""
        return self._likeness.cosine(_stems(instruction, answer))


def _stems(words: str, code: str) -> frozenset[str]:
    names = " ".join(_NAME.findall(code[:_MOST_CHARS])).replace("_", " ")
    return sketch(f"{words[:_MOST_CHARS]} {names}").stems
