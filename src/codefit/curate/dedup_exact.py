"""Exact duplicates: the same request with the same answer, whatever the spacing."""

from __future__ import annotations

from codefit.core.files import digest
from codefit.core.types import Dropped, Row
from codefit.curate.step import Context, StepResult


class DedupExact:
    """Keeps one row of each (request, answer): the best by the rule of `preference`."""

    name = "dedup_exact"

    def run(self, rows: list[Row], ctx: Context) -> StepResult:
        """Drop rows that repeat another one; the order of the rows does not matter."""
        best: dict[str, Row] = {}
        keys = [content_key(row) for row in rows]
        for row, key in zip(rows, keys, strict=True):
            if key not in best or preference(row, ctx) < preference(best[key], ctx):
                best[key] = row
        kept = [row for row, key in zip(rows, keys, strict=True) if best[key] is row]
        dropped = [
            Dropped(row.id, self.name, f"duplicate of {best[key].id}")
            for row, key in zip(rows, keys, strict=True)
            if best[key] is not row
        ]
        return StepResult(kept, dropped)


def content_key(row: Row) -> str:
    """Hash the request (spacing and case aside) and the answer (trailing space aside)."""
    return digest(" ".join(row.instruction.lower().split()), row.response.strip())


def preference(row: Row, ctx: Context) -> tuple[bool, int, int, str]:
    """Sort key of the best of a cluster: verified, then more tests, longer request, lowest id."""
    verified = ctx.fact(row.id, "verdict") == "passed"
    return not verified, -(len(row.tests) if row.tests else 0), -len(row.instruction), row.id
