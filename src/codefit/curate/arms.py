"""The arms that curation is measured against: the raw rows, and a random part of them."""

from __future__ import annotations

from collections.abc import Sequence

from codefit.core.files import digest
from codefit.core.types import Row
from codefit.curate.step import Context


def raw_arm(rows: Sequence[Row]) -> list[Row]:
    """Return the rows as they come that can be rendered at all: with a request and an answer."""
    return [row for row in rows if row.instruction.strip() and row.response.strip()]


def random_arm(rows: Sequence[Row], tokens: int, ctx: Context) -> list[Row]:
    """Return random raw rows, in reading order, of `tokens` tokens or just above.

    The draw depends on the seed and the rows' ids only, not on their order.
    """
    drawn = sorted(raw_arm(rows), key=lambda row: digest("random arm", str(ctx.seed), row.id))
    taken: set[str] = set()
    total = 0
    for row in drawn:
        if total >= tokens:
            break
        taken.add(row.id)
        total += ctx.row_tokens(row)
    return [row for row in rows if row.id in taken]
