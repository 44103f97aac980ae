"""Score rows of judged samples: the figures, and everything that decided them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from codefit.core.files import digest
from codefit.core.types import Outcome
from codefit.suites.base import EXTRACTION_VERSION, Suite
from codefit.suites.judged import Judged
from codefit.suites.samples import Sample

KS = (10, 100)
MARKS = ("decoding", "weights", "engine", "form")


def asked_of(samples: Iterable[Sample]) -> dict[str, Any]:
    """Return how the answers came about: fields of a score row, None where the samples don't say.

    `extraction` names the rules and the fields that programs were taken from, `prompts` hashes
    every prompt, `decoding` says how answers were drawn.
    """
    found = list(samples)
    fields = sorted({s.kind for s in found})
    known = {s.task_id: s.asked for s in found if s.asked is not None}
    whole = bool(known) and all(s.asked is not None for s in found)
    ways = {s.decoding for s in found}
    return {
        "extraction": f"{EXTRACTION_VERSION}, from {' and '.join(fields)}",
        "prompts": digest(*(f"{t} {known[t]}" for t in sorted(known)))[:16] if whole else None,
        "decoding": "; ".join(sorted(w for w in ways if w is not None)) or None,
    }


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
    `marks` say how the completions came to be, where that is known: `weights`, `engine` and `form` (of the
    prompt, see `flavours`), and `prompts` and `decoding` over what the completions themselves say.
    """
    info = suite.info
    known = {name: value for name, value in (marks or {}).items() if value is not None}
    asked = {**dict.fromkeys(MARKS), **asked_of(j.sample for j in judged), **known}
    details = {
        "oracle": info.oracle,
        "limits": info.harness,
        "extraction": EXTRACTION_VERSION,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}",
        "hash_seed": 0,
        "data": info.data,
        "data_hash": info.data_hash,
        "left_out": dict(info.left_out),
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
        )
    rows += _scores(suite, info.name, info.revision, judged, missing, _all, figures, isolation, details)
    return [{**row, **asked} for row in rows]


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
                "flavour": suite.info.flavour,
                "variant": suite.info.variant,
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
