"""Syntax: answers that parse today, of a bounded size, whole, with every name defined."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

from codefit.core.types import Dropped, Row
from codefit.curate.code import defines, parse_or_error
from codefit.curate.names import undefined_names
from codefit.curate.python2 import is_python2, repair_python2
from codefit.curate.step import Context, StepResult

_PYTHON2_ERRORS = ("Missing parentheses in call", "leading zeros in decimal", "multiple exception types")
_OPEN_END = re.compile(
    r"(?:[-+*/%=,(\[{&|<>]|\b(?:and|or|not|in|is|return|if|else|for|lambda|import|from))\s*$"
)
_CUT_ERRORS = ("was never closed", "unexpected EOF", "unterminated")


class Syntax:
    """Keeps Python answers that parse and are not too long; other languages only by length."""

    name = "syntax"

    def run(self, rows: list[Row], ctx: Context) -> StepResult:
        """Drop rows whose answer does not parse; of several solutions only parsing ones stay.

        Python 2 is rewritten where that is safe; the fact `repaired` names it on the row.
        """
        kept: list[Row] = []
        dropped: list[Dropped] = []
        repaired: Counter[str] = Counter()
        for done, row in enumerate(rows):
            row, why, rewritten = _judge(row, ctx)
            if why is None:
                kept.append(row)
            else:
                dropped.append(Dropped(row.id, self.name, why))
            if rewritten and why is None:
                ctx.note(row.id, repaired="python 2")
                repaired["python 2"] += 1
            if done % 1_000 == 0:
                ctx.on_progress(done, len(rows))
        return StepResult(kept, dropped, {"repaired": dict(repaired)})


def _judge(row: Row, ctx: Context) -> tuple[Row, str | None, bool]:
    """Return (row with the solutions that are sound, why it is dropped, whether one of them was rewritten)."""
    if len(row.instruction) > ctx.settings.max_prompt_chars:
        return row, "request too long", False
    judged = [_sound(text, row, ctx) for text in row.solutions or (row.response,)]
    good = tuple(text for text, why, _ in judged if why is None)
    if not good:
        return row, judged[0][1], False
    if row.solutions and good != row.solutions:
        row = replace(row, solutions=good, response=good[0])
    elif not row.solutions and good[0] != row.response:
        row = replace(row, response=good[0])
    return row, None, any(rewritten for _, why, rewritten in judged if why is None)


def _sound(text: str, row: Row, ctx: Context) -> tuple[str, str | None, bool]:
    """Return (the answer, what is wrong with it, whether it was rewritten from Python 2)."""
    if not text.strip():
        return text, "empty answer", False
    if len(text) > ctx.settings.max_response_chars:
        return text, "answer too long", False
    if row.language not in (None, "python"):
        return text, None, False
    if not is_python2(text):
        return text, _fault(text, row, ctx), False
    tested = bool(row.tests and len(row.tests)) and "verify" in ctx.settings.steps
    modern = repair_python2(text, tested=tested)
    if modern is None:
        return text, "python 2", False
    return modern, _fault(modern, row, ctx), True


def _fault(text: str, row: Row, ctx: Context) -> str | None:
    tree, error = parse_or_error(text)
    if tree is None:
        if str(error).startswith(_PYTHON2_ERRORS):
            return "python 2"
        if _cut_off(text, str(error)):
            return "cut off"
        return f"does not parse: {str(error).split(' (', 1)[0]}"[:120]
    script = row.tests is not None and row.tests.kind == "stdin"
    if ctx.settings.must_define and not script and not defines(tree):
        return "defines no function or class"
    if missing := undefined_names(text, row.instruction, tree):
        return f"undefined name: {', '.join(missing)}"[:120]
    return None


def _cut_off(text: str, error: str) -> bool:
    """Return True where a source that does not parse ends in the middle of something."""
    code = [line for line in text.rstrip().split("\n") if line.strip() and not line.lstrip().startswith("#")]
    last = code[-1].split("#", 1)[0].rstrip() if code else ""
    if _OPEN_END.search(last) or (last.endswith(":") and "indented block" in error):
        return True
    lines = text.rstrip().count("\n") + 1
    found = re.search(r"\(line (\d+)\)$", error)
    at_end = found is not None and int(found.group(1)) >= lines
    return any(sign in error for sign in _CUT_ERRORS) and (at_end or "was never closed" in error)
