"""Score rows of judged samples: the figures, and everything that decided them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from codefit.core.types import Outcome
from codefit.suites.base import EXTRACTION_VERSION, Suite
from codefit.suites.judged import Judged

KS = (10, 100)
MARKS = ("decoding", "weights", "engine", "form")
Figures = Callable[[Sequence[tuple[int, int]], int], dict[str, Any]]


def score_rows(
    suite: Suite,
    judged: Sequence[Judged],
    missing: Sequence[str],
    figures: Figures,
    *,
    isolation: str,
    flakes: int,
    notes: Sequence[str],
    marks: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Return the scores: base tests, and base and plus tests together where there are any.

    `figures` turns (samples, passing samples) of each task and k into metric, value, passed, n, ci95.
    Tasks that cannot be judged here are left out; `counting_excluded` counts them as not passed.
    `marks` are `decoding`, `weights`, `engine` and `form` (of the prompt, see `flavours`) where it is known how
    the completions came to be.
    """
    info = suite.info
    made = {name: (marks or {}).get(name) for name in MARKS}
    details = {
        "oracle": info.oracle,
        "limits": info.harness,
        "extraction": EXTRACTION_VERSION,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}",
        "hash_seed": 0,
        "data": info.data,
        "data_hash": info.data_hash,
        "flakes": flakes,
        "notes": list(notes),
    }
    rows = []
    if info.has_plus:
        rows += _scores(
            suite,
            info.base_name,
            info.base_revision,
            judged,
            missing,
            _base,
            figures,
            isolation,
            details,
            made,
        )
    return rows + _scores(
        suite, info.name, info.revision, judged, missing, _all, figures, isolation, details, made
    )


def _counted(
    counts: Mapping[str, tuple[int, int]], excluded: Mapping[str, str], figures: Figures, k: int
) -> dict[str, Any] | None:
    """Return the figures with excluded tasks as not passed, None where there is none."""
    if not excluded:
        return None
    samples = max((n for n, _ in counts.values()), default=1)
    return figures([*counts.values(), *((samples, 0) for _ in excluded)], k)


def _base(judged: Judged) -> Outcome:
    return judged.base.outcome


def _all(judged: Judged) -> Outcome:
    return judged.outcome


def _scores(
    suite: Suite,
    name: str,
    revision: str,
    judged: Sequence[Judged],
    missing: Sequence[str],
    outcome: Callable[[Judged], Outcome],
    figures: Figures,
    isolation: str,
    details: dict[str, Any],
    made: dict[str, Any],
) -> list[dict[str, Any]]:
    found: dict[str, list[Outcome]] = {}
    for j in judged:
        found.setdefault(j.sample.task_id, []).append(outcome(j))
    lost = [t for t, outcomes in found.items() if Outcome.SANDBOX_FAILED in outcomes]
    excluded = [*missing, *suite.excluded, *lost]
    counts = {t: (len(o), o.count(Outcome.PASSED)) for t, o in found.items() if t not in lost}
    outcomes = Counter(o.value for t, found_ in found.items() for o in found_)
    smallest = min((n for n, _ in counts.values()), default=0)
    rows = []
    for k in sorted({1, *(k for k in (*KS, smallest) if 1 <= k <= smallest)}):
        rows.append(
            {
                "suite": name,
                "revision": revision,
                "harness": suite.info.harness,
                **figures(list(counts.values()), k),
                **made,
                "flavour": suite.info.flavour,
                "samples": smallest,
                "excluded": excluded,
                "counting_excluded": _counted(counts, suite.excluded, figures, k),
                "outcomes": dict(sorted(outcomes.items())),
                "isolation": isolation,
                "limit": suite.info.limit,
                "details": details,
            }
        )
    return rows
