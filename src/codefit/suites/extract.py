"""The one extractor: from what a model wrote to the program that is judged.

Order of rules: the text itself where it is a program that defines the entry point; fenced
blocks (the last that defines the entry point, else the last that parses); the longest
parseable stretch of raw text; code that parses nowhere, as it is. Top-level code of the chosen block is never deleted.

Not covered: a program spread over several fenced blocks; only one block is taken.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from codefit.core.types import Outcome
from codefit.suites.fences import Block, fenced_blocks
from codefit.suites.prefix import Parsed, longest_prefix, parse

_TEXT_MAX = 400_000
_ENDINGS = ("<|im_end|>", "<|endoftext|>", "<|end_of_text|>", "<|eot_id|>", "</s>", "\x00")
_STARTS = ("def ", "async def ", "class ", "import ", "from ", "@")


@dataclass(frozen=True, slots=True)
class Extraction:
    """The program found in a text, by which rule; `outcome` is `NO_CODE` if there is none."""

    program: str | None
    rule: str
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class _Candidate:
    source: str
    rule: str
    python: bool
    parsed: Parsed | None


NOTHING = Extraction(None, "none", Outcome.NO_CODE)


def extract(text: str, entry_point: str | None = None) -> Extraction:
    """Return the program in `text`; `entry_point` is a function name or `Class.method`.

    Cost: a bounded number of parses, each over the text at most once; texts are cut at 400,000
    characters.
    """
    text = _clean(text)
    whole = parse(text)
    if whole is not None and _is_program(whole, entry_point):
        return Extraction(text, "whole text")
    blocks = fenced_blocks(text)
    if blocks:
        found = _from_blocks(blocks, entry_point)
        if found is not None:
            return found
    found = _from_raw(text, entry_point)
    return _broken(text, blocks) if found is NOTHING else found


def defines(parsed: Parsed, entry_point: str) -> bool:
    """Return True if the module binds the entry point at top level (also inside if/try)."""
    head, _, method = entry_point.partition(".")
    for node in _bindings(parsed.tree.body):
        if isinstance(node, ast.ClassDef) and node.name == head:
            return not method or any(getattr(m, "name", None) == method for m in node.body)
        if not method and head in _names(node):
            return True
    return False


def _clean(text: str) -> str:
    text = text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")[:_TEXT_MAX]
    for ending in _ENDINGS:
        text = text.partition(ending)[0]
    return text


def _bindings(body: list[ast.stmt]) -> list[ast.stmt]:
    found: list[ast.stmt] = []
    for node in body:
        found.append(node)
        for part in ("body", "orelse", "finalbody"):
            if isinstance(node, (ast.If, ast.Try, ast.With)):
                found.extend(_bindings(getattr(node, part, [])))
        if isinstance(node, ast.Try):
            for handler in node.handlers:
                found.extend(_bindings(handler.body))
    return found


def _names(node: ast.stmt) -> set[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Assign(targets=targets):
            return {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name), value=value) if value is not None:
            return {name}
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return {(n.asname or n.name).partition(".")[0] for n in names}
        case _:
            return set()


def _is_code(parsed: Parsed) -> bool:
    """Return True for a module that does or defines something: prose like `Done` does not."""
    return any(not _no_effect(node) for node in parsed.tree.body)


def _no_effect(node: ast.stmt) -> bool:
    match node:
        case ast.Expr(value=ast.Constant() | ast.Name() | ast.Attribute() | ast.Compare() | ast.BinOp()):
            return True
        case ast.Expr(value=ast.Tuple(elts=items)):
            return all(isinstance(i, (ast.Name, ast.Constant)) for i in items)
        case ast.AnnAssign(value=None):
            return True
        case _:
            return False


def _is_program(parsed: Parsed, entry_point: str | None) -> bool:
    found = _is_code(parsed) if entry_point is None else defines(parsed, entry_point)
    return found and not _prose_at_the_ends(parsed)


def _prose_at_the_ends(parsed: Parsed) -> bool:
    body = [n for n in parsed.tree.body if not _is_docstring(n)]
    return bool(body) and (_no_effect(body[0]) or _no_effect(body[-1]))


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _from_blocks(blocks: list[Block], entry_point: str | None) -> Extraction | None:
    whole = [_Candidate(b.text, f"fence{b.note}", b.python, parse(b.text)) for b in blocks]
    best = _pick(whole, entry_point)
    if best is not None and (entry_point is None or _defined(best, entry_point)):
        return Extraction(best.source, best.rule)
    cut = [_cut(c) for c in whole if c.parsed is None]
    defining = [c for c in cut if entry_point and _defined(c, entry_point)]
    if defining:
        return Extraction(defining[-1].source, defining[-1].rule)
    best = best or _pick(cut, entry_point)
    return Extraction(best.source, best.rule) if best else None


def _cut(candidate: _Candidate) -> _Candidate:
    source, parsed = longest_prefix(candidate.source)
    return _Candidate(source, candidate.rule + ", parseable prefix", candidate.python, parsed)


def _defined(candidate: _Candidate, entry_point: str) -> bool:
    return candidate.parsed is not None and defines(candidate.parsed, entry_point)


def _pick(candidates: list[_Candidate], entry_point: str | None) -> _Candidate | None:
    """Return the last candidate of the best class: defines the entry point, python, any code."""
    code = [c for c in candidates if c.parsed is not None and _is_code(c.parsed)]
    classes = (
        [c for c in code if entry_point and _defined(c, entry_point)],
        [c for c in code if c.python and c.parsed and _defines_something(c.parsed)],
        [c for c in code if c.parsed and _defines_something(c.parsed)],
        [c for c in code if c.python],
        code,
    )
    return next((members[-1] for members in classes if members), None)


def _defines_something(parsed: Parsed) -> bool:
    return any(
        isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        for n in _bindings(parsed.tree.body)
    )


def _from_raw(text: str, entry_point: str | None) -> Extraction:
    """Take the longest parseable stretch, from the start or from the first line of code."""
    lines = text.split("\n")
    fallback: tuple[str, Parsed] | None = None
    for start in _starts(lines, entry_point):
        source, parsed = longest_prefix("\n".join(lines[start:]))
        if parsed is None or not _is_code(parsed):
            continue
        if entry_point is None or defines(parsed, entry_point):
            return Extraction(
                _without_prose(source, parsed), "raw text" if start == 0 else "raw text after prose"
            )
        fallback = fallback or (source, parsed)
    if fallback is None:
        return NOTHING
    return Extraction(_without_prose(*fallback), "raw text without the entry point")


def _broken(text: str, blocks: list[Block]) -> Extraction:
    """Return code that does not parse anywhere, so that the verdict says so and not `no code`."""
    for source in (*(b.text for b in reversed(blocks)), text):
        lines = source.split("\n")
        first = next((i for i, line in enumerate(lines) if line.startswith(("def ", "class "))), None)
        if first is not None:
            kept = "\n".join(lines[first:]).partition("\n```")[0]
            return Extraction(kept, "code that does not parse")
    return NOTHING


def _starts(lines: list[str], entry_point: str | None) -> list[int]:
    """Return a few line numbers where the program may start, best first."""
    code = [i for i, line in enumerate(lines) if line.startswith(_STARTS)]
    starts = [0]
    if code:
        starts.append(code[0])
    if entry_point:
        head = entry_point.partition(".")[0]
        heads = (f"def {head}(", f"def {head} (", f"class {head}", f"async def {head}(")
        own = [i for i in code if lines[i].startswith(heads)]
        if own:
            starts += [_with_preamble(lines, own[0]), own[0], own[-1]]
    return list(dict.fromkeys(starts))


def _with_preamble(lines: list[str], start: int) -> int:
    """Go up over imports, decorators, comments and blank lines that belong to a definition."""
    top = start
    for i in range(start - 1, -1, -1):
        line = lines[i]
        if line.startswith(("import ", "from ", "@", "#")):
            top = i
        elif line.strip():
            break
    return top


def _without_prose(source: str, parsed: Parsed) -> str:
    """Drop single words at the ends that happen to parse (`Sure`, `Output: x`) and do nothing."""
    body = parsed.tree.body
    first, last = 0, len(body)
    while first < last and _no_effect(body[first]) and not _is_docstring(body[first]):
        first += 1
    while last > first and _no_effect(body[last - 1]) and not _is_docstring(body[last - 1]):
        last -= 1
    lines = source.split("\n")
    end = body[last - 1].end_lineno if last < len(body) else len(lines)
    begin = _first_line(body[first]) - 1 if first else 0
    return "\n".join(lines[begin:end])


def _first_line(node: ast.stmt) -> int:
    decorators = getattr(node, "decorator_list", [])
    return min(int(n.lineno) for n in (node, *decorators))
