"""What it means that a program gives a task's values: how often, on which inputs, in which form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import and_

from codefit.curate.leaks.adapt import AS_IS, is_last_resort, is_order
from codefit.curate.leaks.answers import Agreement, dumped
from codefit.curate.leaks.asked import Round
from codefit.curate.leaks.callables import Callee
from codefit.curate.leaks.forms import FORMS, LOOSE, Form
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
    the values that were expected, `told` those of them that show work (`Round.told`),
    `others` the different tasks that ask for the same behaviour. `place` is that of the task among all by all
    words of the row, from 0.
    """

    target: int
    callable: Callee
    shape: str
    passes: bool
    share: float
    varied: int
    distinct: int
    trivial: bool
    told: int = 0
    form: Form = Form.NONE
    formed: int = 0
    formed_share: float = 0.0
    formed_rare: int = 0
    others: int = 1
    agrees: bool | None = None
    place: int = 0

    @property
    def natural(self) -> bool:
        """Return True if the program takes the task's arguments, in any order or writing, and gives its values."""
        return not self.form and (self.callable.reads or self.shape == AS_IS or is_order(self.shape))

    @property
    def wide(self) -> bool:
        """Return True if the arguments are of another kind than the task's own."""
        return is_last_resort(self.shape)

    @property
    def detail(self) -> str:
        """Return the match in words."""
        name, nodes = self.callable.name or "the program", self.callable.nodes
        return (
            f"{name} ({nodes} nodes), arguments {self.shape}, values {self.form.text}; agrees on"
            f" {self.share:.2f} of {self.varied} and {self.formed_share:.2f} of {self.formed} more inputs"
            f" ({self.distinct} values); does what {self.others} tasks ask"
        )

    @property
    def rank(self) -> tuple[bool, bool, bool, float, int]:
        """Sort key: of two matches with a task, the greater says more."""
        sound = not self.wide and not self.form & LOOSE
        return self.passes, self.natural, sound, self.share, -self.callable.nodes


def matched(
    target: int, one: Callee, shape: str, asked: Round, answers: Sequence[Answer], *, trivial: bool
) -> Match | None:
    """Return the match of a callable that was asked all of a task's questions; None where it is none."""
    count, end = len(asked.base), len(asked.base) + len(asked.varied)
    answers = labelled(asked.all, answers)
    base = answers[:count]
    shares = {
        form: (balanced(asked.varied, answers[count:end], form), balanced(asked.formed, answers[end:], form))
        for form in all_agreed(base)
    }
    if not shares:
        return None
    as_it_is = Form.NONE in shares
    form = Form.NONE if as_it_is else max(shares, key=lambda f: (sum(shares[f]), not f & LOOSE))
    exact = not form and all(a.way is Agreement.EXACT for a in base)
    named = shape == AS_IS and one.name is not None
    formed = _values(asked.formed)
    return Match(
        target=target,
        callable=one,
        shape=shape,
        passes=exact and named,
        share=shares[form][0],
        varied=len(asked.varied),
        distinct=len(set(_values(asked.all))),
        trivial=trivial,
        told=asked.told,
        form=form,
        formed=len(formed),
        formed_share=shares[form][1],
        formed_rare=len(formed) - max(Counter(formed).values(), default=0),
    )


def all_agreed(answers: Sequence[Answer]) -> list[Form]:
    """Return the forms in which all answers are the expected values; empty for none, and for no answers."""
    return [f for f in (Form.NONE, *FORMS) if answers and all(a.agrees(f) for a in answers)]


def labelled(asked: Sequence[Question], answers: Sequence[Answer]) -> list[Answer]:
    """Return the answers, with the form of a label where the program has one word of its own for yes and one for no."""
    said: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for question, answer in zip(asked, answers, strict=True):
        if answer.label:
            said[bool(question.call[1])][answer.label] += 1
    words = {value: counts.most_common(1)[0][0] for value, counts in said.items() if counts}
    if len(set(words.values())) < len(said):
        return list(answers)
    return [
        replace(a, forms=a.forms | Form.LABEL) if a.label and a.label == words[bool(q.call[1])] else a
        for q, a in zip(asked, answers, strict=True)
    ]


def agreed(answers: Sequence[Answer], wanted: Form) -> bool:
    """Return True if all answers may be the expected values, as they are or in one of the wanted forms."""
    if not answers:
        return False
    common = reduce(and_, (a.forms for a in answers)) & wanted
    return (
        bool(common)
        or all(a.agrees() for a in answers)
        or (Form.LABEL in wanted and all(a.label for a in answers))
    )


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
