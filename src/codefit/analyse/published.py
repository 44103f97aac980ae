"""Verdict files as published by evalplus and BigCodeBench, turned into verdict lines.

So the taxonomy also works on other people's results. Their files say less than ours: evalplus
gives the failing inputs but neither the obtained value nor the exception; BigCodeBench gives a
traceback per test case, of which the most frequent exception counts. What is not there stays unknown.
"""

from __future__ import annotations

import ast
import json
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from codefit.analyse.taxonomy import error_name
from codefit.core.errors import InputError
from codefit.core.files import DAMAGED, open_bytes
from codefit.core.types import Outcome

_STATUS = {"pass": Outcome.PASSED, "fail": Outcome.WRONG_ANSWER, "timeout": Outcome.TIMEOUT}


def published_about(path: Path) -> dict[str, Any]:
    """Return the date and the data set's hash that a published result file states, None where it doesn't."""
    found = _document(path)
    return {key: str(found[key]) if found.get(key) else None for key in ("date", "hash")}


def _document(path: Path) -> dict[str, Any]:
    with open_bytes(path) as f:
        try:
            found: dict[str, Any] = json.load(f)
            found["eval"].items()
        except DAMAGED as e:
            raise InputError(f"damaged: {e}", where=str(path), todo="is the file whole?") from e
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise InputError("not a published result file (no `eval`)", where=str(path)) from e
    return found


def read_published(path: Path) -> Iterator[dict[str, Any]]:
    """Yield a verdict line (design's keys and `program`) per sample of a published result file."""
    for task_id, samples in _document(path)["eval"].items():
        try:
            lines = [_bigcodebench(s) if "status" in s else _evalplus(s) for s in samples]
        except (AttributeError, TypeError, KeyError, IndexError) as e:
            raise InputError(f"no results of {task_id}", where=str(path), todo="is the file whole?") from e
        for number, (line, found) in enumerate(zip(lines, samples, strict=True)):
            yield {"task_id": task_id, "sample": number, **line, "program": found.get("solution")}


def _evalplus(found: Mapping[str, Any]) -> dict[str, Any]:
    base = _STATUS[found["base_status"]]
    plus = _STATUS[found["plus_status"]] if found.get("plus_status") else None
    overall = base if base != Outcome.PASSED or plus is None else plus
    if overall != Outcome.PASSED and not parses(found.get("solution")):
        overall = base = Outcome.SYNTAX_ERROR
    failing = found.get("base_fail_tests") or found.get("plus_fail_tests") or []
    return {
        "outcome": overall,
        "base_outcome": base,
        "plus_outcome": plus if base == Outcome.PASSED else Outcome.NOT_RUN,
        "error": None,
        "failed_test": {"input": failing[0], "expected": None, "got": None} if failing else None,
    }


def _bigcodebench(found: Mapping[str, Any]) -> dict[str, Any]:
    outcome = _STATUS[found["status"]]
    details = found.get("details") or {}
    error = _commonest_error(details.values()) if outcome == Outcome.WRONG_ANSWER else None
    if error and not error.startswith("AssertionError"):
        outcome = Outcome.RUNTIME_ERROR
    if outcome != Outcome.PASSED and not parses(found.get("solution")):
        outcome = Outcome.SYNTAX_ERROR
    return {
        "outcome": outcome,
        "base_outcome": outcome,
        "plus_outcome": None,
        "error": error,
        "failed_test": None,
    }


def _commonest_error(tracebacks: Iterable[Any]) -> str | None:
    """Return the error whose exception most failing test cases share; the first seen of equals."""
    errors = [e for e in (last_error(str(t)) for t in tracebacks) if e]
    counts = Counter(error_name(e) for e in errors)
    return max(errors, key=lambda e: counts[error_name(e)], default=None)


def last_error(traceback: str) -> str | None:
    """Return the line of a traceback that names the exception raised last."""
    named = None
    for line in traceback.splitlines():
        head = line.split(":", 1)[0].strip()
        if (
            line[:1].strip()
            and head.replace(".", "").isidentifier()
            and head.endswith(("Error", "Exception", "Warning", "Interrupt", "Exit"))
        ):
            named = line.strip()
    return named


def parses(program: Any) -> bool:
    """Return whether the program is valid Python for this interpreter."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(str(program or ""))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
