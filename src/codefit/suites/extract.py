"""The one extractor: from what a model wrote to the program that is judged.

Order of rules: the text itself where it is a program that defines the entry point; else the model's
first answer (not its thoughts, nor a conversation it went on to invent), and in it fenced blocks (the
last that defines the entry point and was closed), HTML, the part of a broken block that parses, raw text (the first
stretch that defines it), odd ways to write code down. A stub or an import of the entry point loses to
a definition. Code that parses nowhere is returned as it is, for a syntax error.

Top-level code of the chosen block is never deleted. Another block of the same answer is put before or
behind it only where it binds a name that the chosen one reads and binds nowhere.

Not covered: code written as a diff, with line numbers, or as a string inside JSON.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum

from codefit.core.types import Outcome
from codefit.suites.fences import (
    Block,
    answers,
    fenced_blocks,
    html_blocks,
    indented_texts,
    inline_code,
    transcript,
    triple_quoted,
    unquoted,
    without_fences,
)
from codefit.suites.prefix import (
    DEFINITIONS,
    Parsed,
    Stretch,
    bound_by,
    bound_names,
    does_something,
    missing_names,
    parse,
    scope,
    stretches,
    unbound_words,
)

_TEXT_MAX = 400_000
_LACKING = " without the entry point"
_CODE_LINE = re.compile(r"^(?:def|class|import|from|async def)[ \t]|^@\w", re.MULTILINE)
_READS = re.compile(r"\binput\(|\bstdin\b")
_DEFINITION = re.compile(r"^(?:async[ \t]+def|def|class)[ \t]+\w+[ \t]*[(:]", re.MULTILINE)
_READINGS = {
    "indented text": indented_texts,
    "transcript": transcript,
    "triple quotes": triple_quoted,
    "quoted text": unquoted,
    "text without its fences": without_fences,
    "inline code": inline_code,
}


@dataclass(frozen=True, slots=True)
class Extraction:
    """The program found in a text, by which rule; `outcome` is `NO_CODE` if there is none."""

    program: str | None
    rule: str
    outcome: Outcome | None = None


NOTHING = Extraction(None, "none", Outcome.NO_CODE)


class _Level(IntEnum):
    """How well a module provides the entry point."""

    LACKING = 0
    BORROWED = 1  # imported, or a method that only a base class may have
    STUB = 2
    DEFINED = 3


@dataclass(frozen=True, slots=True)
class _Candidate:
    source: str
    parsed: Parsed
    rule: str
    level: _Level
    group: str
    line: int
    closed: bool
    python: bool
    script: bool
    lines: int

    @property
    def defines(self) -> bool:
        return any(isinstance(n, DEFINITIONS) for n in scope(self.parsed.tree.body))


def extract(text: str, entry_point: str | None = None) -> Extraction:
    """Return the program in `text`; `entry_point` is a function name or `Class.method`.

    Cost: a bounded number of parses of each line; texts are cut at 400,000 characters.
    """
    text = _clean(text)
    whole = parse(text)
    if whole and _is_program(whole, entry_point):
        return Extraction(text, "whole text")
    found = NOTHING
    for answer in answers(text):
        this = _Answer(answer, entry_point).extraction()
        if this.program is not None and not this.rule.endswith(_LACKING):
            return this
        found = this if found.program is None else found
    return found


def _is_program(parsed: Parsed, entry_point: str | None) -> bool:
    provides = entry_point is None or defines(parsed, entry_point)
    return provides and does_something(parsed) and not unbound_words(parsed)


def defines(parsed: Parsed, entry_point: str) -> bool:
    """Return True if the module binds the entry point at top level (also inside if/try)."""
    return _level(parsed, entry_point) > _Level.LACKING


def _clean(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")[:_TEXT_MAX]
    text = re.sub("^[\ufeff\u200b\u2060]+", "", text, flags=re.MULTILINE)
    return text.encode("utf-8", "replace").decode("utf-8")


def _level(parsed: Parsed, entry_point: str) -> _Level:
    head, _, method = entry_point.partition(".")
    found = [_Level.LACKING]
    for node in scope(parsed.tree.body):
        if not method:
            found.append(_binding(node, head))
        elif isinstance(node, ast.ClassDef) and node.name == head:
            found += [_binding(n, method) for n in scope(node.body)] + [_Level.BORROWED] * bool(node.bases)
    return max(found)


def _binding(node: ast.AST, name: str) -> _Level:
    if name not in bound_by(node):
        return _Level.LACKING
    if isinstance(node, ast.alias):
        return _Level.BORROWED
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and all(map(_is_idle, node.body)):
        return _Level.STUB
    return _Level.DEFINED


def _is_idle(node: ast.stmt) -> bool:
    match node:
        case ast.Pass() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Raise(exc=ast.Name(id=name) | ast.Call(func=ast.Name(id=name))):
            return name == "NotImplementedError"
        case _:
            return False


class _Answer:
    """One answer, and the candidates in it in the order of the rules."""

    def __init__(self, text: str, entry_point: str | None) -> None:
        self._text = text
        self._entry_point = entry_point
        self._head = (entry_point or "").partition(".")[0]
        self._blocks = [(block, _module(block)) for block in fenced_blocks(text)]
        self._read: dict[tuple[str, bool], list[Stretch]] = {}

    def extraction(self) -> Extraction:
        """Return the program of the first rule that finds a definition, else the best of any rule."""
        seen: list[_Candidate] = []
        for found in self._rules():
            seen += found
            best = max(found, key=_rank, default=None)
            if best and (self._entry_point is None or best.level is _Level.DEFINED):
                return _with_needed(best, [c for c in seen if c.group == best.group])
        best = max(seen, key=_rank, default=None)
        broken, named = self._broken()
        if broken and (named or best is None):
            return Extraction(broken, "code that does not parse")
        if best is None:
            return NOTHING
        lacking = _LACKING if self._entry_point and best.level is _Level.LACKING else ""
        return Extraction(best.source, best.rule + lacking)

    def _rules(self) -> Iterator[list[_Candidate]]:
        """Yield the candidates of each rule, the preferred of equals first."""
        yield [c for b, parsed in self._blocks for c in self._whole(b, parsed)][::-1]
        yield [c for b in html_blocks(self._text) for c in self._parts(b, "html", "html")]
        broken = [b for b, parsed in self._blocks if parsed is None]
        yield [c for b in broken for c in self._parts(b, f"fence{b.note}, parseable part")][::-1]
        yield list(self._raw())
        odd = _READINGS if not self._entry_point or self._head in self._text else {}
        for rule, read in odd.items():
            blocks = (Block(text, True, closed=False) for text in read(self._text))
            found = [c for b in blocks for c in self._parts(b, rule, rule)]
            wanted = [c for c in found if c.level is _Level.DEFINED or (not self._entry_point and c.defines)]
            yield [c for c in wanted if rule != "inline code" or not missing_names(c.parsed)]

    def _whole(self, block: Block, parsed: Parsed | None) -> Iterator[_Candidate]:
        if parsed is not None:
            yield from self._candidate(block.text, parsed, f"fence{block.note}", block)
            return
        for text in transcript(block.text):
            module = parse(text)
            if module is not None:
                yield from self._candidate(text, module, f"fence{block.note}, transcript", block)

    def _parts(self, block: Block, rule: str, group: str = "fence") -> Iterator[_Candidate]:
        for part in self._stretches(block):
            yield from self._candidate(part.source, part.parsed, rule, block, group, part.first)

    def _stretches(self, block: Block) -> list[Stretch]:
        key = block.text, block.closed
        if key not in self._read:
            self._read[key] = stretches(block.text, open_end=not block.closed)
        return self._read[key]

    def _raw(self) -> Iterator[_Candidate]:
        block = Block(self._text, True, closed=False)
        begin = len(self._text) - len(self._text.lstrip())
        top = self._text.count("\n", 0, begin)
        for c in self._parts(block, "raw text", "raw"):
            yield c if c.line == top else replace(c, rule="raw text after prose")

    def _candidate(
        self, source: str, parsed: Parsed, rule: str, block: Block, group: str = "fence", line: int = 0
    ) -> Iterator[_Candidate]:
        """Yield the candidate unless it is words that happen to parse."""
        if does_something(parsed):
            named = self._entry_point and self._head in source
            level = _level(parsed, self._entry_point or "") if named else _Level.LACKING
            script = not self._entry_point and _READS.search(source) is not None
            lines = 0 if group == "fence" or self._entry_point else source.count("\n")
            closed = block.closed or group != "fence"
            at = block.first + line
            yield _Candidate(source, parsed, rule, level, group, at, closed, block.python, script, lines)

    def _broken(self) -> tuple[str, bool]:
        """Return code that parses nowhere, and whether it is what names the entry point."""
        head = re.escape(self._head) or r"\w+"
        wanted = re.compile(rf"^[ \t]*(?:async[ \t]+def|def|class)[ \t]+{head}\b", re.MULTILINE)
        found = ""
        blocks = [b for b, parsed in reversed(self._blocks) if parsed is None]
        for block in (*blocks, Block(self._text, True, closed=False)):
            rest = self._outside(block)
            if wanted.search(rest):
                return _from_first_code(block.text), True
            if not found and _DEFINITION.search(rest):
                found = _from_first_code(block.text)
        return found, False

    def _outside(self, block: Block) -> str:
        """Return the lines of a block that no stretch of code holds."""
        lines, at = block.text.split("\n"), 0
        kept: list[str] = []
        for part in self._stretches(block):
            kept += lines[at : part.first]
            at = part.end
        return "\n".join(kept + lines[at:])


def _module(block: Block) -> Parsed | None:
    """Return the module of a block; what another language's words happen to mean in Python is none."""
    parsed = parse(block.text)
    return parsed if parsed and (block.python or not unbound_words(parsed)) else None


