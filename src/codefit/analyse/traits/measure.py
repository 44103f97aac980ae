"""Measure the traits of two arms' programs, group by group; what cannot be measured is named."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from codefit.analyse.published import parses
from codefit.analyse.runfiles import Suite, arm_pairs, suites
from codefit.analyse.taxonomy import PASSED, classify
from codefit.analyse.traits import efficiency, readability, security
from codefit.analyse.traits.figures import trait_rows, worse_first
from codefit.analyse.traits.files import INSTALL, run_tool, version_of
from codefit.core.progress import Event, Listener
from codefit.core.types import Task
from codefit.sandbox.sandbox import Sandbox

GROUPS = ("readability", "security", "efficiency")
TOOLS = {"ruff": "readability", "radon": "readability", "bandit": "security"}

Measured = dict[str, dict[str, float]]


def measure_traits(
    run: Path, groups: Sequence[str], listen: Listener, *, seed: int = 0,
    tasks: Mapping[str, Sequence[Task]] | None = None, sandbox_of: Callable[[str], Sandbox] | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return the traits of every suite's pairs of arms in a run folder, or one that `compare` wrote.

    Efficiency needs the `tasks` by suite name, with their inputs and references, and a sandbox for a
    suite by its name. Programs of readability and security are parsed by tools, never run.
    """
    found = []
    for suite in suites(run, tasks):
        with_tests = {t.task_id: t for t in (tasks or {}).get(suite.name, ())}
        for before, after in arm_pairs(run, suite):
            listen(Event("traits", f"{suite.name}, {before} and {after}"))
            pair = _Pair(suite, before, after)
            found.append(_measure(pair, groups, listen, seed, run, with_tests, sandbox_of))
    return found


class _Pair:
    """Two arms' programs that parse, on the same tasks, and the tasks that both pass."""

    def __init__(self, suite: Suite, before: str, after: str) -> None:
        self.suite, self.before, self.after = suite, before, after
        self.programs: dict[str, dict[str, str]] = {}
        for arm in (before, after):
            lines = suite.completions.get(arm, {})
            self.programs[arm] = {
                t: p for t, c in lines.items() if (p := str(c.get("program") or "")).strip() and parses(p)
            }
        self.shared = sorted(set(self.programs[before]) & set(self.programs[after]))
        self.both_pass = {t for t in self.shared if all(self._passed(arm, t) for arm in (before, after))}

    def _passed(self, arm: str, task_id: str) -> bool:
        verdict = self.suite.verdicts[arm].get(task_id)
        return verdict is not None and classify(verdict, {}, {}) == PASSED

    def flat(self) -> dict[str, str]:
        """Return all programs in one mapping, for tools that start slowly."""
        return {f"{arm} {t}": self.programs[arm][t] for arm in (self.before, self.after) for t in self.shared}

    def by_arm(self, found: Measured) -> tuple[Measured, Measured]:
        """Return measurements of `flat` apart again, by task."""
        before, after = ({t: found[f"{arm} {t}"] for t in self.shared} for arm in (self.before, self.after))
        return before, after


def _measure(
    pair: _Pair, groups: Sequence[str], listen: Listener, seed: int, run: Path,
    tasks: Mapping[str, Task], sandbox_of: Callable[[str], Sandbox] | None,
) -> dict[str, Any]:  # fmt: skip
    rows: list[dict[str, Any]] = []
    missing = [
        _gap(g, "not asked for", f"codefit analyse RUN --traits {g}") for g in GROUPS if g not in groups
    ]
    for group, module in (("readability", readability), ("security", security)):
        if group not in groups or not pair.shared:
            continue
        with tempfile.TemporaryDirectory(prefix="codefit-traits-") as folder:
            measured = getattr(module, group)(pair.flat(), Path(folder))
        rows += trait_rows(module.TRAITS, *pair.by_arm(measured), both_pass=pair.both_pass, seed=seed)
        absent = [t for t, of in TOOLS.items() if of == group and not run_tool(t)]
        missing += [_gap(group, f"{tool} is not installed", INSTALL) for tool in absent]
    if "efficiency" in groups:
        found, gaps = _efficiency(pair, listen, seed, run, tasks, sandbox_of)
        rows, missing = rows + found, missing + gaps
    return {
        "suite": pair.suite.name,
        "before": pair.before,
        "after": pair.after,
        "tools": {tool: version_of(tool) for tool in TOOLS},
        "tasks": len(pair.shared),
        "both_pass": len(pair.both_pass),
        "rows": worse_first(rows),
        "not_measured": missing,
    }


def _gap(group: str, why: str, command: str | None) -> dict[str, str | None]:
    return {"group": group, "why": why, "command": command}


def _efficiency(
    pair: _Pair, listen: Listener, seed: int, run: Path, tasks: Mapping[str, Task],
    sandbox_of: Callable[[str], Sandbox] | None,
) -> tuple[list[dict[str, Any]], list[dict[str, str | None]]]:  # fmt: skip
    name = pair.suite.name
    able = sorted(t for t in pair.both_pass if t in tasks and efficiency.measurable(tasks[t]))
    if not tasks or sandbox_of is None:
        return [], [
            _gap("efficiency", "the tasks' inputs are not at hand", f"codefit analyse DIR --data {name}=FILE")
        ]
    if not able:
        return [], [
            _gap("efficiency", "no task that both pass has calls and a reference", "codefit evaluate mbpp+")
        ]
    programs = {arm: {t: pair.programs[arm][t] for t in able} for arm in (pair.before, pair.after)}
    measured = efficiency.efficiency(
        tasks, programs, sandbox_of(name), run / "cache" / "efficiency.jsonl",
        lambda done, total: listen(Event("traits", f"efficiency, {name}", done, total, "tasks")),
    )  # fmt: skip
    sides = (measured[pair.before], measured[pair.after])
    rows = trait_rows(efficiency.TRAITS, *sides, both_pass=pair.both_pass, seed=seed)
    left = len(able) - len(sides[0])
    why = f"{left} of {len(able)} tasks: too quick or far too slow to time, or other values on larger inputs"
    gaps = [_gap("efficiency", why, None)] if left else []
    return [r for r in rows if r["on"] == "both_pass"], gaps
