"""Python 2 rewritten as Python 3 where that is safe, deterministically and without lib2to3.

First what does not parse is rewritten token by token (`print`, `exec`, `except E, e`, `raise E, m`,
`<>`, backticks, `0777`, `10L`), then what parses but means something else is rewritten by the
syntax tree (`xrange`, `raw_input`, lists that became iterators, `has_key`, `.next()`, …).

Not covered, so the source is refused: names and modules that went away without a plain equal
(`cmp`, `urllib2`, …), `input()` (it evaluated), `sort` with `cmp`, `__cmp__` and its kind. `/` and
`round` mean something else for integers: without tests to prove the result such a source is refused
too, with tests `/` becomes `//` unless a float shows. A comma at the end of `print` becomes
`end=" "`, so a line may end in a space that Python 2 did not print. Order between values of
different types, and bytes read as text, are not seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from codefit.curate.code import parse
from codefit.curate.python2_meaning import modernised, prints_by_statement, uses_python2


class _Token(NamedTuple):
    kind: str
    text: str


_SCANNER = re.compile(
    r"(?P<comment>\#[^\n]*)"
    r"|(?P<string>(?i:[ub]?r?|r[ub])(?:'''(?:[^\\]|\\.)*?'''|\"\"\"(?:[^\\]|\\.)*?\"\"\""
    r"|'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"))"
    r"|(?P<number>0[xX][0-9a-fA-F]+[lL]?|0[bBoO][0-7]+[lL]?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[jJlL]?)"
    r"|(?P<name>[^\W\d]\w*)"
    r"|(?P<space>[ \t\f]+|\\\n)"
    r"|(?P<line>\n)"
    r"|(?P<op><>|>>=|<<=|\*\*=|//=|[-+*/%&|^<>=!]=|\*\*|//|<<|>>|.)",
    re.DOTALL,
)
_HEADS = frozenset(["if", "elif", "else", "for", "while", "try", "except", "finally", "with", "def", "class"])
_OPEN, _CLOSE = frozenset("([{"), frozenset(")]}")
_SIGNS = re.compile(
    r"(?:^|[;:])\s*print[ \t]+[^=(\s.,)\]]|^\s*print\s*$|\b(xrange|raw_input|unichr|basestring)\s*\(|<>"
    r"|\bexcept\s[^:\n]*, *\w+ *:|^\s*exec[ \t]+[\"'\w]|\braise \w+, ",
    re.MULTILINE,
)
_NAMES = re.compile(
    r"\b(xrange|raw_input|unicode|unichr|long|basestring|has_key|iterkeys|itervalues|iteritems)\b"
    r"|\bprint\s*(>>|$|#|;)",
    re.MULTILINE,
)


def is_python2(source: str) -> bool:
    """Return True if a source that does not parse, or a name or method in one that does, is Python 2's."""
    if not _SIGNS.search(source) and not _NAMES.search(source):
        return False
    tree = parse(source)
    return uses_python2(tree) if tree else bool(_SIGNS.search(_without_strings(source)))


def _without_strings(source: str) -> str:
    kept = {"comment": "", "string": "''"}
    return "".join(kept.get(str(m.lastgroup), m.group()) for m in _SCANNER.finditer(source))


def repair_python2(source: str, *, tested: bool) -> str | None:
    """Return the source as Python 3 with the same meaning, or None where that is not certain.

    `tested` says that tests will prove the result; only then are `/` and `round` accepted.
    """
    tokens = [_Token(str(m.lastgroup), m.group()) for m in _SCANNER.finditer(source)]
    found = parse(source)
    if found is None or prints_by_statement(found):
        source = _rewritten(tokens, "print_function" in source)
    tree = parse(source)
    return modernised(source, tree, tested) if tree else None


def _rewritten(tokens: list[_Token], print_is_function: bool) -> str:
    tokens = _without_backticks([_plain(t) for t in tokens])
    out: list[str] = []
    for statement in _statements(tokens):
        head = next((t.text for t in statement if t.kind not in ("space", "line", "comment")), "")
        change = _CHANGES.get(head)
        if change is None or (head == "print" and print_is_function):
            out += [t.text for t in statement]
        else:
            lead, body, rest = _parted(statement)
            out += [*lead, change(body[1:]), *rest]
    return "".join(out)


