"""Rows that no solution of theirs passes: curation drops them, a model may still be asked them."""

from __future__ import annotations

from codefit.core.types import Row
from codefit.pipeline.context import Context


def failed_of(context: Context, curated: list[Row]) -> list[Row]:
    """Return the rows that no solution of theirs passes, where the recipe asks them as well."""
    from codefit.curate.rows_io import read_dropped, read_rows
    from codefit.methods.failed import failed_rows

    if "failed" not in context.recipe.sample.rows:
        return []
    data = context.out / "data"
    raw, dropped = read_rows(data / "raw.parquet"), read_dropped(data / "dropped.parquet")
    return failed_rows(raw, dropped, curated, context.recipe.curate, context.recipe.seed)
