"""Curated rows beside a model's own answers, in the recipe's shares."""

from __future__ import annotations

from collections.abc import Sequence

from codefit.core.files import digest
from codefit.core.sampling import SampleSettings
from codefit.core.types import Row
from codefit.methods.rejection import Answered


def mixed(curated: Sequence[Row], own: Sequence[Answered], settings: SampleSettings, seed: int) -> list[Row]:
    """Return curated rows in their order and then the own answers.

    `unsolved` leaves out the curated rows that have an own answer; over `curated_share` a draw by seed and id
    decides which of the rest stay.
    """
    answered = {a.prompt_id for a in own} if settings.curated == "unsolved" else set()
    left = [row for row in curated if row.id not in answered]
    share = settings.curated_share
    if share is not None:
        room = int(share / (1 - share) * len(own))
        drawn = sorted(left, key=lambda row: digest("curated share", str(seed), row.id))[:room]
        taken = {row.id for row in drawn}
        left = [row for row in left if row.id in taken]
    return [*left, *(a.row for a in own)]
