"""Examples of a row without tests: doctests, calls whose value the request or a comment names.

Only calls of a function that the answer defines, with plain arguments and a plain value, count.
`explicit` ones are written as code (`>>> f(3)` and `9` below it); those read out of a sentence
("f(3) returns 9", "Input: 3 Output: 9") or a comment (`print(f(3))  # Output: 9`) are guesses, and a
guess that fails proves nothing. Where only an input is given, the function is called with it.
"""

from __future__ import annotations

import ast
import doctest
import re
from collections.abc import Iterator
from dataclasses import dataclass

from codefit.core.types import Tests
from codefit.curate.code import docstrings, functions, parse
from codefit.suites.literals import is_literal

_MAX_EXAMPLES = 20
_MAX_CHARS = 2_000
_MAX_TEXT = 20_000
_SAYS = r"(?:should return|must return|will return|would return|returns?|gives|is|yields|outputs?|evaluates to|equals)"
_ARROW = r"(?:==|=>|->|→|➞|=)"
_CALL = re.compile(rf"\b(?P<name>[A-Za-z_]\w*)\((?P<args>[^()\n]{{0,300}})\)`?\s*(?:{_SAYS}|{_ARROW}):?\s*`?")
_COMMENT = re.compile(
    r"^[ \t]*(?:print\()?(?P<call>[A-Za-z_]\w*\(.{0,300}?\))\)?[ \t]*\n?[ \t]*#\s*(?:should\s+|will\s+|=+>|-+>|→)?\s*"
    r"(?:prints?|returns?|outputs?|output is|result|expected(?: output)?|gives)?\s*(?::|=+>|->|→)?\s*"
    r"(?P<value>\S.{0,300})$",
    re.IGNORECASE | re.MULTILINE,
)
_GIVEN = "\n\nInput:\n"
_ASSIGNED = re.compile(r"(?:^|(?<=[,\n;]))\s*[A-Za-z_]\w*\s*=\s*(?=[^=])")
_INPUT = re.compile(
    r"\bInputs?\s*:\s*(?P<input>[^\n]{1,300}?)\s*(?:\n\s*|[;,.]?\s+)"
    r"(?:Expected )?Outputs?\s*:\s*(?P<output>[^\n]{1,300})",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Examples:
    """Examples as tests, and whether they stand as code."""

    tests: Tests
    explicit: bool


def examples_of(instruction: str, response: str) -> Examples | None:
    """Return the examples of a row: the explicit ones, or else those guessed, or None."""
    names = [f.name for f in functions(response) if not f.in_solution]
    instruction = instruction[:_MAX_TEXT]
    if not names:
        return None
    tree = parse(response)
    texts = [*(docstrings(tree) if tree else []), instruction]
    if tests := _tests(list(_doctests(texts, set(names)))):
        return Examples(tests, explicit=True)
    if tests := _tests([*_told(instruction, names), *_commented(response[:_MAX_TEXT], set(names))]):
        return Examples(tests, explicit=False)
    return None


def example_call(instruction: str, response: str) -> str | None:
    """Return a call of the answer's only function with the input that the request gives, or None."""
    defined = [f for f in functions(response) if not f.in_solution]
    given = instruction.partition(_GIVEN)[2]
    if len(defined) != 1 or not given or len(given) > _MAX_CHARS:
        return None
    arguments = _arguments(given)
    call = _call(f"{defined[0].name}({arguments})", {defined[0].name}) if arguments else None
    node = ast.parse(call, mode="eval").body if call else None
    return call if isinstance(node, ast.Call) and defined[0].takes(len(node.args)) else None


def _tests(found: list[tuple[str, str]]) -> Tests | None:
    """Return assertions about the function that the first example calls; none where two contradict."""
    values: dict[str, str] = {}
    for call, value in found[:_MAX_EXAMPLES]:
        if values.setdefault(call, value) != value:
            return None
    if not values:
        return None
    name = next(iter(values)).partition("(")[0]
    asserts = tuple(f"assert {call} == {value}" for call, value in values.items())
    return Tests("asserts", name, asserts)


def _doctests(texts: list[str], names: set[str]) -> Iterator[tuple[str, str]]:
    parser = doctest.DocTestParser()
    for text in texts:
        if ">>>" not in text:
            continue
        try:
            found = parser.get_examples(text[:50_000])
        except ValueError:
            continue
        for example in found:
            call = _call(example.source.strip(), names)
            value = _value(example.want.strip()) if not example.exc_msg else None
            if call and value:
                yield call, value


def _told(text: str, names: list[str]) -> Iterator[tuple[str, str]]:
    for match in _CALL.finditer(text):
        call = _call(f"{match['name']}({match['args']})", set(names))
        value = _leading_value(text[match.end() : match.end() + 300])
        if call and value:
            yield call, value
    if len(names) == 1:
        for match in _INPUT.finditer(text):
            arguments, value = _arguments(match["input"]), _leading_value(match["output"])
            if arguments and value and (call := _call(f"{names[0]}({arguments})", set(names))):
                yield call, value


def _commented(response: str, names: set[str]) -> Iterator[tuple[str, str]]:
    for match in _COMMENT.finditer(response):
        call, value = _call(match["call"], names), _value(match["value"].strip())
        if call and value:
            yield call, value


def _arguments(text: str) -> str | None:
    """Return values, one a line or separated by commas, as arguments; names before `=` are left out."""
    text = _ASSIGNED.sub(" ", text.strip().rstrip(".;")).strip()
    if "\n" in text and not _value(f"[{text}]"):
        text = ", ".join(line.strip().rstrip(",;") for line in text.splitlines() if line.strip())
    value = _value(f"[{text}]") if text else None
    return value[1:-1] if value else None


def _leading_value(text: str) -> str | None:
    """Return the literal a text begins with: to the end of its line, or its sentence."""
    line = text.split("\n", 1)[0].strip().strip("`")
    for end in (len(line), *(m.start() for m in re.finditer(r"[`.;,]?\s|[`.;]$", line))):
        if value := _value(line[:end].strip().strip("`").rstrip(".,;")):
            return value
    return None


def _call(text: str, names: set[str]) -> str | None:
    """Return a call of one of the names with plain arguments, in one form of writing, or None."""
    tree = parse(text) if len(text) <= _MAX_CHARS and "\n" not in text else None
    node = tree.body[0] if tree and len(tree.body) == 1 else None
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        return None
    call = node.value
    if not (isinstance(call.func, ast.Name) and call.func.id in names):
        return None
    if all(is_literal(a) for a in [*call.args, *(k.value for k in call.keywords)]):
        return ast.unparse(call)
    return None


def _value(text: str) -> str | None:
    """Return a plain value in one form of writing, or None."""
    if not text or len(text) > _MAX_CHARS:
        return None
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return ast.unparse(node) if is_literal(node) else None
