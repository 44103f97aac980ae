"""What the test sets ask for, and how much of it the rows hold: libraries and topics."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from codefit.curate.card.groups import About, Facts
from codefit.curate.topics import OTHER

_SHOWN = 40
_ENOUGH = 10
_MINOR = 0.02
_FEW = 0.25


def library_needs(tasks: Sequence[About], groups: Mapping[str, Facts]) -> dict[str, Any]:
    """Return the libraries that a suite's tasks import, and how far each group of rows covers them.

    Covered means: at least one (ten) rows of the group import it. A task is covered when all its
    libraries are; tasks without any are left out.
    """
    needed: dict[str, int] = {}
    for name in (name for task in tasks for name in task.libraries):
        needed[name] = needed.get(name, 0) + 1
    ranked = sorted(needed, key=lambda name: (-needed[name], name))
    return {
        "libraries": len(needed),
        "tasks_with_libraries": sum(bool(task.libraries) for task in tasks),
        "tasks": len(tasks),
        "needed": [
            {
                "library": name,
                "tasks": needed[name],
                "standard": name in sys.stdlib_module_names,
                "rows": {group: facts["libraries"].get(name, 0) for group, facts in groups.items()},
            }
            for name in ranked[:_SHOWN]
        ],
        "covered": {group: _covered(tasks, ranked, facts["libraries"]) for group, facts in groups.items()},
    }


def _covered(tasks: Sequence[About], needed: Sequence[str], rows: Mapping[str, int]) -> dict[str, int]:
    found = {}
    for least in (1, _ENOUGH):
        known = {name for name, n in rows.items() if n >= least}
        found[f"libraries_{least}"] = sum(name in known for name in needed)
        found[f"tasks_{least}"] = sum(bool(t.libraries) and known.issuperset(t.libraries) for t in tasks)
    return found


def topic_shares(facts: Facts) -> dict[str, float]:
    """Return each topic's share of all topics that a group's rows were given."""
    total = sum(facts["topics"].values())
    return {topic: count / total for topic, count in facts["topics"].items()} if total else {}


def topic_distance(a: Facts, b: Facts) -> float | None:
    """Return the total variation distance of two groups' topics: 0 the same mix, 1 nothing in common."""
    left, right = topic_shares(a), topic_shares(b)
    if not left or not right:
        return None
    return round(sum(abs(left.get(t, 0) - right.get(t, 0)) for t in sorted({*left, *right})) / 2, 3)


def lacking_topics(suite: Facts, mixture: Facts) -> list[dict[str, Any]]:
    """Return topics of 2 % or more of a suite that the mixture has less than a quarter as often."""
    wanted, had = topic_shares(suite), topic_shares(mixture)
    return [
        {"topic": topic, "suite": round(share, 4), "mixture": round(had.get(topic, 0.0), 4)}
        for topic, share in wanted.items()
        if topic != OTHER and share >= _MINOR and had.get(topic, 0.0) < _FEW * share
    ]
