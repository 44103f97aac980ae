"""Normalise: one form of text; the answer as bare code; empty requests and answers out."""

from __future__ import annotations

import ast
import html
import re
import unicodedata
from collections import Counter
from dataclasses import replace

from codefit.core.types import Row
from codefit.curate.code import defines, parse
from codefit.curate.step import Context, StepResult, split
from codefit.suites.fences import Block, fenced_blocks

_SPACES = dict.fromkeys([0x00A0, 0x2007, 0x202F, 0x3000], " ") | dict.fromkeys([0x200B, 0x2060, 0xFEFF], None)
_QUOTES = dict.fromkeys([0x2018, 0x2019, 0x201A, 0x2032], "'") | dict.fromkeys(
    [0x201C, 0x201D, 0x201E, 0x2033], '"'
)
_DASHES = dict.fromkeys([0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2212], "-")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_FENCE = re.compile(r"^[ \t]*(```|~~~)", re.MULTILINE)
_INDENT = re.compile(r"^[ \t]+", re.MULTILINE)
_LEADING_TABS = re.compile(r"^[ \t]*\t[ \t]*", re.MULTILINE)
_OUTPUT = re.compile(
    r"\n(?:#|//)? *(?:The |Sample |Expected )*outputs?(?: *:[^\n]*| *)(?:\n|$)", re.IGNORECASE
)
_SLASHES = re.compile(r"(?:(?<=\n)|(?<=\) )|(?<=\)  ))[ \t]*// *(?=[^\W\d]|[\[\"'{(])")
_PROMPT = re.compile(r"^(>>>|\.\.\.)( |$)", re.MULTILINE)


class Normalise:
    """NFC, `\\n` line ends, plain spaces, code without its fence; drops empty requests and answers."""

    name = "normalise"

    def run(self, rows: list[Row], ctx: Context) -> StepResult:
        """Change every row's texts; drop those without a request or an answer."""
        repairs: Counter[str] = Counter()
        changed = [normalised(row, repairs) for row in rows]
        rewritten = sum(
            a.response != b.response or a.instruction != b.instruction
            for a, b in zip(rows, changed, strict=True)
        )
        licences = Counter(row.licence or "none stated" for row in rows)
        return split(
            self.name,
            changed,
            emptiness,
            rewritten=rewritten,
            repairs=dict(sorted(repairs.items())),
            licences=dict(sorted(licences.items())),
        )


def normalised(row: Row, repairs: Counter[str]) -> Row:
    """Return the row with clean texts; `repairs` counts what was done to its answer."""
    response, done = repaired_answer(row.response)
    repairs.update(done)
    return replace(
        row,
        instruction=clean(row.instruction).strip(),
        response=response,
        solutions=tuple(clean_answer(s) for s in row.solutions),
    )


def emptiness(row: Row) -> str | None:
    """Return what a clean row lacks: a request or an answer; None where it has both."""
    if not row.instruction:
        return "empty request"
    if not row.response and not any(row.solutions):
        return "no solution" if row.tests and not row.solutions and row.language else "empty answer"
    return None


def clean(text: str) -> str:
    """Return the text in NFC with `\\n` line ends, plain spaces and no control characters.

    UTF-8 that was once read as Windows-1252 (`Ã©` for `é`) is read again.
    """
    text = _CONTROL.sub("", _line_ends(text))
    before = "" if not text.isascii() else text
    while before != text:  # what one pass puts together, the next may read again
        before, text = text, unicodedata.normalize("NFC", _decoded_again(text).translate(_SPACES))
    return "\n".join(line.rstrip() for line in text.split("\n"))


def clean_answer(text: str) -> str:
    """Return an answer's bare code; see `repaired_answer`."""
    return repaired_answer(text)[0]


def repaired_answer(text: str) -> tuple[str, tuple[str, ...]]:
    """Return (an answer's code, names of the repairs made).

    Prose around one fenced block goes. Of several blocks, the only Python one that defines a function
    or class is the answer; otherwise the text stays whole. Cleaning never changes what a program that
    parses does: where a string in it would change, only line ends and outer blank lines do. Curly
    quotes, long dashes, HTML entities, `//` comments, `>>>` prompts, a common indentation and output
    shown below the code are put right only where that makes the answer parse as Python.
    """
    done: list[str] = []
    text = _line_ends(text)
    if (code := _unfenced(text)) != text:
        done.append("fence")
    plain = _untabbed(clean(code))
    if _risky(code, plain) and _program(code) not in (None, _program(plain)):
        plain = code
    elif plain.split() != code.split():
        done.append("characters")
    elif plain != code:
        done.append("spacing")
    plain = plain.strip("\n").rstrip()
    if (fixed := _made_to_parse(plain)) is not None:
        return fixed[1], (*done, fixed[0])
    return plain, tuple(done)


