"""Code Alpaca: 20,022 requests with an optional input and a model-written answer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from codefit.core.types import Row
from codefit.sources.asserts import find_asserts
from codefit.sources.base import RecordSource, file_source, text_of

LICENCE = "CC BY-NC 4.0"
ABOUT = (
    "Code Alpaca: requests and answers written by text-davinci-003; the data licence forbids commercial use, "
    "and a model tuned on it inherits that question"
)
_PLACEHOLDERS = frozenset(
    {"noinput", "no input", "n/a", "na", "none", "nil", "null", "-", "not applicable", "no input needed"}
    | {"no input required", "no input necessary", "empty"}
)
_MARKED = re.compile(r"\s*<no ?input\w*>", re.IGNORECASE)


def open_code_alpaca(
    path: Path, *, name: str = "code_alpaca", licence: str | None = None, limit: int | None = None
) -> RecordSource:
    """Return the source over a Code Alpaca file (columns instruction, input, output)."""
    return file_source(
        name=name,
        kind="code_alpaca",
        path=path,
        licence=licence or LICENCE,
        about=ABOUT,
        convert=to_row,
        limit=limit,
    )


def to_row(record: dict[str, Any]) -> Row:
    """Turn an instruction/input/output record into a row; asserts in the prompt become its tests."""
    instruction = text_of(record, "instruction", required=True)
    given = text_of(record, "input")
    response = text_of(record, "output") if "output" in record else text_of(record, "output", required=True)
    return Row(
        id="",
        source="",
        instruction=fold_input(instruction, given),
        response=response,
        tests=find_asserts(instruction, given),
    )


def fold_input(instruction: str, given: str) -> str:
    """Return the request with its input below it; placeholders such as `<noinput>` are left out."""
    given = _MARKED.sub("", given)
    if given.strip().strip("<>[]().").strip().lower() in _PLACEHOLDERS or not given.strip():
        return instruction
    if find_asserts(given):
        return f"{instruction}\n{given}"
    return f"{instruction}\n\nInput:\n{given}"
