"""The program of a row's answer: what all of its blocks define, since any of several solutions gives a task away."""

from __future__ import annotations

from codefit.core.types import Row
from codefit.curate.code import defines, parse
from codefit.curate.leaks.foreign import translated
from codefit.curate.leaks.lift import reads_input
from codefit.suites.extract import extract
from codefit.suites.fences import fenced_blocks, transcript

_MOST_CHARS = 40_000


def program_of(row: Row) -> str:
    """Return the program of a row's answer, out of its fences and the words around it; empty if none.

    Several blocks that define something, as in a notebook or where there are two ways to do it, are one program; of
    two functions of one name the last counts. A program in JavaScript or Java is returned as Python text that needs
    `foreign.with_runtime`.
    """
    if row.language not in (None, "python"):
        return translated(row.response) or ""
    if parse(row.response) is not None:
        return row.response
    if program := translated(row.response):
        return program
    found = _definitions(row.response) or extract(row.response).program or _session(row.response)
    return found if parse(found) is not None else ""


def _definitions(text: str) -> str:
    """Return the fenced blocks that define something as one program; empty for fewer than two.

    Blocks that read input are alternatives, and would take it from each other.
    """
    if not ("```" in text or "~~~" in text) or len(text) > _MOST_CHARS:
        return ""
    blocks = [block.text for block in fenced_blocks(text) if block.python]
    typed = [block if parse(block) is not None else _session(block) for block in blocks]
    found = [block for block in typed if (tree := parse(block)) and defines(tree) and not reads_input(tree)]
    if len(found) < 2 or any("__future__" in block for block in found[1:]):  # which may only stand first
        return ""
    whole = "\n\n".join(found)
    return whole if parse(whole) is not None else ""


def _session(text: str) -> str:
    """Return what was typed in the sessions of a text."""
    return "\n".join(transcript(text))
