"""Parsing of untrusted source, and the longest prefix of it that parses.

The parser names the line it stopped at, and no longer prefix than the lines before that one can
parse, so a few parses are enough: one incremental scan from the end, never one parse a line.
"""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass

_ATTEMPTS_NEAR = 12
_ATTEMPTS_FAR = 24
_SOURCE_MAX = 400_000


@dataclass(frozen=True, slots=True)
class Parsed:
    """A module that parses."""

    tree: ast.Module


def parse(source: str) -> Parsed | None:
    """Return the parsed module, or None where it does not parse (or is too long or too deep)."""
    result = _try(source)
    return result if isinstance(result, Parsed) else None


def _try(source: str) -> Parsed | int:
    """Return the module, or the number of the line (from 1) where the parser stopped."""
    if len(source) > _SOURCE_MAX:
        return 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Parsed(ast.parse(source))
    except SyntaxError as e:
        return e.lineno or 1
    except (ValueError, RecursionError, MemoryError):
        return 1


def longest_prefix(source: str) -> tuple[str, Parsed | None]:
    """Return the longest run of lines from the start that parses, and its module.

    Looks line by line near the first error, then at starts of top-level statements only.
    Returns `("", None)` if nothing parses.
    """
    lines = source.split("\n")
    end, attempts = len(lines), 0
    while end > 0 and attempts < _ATTEMPTS_NEAR + _ATTEMPTS_FAR:
        text = "\n".join(lines[:end])
        result = _try(text)
        attempts += 1
        if isinstance(result, Parsed):
            return (text, result) if result.tree.body else ("", None)
        end = min(end - 1, result - 1) if result <= end else end - 1
        if attempts >= _ATTEMPTS_NEAR:
            end = _statement_start(lines, end)
    return "", None


def _statement_start(lines: list[str], end: int) -> int:
    """Return the last index at or before `end` where a line begins at the margin."""
    for i in range(min(end, len(lines) - 1), 0, -1):
        if lines[i] and not lines[i][0].isspace():
            return i
    return 0
