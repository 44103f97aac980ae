"""The files that people and other tools read: verdict lines and evalplus' result layout."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from codefit.core.types import Outcome, Task, Verdict
from codefit.suites.base import Phase, Suite
from codefit.suites.judge import Finding
from codefit.suites.judged import Judged

_STATUS = {Outcome.PASSED: "pass", Outcome.TIMEOUT: "timeout", Outcome.NOT_RUN: "not_run"}


def verdict_row(verdict: Verdict) -> dict[str, Any]:
    """Return one line of `verdicts.jsonl`."""
    return {
        "task_id": verdict.task_id,
        "sample": verdict.sample,
        "outcome": verdict.outcome.value,
        "base_outcome": verdict.base_outcome.value if verdict.base_outcome else None,
        "plus_outcome": verdict.plus_outcome.value if verdict.plus_outcome else None,
        "error": verdict.error,
        "failed_test": dict(verdict.failed_test) if verdict.failed_test else None,
        "seconds": verdict.seconds,
        "peak_mb": verdict.peak_mb,
    }


def answer_row(judged: Judged) -> dict[str, Any]:
    """Return one line of `answers.jsonl`: what was answered, and the program that was judged."""
    sample = judged.sample
    return {
        "task_id": sample.task_id,
        "sample": sample.sample,
        "text": sample.text,
        "program": judged.extraction.program,
        "extraction": judged.extraction.rule,
        "tokens": sample.tokens,
        "finish_reason": sample.finish_reason,
    }


def task_row(task: Task) -> dict[str, Any]:
    """Return one line of `tasks.jsonl`: what was asked."""
    return {
        "task_id": task.task_id,
        "prompt": task.prompt,
        "entry_point": task.entry_point,
        "reference": task.reference,
        "tests": len(task.tests),
        "plus_tests": len(task.plus) if task.plus else 0,
    }


def published_results(suite: Suite, judged: Iterable[Judged], now: datetime) -> dict[str, Any]:
    """Return the results in the layout of the benchmark's own evaluator: evalplus, or bigcodebench."""
    if suite.info.family == "bigcodebench":
        return bigcodebench_results(judged, now)
    return evalplus_results(suite, judged, now)


def bigcodebench_results(judged: Iterable[Judged], now: datetime) -> dict[str, Any]:
    """Return the results in bigcodebench's layout: a status, and a text for each test that did not pass."""
    tasks: dict[str, list[dict[str, Any]]] = {}
    for j in judged:
        test = (j.base.failed_test or {}).get("input")
        details = {name: j.base.error if name == test else "did not pass" for name in j.base.failed_names}
        if j.base.outcome is not Outcome.PASSED and not details:
            details = {"ALL": j.base.error or j.base.outcome.value}
        tasks.setdefault(j.sample.task_id, []).append(
            {
                "task_id": j.sample.task_id,
                "solution": j.extraction.program or "",
                "status": _status(j.base.outcome),
                "details": details,
            }
        )
    return {"date": now.strftime("%Y-%m-%d %H:%M"), "eval": tasks}


def evalplus_results(suite: Suite, judged: Iterable[Judged], now: datetime) -> dict[str, Any]:
    """Return the results in evalplus' layout; plus tests that were not run say `not_run`."""
    tasks: dict[str, list[dict[str, Any]]] = {}
    for j in judged:
        tasks.setdefault(j.sample.task_id, []).append(
            {
                "task_id": j.sample.task_id,
                "solution": j.extraction.program or "",
                "base_status": _status(j.base.outcome),
                "plus_status": _status(j.plus_outcome) if j.plus_outcome else None,
                "base_fail_tests": _failed(suite, j, "base", j.base),
                "plus_fail_tests": _failed(suite, j, "plus", j.plus),
            }
        )
    return {
        "date": now.strftime("%Y-%m-%d %H:%M"),
        "hash": suite.info.data_hash or suite.info.revision,
        "eval": tasks,
    }


def _status(outcome: Outcome) -> str:
    return _STATUS.get(outcome, "fail")


def _failed(suite: Suite, judged: Judged, phase: Phase, finding: Finding | None) -> list[Any]:
    if finding is None or finding.outcome is Outcome.PASSED:
        return []
    numbers = finding.failed or (() if finding.failed_index is None else (finding.failed_index,))
    return [_jsonable(suite.raw_input(judged.task, phase, n)) for n in numbers]


def _jsonable(value: Any) -> Any:
    """Return plain JSON data; what JSON cannot hold is shown as text."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return value if value.bit_length() < 4_000 else hex(value)
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else repr(value)
    if isinstance(value, (list, tuple)):
        return [_jsonable(v) for v in value]
    if isinstance(value, dict) and all(isinstance(k, str) for k in value):
        return {k: _jsonable(v) for k, v in value.items()}
    return repr(value)
