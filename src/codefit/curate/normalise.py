"""Normalise: one form of text; the answer as bare code; empty requests and answers out."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace

from codefit.core.types import Row
from codefit.curate.step import Context, StepResult, split
from codefit.suites.fences import fenced_blocks

_SPACES = dict.fromkeys([0x00A0, 0x2007, 0x202F, 0x3000], " ") | dict.fromkeys([0x200B, 0xFEFF], None)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_FENCE = re.compile(r"^[ \t]*(```|~~~)", re.MULTILINE)
_LEADING_TABS = re.compile(r"^[ \t]*\t[ \t]*", re.MULTILINE)


class Normalise:
    """NFC, `\\n` line ends, plain spaces, code without its fence; drops empty requests and answers."""

    name = "normalise"

    def run(self, rows: list[Row], ctx: Context) -> StepResult:
        """Change every row's texts; drop those without a request or an answer."""
        changed = [_normalise(row) for row in rows]
        rewritten = sum(
            a.response != b.response or a.instruction != b.instruction
            for a, b in zip(rows, changed, strict=True)
        )
        return split(self.name, changed, _reason, rewritten=rewritten)


def _normalise(row: Row) -> Row:
    return replace(
        row,
        instruction=clean(row.instruction).strip(),
        response=clean_answer(row.response),
        solutions=tuple(clean_answer(s) for s in row.solutions),
    )


def _reason(row: Row) -> str | None:
    if not row.instruction:
        return "empty request"
    if not row.response and not any(row.solutions):
        return "no solution" if row.tests and not row.solutions and row.language else "empty answer"
    return None


def clean(text: str) -> str:
    """Return the text in NFC with `\\n` line ends, plain spaces and no control characters."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").translate(_SPACES)
    text = unicodedata.normalize("NFC", text) if not text.isascii() else text
    return "\n".join(line.rstrip() for line in _CONTROL.sub("", text).split("\n"))


def clean_answer(text: str) -> str:
    """Return an answer's code: taken out of its fence where there is exactly one, tabs as four spaces.

    Several fenced blocks, or none, leave the text as it is.
    """
    text = clean(text)
    if len(_FENCE.findall(text)) in (1, 2):
        blocks = [b for b in fenced_blocks(text) if b.text.strip()]
        if len(blocks) == 1:
            text = blocks[0].text
    text = _LEADING_TABS.sub(lambda m: m.group().expandtabs(4), text)
    return text.strip("\n").rstrip()