def _line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")


def _unfenced(text: str) -> str:
    if not _FENCE.search(text):
        return text
    blocks = [b for b in fenced_blocks(text) if b.text.strip()]
    if len(blocks) > 1:
        blocks = [b for b in blocks if _defining(b)]
    return blocks[0].text if len(blocks) == 1 else text


def _defining(block: Block) -> bool:
    tree = parse(block.text) if block.python else None
    return tree is not None and defines(tree)


def _untabbed(text: str) -> str:
    """Return the text with its indentation in spaces: a tab is four, or eight as Python reads it beside spaces."""
    indents = _INDENT.findall(text)
    tabbed = sum("\t" in indent for indent in indents)
    if not tabbed:
        return text
    mixed = any(" " in indent for indent in indents)
    return _LEADING_TABS.sub(lambda m: m.group().expandtabs(8 if mixed else 4), text)


def _risky(before: str, after: str) -> bool:
    """Return True where a change may have touched a string of a program."""
    if before == after:
        return False
    return not before.isascii() or bool(_CONTROL.search(before)) or '"""' in before or "'''" in before


def _program(text: str) -> str | None:
    tree = parse(text)
    try:
        return ast.dump(tree) if tree else None
    except RecursionError:
        return None


def _made_to_parse(text: str) -> tuple[str, str] | None:
    """Return (name of the repair, code) of the first repair by which the text becomes a program."""
    trials = {
        "quotes and dashes": text.translate(_QUOTES | _DASHES),
        "entities": html.unescape(text),
        "comments": _SLASHES.sub("# ", text),
    }
    if _PROMPT.search(text):
        lines = [_PROMPT.sub("", line) for line in text.split("\n") if _PROMPT.match(line)]
        trials["prompts"] = "\n".join(lines)
    if text[:1] in (" ", "\t") or re.match(r"^\S.*[^:]\n[ \t]+\S", text):
        trials["indentation"] = _dedented(text)
    if shown := _OUTPUT.search(text):
        trials["output below the code"] = text[: shown.start()].rstrip()
    trials = {name: trial for name, trial in trials.items() if trial != text}
    if not trials or parse(text) is not None:
        return None
    for name, trial in trials.items():
        tree = parse(trial)
        if tree and any(not isinstance(n, ast.Expr) or isinstance(n.value, ast.Call) for n in tree.body):
            return name, trial
    return None


def _dedented(text: str) -> str:
    """Return the text with the least indentation of its lines, the first one aside, taken from all."""
    first, *rest = text.split("\n")
    least = min((len(line) - len(line.lstrip()) for line in rest if line.strip()), default=0)
    own = len(first) - len(first.lstrip())
    least = least if own == 0 else min(own, least)
    return "\n".join([first[own:], *(line[least:] for line in rest)])


_WINDOWS = {
    b: bytes([b]).decode("cp1252") for b in range(0x80, 0x100) if b not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)
}
_BYTE = {char: b for b, char in _WINDOWS.items()} | {chr(b): b for b in range(0x80, 0xA0)}
_NEXT = "".join(re.escape(char) for char, b in _BYTE.items() if b < 0xC0)
_TWICE = re.compile(rf"[\xc2-\xdf][{_NEXT}]|[\xe0-\xef][{_NEXT}]{{2}}|[\xf0-\xf4][{_NEXT}]{{3}}")


def _decoded_again(text: str) -> str:
    """Return the text with each character that was decoded as Windows-1252 byte by byte put right."""

    def again(match: re.Match[str]) -> str:
        try:
            char = bytes(_BYTE.get(c, ord(c)) for c in match.group()).decode("utf-8")
        except (UnicodeDecodeError, ValueError):
            return match.group()
        return char if char.isprintable() or char.isspace() else match.group()

    return _TWICE.sub(again, text)
