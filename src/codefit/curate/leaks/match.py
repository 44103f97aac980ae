"""What it means that a program gives a task's values: how often, on which inputs, in which form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from codefit.curate.leaks.adapt import AS_IS, is_order
from codefit.curate.leaks.answers import Agreement, dumped
from codefit.curate.leaks.asked import Round
from codefit.curate.leaks.callables import Callee
from codefit.curate.leaks.forms import FORMS, Form
from codefit.curate.leaks.probe import Answer, Question

SAME = 0.97
"""Share of other inputs from which two programs do the same: references err on odd ones."""


@dataclass(frozen=True, slots=True)
class Match:
    """A row's callable that gives the values of all of a task's own calls.

    `passes`: as they are, so that it passes the task's tests under the task's name. Otherwise it needs another
    `shape` of the arguments, another `form` of the answer, or a loose comparison. `share` of the `varied` other
    inputs came out like the reference's: the smaller of the shares among those with the most frequent value and
    among the rest, since a function that always says no is right most of the time. `formed_share` is the same of
    the `formed` inputs of the form of the tests' own, of which `formed_rare` have a rarer value. `distinct` counts
    the values that were expected, `others` the different tasks that ask for the same behaviour.
    """

    target: int
    callable: Callee
    shape: str
    passes: bool
    share: float
    varied: int
    distinct: int
    trivial: bool
    form: Form = Form.NONE
    formed: int = 0
    formed_share: float = 0.0
    formed_rare: int = 0
    others: int = 1
    agrees: bool | None = None

    @property
    def natural(self) -> bool:
        """Return True if the program takes the task's arguments, in any order or writing, and gives its values."""
        return not self.form and (self.callable.reads or self.shape == AS_IS or is_order(self.shape))

    @property
    def rank(self) -> tuple[bool, bool, float, int]:
        """Sort key: of two matches with a task, the greater says more."""
        return self.passes, self.natural, self.share, -self.callable.nodes


def matched(
    target: int, one: Callee, shape: str, asked: Round, answers: Sequence[Answer], *, trivial: bool
) -> Match | None:
    """Return the match of a callable that was asked all of a task's questions; None where it is none."""
    count, end = len(asked.base), len(asked.base) + len(asked.varied)
    base = answers[:count]
    form = agreed(base)
    if form is None:
        return None
    exact = not form and all(a.way is Agreement.EXACT for a in base)
    named = shape == AS_IS and one.name is not None
    formed = _values(asked.formed)
    return Match(
        target=target,
        callable=one,
        shape=shape,
        passes=exact and named,
        share=balanced(asked.varied, answers[count:end], form),
        varied=len(asked.varied),
        distinct=len(set(_values(asked.all))),
        trivial=trivial,
        form=form,
        formed=len(formed),
        formed_share=balanced(asked.formed, answers[end:], form),
        formed_rare=len(formed) - max(Counter(formed).values(), default=0),
    )


def agreed(answers: Sequence[Answer]) -> Form | None:
    """Return the first form in which all answers are the expected values; None for none, and for no answers."""
    return next((f for f in (Form.NONE, *FORMS) if answers and all(a.agrees(f) for a in answers)), None)


def balanced(asked: Sequence[Question], answers: Sequence[Answer], form: Form = Form.NONE) -> float:
    """Return the smaller share of agreement among the most frequent value and among the others; 1 for none."""
    if not asked:
        return 1.0
    expected = _values(asked)
    frequent = Counter(expected).most_common(1)[0][0]
    groups: tuple[list[bool], list[bool]] = ([], [])
    for value, answer in zip(expected, answers, strict=True):
        groups[value == frequent].append(answer.agrees(form))
    shares = [sum(group) / len(group) for group in groups if len(group) > 1]
    return min(shares, default=1.0)


def _values(asked: Sequence[Question]) -> list[str]:
    return [dumped(question.call[1]) for question in asked]
