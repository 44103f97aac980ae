"""All findings of a run as plain data: deterministic, without times, in a stable order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from codefit.analyse.churn import CELLS, churn, clip, sample, side, transitions, unified_diff
from codefit.analyse.contamination import flagged_tasks, mbpp_splits, split_scores
from codefit.analyse.drift import output_drift, similarity_summary
from codefit.analyse.mismatch import wrong_values
from codefit.analyse.nearest import TrainingRows
from codefit.analyse.opponents import opponents
from codefit.analyse.robustness import robustness
from codefit.analyse.runfiles import Suite, arm_pairs, suites
from codefit.analyse.taxonomy import NOT_MEASURED, PASSED, classify, cluster_errors, count_classes, error_name
from codefit.analyse.verbatim import AnswerRuns, verbatim
from codefit.core.errors import InputError
from codefit.core.files import read_json, read_jsonl
from codefit.core.types import Outcome, Task
from codefit.suites.variants import plain_name

LAYOUT = 2
CASES_PER_CELL = {"broken": 4, "fixed": 4, "neither": 3, "both": 1}
_ROW_COLUMNS = ("id", "source", "instruction", "response")

Classes = dict[str, dict[str, str]]


def findings(run: Path, seed: int = 0, tasks: Mapping[str, Sequence[Task]] | None = None) -> dict[str, Any]:
    """Return the findings of a run folder as plain data.

    Needs `verdicts/`; uses `completions/`, `scores.json` (pairs of arms), `data/kept.parquet` and
    `data/hits.jsonl` where they are, and `tasks` by suite name (or `tasks/`) for prompts, entry points
    and visible tests. What is missing is listed under `not_measured`. `seed` only decides which
    cases are drawn. Traits, which take other tools and the sandbox, are added by `codefit.analyse.traits`.
    """
    rows, missing = _training_rows(run / "data" / "kept.parquet")
    hits = (
        [h for _, h in read_jsonl(run / "data" / "hits.jsonl")]
        if (run / "data" / "hits.jsonl").exists()
        else None
    )
    if hits is None:
        missing.append("hits")
    found = suites(run, tasks)
    if not found:
        missing.append("verdicts")
    missing += [f"tasks of {s.name}" for s in found if not s.tasks]
    return {
        "layout": LAYOUT,
        "seed": seed,
        "suites": {s.name: _one_suite(run, s, rows, hits, seed) for s in found},
        "traits": None,
        "memorised": None,
        "opponents": _opponents(run, found),
        "robustness": robustness(run, found, {s.name: classes_of(s) for s in found}, seed),
        "not_measured": missing,
    }


def _training_rows(path: Path) -> tuple[TrainingRows | None, list[str]]:
    if not path.exists():
        return None, ["training_rows"]
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as e:
        raise InputError(f"unreadable Parquet: {e}", where=str(path)) from e
    columns = [c for c in _ROW_COLUMNS if c in table.column_names]
    return TrainingRows(table.select(columns).to_pylist()), []


def _one_suite(
    run: Path, suite: Suite, rows: TrainingRows | None, hits: Sequence[Mapping[str, Any]] | None, seed: int
) -> dict[str, Any]:
    classes = classes_of(suite)
    result: dict[str, Any] = {
        "arms": list(suite.arms),
        "classes": classes,
        "failures": {arm: _failures(suite, arm, classes[arm]) for arm in suite.arms},
        "drift": {arm: _drift(suite, arm, classes[arm]) for arm in suite.arms if suite.completions.get(arm)},
        "pairs": [_pair(suite, b, a, classes, rows, seed) for b, a in arm_pairs(run, suite)],
        "similarity": {},
        "verbatim": {},
        "splits": None,
        "contamination": None,
    }
    if rows is not None and len(rows.rows):
        with_code = [arm for arm in suite.arms if suite.completions.get(arm)]
        result["similarity"] = {arm: _similarity(suite, arm, classes[arm], rows) for arm in with_code}
        result["verbatim"] = _verbatim(suite, with_code, classes, rows)
    passed = {
        arm: {t: c == PASSED for t, c in by.items() if c != NOT_MEASURED} for arm, by in classes.items()
    }
    result["splits"] = mbpp_splits(passed, plain_name(suite.name))
    if hits is not None:
        pairs = arm_pairs(run, suite)
        result["contamination"] = split_scores(passed, flagged_tasks(hits, plain_name(suite.name)), pairs)
    return result


def _verbatim(suite: Suite, arms: Sequence[str], classes: Classes, rows: TrainingRows) -> dict[str, Any]:
    runs = AnswerRuns([str(r.get("response") or "") for r in rows.rows])
    ids = [str(r.get("id")) for r in rows.rows]
    found = {}
    for arm in arms:
        programs = {t: c.get("program") for t, c in suite.completions[arm].items()}
        found[arm] = verbatim(programs, {t: c == PASSED for t, c in classes[arm].items()}, runs, ids)
    return found


def _opponents(run: Path, found: Sequence[Suite]) -> list[dict[str, Any]]:
    """Return the published models beside the main pair, a benchmark at a time, where a flavour fits."""
    path = run / "scores.json"
    scores = (
        [s for s in read_json(path).get("scores", []) if s.get("metric") == "pass@1"] if path.exists() else []
    )
    entries = []
    for suite in found:
        before, after = next(iter(arm_pairs(run, suite)), (None, None))
        family = suite.name.rstrip("+")
        sides = [
            [s for s in scores if s.get("arm") == arm and str(s.get("suite")).rstrip("+") == family]
            for arm in (before, after)
        ]
        if all(sides) and (entry := opponents(*sides)):
            entries.append({"before": before, "after": after, **entry})
    return entries


def classes_of(suite: Suite) -> Classes:
    """Return the failure class of every arm and task of a suite."""
    return {
        arm: {t: classify(v, suite.completion(arm, t), suite.task(t)) for t, v in verdicts.items()}
        for arm, verdicts in suite.verdicts.items()
    }


def _failures(suite: Suite, arm: str, classes: Mapping[str, str]) -> dict[str, Any]:
    verdicts = suite.verdicts[arm]
    failed = {t: v for t, v in verdicts.items() if classes[t] not in (PASSED, NOT_MEASURED)}
    errors = [(t, str(v["error"])) for t, v in failed.items() if v.get("error")]
    names: dict[str, int] = {}
    raised = (Outcome.RUNTIME_ERROR, Outcome.SYNTAX_ERROR)  # what ended a program from outside has no name
    for error in (str(v["error"]) for v in failed.values() if v.get("error") and v.get("outcome") in raised):
        name = error_name(error) or "unknown"
        names[name] = names.get(name, 0) + 1
    return {
        "n": len(verdicts),
        "counts": count_classes(classes.values()),
        "exceptions": dict(sorted(names.items(), key=lambda i: (-i[1], i[0]))),
        "clusters": cluster_errors(errors),
        "wrong_values": wrong_values(v for v in failed.values() if not v.get("error")),
    }


def _drift(suite: Suite, arm: str, classes: Mapping[str, str]) -> dict[str, Any]:
    by_task = suite.completions[arm]
    return output_drift(list(by_task.values()), [classes.get(t) == PASSED for t in by_task])


def _similarity(suite: Suite, arm: str, classes: Mapping[str, str], rows: TrainingRows) -> dict[str, Any]:
    answered = [(t, c) for t, c in suite.completions[arm].items() if c.get("program")]
    values = [rows.answer_similarity(c["program"]) for _, c in answered]
    return similarity_summary(values, [classes.get(t) == PASSED for t, _ in answered])


def _pair(
    suite: Suite, before: str, after: str, classes: Classes, rows: TrainingRows | None, seed: int
) -> dict[str, Any]:
    cells = churn(classes[before], classes[after])
    drawn = {c: sample(cells[c], CASES_PER_CELL[c], str(seed), suite.name, before, after, c) for c in CELLS}
    return {
        "before": before,
        "after": after,
        "churn": {name: {"n": len(ids), "tasks": ids} for name, ids in cells.items()},
        "transitions": transitions(classes[before], classes[after]),
        "cases": [_case(suite, t, c, (before, after), classes, rows) for c in CELLS for t in drawn[c]],
    }


def _case(
    suite: Suite, task_id: str, cell: str, arms: tuple[str, str], classes: Classes, rows: TrainingRows | None
) -> dict[str, Any]:
    before, after = arms
    prompt = suite.task(task_id).get("prompt")
    old, new = (suite.completion(arm, task_id).get("program") for arm in arms)
    sides = [
        side(suite.verdicts[a][task_id], suite.completion(a, task_id), classes[a][task_id]) for a in arms
    ]
    return {
        "task_id": task_id,
        "cell": cell,
        "prompt": clip(prompt, 4000),
        "before": sides[0],
        "after": sides[1],
        "diff": clip(unified_diff(old, new, (before, after)), 8000),
        "nearest": rows.nearest(prompt, new) if rows is not None else [],
    }
