"""The 19 questions of a sceptical examiner, each with the answer that this run can give.

An answer is a list of messages drawn from the evidence and a list of measurements that the
run lacks. `answered` has no gaps, `partly` has some, `not_measured` has nothing to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from codefit.report.answers_data import q5, q6, q7, q11, q13, q15, q16
from codefit.report.answers_model import q1, q2, q3, q4, q8, q9, q10, q12, q14, q17, q18, q19
from codefit.report.measures import missing
from codefit.report.messages import Message

Answer = tuple[list[Message], list[str]]
GROUPS = {"choice": range(1, 5), "data": range(5, 8), "training": range(8, 11)}
GROUPS |= {"evaluation": range(11, 16), "reflection": range(16, 20)}
_ANSWERS: dict[int, Callable[[Mapping[str, Any]], Answer]] = {
    **{1: q1, 2: q2, 3: q3, 4: q4, 5: q5, 6: q6, 7: q7, 8: q8, 9: q9, 10: q10},
    **{11: q11, 12: q12, 13: q13, 14: q14, 15: q15, 16: q16, 17: q17, 18: q18, 19: q19},
}


def answers(evidence: Mapping[str, Any], verbs: frozenset[str]) -> list[dict[str, Any]]:
    """Return the 19 questions with status, answer and what is missing."""
    return [_one(number, evidence, verbs) for number in sorted(_ANSWERS)]


def _one(number: int, evidence: Mapping[str, Any], verbs: frozenset[str]) -> dict[str, Any]:
    said, lacks = _ANSWERS[number](evidence)
    status = ("partly" if lacks else "answered") if said else "not_measured"
    group = next(name for name, numbers in GROUPS.items() if number in numbers)
    return {
        "number": number,
        "group": group,
        "status": status,
        "answer": said,
        "missing": missing(lacks, verbs),
    }
