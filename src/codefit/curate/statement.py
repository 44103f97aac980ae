"""What a statement lets an answer differ in: tolerance, letter case, order, or several right answers.

Read by patterns within one sentence each. A pattern that is missed costs a right solution, one that
matches by accident could let a wrong one pass, so the loose readings (order, case) ask for a word of
output in the same sentence, and `several` never accepts anything: it only says that a difference
proves nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Unit = Literal["lines", "items"]
_MAX_CHARS, _MAX_SENTENCE = 60_000, 2_000
_MAX_EXPONENT = 12


@dataclass(frozen=True, slots=True)
class Rules:
    """How outputs are compared. The defaults are those of a statement that says nothing.

    tolerance: largest difference of numbers that the statement names; `relative` if it may also be
    meant as a share of the value. any_order: whether lines, or the items of a line or list, may change
    places. several: the statement has more than one right answer. in_place: the result is the first
    argument, changed. said: the yes and no words that stand in quotes, which tests write in another case now
    and then.
    """

    tolerance: float | None = None
    relative: bool = True
    any_case: bool = False
    any_order: Unit | None = None
    several: bool = False
    in_place: bool = False
    said: tuple[str, ...] = ()


PLAIN = Rules()
"""The rules of a statement that names none."""
_SENTENCE = re.compile(r"(?<=[.!?;])(?<!i\.e\.)(?<!e\.g\.)(?<!i\. e\.)\s+|\n\s*\n|\n(?=\s*[-*•]\s)")
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")

_TELL = r"(?:print|output|return|report|write|display|list|give|provide|show|produce)(?:ed|ing|s)?"
_SHOW = rf"(?:{_TELL}|(?:construct|find)(?:ed|ing|s)?)"
_POWER = re.compile(
    r"\b10\s*(?:\^|\*\*)?\s*(?:<sup>)?\s*\{?\s*[-–−]\s*(\d{1,2})\b|\b1(?:\.0*)?[eE]-0*(\d{1,2})\b|\b0\.(0{2,}1)\b"
)
_ERROR = re.compile(
    r"\berrors?\b|inaccura|\baccura|precision|toleranc|\baccept|considered (?:correct|valid)|\bdiffer|deviat"
    r"|\b(?:answers?|solutions?) within\b",
    re.IGNORECASE,
)
_RELATIVE = re.compile(r"\brelative", re.IGNORECASE)
_ABSOLUTE = re.compile(r"\babsolute|\bwithin\b|\bdiffer", re.IGNORECASE)

_CASE = re.compile(
    r"\b(?:letters?|characters?|words?|strings?|yes|no)\b\W*(?:\w+\W+){0,6}in (?:any|either) (?:letter )?"
    r"(?:case|register)\b|\bin any (?:letter )?(?:case|register) \W*(?:\w+\W+){0,2}(?:upper|lower)"
    r"|\bcase[- ]?insensitive\b|\bcase (?:does not|doesn't) matter\b|\bregardless of (?:the )?case\b",
    re.IGNORECASE,
)
_ORDER = re.compile(
    rf"\b(?:{_TELL}|answers?|results?|solutions?)\b(?P<gap>[^.;]{{0,140}}?)\b(?:in|use|is) (?:an )?"
    r"(?:any|arbitrary)(?: arbitrary| possible)? (?:order|sequence)\b"
    r"|\border (?:of [^.;]{0,40}\b(?:output|answer|printed|returned)[^.;]{0,20})?"
    r"(?:does not|doesn't|do not|don't|is not|isn't) (?:matter|important)",
    re.IGNORECASE,
)
_ORDER_OF_WORK = re.compile(
    r"\b(?:(?:re)?arrang|re-?order|concatenat|perform|complet|select|choos|remov|delet|swap|add|plac|join|visit"
    r"|process|combin|form|tak|pick|permut|us|appl)(?:e|es|ed|ing|y|ied|ying)?\b",
    re.IGNORECASE,
)
_OUTPUT = re.compile(rf"\b(?:{_TELL}|answers?|outputs?)\b", re.IGNORECASE)
_LINES = re.compile(
    r"\b(?:lines?|edges?|roads?|pairs?|operations?|paths?|rows?|segments?|rectangles?|links?|connections?|names?"
    r"|words?|strings?|points?|triples?|combinations?|queries)\b",
    re.IGNORECASE,
)

_MANY = r"(?:several|multiple|many|more than one|not unique|isn't unique|two or more|a number of|different)"
_ANY = r"(?:any|either|an arbitrary|arbitrary|one of (?:them|those|these))"
_SEVERAL = re.compile(
    rf"\b{_MANY}\b[^.]*?\b{_SHOW}\b[^.]{{0,60}}?\b{_ANY}\b"
    rf"|\b{_MANY}\b[^.]*?\bany (?:one )?of (?:them|those|these)\b[^.]*?\b(?:accept|allowed|fine|valid|correct|ok\b)"
    rf"|\b{_MANY}\b[^.]*?\bany (?:one )?of (?:them|those|these) (?:is|are|will)\b"
    rf"|\b{_MANY}\b[^.]*?\b(?:satisfied|happy|content) (?:by|with) any\b"
    rf"|\b{_MANY}\b[^.]{{0,80}}?, any of (?:them|those|these)\b"
    r"|\bany (?:answer|solution|output|valid \w+|correct \w+|suitable \w+)\b[^.]{0,80}\b(?:accept|considered correct"
    r"|allowed)",
    re.IGNORECASE,
)
_SHOW_ANY = re.compile(
    r"\b(?:print|output|return|report|construct)\s+(?:an?\s+)?(?:any|arbitrary)\s+(?:one\s+)?(?!order\b|of the\b)\w+",
    re.IGNORECASE,
)
_NOT = re.compile(r"(?:n't|\bnot|\bnever|\bwithout|\bor|\bcannot)\s+(?:\w+\s+){0,2}$", re.IGNORECASE)
_NUMERIC = re.compile(r"\bcalculation error\b|\bdiffer", re.IGNORECASE)
_INTERACTIVE = re.compile(
    r"\binteractive (?:problem|task)\b|\binteract(?:ion)? with the (?:jury|grader)", re.IGNORECASE
)
_QUOTED = re.compile(r"[\"“”'`‘’«](yes|no)[\"“”'`‘’»]", re.IGNORECASE)
_IN_PLACE = re.compile(
    r"\b(?:do not|don't|without) return(?:ing)? anything\b|\bmodify [^.]{0,60}\bin[- ]place\b|\bin[- ]place instead\b",
    re.IGNORECASE,
)
_NEED_NOT = re.compile(r"\b(?:need not|not need|needn't|don't need|not have)\b", re.IGNORECASE)


@lru_cache(maxsize=32_768)
def rules_of(statement: str) -> Rules:
    """Return how outputs are compared by what the statement says."""
    text = statement[:_MAX_CHARS].translate(_SUPERSCRIPT)
    sentences = [" ".join(s.split())[:_MAX_SENTENCE] for s in _SENTENCE.split(text) if s and s.strip()]
    tolerance, relative = _tolerance(sentences)
    return Rules(
        tolerance,
        relative,
        any(_CASE.search(s) and _OUTPUT.search(s) for s in sentences),
        next((unit for s in sentences for unit in (_order(s),) if unit), None),
        any(map(_several, sentences)),
        any(_IN_PLACE.search(s) and not _NEED_NOT.search(s) for s in sentences),
        tuple(sorted(set(_QUOTED.findall(text)))),
    )


def _tolerance(sentences: list[str]) -> tuple[float | None, bool]:
    for sentence in sentences:
        power = _POWER.search(sentence)
        if power is None or not _ERROR.search(sentence):
            continue
        exponent = len(power[3]) if power[3] else int(power[1] or power[2])
        if 1 <= exponent <= _MAX_EXPONENT:
            absolute_only = _ABSOLUTE.search(sentence) and not _RELATIVE.search(sentence)
            return 10.0**-exponent, not absolute_only
    return None, True


def _order(sentence: str) -> Unit | None:
    found = _ORDER.search(sentence)
    if found is None or not _OUTPUT.search(sentence):
        return None
    if found["gap"] and _ORDER_OF_WORK.search(found["gap"]):
        return None
    return "lines" if _LINES.search(sentence) else "items"


def _several(sentence: str) -> bool:
    if _INTERACTIVE.search(sentence):
        return True
    if _SEVERAL.search(sentence) and not _NUMERIC.search(sentence):
        return True
    found = _SHOW_ANY.search(sentence)
    return bool(found and not _NOT.search(sentence[: found.start()]))
