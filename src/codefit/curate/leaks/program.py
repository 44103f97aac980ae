"""The program of a row's answer: all of its blocks, since any of several solutions gives a task away."""

from __future__ import annotations

import ast

from codefit.core.types import Row
from codefit.curate.code import parse
from codefit.curate.leaks.foreign import translated
from codefit.suites.extract import extract
from codefit.suites.fences import fenced_blocks, transcript

_MOST_CHARS = 40_000


def program_of(row: Row) -> str:
    """Return the program of a row's answer, out of its fences and the words around it; empty if none.

    Several blocks, as of a notebook or of two ways to do it, are one program. A program in JavaScript or Java is
    returned as Python text that needs `foreign.with_runtime`.
    """
    if row.language not in (None, "python"):
        return translated(row.response) or ""
    if parse(row.response) is not None and not transcript(row.response):
        return row.response
    if program := translated(row.response):
        return program
    found = _blocks(row.response) or extract(row.response).program or _session(row.response)
    return found if parse(found) is not None else ""


def _blocks(text: str) -> str:
    """Return the fenced blocks as one program; empty where fewer than two of them do something."""
    if ("```" not in text and "~~~" not in text) or len(text) > _MOST_CHARS:
        return ""
    found = [block.text for block in fenced_blocks(text) if block.python]
    found = [_session(block) or block for block in found]
    found = [block for block in found if _acts(block)]
    return "\n\n".join(found) if len(found) > 1 else ""


def _session(text: str) -> str:
    """Return what was typed in the sessions of a text."""
    return "\n".join(transcript(text))


def _acts(source: str) -> bool:
    """Return True for a program that is more than values written down, as what a program printed is."""
    tree = parse(source)
    body = tree.body if tree else []
    return any(not isinstance(n, ast.Expr) or not isinstance(n.value, ast.Constant | ast.Name) for n in body)
