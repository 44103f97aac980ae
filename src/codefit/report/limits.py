"""What this run does not show, said with its own figures."""

from __future__ import annotations

from codefit.report.lookup import Evidence, benchmarks, main_comparisons, main_training, suites
from codefit.report.messages import Message, code, msg
from codefit.report.numbers import rate_text
from codefit.report.verdict import line_arguments


def limits(evidence: Evidence) -> list[Message]:
    """Return the limits of the evidence, most fundamental first."""
    said = [msg("limit.stand_in")] if evidence["run"]["stand_in"] else []
    for s in evidence["scores"]:
        if s.get("limit"):
            said.append(msg("limit.limited", suite=code(s["suite"]), arm=code(s["arm"]), n=s["limit"]))
    said += _resolution(evidence)
    said += _seeds(evidence)
    if len(benchmarks(evidence)) < 2:
        said.append(msg("limit.one_suite"))
    said += _leaks(evidence)
    return said


def _resolution(evidence: Evidence) -> list[Message]:
    return [
        msg("limit.resolution", suite=code(c.get("suite")), points=f"{c['minimum_detectable_points']:.1f}")
        for c in main_comparisons(evidence)
        if c.get("minimum_detectable_points") is not None
    ]


def _seeds(evidence: Evidence) -> list[Message]:
    spread = [
        msg(
            "limit.seed_spread",
            suite=code(s["suite"]),
            n=len(s["seeds"]),
            points=f"{s['seed_range_points']:.1f}",
        )
        for s in evidence["seeds"]
    ]
    if spread:
        return spread
    seed = main_training(evidence).get("seed")
    return [msg("limit.seeds", seed=code(seed)) if seed is not None else msg("limit.seeds_unknown")]


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
        for c in found["contamination"].get("without") or []:
            if [c["before_arm"], c["after_arm"]] == list(evidence["main"]):
                said.append(msg("limit.without", **line_arguments({**c, "suite": suite}), n=c["n"]))
    return said
