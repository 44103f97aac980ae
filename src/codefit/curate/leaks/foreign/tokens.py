"""The words of a JavaScript or Java text: names, numbers, strings, patterns, operators."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SPACE = re.compile(r"(?:\s|//[^\n]*|/\*.*?\*/)+", re.DOTALL)
_NUMBER = re.compile(
    r"0[xX][0-9a-fA-F_]+[lL]?|0[bB][01_]+[lL]?|(?:\d[\d_]*\.?[\d_]*|\.\d+)(?:[eE][+-]?\d+)?[lLfFdDn]?"
)
_NAME = re.compile(r"[A-Za-z_$][\w$]*")
_STRING = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'", re.DOTALL)
_PATTERN = re.compile(r"/((?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+)/([a-z]*)")
_OPERATOR = re.compile(
    r">>>=|\.\.\.|===|!==|\*\*=|<<=|>>=|&&=|\|\|=|\?\?=|=>|->|::|==|!=|<=|>=|&&|\|\||\?\?|\?\.(?!\d)|\+\+|--"
    r"|\+=|-=|\*=|/=|%=|&=|\|=|\^=|\*\*|<<|[-+*/%=<>!~?:;,.(){}\[\]&|^@]"
)
_VALUE_BEFORE = frozenset({"name", "number", "string", "template", "pattern"})
_NO_VALUE = frozenset(
    {"return", "typeof", "case", "in", "of", "delete", "void", "throw", "new", "else", "do"}
)
_MOST_CHARS = 20_000


class Unsupported(ValueError):
    """The text is not in the part of the language that is understood."""


@dataclass(frozen=True, slots=True)
class Token:
    """One word. `kind`: name, number, string, template, pattern, operator or end; `line`: a new line stands before."""

    kind: str
    text: str
    line: bool = False


def tokens(text: str) -> list[Token]:
    """Return the words of a text; raises `Unsupported` where it has none."""
    if len(text) > _MOST_CHARS:
        raise Unsupported("too long")
    found: list[Token] = []
    place = 0
    line = False
    while place < len(text):
        space = _SPACE.match(text, place)
        if space:
            line = line or "\n" in space[0]
            place = space.end()
            continue
        kind, part = _next(text, place, _takes_pattern(found))
        found.append(Token(kind, part, line))
        place += len(part)
        line = False
    return [*found, Token("end", "", True)]


def _takes_pattern(found: list[Token]) -> bool:
    """Return True if a slash that follows starts a pattern, not a division."""
    if not found:
        return True
    last = found[-1]
    if last.kind in _VALUE_BEFORE:
        return last.kind == "name" and last.text in _NO_VALUE
    return last.text not in (")", "]", "}")


def _next(text: str, place: int, pattern: bool) -> tuple[str, str]:
    if text[place] == "`":
        return "template", text[place : _template_end(text, place + 1)]
    ways = [("name", _NAME), ("number", _NUMBER), ("string", _STRING), ("operator", _OPERATOR)]
    if pattern and text[place] == "/":
        ways.insert(0, ("pattern", _PATTERN))
    for kind, way in ways:
        match = way.match(text, place)
        if match and match[0]:
            return kind, match[0]
    raise Unsupported(f"no word: {text[place : place + 10]!r}")


def _template_end(text: str, place: int) -> int:
    """Return the place behind the back quote that ends a template."""
    depth = 0
    while place < len(text):
        if text[place] == "\\":
            place += 1
        elif text.startswith("${", place):
            depth += 1
            place += 1
        elif text[place] == "}" and depth:
            depth -= 1
        elif text[place] == "`" and not depth:
            return place + 1
        place += 1
    raise Unsupported("a template without an end")


_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}
_ESCAPE = re.compile(r"\\(u\{[0-9a-fA-F]+\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", re.DOTALL)


def unescaped(text: str) -> str:
    """Return what a string literal without its quotes stands for."""

    def plain(match: re.Match[str]) -> str:
        code = match[1]
        if len(code) > 1:
            return chr(int(code[1:].strip("{}"), 16))
        return _ESCAPES.get(code, "" if code == "\n" else code)

    return _ESCAPE.sub(plain, text)


def template_parts(text: str) -> list[tuple[bool, str]]:
    """Return the parts of a template as (is code, text)."""
    parts: list[tuple[bool, str]] = []
    place, start, body = 1, 1, text[:-1]
    while place < len(body):
        if body[place] == "\\":
            place += 2
        elif body.startswith("${", place):
            parts.append((False, unescaped(body[start:place])))
            end = _code_end(body, place + 2)
            parts.append((True, body[place + 2 : end]))
            place = start = end + 1
        else:
            place += 1
    return [*parts, (False, unescaped(body[start:]))]


def _code_end(text: str, place: int) -> int:
    depth = 0
    while place < len(text):
        if text[place] == "{":
            depth += 1
        elif text[place] == "}":
            if not depth:
                return place
            depth -= 1
        place += 1
    raise Unsupported("a template without an end")
