"""Parsing of untrusted source, and the stretches of a text that are code.

A text is taken apart once, from top to bottom, into chunks: a line at the margin with all that
belongs to it. Every chunk is parsed by itself, so the cost grows with the text, not with its square.
"""

from __future__ import annotations

import ast
import builtins
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

_SOURCE_MAX = 400_000
_CUTS_MAX = 10
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_SCOPES = (*DEFINITIONS, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_TRIPLE = ('"""', "'''")
_TOKEN = re.compile(r"""\"{3}|'{3}|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[#()\[\]{}]|\\.""")
_COMPOUND = re.compile(r"(?:async\s+)?(?:if|for|while|try|with)\b")
_CLAUSE = re.compile(r"(?:else|elif|except|finally)\b")
_FRESH = re.compile(r"(?:def|class|import|from|async\s+def)\s|@")
_WORDS = (
    "and|as|assert|async|await|break|case|class|continue|def|del|elif|else|except|exec|finally|for|from|"
    "global|if|import|in|is|lambda|match|nonlocal|not|or|pass|print|raise|return|try|while|with|yield"
)
_PROSE = re.compile(
    rf"\s*(?:`{{3}}|~{{3}}|<|(?:[-*•]\s+|\d+[.)]\s+)?"
    rf"(?:(?!(?:{_WORDS})\b)[^\W\d_][\w'’-]*[,:;.!?]?\s+[^\W\d_]|[^\x00-\x7f])"
    r"|[^\W\d_][^()\[\]{}=\"]*\s\S+[.!?]$)"
)
_KNOWN = frozenset(dir(builtins)) | {"__file__", "__builtins__", "__annotations__"}


@dataclass(frozen=True, slots=True)
class Parsed:
    """A module that parses."""

    tree: ast.Module


@dataclass(frozen=True, slots=True)
class Stretch:
    """Lines `first` to `end` (from 0, exclusive) of a text, which parse as one module."""

    source: str
    parsed: Parsed
    first: int
    end: int


class _Fault(NamedTuple):
    """Where the parser stopped (lines from 1), and whether for a `try` that never got its `except`."""

    line: int
    unfinished_try: bool = False


@dataclass(frozen=True, slots=True)
class _Chunk:
    first: int
    end: int
    parsed: Parsed | None
    cut: bool = False


def parse(source: str) -> Parsed | None:
    """Return the parsed module, or None where it does not parse (or is too long or too deep)."""
    result = _try(source)
    return result if isinstance(result, Parsed) else None


def _try(source: str) -> Parsed | _Fault:
    if len(source) > _SOURCE_MAX:
        return _Fault(1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Parsed(ast.parse(source))
    except SyntaxError as e:
        return _Fault(e.lineno or 1, e.msg.startswith("expected 'except'"))
    except (ValueError, RecursionError, MemoryError):
        return _Fault(1)


def open_string(line: str, quote: str = "") -> str:
    """Return the triple quote that is open after a line, given the one open before it, or ""."""
    return _after(line, quote, 0)[0]


def _after(line: str, quote: str, depth: int) -> tuple[str, int]:
    """Return the open triple quote and the number of open brackets after a line."""
    at = 0
    while True:
        if quote:
            at = _string_end(line, quote, at)
            if at < 0:
                return quote, depth
            quote = ""
        match = _TOKEN.search(line, at)
        if match is None:
            return "", depth
        token, at = match.group(), match.end()
        if token == "#":
            return "", depth
        if token in _TRIPLE:
            quote = token
        elif token in "([{":
            depth += 1
        elif token in ")]}":
            depth = max(0, depth - 1)


def _string_end(line: str, quote: str, at: int) -> int:
    while True:
        found = line.find(quote, at)
        if found < 0:
            return -1
        before = line[at:found]
        if (len(before) - len(before.rstrip("\\"))) % 2 == 0:
            return found + 3
        at = found + 1


def unbound_words(parsed: Parsed, bound: frozenset[str] | None = None) -> list[ast.stmt]:
    """Return statements at the margin that are words of prose: they only read what nobody bound.

    `Sure`, `[DONE]`, `Time: O(n)` and `Input: nums = [1]` are such. `bound` are the names to count as
    bound; None stands for those that the module binds itself.
    """
    said = [(node, read) for node in parsed.tree.body if (read := _said(node))]
    names = bound_names(parsed) if bound is None and said else bound or frozenset()
    return [] if "*" in names else [node for node, read in said if read - names - _KNOWN]


def _said(node: ast.stmt) -> frozenset[str]:
    """Return the names that a statement reads if it may be prose: a value, or a label before words."""
    match node:
        case ast.Expr(value=value) if _is_idle(node):
            return _read(value)
        case ast.AnnAssign(target=ast.Name(id=label), annotation=words, value=value):
            return _read(words) if value is None or (label.istitle() and len(label) > 2) else frozenset()
        case _:
            return frozenset()


def does_something(parsed: Parsed) -> bool:
    """Return True for a module with any statement that acts or binds; words and numbers don't."""
    return not all(map(_is_idle, parsed.tree.body))


def _is_idle(node: ast.stmt) -> bool:
    if isinstance(node, ast.AnnAssign):
        return node.value is None
    if not isinstance(node, ast.Expr) or isinstance(node.value, ast.Call):
        return False
    acts = (ast.Call, ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)
    return not any(isinstance(n, acts) for n in ast.walk(node))


def scope(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Yield the nodes of a scope, down into `if`, `try` and loops but not into functions and classes."""
    todo: list[ast.AST] = [*body]
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, _SCOPES) and not (isinstance(node, ast.AnnAssign) and node.value is None):
            todo.extend(ast.iter_child_nodes(node))


def bound_by(node: ast.AST) -> tuple[str, ...]:
    """Return the names that one node binds, its children left out; `*` for a star import."""
    match node:
        case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
            return (name,)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return (name,)
        case ast.alias(name=name, asname=asname):
            return ((asname or name).partition(".")[0],)
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            return (name,)
        case ast.MatchMapping(rest=str(name)):
            return (name,)
        case ast.Global(names=names):
            return tuple(names)
        case _:
            return ()


def bound_names(parsed: Parsed) -> frozenset[str]:
    """Return the names that a module binds at top level (also inside if, try and loops)."""
    return frozenset(name for node in scope(parsed.tree.body) for name in bound_by(node))


def missing_names(parsed: Parsed) -> frozenset[str]:
    """Return the names that a module reads and that neither it, in any scope, nor Python binds."""
    bound = {name for node in ast.walk(parsed.tree) for name in bound_by(node)}
    return frozenset() if "*" in bound else _read(parsed.tree) - bound - _KNOWN


def _read(tree: ast.AST) -> frozenset[str]:
    nodes = (n for n in ast.walk(tree) if isinstance(n, ast.Name))
    return frozenset(n.id for n in nodes if isinstance(n.ctx, ast.Load))


def stretches(text: str, *, open_end: bool) -> list[Stretch]:
    """Return the stretches of a text that are code, in order; prose and broken code lie between.

    `open_end` says that the text may break off in the middle of a statement.
    """
    lines = text.split("\n")
    chunks = list(_Reader(lines, open_end).chunks())
    code = [c.parsed for c in chunks if c.parsed is not None]
    said = any(_said(node) for parsed in code for node in parsed.tree.body)
    bound = frozenset[str]().union(*map(bound_names, code)) if said else frozenset[str]()
    found: list[Stretch | None] = []
    begin, group = 0, list[_Chunk]()
    for chunk in chunks:
        if chunk.parsed is not None and not unbound_words(chunk.parsed, bound):
            group.append(chunk)
            continue
        found.append(_stretch(lines, begin, chunk.first, group))
        begin, group = chunk.end, []
    found.append(_stretch(lines, begin, len(lines), group))
    return [s for s in found if s is not None]


def _stretch(lines: list[str], begin: int, end: int, group: list[_Chunk]) -> Stretch | None:
    if not group:
        return None
    while not lines[begin].strip():
        begin += 1
    while not lines[end - 1].strip():
        end -= 1
    source = "\n".join(lines[begin:end])
    alone = len(group) == 1 and (group[0].first, group[0].end) == (begin, end)
    parsed = group[0].parsed if alone else parse(source)
    return Stretch(source, parsed, begin, end) if parsed is not None else None


class _Reader:
    """Takes lines apart into chunks. Blank lines and comments at the margin belong to none."""

    def __init__(self, lines: list[str], open_end: bool) -> None:
        self._lines = lines
        self._open_end = open_end
        self._spare = 4 * len(lines) + 1_000
        self._last = len(lines)
        while self._last and not lines[self._last - 1].strip():
            self._last -= 1

    def chunks(self) -> Iterator[_Chunk]:
        at = 0
        while at < self._last:
            if _is_blank(self._lines[at]):
                at += 1
            elif self._lines[at][0] in " \t":
                first, at = at, self._indented_end(at)
                yield _Chunk(first, at, None)
            else:
                for chunk in self._margin(at):
                    yield chunk
                    at = chunk.end

    def _indented_end(self, at: int) -> int:
        while at < self._last and (self._lines[at][:1] in " \t" or not self._lines[at].strip()):
            at += 1
        return at

    def _margin(self, first: int) -> Iterator[_Chunk]:
        """Yield the chunk that a line at the margin begins; where only its head is code, two."""
        plain, far = self._extent(first)
        fault: _Fault | None = None
        for end in dict.fromkeys((plain, far)):
            result = _try("\n".join(self._lines[first:end]))
            if isinstance(result, Parsed):
                yield _Chunk(first, end, result)
                return
            fault = result
        head = self._head(first, plain, far, fault) if fault else None
        if head is not None:
            yield head
        begin = head.end if head else first
        yield _Chunk(begin, far if head and head.cut else max(begin, plain), None)

    def _extent(self, first: int) -> tuple[int, int]:
        """Return where a chunk ends by its indentation, and where by its strings and brackets too."""
        lines, plain = self._lines, 0
        compound = bool(_COMPOUND.match(lines[first]))
        quote, depth, pending = "", 0, False
        at = first
        while at < self._last:
            line = lines[at]
            goes_on = pending or at == first or _belongs(line, compound)
            if not goes_on and not plain:
                plain = at
            if not goes_on and not quote and (not depth or _FRESH.match(line)):
                break
            self._spare -= bool(plain)
            if plain and self._spare < 0:
                break
            if not _is_blank(line) and not quote:
                pending = line.endswith("\\") or ((pending or at == first) and line[0] == "@")
            quote, depth = _after(line, quote, depth)
            at += 1
        return self._trimmed(first, plain or at), self._trimmed(first, at)

    def _trimmed(self, first: int, end: int) -> int:
        while end > first + 1 and _is_blank(self._lines[end - 1]):
            end -= 1
        return end

    def _head(self, first: int, plain: int, far: int, fault: _Fault) -> _Chunk | None:
        """Return the part of a chunk before the prose, or the end of the text, that breaks it off."""
        broken_off = self._open_end and far >= self._last and self._breaks_off(first, far, fault)
        end = far if broken_off else plain
        stop, parsed = self._longest(first, end, fault)
        if parsed is None:
            return None
        rest = [line for line in self._lines[stop:end] if line.strip()]
        apart = not self._lines[stop].strip()
        if all(map(_PROSE.match, rest[:1] if apart else rest)):
            return _Chunk(first, stop, parsed)
        return _Chunk(first, stop, parsed, cut=True) if broken_off else None

    def _breaks_off(self, first: int, end: int, fault: _Fault) -> bool:
        if first + fault.line >= end:
            return True
        quote, depth = "", 0
        for line in self._lines[first:end]:
            quote, depth = _after(line, quote, depth)
        return bool(quote or depth)

    def _longest(self, first: int, end: int, fault: _Fault) -> tuple[int, Parsed | None]:
        """Return the longest run of lines from `first` that parses, given where the parser stopped."""
        for _ in range(_CUTS_MAX):
            end = self._trimmed(first, self._shorter(first, end, fault))
            result = _try("\n".join(self._lines[first:end])) if end > first else fault
            if isinstance(result, Parsed) or end <= first:
                return end, result if isinstance(result, Parsed) else None
            fault = result
        return first, None

    def _shorter(self, first: int, end: int, fault: _Fault) -> int:
        """Return a shorter end: at the faulty line, or at the `try` that never got its `except`."""
        end = min(end - 1, first + fault.line - 1)
        if not fault.unfinished_try:
            return end
        indent = _indent(self._lines[end])
        for at in range(end - 1, first, -1):
            line = self._lines[at]
            if line.strip() and _indent(line) < indent:
                indent = _indent(line)
                if line.lstrip().startswith("try"):
                    return at
        return end


def _is_blank(line: str) -> bool:
    return not line.strip() or line[0] == "#"


def _belongs(line: str, compound: bool) -> bool:
    if _is_blank(line) or line[0] in " \t)]}":
        return True
    return compound and _CLAUSE.match(line) is not None


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
