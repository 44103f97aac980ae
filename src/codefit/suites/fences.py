"""Fenced code blocks in chat text: closed, unclosed, unopened, indented, nested in docstrings."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass

from codefit.suites.prefix import parse

_FENCE = re.compile(r"^(?P<indent>[ \t>]*)(?P<mark>`{3,}|~{3,})(?P<info>[^`\n]*)$")
_PYTHON = {"", "python", "py", "python3", "python2", "pycon", "py3", "ipython", "python-repl"}
_EXTENSIONS_MAX = 8


@dataclass(frozen=True, slots=True)
class Block:
    """The text of one fenced block; `python` is False where the fence names another language."""

    text: str
    python: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Fence:
    line: int
    mark: str
    info: str
    indent: str


def fenced_blocks(text: str) -> list[Block]:
    """Return the fenced blocks in order.

    A block without a closing fence runs to the end; code before a first bare fence is taken as
    a block whose opening fence was in the prompt. A fence inside a string of a program does not
    close it where the program parses only with what follows.
    """
    lines = text.split("\n")
    fences = _fences(lines)
    blocks: list[Block] = []
    at = 0
    if fences and not fences[0].info and _is_unopened(lines[: fences[0].line]):
        blocks.append(Block(_body(lines, 0, fences[0].line, ""), True, ", unopened"))
        at = 1
    while at < len(fences):
        block, at = _block(lines, fences, at)
        blocks.append(block)
    return blocks


def _fences(lines: list[str]) -> list[_Fence]:
    found = []
    for i, line in enumerate(lines):
        match = _FENCE.match(line.rstrip())
        if match:
            info = match["info"].strip().lower()
            found.append(_Fence(i, match["mark"], info, match["indent"]))
        elif line.rstrip().endswith("```") and line.strip("` \t"):
            found.append(_Fence(i, "```", "", "…"))
    return found


def _is_unopened(before: list[str]) -> bool:
    module = parse("\n".join(before))
    return module is not None and any(hasattr(node, "body") for node in module.tree.body)


def _block(lines: list[str], fences: list[_Fence], at: int) -> tuple[Block, int]:
    """Return the block opened by fence `at`, and the index of the next opening fence."""
    opening = fences[at]
    start = opening.line + 1
    if opening.indent == "…":
        return Block("", False), at + 1
    closing = [
        j
        for j in range(at + 1, len(fences))
        if fences[j].mark.startswith(opening.mark) and not fences[j].info
    ]
    first: tuple[str, int] | None = None
    for j in closing[:_EXTENSIONS_MAX]:
        body = _body(lines, start, fences[j].line, opening.indent, glued=fences[j].indent == "…")
        if first is None:
            first = body, j
        if parse(body) is not None:
            return Block(body, _is_python(opening)), j + 1
        if _crosses_an_opening(fences, at, j):
            break
    if first is not None:
        return Block(first[0], _is_python(opening)), first[1] + 1
    return Block(_body(lines, start, len(lines), opening.indent), _is_python(opening), ", unclosed"), len(
        fences
    )


def _crosses_an_opening(fences: list[_Fence], at: int, j: int) -> bool:
    return any(fences[k].info for k in range(at + 1, min(j + 2, len(fences))))


def _is_python(fence: _Fence) -> bool:
    word = re.split(r"[\s{:,]", fence.info.strip("{}. "), maxsplit=1)[0]
    return word in _PYTHON


def _body(lines: list[str], start: int, end: int, indent: str, *, glued: bool = False) -> str:
    body = lines[start:end]
    if glued:
        body = [*body, lines[end].rstrip().removesuffix("```")]
    if indent:
        body = [line.removeprefix(indent) for line in body]
    text = "\n".join(body)
    return textwrap.dedent(text) if text[:1].isspace() else text
