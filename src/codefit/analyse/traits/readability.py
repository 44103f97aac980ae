"""Readability of programs: ruff's findings, radon's complexity, and what the syntax tree shows.

Programs are parsed, never imported or run. ruff is a process of its own, radon a parser.
"""

from __future__ import annotations

import ast
import io
import json
import subprocess
import tokenize
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeGuard

from codefit.analyse.traits.figures import Trait
from codefit.analyse.traits.files import run_tool, write_programs
from codefit.core.errors import CodefitError

# errors, warnings, pyflakes, bugbear, names, simplifications; not: how a file ends
RULES = "E,F,W,B,N,SIM"
_IGNORED = "W292,W391"
TRAITS = (
    Trait("lint", "readability", "ruff findings per 100 lines", "lower", "hundred_lines"),
    Trait("complexity", "readability", "largest cyclomatic complexity of a function", "lower"),
    Trait("maintainability", "readability", "maintainability index, 0 to 100", "higher"),
    Trait("lines", "readability", "lines of code, texts that stand alone left out", None),
    Trait(
        "docstrings",
        "readability",
        "share of functions and classes with a docstring",
        "higher",
        "definitions",
    ),
    Trait("type_hints", "readability", "share of parameters and results with a type", "higher", "typeable"),
    Trait("comments", "readability", "comments per line of code", None, "lines"),
)
Measured = dict[str, dict[str, float]]


def readability(programs: Mapping[str, str], folder: Path) -> Measured:
    """Return the figures of programs that parse, by key; ruff's and radon's where those are installed.

    `folder` is an empty one for the programs' files.
    """
    found = {key: structure(source) for key, source in programs.items()}
    for tool in (lint, complexity):
        for key, values in tool(programs, folder).items():
            found[key] |= values
    return found


def structure(source: str) -> dict[str, float]:
    """Return the figures that need no tool: lines of code, docstrings, type hints, comments."""
    nodes = list(ast.walk(ast.parse(source)))
    functions = [n for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    definitions = [*functions, *(n for n in nodes if isinstance(n, ast.ClassDef))]
    parameters = [p for f in functions for p in _parameters(f)]
    typed = sum(p.annotation is not None for p in parameters) + sum(f.returns is not None for f in functions)
    texts = {n for t in nodes if _is_text(t) for n in range(t.lineno, (t.end_lineno or t.lineno) + 1)}
    lines = [
        line
        for number, line in enumerate(source.splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#") and number not in texts
    ]
    return {
        "lines": float(len(lines)),
        "hundred_lines": len(lines) / 100,
        "docstrings": float(sum(ast.get_docstring(d, clean=False) is not None for d in definitions)),
        "definitions": float(len(definitions)),
        "type_hints": float(typed),
        "typeable": float(len(parameters) + len(functions)),
        "comments": float(_comments(source)),
    }


def _is_text(node: ast.AST) -> TypeGuard[ast.Expr]:
    """Return whether a node is a text that stands alone: a docstring, or a prompt that was repeated."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    a = function.args
    named = [*a.posonlyargs, *a.args, *a.kwonlyargs, *(x for x in (a.vararg, a.kwarg) if x)]
    return [p for p in named if p.arg not in ("self", "cls")]


def _comments(source: str) -> int:
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        return 0
    return sum(t.type == tokenize.COMMENT for t in tokens)


def lint(programs: Mapping[str, str], folder: Path) -> Measured:
    """Return ruff's findings per program, by our rules alone: no project's settings, no `noqa`."""
    if not run_tool("ruff"):
        return {}
    names = write_programs(programs, folder)
    command = [*run_tool("ruff"), "check", "--isolated", "--no-cache", "--ignore-noqa", "--exit-zero"]
    command += ["--quiet", "--output-format", "json", "--select", RULES, "--ignore", _IGNORED, str(folder)]
    found = _json(command)
    counts: Measured = {key: {"lint": 0.0} for key in programs}
    for fault in found:
        counts[names[Path(fault["filename"]).name]]["lint"] += 1
    return counts


def _json(command: list[str]) -> Any:
    done = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", errors="replace", check=False
    )
    try:
        return json.loads(done.stdout)
    except ValueError as e:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise CodefitError(
            f"ruff said no result but: {said[:200]}", todo="install another version of ruff"
        ) from e


def complexity(programs: Mapping[str, str], folder: Path) -> Measured:
    """Return radon's largest cyclomatic complexity and maintainability index of every program."""
    del folder
    if not run_tool("radon"):
        return {}
    from radon.complexity import cc_visit
    from radon.metrics import mi_visit

    found: Measured = {}
    for key, source in programs.items():
        blocks = _or_none(cc_visit, source)
        index = _or_none(mi_visit, source, True)
        if blocks is not None:
            found.setdefault(key, {})["complexity"] = float(max((b.complexity for b in blocks), default=1))
        if index is not None:
            found.setdefault(key, {})["maintainability"] = float(index)
    return found


def _or_none(tool: Callable[..., Any], *args: Any) -> Any:
    """Return what a parser of someone else's makes of a program, None where it gives up."""
    try:
        return tool(*args)
    except (SyntaxError, ValueError, TypeError, AttributeError, ZeroDivisionError, RecursionError):
        return None
