"""Failure classes from verdict lines: why a program failed, not only that it did.

The order of `CLASSES` is the order of every table and chart. A program gets exactly one class;
the name of the exception is kept beside it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from codefit.core.types import Outcome

PASSED = "passed"
NOT_MEASURED = "not_measured"
FAILURES = (
    "no_code",
    "truncated",
    "wrong_entry_point",
    "syntax",
    "import_or_name",
    "api_misuse",
    "other_exception",
    "visible_wrong",
    "hidden_wrong",
    "wrong_answer",
    "plus_only",
    "timeout",
    "memory",
    "output",
    "tampering",
)
CLASSES = (PASSED, *FAILURES, NOT_MEASURED)

API_ERRORS = frozenset({"TypeError", "AttributeError", "KeyError", "ValueError", "IndexError"})
NAME_ERRORS = frozenset({"NameError", "UnboundLocalError", "ImportError", "ModuleNotFoundError"})
SYNTAX_ERRORS = frozenset({"SyntaxError", "IndentationError", "TabError"})

_FIXED = {
    Outcome.PASSED: PASSED,
    Outcome.SYNTAX_ERROR: "syntax",
    Outcome.NO_CODE: "no_code",
    Outcome.TIMEOUT: "timeout",
    Outcome.MEMORY_LIMIT: "memory",
    Outcome.OUTPUT_LIMIT: "output",
    Outcome.TAMPERING: "tampering",
    Outcome.NOT_RUN: NOT_MEASURED,
    Outcome.SANDBOX_FAILED: NOT_MEASURED,
}
_CUT_SHORT = frozenset({"no_code", "wrong_entry_point", "syntax"})
_PLUS_ONLY = frozenset(
    {"import_or_name", "api_misuse", "other_exception", "visible_wrong", "hidden_wrong", "wrong_answer"}
)
_ERROR_NAME = re.compile(r"(?:[A-Za-z_]\w*\.)*([A-Za-z_]\w*)")
_DIGITS = re.compile(r"\d+")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


def error_name(error: str | None) -> str | None:
    """Return the exception's bare name from `Type: message`, or None."""
    match = _ERROR_NAME.match((error or "").strip())
    return match.group(1) if match else None


def classify(verdict: Mapping[str, Any], completion: Mapping[str, Any], task: Mapping[str, Any]) -> str:
    """Return the failure class of one verdict line.

    `completion` supplies `extraction` and `finish_reason`, `task` `entry_point` and the visible
    tests; either may be empty, then the class is as fine as the data allow: a wrong value of
    which nobody knows whether its test was visible is `wrong_answer`.
    """
    cls = _by_outcome(verdict, completion, task)
    if cls in _CUT_SHORT and completion.get("finish_reason") == "length":
        return "truncated"
    base, plus = verdict.get("base_outcome"), verdict.get("plus_outcome")
    if cls in _PLUS_ONLY and base == Outcome.PASSED and plus not in (None, Outcome.PASSED):
        return "plus_only"
    return cls


def _by_outcome(verdict: Mapping[str, Any], completion: Mapping[str, Any], task: Mapping[str, Any]) -> str:
    outcome = verdict.get("outcome")
    if outcome not in frozenset(Outcome):
        return NOT_MEASURED
    if _lacks_entry_point(verdict, completion, task):
        return "wrong_entry_point"
    fixed = _FIXED.get(Outcome(str(outcome)))
    if fixed:
        return fixed
    name = error_name(verdict.get("error")) if outcome == Outcome.RUNTIME_ERROR else None
    return _by_error(name) or _wrong_value(verdict, task)


def _by_error(name: str | None) -> str | None:
    if name is None or name == "AssertionError":
        return None
    for cls, names in (
        ("syntax", SYNTAX_ERRORS),
        ("import_or_name", NAME_ERRORS),
        ("api_misuse", API_ERRORS),
    ):
        if name in names:
            return cls
    return "other_exception"


def _lacks_entry_point(
    verdict: Mapping[str, Any], completion: Mapping[str, Any], task: Mapping[str, Any]
) -> bool:
    """Whether the program died because it does not define the function that was asked for."""
    entry, program = task.get("entry_point"), completion.get("program")
    if verdict.get("outcome") != Outcome.RUNTIME_ERROR or not entry:
        return False
    name = re.escape(str(entry).partition(".")[0])
    if re.match(rf"NameError: name '{name}' is not defined", str(verdict.get("error") or "")):
        return True
    defined = rf"^\s*(?:async\s+def|def|class)\s+{name}\b|^\s*{name}\s*[:=]|\bimport\b.*\b{name}\b"
    return bool(program) and not re.search(defined, str(program), re.MULTILINE)


def _wrong_value(verdict: Mapping[str, Any], task: Mapping[str, Any]) -> str:
    failed = verdict.get("failed_test")
    if not isinstance(failed, Mapping):
        return "wrong_answer"
    seen = failed.get("visible")
    if seen is None:
        shown = task.get("visible_tests")
        if not shown:
            return "wrong_answer"
        seen = any(_same_test(failed.get("input"), test) for test in shown)
    return "visible_wrong" if seen else "hidden_wrong"


def _same_test(failed_input: Any, shown: Any) -> bool:
    text = _squeezed(failed_input)
    return bool(text) and text == _squeezed(shown)


def _squeezed(value: Any) -> str:
    """Return a test's text without spaces, tuples as lists: files of JSON know no tuples."""
    text = re.sub(r"\s+", "", value if isinstance(value, str) else repr(value))
    return text.replace("(", "[").replace(")", "]").replace(",]", "]")


def count_classes(classes: Iterable[str]) -> dict[str, int]:
    """Count classes in the order of `CLASSES`, leaving out those that do not occur."""
    counts = Counter(classes)
    return {cls: counts[cls] for cls in CLASSES if counts[cls]}


def error_shape(error: str) -> str:
    """Return an error message without its particulars, so that alike errors fall together."""
    first = error.strip().splitlines()[0] if error.strip() else ""
    shape = _DIGITS.sub("0", _QUOTED.sub("'…'", first))[:160]
    return shape.encode("utf-8", "replace").decode("utf-8")


def cluster_errors(errors: Iterable[tuple[str, str]], keep: int = 12) -> list[dict[str, Any]]:
    """Group (task id, error text) pairs by shape, most frequent first, at most `keep` groups."""
    groups: dict[str, list[str]] = {}
    for task_id, error in errors:
        groups.setdefault(error_shape(error), []).append(task_id)
    ranked = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    return [{"error": shape, "n": len(ids), "tasks": ids[:5]} for shape, ids in ranked[:keep]]
