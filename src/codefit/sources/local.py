"""The user's own rows: instruction/input/output, TACO's columns, or the files of rows that codefit writes."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from codefit.core.errors import InputError
from codefit.core.rows import is_record, row_of
from codefit.core.types import Row, Tests
from codefit.sources import taco
from codefit.sources.asserts import asserted_call, find_asserts, parse
from codefit.sources.base import RecordSource, file_source, text_of
from codefit.sources.code_alpaca import fold_input

ABOUT = "the user's own rows"
_PROMPT = ("instruction", "prompt", "question", "text")
_ANSWER = ("output", "response", "answer", "solution", "completion", "code")


def open_local(
    path: Path,
    *,
    kind: str = "jsonl",
    name: str | None = None,
    licence: str | None = None,
    limit: int | None = None,
    columns: Mapping[str, str] | None = None,
) -> RecordSource:
    """Return the source over the user's file; its name is the file's own where none is given.

    Rows that codefit wrote keep their ids, sources and licences; a given name or licence goes first. `columns`
    names the file's columns where they are not called as in `to_row`.
    """

    def convert(record: dict[str, Any]) -> Row:
        row = to_row(renamed(record, columns))
        return replace(row, id="", source="") if name else row

    own = name or path.name.split(".")[0] or "local"
    return file_source(
        name=own, kind=kind, path=path, licence=licence, about=ABOUT, convert=convert, limit=limit
    )


def renamed(record: dict[str, Any], columns: Mapping[str, str] | None) -> dict[str, Any]:
    """Return a record with its columns under our names; those that are not named keep theirs."""
    if not columns:
        return record
    lacking = [theirs for theirs in columns.values() if theirs not in record]
    if lacking:
        raise InputError(f"has no column '{lacking[0]}'", todo=f"columns: {', '.join(map(str, record))}")
    taken = set(columns.values())
    return {k: v for k, v in record.items() if k not in taken} | {
        ours: record[c] for ours, c in columns.items()
    }


def to_row(record: dict[str, Any]) -> Row:
    """Turn a record into a row by the columns it has.

    Columns: instruction (or prompt, question, text), input, output (or response, answer, solution,
    completion, code), and optionally tests or asserts, language, difficulty. TACO's columns work too,
    and so do those of kept.parquet.
    """
    if is_record(record):
        return row_of(record)
    if "question" in record and "solutions" in record:
        return taco.to_row(record)
    instruction = text_of(record, _column(record, _PROMPT), required=True)
    given = text_of(record, "input")
    response = text_of(record, _column(record, _ANSWER))
    row = Row(
        id="",
        source="",
        instruction=fold_input(instruction, given),
        response=response,
        language=text_of(record, "language").lower() or None,
        difficulty=text_of(record, "difficulty") or None,
    )
    return replace(row, tests=_tests(record, response) or find_asserts(instruction, given))


def _column(record: dict[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        if name in record:
            return name
    raise InputError(f"has no column '{names[0]}'", todo=f"one of: {', '.join(names)}")


def _tests(record: dict[str, Any], response: str) -> Tests | None:
    value = record.get("tests", record.get("asserts"))
    if value is None or value in ("", []):
        return None
    if isinstance(value, dict) or (isinstance(value, str) and value.lstrip().startswith("{")):
        tests, fault = taco.read_tests(value, (response,))
        if fault:
            raise InputError(f"column 'tests': {fault}")
        return tests
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise InputError("column 'tests' is neither assert statements nor inputs and outputs")
    return _asserts("\n".join(v.strip() for v in value))


def _asserts(text: str) -> Tests:
    tree = parse(text)
    if tree is None:
        raise InputError("column 'tests' does not parse as Python")
    asserts = [" ".join(ast.unparse(n).splitlines()) for n in tree.body if isinstance(n, ast.Assert)]
    setup = "\n".join(ast.unparse(n) for n in tree.body if not isinstance(n, ast.Assert))
    if not asserts:
        raise InputError("column 'tests' holds no assert statement")
    entry_point = next(filter(None, map(asserted_call, asserts)), None)
    return Tests("asserts", entry_point, tuple(asserts), setup=setup)