def _rank(c: _Candidate) -> tuple[int, bool, bool, bool, bool, int]:
    return c.level, c.script, c.defines, c.closed, c.python, c.lines


def _from_first_code(text: str) -> str:
    first = _CODE_LINE.search(text)
    return text[first.start() if first else 0 :].partition("\n```")[0]


def _with_needed(chosen: _Candidate, others: list[_Candidate]) -> Extraction:
    """Add the blocks that bind names which the chosen one reads and nobody in it binds."""
    offers: dict[str, list[_Candidate]] = defaultdict(list)
    own = bound_names(chosen.parsed)
    for other in others:
        names = bound_names(other.parsed)
        after = other.line > chosen.line
        if other.python and other is not chosen and not (after and names & own):
            for name in names:
                offers[name].append(other)
    picked, todo = {id(chosen): chosen}, [chosen] if offers else []
    while todo:
        wanted = missing_names(todo.pop().parsed)
        for other in [c for name in wanted for c in offers.get(name, ())]:
            if id(other) not in picked:
                picked[id(other)] = other
                todo.append(other)
    parts = [c.source for c in sorted(picked.values(), key=lambda c: c.line)]
    if len(parts) == 1 or any("__future__" in part for part in parts[1:]):
        return Extraction(chosen.source, chosen.rule)
    program = "\n\n".join(part.strip("\n") for part in parts)
    return Extraction(program, f"{chosen.rule}, with others it needs")
