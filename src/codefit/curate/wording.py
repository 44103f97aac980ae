"""What a request says and whether the answer keeps to it, by signs that a person can check."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from codefit.core.types import Row

_WORDS_GOOD = (6, 400)
_ASKS = re.compile(
    r"\b(write|create|make|build|design|implement|generate|construct|define|develop|code|compute|calculate|find"
    r"|return|print|output|check|convert|sort|count|remove|reverse|merge|add|determine|complete|edit|fix|perform"
    r"|rewrite|refactor|modify|optimi[sz]e|debug|solve|parse|extract|replace|select|program|compose|given|draw|sum"
    r"|transform|compress|devise|raise|simulate|reconstruct|form|produce|display|insert|delete|update|identify|use"
    r"|how|what|which|why|explain|describe|can you|suggest)\b|\?",
    re.IGNORECASE,
)
_THING = r"(\w+ )?(code|snippet|program|function|script|class|query|statement|loop|algorithm)\b"
_DANGLING = re.compile(
    rf"\b(this|that|these|(the )?(following|given|above|previous|below|provided|existing)) {_THING}"
    rf"|\b(rewrite|edit|modify|fix|debug|improve|optimi[sz]e|refactor|update|change|correct) the {_THING}"
    r"|\bquestion \d|\battached\b|\b(above|previous) (example|question|answer|task|step)",
    re.IGNORECASE,
)
_SHOWN = re.compile(r"[=(){}\[\]]|^\s*(def|class|for|while|if|import|print)\b|\n\s*\S", re.MULTILINE)
_PLACEHOLDER = re.compile(
    r"\[(insert|your|name|enter)[^\]]*\]|<(your|insert)[^>]*>|\bTODO\b|_{4,}", re.IGNORECASE
)
_GIVES = re.compile(
    r"\b(return|print|output|display|show|produce|give|yield|result|list of|calculat|comput|whether)", re.I
)
_TAKES = re.compile(
    r"\b(given|takes?|input|from|of (a|an|the|two|three)|in (a|an|the)|argument|parameter|accepts?|between|receives?"
    r"|with)\b",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"\b(?:function|method|class|program)\b[^.\n]{0,20}?\b(?:called|named)\s+[`'\"“]?([A-Za-z_]\w*)|\bdef\s+(\w+)\("
    r"|`([A-Za-z_]\w*)\([^`]*\)`"
)
_STUB = re.compile(
    r"#\s*(TODO|FIXME|your code|add your|write your|do something|code goes here|\.\.\.\s*$)", re.I
)
_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
_INPUT = "\n\nInput:\n"


def clarity(instruction: str) -> float:
    """Return how clear a request is, from 0 to 1.

    1 where it has 6 to 400 words, asks for something, says what goes in and what comes out, points to
    no code that is not there and holds no placeholder; each that fails takes a stated share away.
    """
    ask, _, given = instruction.partition(_INPUT)
    words = len(instruction.split())
    low, high = _WORDS_GOOD
    score = min(1.0, words / low, high / max(1, words))
    score *= 1.0 if _ASKS.search(ask) else 0.5
    score *= 1.0 if _GIVES.search(ask) else 0.9
    score *= 1.0 if given or _TAKES.search(ask) else 0.9
    if _DANGLING.search(ask) and not _SHOWN.search(given) and not _SHOWN.search(ask):
        score *= 0.4
    return score * (0.5 if _PLACEHOLDER.search(ask) else 1.0)


def completeness(row: Row, tree: ast.Module | None) -> float:
    """Return how complete an answer is, from 0 to 1.

    0.25 for a stub (`pass`, `...`, `NotImplementedError`, a comment that promises code) or where the
    tested entry point is missing, 0.5 where a function or class that the request names is not defined,
    0.5 where no function returns, prints, raises or changes anything.
    """
    if tree is None:
        return 0.0 if row.language in (None, "python") else 0.5
    if _STUB.search(row.response) or any(_is_stub(n) for n in ast.walk(tree)):
        return 0.25
    defined = {n.name for n in ast.walk(tree) if isinstance(n, (ast.ClassDef, *_FUNCTION))}
    wanted = row.tests.entry_point if row.tests else None
    if wanted and wanted.rpartition(".")[2] not in defined:
        return 0.25
    named = {name for match in _NAMED.findall(row.instruction.partition(_INPUT)[0]) for name in match if name}
    score = 0.5 if named and defined and not named & defined else 1.0
    functions = [n for n in ast.walk(tree) if isinstance(n, _FUNCTION) and n.name != "__init__"]
    return score if all(any(_effects(f)) for f in functions) else score / 2


def _is_stub(node: ast.AST) -> bool:
    if not isinstance(node, _FUNCTION):
        return False
    body = [s for s in node.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant)
                                         and isinstance(s.value.value, str))]  # fmt: skip
    match body:
        case [ast.Raise(exc=ast.Name(id=name) | ast.Call(func=ast.Name(id=name)))]:
            return name == "NotImplementedError"
        case [] | [ast.Pass()]:
            return node.name != "__init__"
    return len(body) == 1 and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)


def _effects(function: ast.AST) -> Iterator[bool]:
    for node in ast.walk(function):
        yield isinstance(node, ast.Return) and node.value is not None
        yield isinstance(node, ast.Yield | ast.YieldFrom | ast.Raise | ast.Global | ast.Nonlocal | ast.Assert)
        yield isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del)
        yield isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Await)
