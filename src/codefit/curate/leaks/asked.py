"""What tasks ask in each shape of arguments, made once and asked of every row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from codefit.curate.calls import Call, magnitude, telling
from codefit.curate.leaks.adapt import adapted, shapes
from codefit.curate.leaks.answers import dumped
from codefit.curate.leaks.behaviour import Behaviour
from codefit.curate.leaks.callables import Callee
from codefit.curate.leaks.layout import text_shapes
from codefit.curate.leaks.places import echo
from codefit.curate.leaks.probe import Question
from codefit.curate.leaks.wide import wide_shapes

_SMALL = 20
_MOST_PARTS = 6


@dataclass(frozen=True)
class Round:
    """All questions of a task in one shape, none where the tests' own arguments cannot all be given so."""

    base: list[Question]
    varied: list[Question]
    formed: list[Question]

    @cached_property
    def all(self) -> list[Question]:
        """Return the questions in the order in which they are put."""
        return self.base + self.varied + self.formed

    @cached_property
    def told(self) -> int:
        """Return how many different values show work; 0 where most are a large part of what is given."""
        told = [question.call[1] for question in self.all if not echo(question.call[1], question.call[0])]
        return len(set(map(dumped, told))) if 2 * len(told) >= len(self.all) else 0


class Asked:
    """The questions of each task; `shape` is the way its arguments are given."""

    def __init__(self, behaviours: Sequence[Behaviour]) -> None:
        self._behaviours = behaviours
        self._first: dict[int, Call] = {}
        self._sizes: dict[int, float] = {}
        self._telling: dict[tuple[int, str], Question | None] = {}
        self._base: dict[tuple[int, str], list[Question]] = {}
        self._all: dict[tuple[int, str], Round] = {}
        self._kinds: dict[tuple[int, str | None], str] = {}
        self._ways: dict[tuple[int, bool, int, int | None], Sequence[str]] = {}
        self._wide: dict[tuple[int, int, int | None], Sequence[str]] = {}

    def ways(self, target: int, one: Callee) -> Sequence[str]:
        """Return the shapes in which a callable can be given a task's arguments."""
        place = (target, one.reads, one.least, one.most)
        if place not in self._ways:
            seen = self._behaviours[target].seen
            self._ways[place] = text_shapes(seen) if one.reads else shapes(seen, one.least, one.most)
        return self._ways[place]

    def wide_ways(self, target: int, one: Callee) -> Sequence[str]:
        """Return the shapes of other kinds of arguments, which are worth it on likely tasks only."""
        place = (target, one.least, one.most)
        if one.reads:
            return ()
        if place not in self._wide:
            behaviour = self._behaviours[target]
            self._wide[place] = wide_shapes(behaviour.seen, behaviour.named, one.least, one.most)
        return self._wide[place]

    def telling(self, target: int, shape: str) -> Question | None:
        """Return the call of a task that tells most; None where its arguments cannot be given so."""
        place = (target, shape)
        if place not in self._telling:
            self._telling[place] = self._given(self._call(target), target, shape)
        return self._telling[place]

    def base(self, target: int, shape: str) -> list[Question]:
        """Return the calls of a task's tests; none where they cannot all be given so."""
        place = (target, shape)
        if place not in self._base:
            found = [self._given(call, target, shape) for call in self._behaviours[target].base]
            self._base[place] = [q for q in found if q] if all(found) else []
        return self._base[place]

    def all(self, target: int, shape: str) -> Round:
        """Return the calls of a task's tests, their variations, and those of their form."""
        place = (target, shape)
        if place not in self._all:
            base, behaviour = self.base(target, shape), self._behaviours[target]
            varied, formed = (
                [q for call in calls if base and (q := self._given(call, target, shape))]
                for calls in (behaviour.varied, behaviour.formed)
            )
            self._all[place] = Round(base, varied, formed)
        return self._all[place]

    def size(self, target: int) -> float:
        """Return the largest number or length in the arguments that tell most."""
        if target not in self._sizes:
            self._sizes[target] = magnitude(self._call(target)[0])
        return self._sizes[target]

    def kind(self, target: int, shape: str | None) -> str:
        """Return the kind of the arguments that tell most, given so; of the task's own for None."""
        place = (target, shape)
        if place not in self._kinds:
            question = None if shape is None else self.telling(target, shape)
            self._kinds[place] = kind_of(question.call[0] if question else self._call(target)[0])
        return self._kinds[place]

    def _call(self, target: int) -> Call:
        if target not in self._first:
            self._first[target] = telling(self._behaviours[target].base, 1)[0]
        return self._first[target]

    def _given(self, call: Call, target: int, shape: str) -> Question | None:
        arguments, expected = call
        given = adapted(arguments, shape, self._behaviours[target].seen)
        return None if given is None else Question.of((given, expected))


def kind_of(value: Any) -> str:
    """Return the kind of a plain value as a text: numbers by size, texts by their characters, lists by items.

    Programs that take one value of a kind take the others too, so the kinds are as narrow as what programs refuse: a
    letter where digits are read, or a number of a size that keeps a right program busy too long.
    """
    if isinstance(value, tuple):
        return f"[{','.join(map(kind_of, value[:_MOST_PARTS]))}{'+' * (len(value) > _MOST_PARTS)}]"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "n" if -1 < value <= _SMALL else "N" if value > _SMALL else "-"
    return _item_kind(value)


def _item_kind(value: Any) -> str:
    if isinstance(value, bool):
        return "b"
    if isinstance(value, int | float | complex):
        return "n"
    if isinstance(value, str):
        return _text_kind(value)
    if isinstance(value, list | tuple):
        item = _item_kind(value[0]) if value else ""
        return f"({item})" if isinstance(value, tuple) else f"[{item}]"
    if isinstance(value, dict):
        first = next(iter(value.items()), None)
        return f"{{{':'.join(map(_item_kind, first)) if first else ''}}}"
    return type(value).__name__


def _text_kind(text: str) -> str:
    return "s" + "".join(sorted({_character_kind(c) for c in text}))


def _character_kind(character: str) -> str:
    if character.isalnum():
        return "0" if character.isdecimal() else "a" if character.islower() else "A"
    return character
