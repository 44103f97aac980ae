"""Which of several passing solutions becomes the answer: one sort key, the smallest wins.

In this order (see `docs/verification.md` for the reasons):

1. accepted by the stricter rule (`exact` before `tokens` before tolerance, case, order);
2. length from 0.5 to 1.5 times the median of the passing ones, and at most 512 tokens;
3. not slow: CPU time at most twice the fastest one's, or at most half a second above it;
4. readability, 0 to 10 (`readability`), typed and documented code included;
5. mainstream: mean Jaccard similarity of its tokens to the other passing ones, in tenths;
6. fewer branches; 7. fewer tokens; 8. the text itself, so that the order of candidates says nothing.

Only 3 depends on a clock; verdicts are kept, so a second run chooses the same.
"""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from codefit.curate.checker import looseness
from codefit.curate.code import docstrings, parse

MAX_TOKENS = 512
LENGTH_BAND = (0.5, 1.5)
SLOW_FACTOR, SLOW_SECONDS = 2.0, 0.5
_WORD = re.compile(r"\w+|[^\w\s]")
_LONG_LITERAL = 40
_BRANCHES = (ast.If, ast.IfExp, ast.For, ast.While, ast.Try, ast.BoolOp, ast.comprehension)
_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
_BOILERPLATE = re.compile(
    r"\bsetrecursionlimit\b|\bthreading\b|\bBytesIO\b|\bIOWrapper\b|\bstdin\.buffer\b|\bfaulthandler\b"
    r"|\bos\.(?:read|write)\b|\bstack_size\b"
)


@dataclass(frozen=True, slots=True)
class Passing:
    """A solution that passed all tests: its program, the rule that accepted it, its CPU seconds."""

    source: str
    rule: str = "exact"
    cpu_s: float = 0.0


def ranked(passing: Sequence[Passing], count_tokens: Callable[[str], int]) -> list[int]:
    """Return the indices of passing solutions, best first."""
    if not passing:
        return []
    tokens = [count_tokens(p.source) for p in passing]
    median, fastest = statistics.median(tokens), min(p.cpu_s for p in passing)
    words = [frozenset(_WORD.findall(p.source)) for p in passing]

    def key(i: int) -> tuple[int, bool, bool, int, int, int, int, str]:
        solution = passing[i]
        low, high = LENGTH_BAND
        fits = low * median <= tokens[i] <= high * median and tokens[i] <= MAX_TOKENS
        slow = solution.cpu_s > max(SLOW_FACTOR * fastest, fastest + SLOW_SECONDS)
        others = [_jaccard(words[i], words[j]) for j in range(len(passing)) if j != i]
        mainstream = round(10 * statistics.fmean(others)) if others else 10
        return (
            looseness(solution.rule),
            not fits,
            slow,
            -readability(solution.source),
            -mainstream,
            branches(solution.source),
            tokens[i],
            solution.source,
        )

    return sorted(range(len(passing)), key=key)


def _jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / len(a | b) if a or b else 1.0


def branches(source: str) -> int:
    """Count branching nodes: a stand-in for cyclomatic complexity (McCabe 1976)."""
    tree = parse(source)
    return sum(isinstance(node, _BRANCHES) for node in ast.walk(tree)) if tree else 0


def readability(source: str) -> int:
    """Return 0 (poor) to 10 (good); 0 where the source does not parse.

    Two points each for names longer than one letter (share) and for functions; one each for no
    semicolons or statements on one line, no `exec`/`eval`, few lambdas, no long literal tables,
    no unused import or fast-input boilerplate, and for a docstring, English comments or type hints.
    """
    tree = parse(source)
    if tree is None:
        return 0
    nodes = list(ast.walk(tree))
    functions = [n for n in nodes if isinstance(n, _FUNCTION)]
    points = round(2 * _long_names(nodes)) + 2 * bool(functions)
    points += not _crowded(nodes)
    points += not any(isinstance(n, ast.Name) and n.id in ("exec", "eval") for n in nodes)
    points += sum(isinstance(n, ast.Lambda) for n in nodes) <= 1
    points += not any(isinstance(n, ast.List | ast.Tuple) and len(n.elts) > _LONG_LITERAL for n in nodes)
    points += not (_unused_imports(nodes) or _BOILERPLATE.search(source))
    points += source.isascii() and bool(docstrings(tree) or "#" in source or any(map(_typed, functions)))
    return points


def _long_names(nodes: list[ast.AST]) -> float:
    names = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    names |= {n.arg for n in nodes if isinstance(n, ast.arg)}
    names |= {n.name for n in nodes if isinstance(n, ast.ClassDef | ast.FunctionDef)}
    return sum(len(name) > 1 for name in names) / len(names) if names else 1.0


def _crowded(nodes: list[ast.AST]) -> bool:
    """Return True if two statements of one block begin on one line, or one follows a colon on its line."""
    lines = [n.lineno for n in nodes if isinstance(n, ast.stmt)]
    return len(set(lines)) < len(lines)


def _unused_imports(nodes: list[ast.AST]) -> bool:
    imported = {
        (a.asname or a.name).partition(".")[0]
        for n in nodes
        if isinstance(n, ast.Import | ast.ImportFrom)
        for a in n.names
        if a.name != "*"
    }
    used = {n.id for n in nodes if isinstance(n, ast.Name)}
    return bool(imported - used - {"annotations"})


def _typed(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return node.returns is not None or any(a.annotation for a in node.args.args)
