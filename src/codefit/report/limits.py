"""What this run does not show, said with its own figures."""

from __future__ import annotations

from codefit.report.lookup import Evidence, benchmarks, main_comparisons, main_training, suites
from codefit.report.messages import Message, code, msg
from codefit.report.numbers import rate_text
from codefit.report.verdict import line_arguments, not_alike


def limits(evidence: Evidence) -> list[Message]:
    """Return the limits of the evidence, most fundamental first."""
    said = [msg("limit.stand_in")] if evidence["run"]["stand_in"] else []
    said += not_alike(main_comparisons(evidence)) + unstated(evidence)
    for s in evidence["scores"]:
        if s.get("limit"):
            said.append(msg("limit.limited", suite=code(s["suite"]), arm=code(s["arm"]), n=s["limit"]))
    said += _excluded(evidence) + _resolution(evidence) + _seeds(evidence) + _looks(evidence)
    if len(benchmarks(evidence)) < 2:
        said.append(msg("limit.one_suite"))
    said += _leaks(evidence)
    return said


def unstated(evidence: Evidence) -> list[Message]:
    """Return the arms of which nobody said what was asked and how: a difference may lie in that alone."""
    silent = {s["arm"]: None for s in evidence["scores"] if "prompts" in s and s["prompts"] is None}
    return [msg("limit.unstated", arms=[code(arm) for arm in silent])] if silent else []


def _excluded(evidence: Evidence) -> list[Message]:
    """Return by suite how many tasks could not be judged here, and stand in no figure."""
    left_out = {s["suite"]: len(s["excluded"]) for s in evidence["scores"] if s.get("excluded")}
    return [msg("limit.excluded", suite=code(suite), n=n) for suite, n in left_out.items()]


def _looks(evidence: Evidence) -> list[Message]:
    """Return how many tuned models the test tasks have seen; the best of several is a lucky one."""
    tuned = [a["arm"] for a in evidence["arms"] if a["training"]]
    return [msg("limit.looks", n=len(tuned), main=code(evidence["main"][1]))] if len(tuned) > 1 else []


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
