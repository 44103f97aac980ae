"""What the arguments of a task's tests have in common, and more arguments that have it too.

References are often wrong, or undefined, outside of what their tests give them: an interval whose end lies before
its start, an unsorted list for a binary search. What the tests' arguments share is taken for a precondition (as
likely invariants are inferred by Ernst et al. 2001), and inputs of that form are a fairer comparison.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

from codefit.curate.calls import magnitude
from codefit.curate.leaks.answers import dumped
from codefit.curate.leaks.vary import Arguments, changed, length_arguments

Rule = Callable[[Any], bool]
_TRIES = 12
_SHORT = 4
_LEAST_SEEN = 2
_TWICE = 2


def formed(seen: Sequence[Arguments], count: int, seed: str) -> list[Arguments]:
    """Return up to `count` argument lists of the form of those seen, none of them seen; the same for one seed.

    Empty where there are fewer than two different ones, which may have anything in common by chance.
    """
    known = {dumped(a) for a in seen}
    if len(known) < _LEAST_SEEN or any(len(a) != len(seen[0]) for a in seen):
        return []
    generator = random.Random(f"form {seed}")
    rules = [_rules([a[i] for a in seen]) for i in range(len(seen[0]))]
    relations = [r for r in _relations(len(seen[0])) if all(map(r, seen))]
    lengths = length_arguments(seen)
    found: list[Arguments] = []
    for _ in range(count * _TRIES):
        if len(found) >= count:
            break
        arguments = _changed_once(seen, rules, generator)
        for i, of in lengths.items():
            arguments[i] = len(arguments[of])
        if not all(rule(a) for a, mine in zip(arguments, rules, strict=True) for rule in mine):
            continue
        text = dumped(tuple(arguments))
        if text not in known and all(relation(arguments) for relation in relations):
            known.add(text)
            found.append(tuple(arguments))
    return found


def _changed_once(
    seen: Sequence[Arguments], rules: Sequence[list[Rule]], generator: random.Random
) -> list[Any]:
    arguments = list(generator.choice(seen))
    place = generator.randrange(len(arguments))
    for i, value in enumerate(arguments):
        if i == place or generator.random() < 0.3:
            new = _alike(value, generator)
            arguments[i] = _mended(new, rules[i])
    return arguments


def _alike(value: Any, generator: random.Random) -> Any:
    """Return a change of a value that keeps the kinds of its characters."""
    if isinstance(value, str):
        return _alike_text(value, generator)
    if isinstance(value, list | tuple) and value and isinstance(value[0], str | list | tuple):
        i = generator.randrange(len(value))
        items = [_alike(v, generator) if j == i else v for j, v in enumerate(value)]
        if generator.random() < 0.3:
            generator.shuffle(items)
        return type(value)(items)
    return changed(value, generator)


def _alike_text(text: str, generator: random.Random) -> str:
    places = [i for i, c in enumerate(text) if c.isalnum()]
    if not places:
        return text
    i = generator.choice(places)
    same = [text[j] for j in places if _kind(text[j]) == _kind(text[i])]
    change = generator.randrange(4)
    if change == 0:
        return text[:i] + text[i] + text[i:]
    if change == 1 and len(places) > 1:
        return text[:i] + text[i + 1 :]
    new = generator.choice("0123456789" if text[i].isdigit() else same)
    return text[:i] + new + text[i + 1 :]


def _mended(value: Any, rules: Sequence[Rule]) -> Any:
    """Return the value sorted where only its order breaks a rule."""
    if isinstance(value, list | tuple) and not all(rule(value) for rule in rules):
        try:
            ordered = sorted(value)
        except TypeError:
            return value
        for candidate in (ordered, ordered[::-1]):
            if all(rule(type(value)(candidate)) for rule in rules):
                return type(value)(candidate)
    return value


def _rules(values: Sequence[Any]) -> list[Rule]:
    """Return the rules that all values keep."""
    return [rule for rule in _possible(values) if all(map(rule, values))]


def _possible(values: Sequence[Any]) -> Iterator[Rule]:
    largest = max(max(map(magnitude, values)) * _TWICE, 10.0)
    sizes = {len(v) for v in values if isinstance(v, str | list | tuple)}
    kinds = {_kind(c) for v in values for c in _characters(v)}
    yield lambda v: magnitude(v) <= largest
    yield lambda v: all(n >= 0 for n in _numbers(v))
    yield lambda v: all(n > 0 for n in _numbers(v))
    yield lambda v: {_kind(c) for c in _characters(v)} <= kinds
    yield lambda v: not isinstance(v, list | tuple | str) or bool(v)
    structured = any(not c.isalpha() for c in _characters(list(values)))
    if len(sizes) == 1 and (max(sizes) <= _SHORT or structured):
        yield lambda v: _length(v) in sizes
    if all(isinstance(v, list | tuple) for v in values) and max(sizes, default=0) > 1:
        yield lambda v: _ordered(v, lambda a, b: bool(a <= b))
        yield lambda v: _ordered(v, lambda a, b: bool(a < b))
        yield lambda v: _ordered(v, lambda a, b: bool(a >= b))
        yield lambda v: len({dumped(item) for item in v}) == len(v)
        yield _pairs_ordered
        yield _rectangular


def _relations(width: int) -> Iterator[Callable[[Sequence[Any]], bool]]:
    """Return what two arguments may have to do with each other."""
    for i in range(width):
        for j in range(width):
            if i < j:
                yield partial(_as_long, i, j)
            if i != j:
                yield partial(_at_most, i, j)
                yield partial(_at_most_as_long, i, j)


def _as_long(i: int, j: int, a: Sequence[Any]) -> bool:
    return _length(a[i]) == _length(a[j]) != -1


def _at_most(i: int, j: int, a: Sequence[Any]) -> bool:
    return _not_above(a[i], a[j])


def _at_most_as_long(i: int, j: int, a: Sequence[Any]) -> bool:
    return _not_above(a[i], _length(a[j]))


def _ordered(values: Sequence[Any], before: Callable[[Any, Any], bool]) -> bool:
    try:
        return all(before(a, b) for a, b in pairwise(values))
    except TypeError:
        return False


def _pairs_ordered(values: Sequence[Any]) -> bool:
    pairs = [v for v in values if isinstance(v, list | tuple) and len(v) == 2]
    return len(pairs) == len(values) and all(_ordered(pair, lambda a, b: bool(a <= b)) for pair in pairs)


def _rectangular(values: Sequence[Any]) -> bool:
    rows = [v for v in values if isinstance(v, list | tuple)]
    return len(rows) == len(values) and len({len(row) for row in rows}) <= 1


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list | tuple | str) else -1


def _not_above(a: Any, b: Any) -> bool:
    numbers = isinstance(a, int | float) and isinstance(b, int | float)
    return numbers and not isinstance(a, bool) and a <= b


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, int | float):
        yield value
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _numbers(item)


def _characters(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _characters(item)


def _kind(character: str) -> str:
    if character.isdigit():
        return "digit"
    if character.isalpha():
        return "upper" if character.isupper() else "lower"
    return character
