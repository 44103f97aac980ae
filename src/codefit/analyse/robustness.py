"""How much of a model's pass rate is lost when the same tasks are asked differently.

A suite beside its variant (`mbpp` beside `mbpp~renamed`), on the tasks that both have and that were judged in
both. Not covered: one answer a task (the first) on each side, so that drawn answers carry their own noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from codefit.analyse.runfiles import Suite, arm_pairs
from codefit.analyse.taxonomy import NOT_MEASURED, PASSED
from codefit.core.files import read_json
from codefit.score.compare import STAMP
from codefit.score.paired import mcnemar_exact, paired_bootstrap, paired_interval
from codefit.suites.variants import plain_name, variant_of

_ALIKE = ("harness", "flavour", "extraction", "decoding")
Passed = Mapping[str, bool]
Classes = Mapping[str, Mapping[str, str]]


def robustness(
    run: Path, found: Sequence[Suite], classes: Mapping[str, Classes], seed: int
) -> list[dict[str, Any]] | None:
    """Return an entry per variant whose plain suite was answered too; None where there is none.

    `classes` are failure classes by suite, arm and task. `points` are the variant's pass rate less the plain
    one's, with Bonett and Price's interval and exact McNemar; `consistency` is the share of tasks that pass
    both times or fail both times. `pairs` set that loss side by side for two models: bootstrap over tasks.
    """
    by_name = {s.name: s for s in found}
    scores = _scores(run)
    entries = []
    for suite in found:
        plain, variant = plain_name(suite.name), variant_of(suite.name)
        if variant is None or plain not in by_name:
            continue
        arms = {
            arm: _both(classes[plain][arm], classes[suite.name][arm])
            for arm in suite.arms
            if arm in classes[plain]
        }
        arms = {arm: both for arm, both in arms.items() if both}
        entries.append(
            {
                "suite": suite.name,
                "plain": plain,
                "variant": variant,
                "arms": {
                    arm: {**_figures(both), **_stamp(scores, arm, plain, suite.name)}
                    for arm, both in arms.items()
                },
                "pairs": [
                    _pair(b, a, arms, seed) for b, a in arm_pairs(run, suite) if b in arms and a in arms
                ],
            }
        )
    return entries or None


def _scores(run: Path) -> dict[tuple[str, str], Mapping[str, Any]]:
    path = run / "scores.json"
    rows = read_json(path).get("scores", []) if path.exists() else []
    return {(str(s.get("arm")), str(s.get("suite"))): s for s in rows if s.get("metric") == "pass@1"}


def _both(plain: Mapping[str, str], varied: Mapping[str, str]) -> dict[str, tuple[bool, bool]]:
    """Return (passed plain, passed varied) of every task that was judged both times."""
    return {
        t: (plain[t] == PASSED, varied[t] == PASSED)
        for t in sorted(set(plain) & set(varied))
        if NOT_MEASURED not in (plain[t], varied[t])
    }


def _figures(both: Mapping[str, tuple[bool, bool]]) -> dict[str, Any]:
    n = len(both)
    plain, varied = (sum(p[side] for p in both.values()) for side in (0, 1))
    gained = sum(not p and v for p, v in both.values())
    lost = sum(p and not v for p, v in both.values())
    low, high = paired_interval(gained, lost, n)
    return {
        "n": n,
        "plain": plain,
        "varied": varied,
        "points": 100 * (varied - plain) / n,
        "relative_percent": 100 * (varied - plain) / plain if plain else None,
        "ci95": [100 * low, 100 * high],
        "p_value": mcnemar_exact(gained, lost),
        "test": "exact McNemar",
        "gained": gained,
        "lost": lost,
        "consistency": (n - gained - lost) / n,
        "lost_tasks": [t for t, (p, v) in both.items() if p and not v],
    }


def _stamp(
    scores: Mapping[tuple[str, str], Mapping[str, Any]], arm: str, plain: str, varied: str
) -> dict[str, Any]:
    """Return what differs between the two beside the prompts, as far as their scores say."""
    one, two = scores.get((arm, plain), {}), scores.get((arm, varied), {})
    differences = [
        {"what": what, "plain": one.get(what), "varied": two.get(what)}
        for what in _ALIKE
        if one.get(what) != two.get(what)
    ]
    return {"stamp": STAMP if differences else None, "differences": differences}


def _pair(
    before: str, after: str, arms: Mapping[str, Mapping[str, tuple[bool, bool]]], seed: int
) -> dict[str, Any]:
    shared = sorted(set(arms[before]) & set(arms[after]))
    changes = [[float(v) - float(p) for p, v in (arms[arm][t] for t in shared)] for arm in (before, after)]
    low, high = paired_bootstrap(changes[0], changes[1], seed=seed) if shared else (0.0, 0.0)
    first, second = (100 * sum(c) / len(shared) if shared else None for c in changes)
    return {
        "before": before,
        "after": after,
        "n": len(shared),
        "before_points": first,
        "after_points": second,
        "points": second - first if first is not None and second is not None else None,
        "ci95": [100 * low, 100 * high] if shared else None,
    }
