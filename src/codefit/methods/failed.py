"""Rows that verification dropped because no solution of theirs passes: asked again, their tests unproven.

Either the solutions are wrong or the tests are. An answer that passes speaks for both, if the tests say
something: rows with fewer than three tests, or with one value for all of them, are left out, and so is what
resembles a curated row or another of these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from codefit.core.curation import CurateSettings
from codefit.core.types import Dropped, Outcome, Row
from codefit.core.values import dump
from codefit.curate.dedup_near import near_duplicates, same_request
from codefit.curate.normalise import emptiness, normalised
from codefit.curate.step import Context
from codefit.curate.verify import Verify

LEAST_TESTS = 3
_WRONG = tuple(
    o.value
    for o in (Outcome.WRONG_ANSWER, Outcome.RUNTIME_ERROR, Outcome.TIMEOUT, Outcome.MEMORY_LIMIT,
              Outcome.OUTPUT_LIMIT, Outcome.TAMPERING, Outcome.SYNTAX_ERROR)
)  # fmt: skip


def failed_rows(
    raw: Iterable[Row],
    dropped: Iterable[Dropped],
    curated: Sequence[Row],
    settings: CurateSettings,
    seed: int,
) -> list[Row]:
    """Return the rows, as the step `normalise` leaves them, in the order they were read."""
    wrong = {d.row_id for d in dropped if d.step == Verify.name and d.reason.startswith(_WRONG)}
    found = [normalised(row, Counter()) for row in raw if row.id in wrong and _tells(row)]
    found = [
        row for row in found if emptiness(row) is None and len(row.instruction) <= settings.max_prompt_chars
    ]
    ordered = [*curated, *found]
    known = same_request(ordered)
    known |= near_duplicates(
        [row for row in ordered if row.id not in known], Context(settings, {}, None, seed)
    )
    return [row for row in found if row.id not in known]


def _tells(row: Row) -> bool:
    """Return True if a row's tests can tell a right program from one that says the same every time."""
    tests = row.tests
    if tests is None or len(tests) < LEAST_TESTS or tests.kind == "unittest":
        return False
    return tests.kind == "asserts" or len({dump(o) for o in tests.outputs}) > 1
