"""Curated rows beside a model's own answers, in the recipe's shares."""

from __future__ import annotations

import math
from collections.abc import Sequence

from codefit.core.files import digest
from codefit.core.sampling import SampleSettings
from codefit.core.types import Row
from codefit.curate.topics import libraries
from codefit.methods.rejection import Answered


def mixed(curated: Sequence[Row], own: Sequence[Answered], settings: SampleSettings, seed: int) -> list[Row]:
    """Return curated rows in their order and then the own answers.

    `unsolved` leaves out the curated rows that have an own answer; over `curated_share` a draw by seed and id
    decides which of the rest stay, those that import a library first as far as `library_share` asks for them.
    """
    answered = {a.prompt_id for a in own} if settings.curated == "unsolved" else set()
    left = [row for row in curated if row.id not in answered]
    share = settings.curated_share
    if share is not None:
        room = int(share / (1 - share) * len(own))
        drawn = sorted(left, key=lambda row: digest("curated share", str(seed), row.id))
        if settings.library_share is not None:
            drawn = _libraries_first(drawn, own, settings.library_share, room)
        taken = {row.id for row in drawn[:room]}
        left = [row for row in left if row.id in taken]
    return [*left, *(a.row for a in own)]


def _libraries_first(drawn: list[Row], own: Sequence[Answered], share: float, room: int) -> list[Row]:
    """Return the rows with as many that import something in front as the share of all rows still lacks."""
    rows = len(own) + min(room, len(drawn))
    lacking = math.ceil(share * rows) - sum(bool(libraries(a.row)) for a in own)
    first = [row for row in drawn if libraries(row)][: max(0, lacking)]
    chosen = {row.id for row in first}
    return first + [row for row in drawn if row.id not in chosen]
