"""What analysis and statistics add to a run where they were asked for, in the shapes that `docs/evidence.md` names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from codefit.core.files import write_json
from tests.report.fixture_run import SUITE, task_id

GUARD = "guard"


def enrich(run: Path) -> Path:
    """Add traits, published models, copied runs, Holm, a gate and seeds to a run of `fixture_run`."""
    _scores(run / "scores.json")
    _findings(run / "findings.json")
    return run


def _scores(path: Path) -> None:
    found = json.loads(path.read_text())
    main = found["comparisons"][0]
    guard = {
        **main,
        "suite": GUARD,
        "points": -2.5,
        "relative_percent": -5.0,
        "ci95": [-9.0, 4.0],
        "p_value": 0.04,
        "before": 0.5,
        "after": 0.475,
    }
    family = [(main, "target", 0.0002), (guard, "guard", 0.08)]
    pairs = [{**c, "p_holm": p, "family": 2, "role": role} for c, role, p in family]
    reasons = [(SUITE, "target", main["ci95"][0], 0.0, True), (GUARD, "guard", -9.0, -2.0, False)]
    names = ("suite", "role", "lower_bound", "must_be", "passed")
    gate = {"passed": False, "suites": [{**dict(zip(names, r, strict=True)), "stamp": None} for r in reasons]}
    seeds = {
        "suite": SUITE,
        "arms": ["curated", "raw"],
        "seeds": [0, 1],
        "n": 40,
        "values": [0.775, 0.475],
        "mean": 0.625,
        "points": 45.0,
        "relative_percent": 257.1,
        "seed_sd_points": 21.2,
        "seed_range_points": 30.0,
        "ci95_seeds": [-145.6, 235.6],
        "ci95_tasks": [31.2, 57.5],
        "seeds_differ_p": 0.004,
    }
    score = {
        **found["scores"][1],
        "metric": "pass@8",
        "value": 0.9,
        "ci95": [0.8, 0.95],
        "passed": 250,
        "n": 320,
    }
    score["decoding"] = "temperature 0.8"
    changed = {"comparisons": pairs + found["comparisons"][1:], "gate": gate, "seeds": [seeds]}
    write_json(path, {**found, **changed, "scores": [*found["scores"], score]})


def _findings(path: Path) -> None:
    found = json.loads(path.read_text())
    suite = found["suites"][SUITE]
    for arm, f in suite["failures"].items():
        f["wrong_values"] = {"n": 4, "kinds": {"off_by_one": 3 if arm == "start" else 1, "other_length": 1}}
    suite["verbatim"] = {arm: _verbatim(arm) for arm in suite["arms"]}
    suite["splits"] = {
        "test": {arm: [7, 20] for arm in suite["arms"]},
        "train": {arm: [9, 20] for arm in suite["arms"]},
    }
    without = json.loads((path.parent / "scores.json").read_text())["comparisons"][0]
    suite["contamination"]["without"] = [{**without, "n": 36}]
    found["traits"] = [_traits("start", "curated"), _traits("start", "raw")]
    found["opponents"] = [_opponents()]
    found["robustness"] = [_robustness()]
    finished = {"start": (1, 1), "curated": (5, 2)}
    found["memorised"] = {
        "given_tokens": 20,
        "rows": {"trained": 8, "held_out": 4},
        "arms": {
            arm: {
                "trained": {"finished": [trained, 8], "row_ids": []},
                "held_out": {"finished": [held_out, 4], "row_ids": []},
            }
            for arm, (trained, held_out) in finished.items()
        },
    }
    write_json(path, found)


def _verbatim(arm: str) -> dict[str, Any]:
    return {
        "n": 40,
        "run_tokens": 20,
        "copied": 6 if arm == "curated" else 0,
        "longest": 31,
        "longest_task": task_id(3),
        "longest_row": "taco/4",
        "passed_copied": [5, 6],
        "passed_others": [26, 34],
    }


def _robustness() -> dict[str, Any]:
    lost = {
        "gained": 1,
        "lost": 4,
        "lost_tasks": [],
        "test": "exact McNemar",
        "stamp": None,
        "differences": [],
    }
    start = {"n": 38, "plain": 7, "varied": 4, "points": -7.9, "relative_percent": -42.9, "ci95": [-19.0, 4.0],
             "p_value": 0.375, "consistency": 33 / 38, **lost}  # fmt: skip
    pair = {"before": "start", "after": "curated", "n": 38, "before_points": -7.9, "after_points": -2.6}
    arms = {
        "start": start,
        "curated": {**start, "plain": 31, "varied": 30, "points": -2.6, "stamp": "not like for like"},
    }
    compared = [
        {**pair, "points": 5.3, "ci95": [-4.0, 15.0]},
        {**pair, "after": "raw", "points": 1.0, "ci95": [0, 2]},
    ]
    return {
        "suite": f"{SUITE}~renamed",
        "plain": SUITE,
        "variant": "renamed",
        "arms": arms,
        "pairs": compared,
    }


def _traits(before: str, after: str) -> dict[str, Any]:
    rows = [
        ("lint", "lower", "all", 6.25, 9.5, 3.25, [1.5, 5.0], "worse"),
        ("lines", None, "all", 7.0, 5.0, -2.0, [-2.5, -1.5], "changed"),
        ("bandit_low", "lower", "both_pass", 0.2, 0.2, 0.0, [-0.1, 0.1], "not_shown"),
    ]
    names = ("trait", "wanted", "on", "before", "after", "difference", "ci95", "reading")
    return {
        "suite": SUITE,
        "before": before,
        "after": after,
        "tools": {"ruff": "0.9.1", "radon": None, "bandit": None},
        "tasks": 38,
        "both_pass": 6,
        "rows": [
            {**dict(zip(names, r, strict=True)), "group": "readability", "unit": "", "n": 38} for r in rows
        ],
        "not_measured": [
            {
                "group": "efficiency",
                "why": "not asked for",
                "command": "codefit analyse RUN --traits efficiency",
            }
        ],
    }


def _opponents() -> dict[str, Any]:
    rows = [
        ("Big-7B <b>", "instruct", 7.0, 83.0, False, "not_passed"),
        ("Other-3B", "instruct", 3.0, 70.0, True, "newly_passed"),
        ("Old-13B", "base", 13.0, 12.0, False, "below_start"),
        ("Unsized", "base", None, 11.0, False, "below_start"),
    ]
    counts = {"lost": 0, "newly_passed_ties": 0, "not_passed_ties": 0}
    return {
        "before": "start",
        "after": "curated",
        "flavour": "evalplus-0shot-378",
        "suites": [SUITE],
        "start": {SUITE: {"value": 17.5, "ci95": [8.7, 31.9]}},
        "tuned": {SUITE: {"value": 77.5, "ci95": [62.5, 87.7]}},
        "counts": {
            "base": {"models": 2, "below_start": 2, "newly_passed": 0, "not_passed": 0, **counts},
            "instruct": {
                **{"models": 2, "below_start": 0, "newly_passed": 1, "not_passed": 1, **counts},
                "newly_passed_ties": 1,
            },
        },
        "rows": [
            {
                "model": m,
                "kind": k,
                "params_b": b,
                "scores": {SUITE: s},
                "tie": tie,
                "standing": st,
                "source": "board",
                "note": "",
            }
            for m, k, b, s, tie, st in rows
        ],
    }
