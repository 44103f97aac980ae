"""Requests as words: what a prompt asks for, without code, examples and stock phrases."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from codefit.curate.code import docstrings, parse

_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_CODE_LINE = re.compile(
    r"^\s*(assert\b|>>>|\.\.\.|def |class |import |from \w+ import|(?-i:return)\b|print\(|@|```|#"
    r"|your code should pass)",
    re.IGNORECASE,
)
_PROSE = re.compile(r"^\s*return( [\w,'-]+){3,}[.:;]?\s*$")  # `return the sum of the items` is no statement
_NUMBER_OF = re.compile(r"\bnumber of\b", re.IGNORECASE)  # `the number of inversions` is a count
_MAX_WORDS = 4_000


_CONVERT = "convert"


@dataclass(frozen=True)
class _Tables:
    stop: frozenset[str]
    canonical: Mapping[str, str]
    numbers: Mapping[str, str]
    opposites: frozenset[tuple[str, str]]
    modifiers: frozenset[str]
    neutral: frozenset[str]


@cache
def _tables() -> _Tables:
    raw = json.loads(resources.files(__package__).joinpath("words.json").read_text("utf-8"))
    canonical = {_stem(w): _stem(head) for head, words in raw["synonyms"].items() for w in words}
    pairs = {(_stem(a), _stem(b)) for a, b in raw["opposites"]}
    return _Tables(
        stop=frozenset(raw["stop"]),
        canonical=canonical,
        numbers=raw["numbers"],
        opposites=frozenset(pairs | {(b, a) for a, b in pairs}),
        modifiers=frozenset(canonical.get(_stem(w), _stem(w)) for w in raw["modifiers"]),
        neutral=frozenset(canonical.get(_stem(w), _stem(w)) for w in raw["neutral"]),
    )


@dataclass(frozen=True, slots=True)
class Request:
    """A request: its words in order, the stems that carry meaning, and its numbers."""

    words: tuple[str, ...]
    stems: frozenset[str]
    numbers: frozenset[str]

    @property
    def key(self) -> str:
        """Return the normalised text: equal requests have equal keys."""
        return " ".join(self.words)


def request(prompt: str) -> Request:
    """Return what a prompt asks for; docstrings of a code prompt, else the text without code lines."""
    return sketch(request_text(prompt))


def request_text(prompt: str) -> str:
    """Return the prose of a prompt: no asserts, examples, signatures or fenced code."""
    tree = parse(prompt) if re.search(r"^\s*(def |class |\"\"\"|''')", prompt, re.MULTILINE) else None
    text = "\n".join(docstrings(tree)) if tree else ""
    lines: list[str] = []
    fenced = shown = False
    for line in (text or prompt).splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif shown and line.strip() and not _is_code(line):
            shown = False  # the line below `>>> f(x)` is its value
        elif not fenced and not _is_code(line):
            lines.append(line)
        shown = line.lstrip().startswith(">>>")
    return "\n".join(lines)


def _is_code(line: str) -> bool:
    return bool(_CODE_LINE.match(line)) and not _PROSE.match(line)


def sketch(text: str) -> Request:
    """Return the words of a text, its meaningful stems (synonyms merged) and its numbers."""
    tables = _tables()
    plain = unicodedata.normalize("NFKC", text).replace("’", "'").replace("'s ", " ").replace(" or not", " ")
    plain = _NUMBER_OF.sub("count of", plain)
    words = tuple(w.lower() for w in _WORD.findall(_CAMEL.sub(" ", plain))[:_MAX_WORDS])
    words = tuple(tables.numbers.get(w, w) for w in words)
    return Request(words, stems_of(words), frozenset(w for w in words if w.isdecimal()))


def stems_of(words: Iterable[str]) -> frozenset[str]:
    """Return the stems of the words that carry meaning."""
    stop = _tables().stop
    return frozenset(canonical(w) for w in words if w not in stop)


def core(wanted: Request) -> frozenset[str]:
    """Return the stems that say what is to be done, without those that only say to what kind of value."""
    return wanted.stems - _tables().neutral


def same_core(a: Request, b: Request) -> bool:
    """Return True if two requests ask for the same thing in the same words, conversions in the same direction."""
    found = core(a)
    if found != core(b):
        return False
    converts = _CONVERT in a.stems | b.stems and len(found) > 1
    return not converts or _order(a, found) == _order(b, found)


def _order(wanted: Request, stems: frozenset[str]) -> list[str]:
    return list(dict.fromkeys(s for s in map(canonical, wanted.words) if s in stems))


def complete(part: frozenset[str], whole: Request) -> bool:
    """Return True if a part of a request has all its words that change the meaning."""
    return not (whole.stems - part) & _tables().modifiers


@cache
def canonical(word: str) -> str:
    """Return a word's stem, or the head of its synonyms."""
    stem = _stem(word)
    return _tables().canonical.get(stem, stem)


def opposed(a: Request, b: Request) -> bool:
    """Return True if the requests differ in a word and its opposite, or ask for different numbers."""
    only_a, only_b = a.stems - b.stems, b.stems - a.stems
    opposites = _tables().opposites
    if any((x, y) in opposites for x in only_a for y in only_b):
        return True
    return bool(a.numbers - b.numbers) and bool(b.numbers - a.numbers)


def altered(a: Request, b: Request) -> bool:
    """Return True if the words show two tasks: a word exchanged, or one that changes the meaning added.

    So does a conversion in the other direction. An exchanged word may still be a paraphrase, so this is doubt, not
    proof.
    """
    only_a, only_b = a.stems - b.stems, b.stems - a.stems
    if bool(only_a and only_b) or bool((only_a | only_b) & _tables().modifiers):
        return True
    both = core(a) & core(b)
    return _CONVERT in a.stems & b.stems and len(both) > 1 and _order(a, both) != _order(b, both)


_ENDINGS = (("ies", "y"), ("sses", "ss"), ("ing", ""), ("edly", ""), ("ed", ""), ("es", "e"), ("s", ""))


@cache
def _stem(word: str) -> str:
    if len(word) <= 3 or word.isdecimal():
        return word
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith(("ss", "us", "is")):
            word = word[: -len(ending)] + instead
            if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            break
    return word[:-1] if len(word) > 4 and word.endswith("e") else word