def _plain(token: _Token) -> _Token:
    kind, text = token
    if kind == "number":
        text = text.rstrip("lL")
        if re.fullmatch(r"0\d*[1-9]\d*", text) and not re.search(r"[89]", text):
            text = f"0o{text.lstrip('0')}"
        elif re.fullmatch(r"00+", text):
            text = "0"
    return _Token(kind, "!=" if text == "<>" and kind == "op" else text)


def _without_backticks(tokens: list[_Token]) -> list[_Token]:
    inside, out = False, list[_Token]()
    for token in tokens:
        if token.text == "`":
            out += [_Token("op", ")")] if inside else [_Token("name", "repr"), _Token("op", "(")]
            inside = not inside
        else:
            out.append(token)
    return out


def _statements(tokens: list[_Token]) -> Iterator[list[_Token]]:
    """Yield the simple statements and compound headers; joined, they are the source."""
    current: list[_Token] = []
    depth, head, lambdas = 0, "", 0
    for token in tokens:
        current.append(token)
        if token.kind == "op" and token.text in _OPEN | _CLOSE:
            depth += 1 if token.text in _OPEN else -1
        elif token.kind == "name":
            head = head or token.text
            lambdas += token.text == "lambda" and depth == 0
        if depth > 0:
            continue
        colon = token.text == ":" and token.kind == "op" and not lambdas and head in _HEADS
        lambdas -= token.text == ":" and lambdas > 0
        if token.kind == "line" or colon or (token.kind == "op" and token.text == ";"):
            yield current
            current, depth, head, lambdas = [], 0, "", 0
    if current:
        yield current


def _parted(statement: list[_Token]) -> tuple[list[str], list[_Token], list[str]]:
    """Return (space before, the statement's own tokens, what ends it: space, comment, `:`, `;`, line)."""
    start = next(i for i, t in enumerate(statement) if t.kind not in ("space", "line", "comment"))
    end = len(statement)
    while end > start + 1 and (
        statement[end - 1].kind in ("space", "line", "comment") or statement[end - 1].text in (":", ";")
    ):
        end -= 1
    texts = [t.text for t in statement]
    return texts[:start], statement[start:end], texts[end:]


def _split(tokens: list[_Token], mark: str) -> list[str]:
    """Return the texts between the marks that stand in no bracket."""
    parts, depth = [""], 0
    for token in tokens:
        if token.kind == "op":
            depth += (token.text in _OPEN) - (token.text in _CLOSE)
        if depth == 0 and token.text == mark:
            parts.append("")
        else:
            parts[-1] += token.text
    return [part.strip() for part in parts]


def _print(body: list[_Token]) -> str:
    parts = _split(body, ",")
    if parts == [""]:
        return "print()"
    extra = []
    if parts[0].startswith(">>"):
        extra.append(f"file={parts.pop(0)[2:].strip()}")
    if parts and parts[-1] == "" and len(parts) > 1:
        parts.pop()
        extra.append('end=" "')
    if len(parts) == 1 and not extra and _in_brackets(body):
        inside = _split([t for t in body if t.kind != "space"][1:-1], ",")
        if len(inside) == 1:
            return f"print{parts[0]}"
    return f"print({', '.join([*parts, *extra])})"


def _in_brackets(body: list[_Token]) -> bool:
    """Return True if one pair of round brackets holds all of it."""
    texts = [t.text for t in body if t.kind != "space"]
    depth = 0
    for i, text in enumerate(texts):
        depth += (text == "(") - (text == ")")
        if depth == 0 and i < len(texts) - 1:
            return False
    return texts[:1] == ["("]


def _exec(body: list[_Token]) -> str:
    parts = _split(body, "in")
    return f"exec({', '.join(parts)})" if not _in_brackets(body) else f"exec{parts[0]}"


def _except(body: list[_Token]) -> str:
    parts = _split(body, ",")
    if len(parts) == 2 and parts[1].isidentifier():
        return f"except {parts[0]} as {parts[1]}"
    return "except" + "".join(t.text for t in body)


def _raise(body: list[_Token]) -> str:
    parts = _split(body, ",")
    if len(parts) == 2 and re.fullmatch(r"[\w.]+", parts[0]):
        return f"raise {parts[0]}{parts[1]}" if parts[1][:1] == "(" else f"raise {parts[0]}({parts[1]})"
    return "raise" + "".join(t.text for t in body)


_CHANGES: dict[str, Callable[[list[_Token]], str]] = {
    "print": _print,
    "exec": _exec,
    "except": _except,
    "raise": _raise,
}
