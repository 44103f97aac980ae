"""Syntax: answers that parse today, of a bounded size; Python 2 named apart."""

from __future__ import annotations

import ast
import re
from dataclasses import replace

from codefit.core.types import Dropped, Row
from codefit.curate.code import parse_or_error
from codefit.curate.step import Context, StepResult

_PYTHON2 = re.compile(
    r"^\s*print\s+[^=(\s]|^\s*print\s*$|\bxrange\(|\braw_input\(|\bexcept \w+, \w+:|^\s*exec \"|<>",
    re.MULTILINE,
)
_PYTHON2_ERRORS = ("Missing parentheses in call", "leading zeros in decimal", "multiple exception types")
_DEFINITION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class Syntax:
    """Keeps Python answers that parse and are not too long; other languages only by length."""

    name = "syntax"

    def run(self, rows: list[Row], ctx: Context) -> StepResult:
        """Drop rows whose answer does not parse; of several solutions only parsing ones stay."""
        kept: list[Row] = []
        dropped: list[Dropped] = []
        for row in rows:
            row, why = _judge(row, ctx)
            if why is None:
                kept.append(row)
            else:
                dropped.append(Dropped(row.id, self.name, why))
        return StepResult(kept, dropped)


def _judge(row: Row, ctx: Context) -> tuple[Row, str | None]:
    if len(row.instruction) > ctx.settings.max_prompt_chars:
        return row, "request too long"
    candidates = row.solutions or (row.response,)
    reasons = [_fault(text, row, ctx) for text in candidates]
    good = tuple(text for text, why in zip(candidates, reasons, strict=True) if why is None)
    if not good:
        return row, reasons[0]
    if row.solutions and good != row.solutions:
        row = replace(row, solutions=good, response=good[0])
    return row, None


def _fault(text: str, row: Row, ctx: Context) -> str | None:
    if not text.strip():
        return "empty answer"
    if len(text) > ctx.settings.max_response_chars:
        return "answer too long"
    if row.language not in (None, "python"):
        return None
    tree, error = parse_or_error(text)
    if tree is None:
        if _PYTHON2.search(text) or str(error).startswith(_PYTHON2_ERRORS):
            return "python 2"
        return f"does not parse: {str(error).split(' (', 1)[0]}"[:120]
    if ctx.settings.must_define and not any(isinstance(n, _DEFINITION) for n in ast.walk(tree)):
        return "defines no function or class"
    return None
