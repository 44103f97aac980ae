"""TACO: contest problems with many solutions and tests, in its 17 columns."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from codefit.core.errors import InputError
from codefit.core.files import parse_json, without_surrogates
from codefit.core.types import STDIN_CONTRACT, Row, Tests
from codefit.sources.base import RecordSource, file_source, text_of

LICENCE = "Apache-2.0 (collection); problems and solutions keep the terms of their sites"
ABOUT = "TACO: contest problems with human solutions, tests and difficulty"
_STDIN = re.compile(r"\bstandard input\b|\bstdin\b", re.IGNORECASE)
_MAX_DIGITS = 200_000
_DIGITS_PER_PIECE = 4_000  # below Python's limit on str -> int
_PROVENANCE = (
    "name",
    "url",
    "source",
    "origin",
    "picture_num",
    "time_limit",
    "memory_limit",
    "taco_test_task_id",
)


def open_taco(
    path: Path, *, name: str = "taco", licence: str | None = None, limit: int | None = None
) -> RecordSource:
    """Return the source over TACO's files (JSON Lines, Parquet or Arrow shards, or their folder)."""
    return file_source(
        name=name,
        kind="taco",
        path=path,
        licence=licence or LICENCE,
        about=ABOUT,
        convert=to_row,
        limit=limit,
    )


def to_row(record: dict[str, Any]) -> Row:
    """Turn a TACO record into a row; the first solution is the response until one is verified.

    Tests that are null or unreadable leave the row without tests, and `extra["tests_fault"]` says why.
    """
    question = text_of(record, "question", required=True)
    starter = text_of(record, "starter_code")
    solutions = _solutions(record.get("solutions"))
    tests, fault = read_tests(record.get("input_output"), solutions)
    extra = {k: record[k] for k in _PROVENANCE if record.get(k) is not None}
    return Row(
        id="",
        source="",
        instruction=_instruction(question, starter, tests),
        response=solutions[0] if solutions else "",
        language="python" if solutions else None,
        tests=tests,
        solutions=solutions,
        difficulty=text_of(record, "difficulty") or None,
        tags=_tags(record.get("skill_types")) or _tags(record.get("tags")),
        extra=extra | ({"tests_fault": fault} if fault else {}),
    )


def _instruction(question: str, starter: str, tests: Tests | None) -> str:
    if starter.strip():
        return f"{question.strip()}\n\nComplete this code:\n```python\n{starter.strip()}\n```"
    name = tests.entry_point.rpartition(".")[2] if tests and tests.entry_point else None
    if name and name not in question:
        return f"{question.strip()}\n\nName the function `{name}`."
    if tests and tests.kind == "stdin" and not _STDIN.search(question):
        return f"{question.rstrip()}\n\n{STDIN_CONTRACT}"
    return question


def _solutions(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        try:
            value = parse_json(value) if value.strip() else []
        except (ValueError, RecursionError) as e:
            raise InputError(f"column 'solutions' is not JSON: {e}") from e
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(s, str) for s in value):
        raise InputError("column 'solutions' is not a list of texts")
    return tuple(value)


def _tags(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        try:
            value = without_surrogates(ast.literal_eval(value[:10_000]))
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return ()
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()


def read_tests(text: Any, solutions: tuple[str, ...]) -> tuple[Tests | None, str | None]:
    """Return (tests, None) of an `input_output` column, or (None, why it holds none)."""
    if text is None or (isinstance(text, str) and not text.strip()):
        return None, None
    value = text
    if isinstance(text, str):
        try:
            value = parse_json(text, parse_int=parse_int)
        except (ValueError, RecursionError) as e:
            return None, f"input_output is not JSON: {e}"
    if not isinstance(value, dict):
        return None, "input_output is not an object"
    inputs, outputs = value.get("inputs"), value.get("outputs")
    if not isinstance(inputs, list) or not isinstance(outputs, list):
        return None, "input_output has no lists of inputs and outputs"
    if len(inputs) != len(outputs):
        return None, f"input_output has {len(inputs)} inputs and {len(outputs)} outputs"
    if not inputs:
        return None, None
    name = value.get("fn_name")
    return _calls(str(name), inputs, outputs, solutions) if name else _stdin(inputs, outputs)


def parse_int(digits: str) -> int:
    """Read an integer of up to 200,000 digits, beyond Python's own limit of 4,300."""
    if len(digits) <= _DIGITS_PER_PIECE:
        return int(digits)
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    negative, digits = digits.startswith("-"), digits.lstrip("-")
    value = 0
    for start in range(0, len(digits), _DIGITS_PER_PIECE):
        piece = digits[start : start + _DIGITS_PER_PIECE]
        value = value * 10 ** len(piece) + int(piece)
    return -value if negative else value


def _calls(
    name: str, inputs: list[Any], outputs: list[Any], solutions: tuple[str, ...]
) -> tuple[Tests | None, str | None]:
    if not name.isidentifier():
        return None, "fn_name is not a name"
    if not all(isinstance(i, list) for i in inputs):
        return None, "inputs of a function are not lists of arguments"
    in_class = any("class Solution" in s for s in solutions)
    entry_point = f"Solution.{name}" if in_class else name
    return Tests("calls", entry_point, inputs=tuple(tuple(i) for i in inputs), outputs=tuple(outputs)), None


def _stdin(inputs: list[Any], outputs: list[Any]) -> tuple[Tests | None, str | None]:
    pairs = [(_text(i), _text(o)) for i, o in zip(inputs, outputs, strict=True)]
    good = [(i, o) for i, o in pairs if i is not None and o is not None]
    if len(good) < len(pairs):
        return None, "inputs or outputs of a program are not texts"
    return Tests("stdin", inputs=tuple(i for i, _ in good), outputs=tuple(o for _, o in good)), None


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "\n".join(value)
    return None
