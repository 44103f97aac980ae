"""What this run does not show, said with its own figures."""

from __future__ import annotations

from codefit.report.lookup import Evidence, main_comparisons, main_training, measured_suites, suites
from codefit.report.messages import Message, code, msg
from codefit.report.numbers import rate_text


def limits(evidence: Evidence) -> list[Message]:
    """Return the limits of the evidence, most fundamental first."""
    said = [msg("limit.stand_in")] if evidence["run"]["stand_in"] else []
    for s in evidence["scores"]:
        if s.get("limit"):
            said.append(msg("limit.limited", suite=code(s["suite"]), arm=code(s["arm"]), n=s["limit"]))
    said += _resolution(evidence)
    said.append(_seeds(evidence))
    if len(measured_suites(evidence)) < 2:
        said.append(msg("limit.one_suite"))
    said += _leaks(evidence)
    return said


def _resolution(evidence: Evidence) -> list[Message]:
    return [
        msg("limit.resolution", suite=code(c.get("suite")), points=f"{c['minimum_detectable_points']:.1f}")
        for c in main_comparisons(evidence)
        if c.get("minimum_detectable_points") is not None
    ]


def _seeds(evidence: Evidence) -> Message:
    seed = main_training(evidence).get("seed")
    return msg("limit.seeds", seed=code(seed)) if seed is not None else msg("limit.seeds_unknown")


def _leaks(evidence: Evidence) -> list[Message]:
    """Scores of the main arm on tasks that some raw row touches, and on the others."""
    said = []
    main = evidence["main"][1]
    for suite, found in suites(evidence).items():
        split = ((found.get("contamination") or {}).get("arms") or {}).get(main)
        if split is None:
            said.append(msg("limit.leaks_unknown", suite=code(suite)))
            continue
        flagged, others = rate_text(*split["flagged"]), rate_text(*split["others"])
        if flagged:
            said.append(msg("limit.leaks", suite=code(suite), arm=code(main), flagged=flagged, others=others))
    return said
