"""More inputs for a task than its tests have: small changes of the tests' own arguments.

After evalplus' type-aware mutation (Liu et al. 2023, section 2.2), on plain data. Which of them are valid is
left to the task's reference: an input that it raises on is thrown away.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from codefit.curate.leaks.answers import dumped

Arguments = tuple[Any, ...]
_MAX_ITEMS = 60
_TRIES = 8


def variations(seen: Sequence[Arguments], count: int, seed: str) -> list[Arguments]:
    """Return up to `count` argument lists like those seen, none of them seen; the same for the same seed.

    An argument that was the length of another in all of them (`f(arr, n)`) stays its length.
    """
    generator = random.Random(seed)
    lengths = length_arguments(seen)
    known = {dumped(a) for a in seen}
    found: list[Arguments] = []
    for _ in range(count * _TRIES if seen else 0):
        if len(found) >= count:
            break
        arguments = list(generator.choice(seen))
        place = generator.randrange(len(arguments)) if arguments else 0
        if arguments and generator.random() < 0.2:
            arguments[place] = generator.choice(seen)[place]
        for i in range(len(arguments)):
            if i == place or generator.random() < 0.3:
                arguments[i] = changed(arguments[i], generator)
        for i, of in lengths.items():
            arguments[i] = len(arguments[of])
        if (text := dumped(tuple(arguments))) not in known:
            known.add(text)
            found.append(tuple(arguments))
    return found


def length_arguments(seen: Sequence[Arguments]) -> dict[int, int]:
    """Return place of an argument -> place of the one whose length it is in all argument lists.

    The length may be one off (the last index), as long as it is right somewhere.
    """
    width = len(seen[0]) if seen else 0
    if any(len(a) != width for a in seen):
        return {}
    found = {}
    for i in range(width):
        for of in range(width):
            if i != of and _is_length([(a[i], a[of]) for a in seen]):
                found[i] = of
                break
    return found


def _is_length(pairs: Sequence[tuple[Any, Any]]) -> bool:
    if not all(type(n) is int and isinstance(items, list | tuple | str) for n, items in pairs):
        return False
    off = [abs(n - len(items)) for n, items in pairs]
    return max(off, default=2) <= 1 and not min(off)


def changed(value: Any, generator: random.Random) -> Any:
    if isinstance(value, bool):
        return generator.random() < 0.5
    if isinstance(value, int):
        return generator.choice([value + 1, value - 1, value + 2, value * 2, value // 2, abs(value) + 3])
    if isinstance(value, float):
        return generator.choice([value + 1.0, value - 1.0, value * 2, value / 2, value + 0.25])
    if isinstance(value, str):
        return _changed_text(value, generator)
    if isinstance(value, list | tuple):
        return type(value)(_changed_items(list(value), generator))
    if isinstance(value, dict) and value:
        key = generator.choice(list(value))
        return {k: changed(v, generator) if k == key else v for k, v in value.items()}
    if isinstance(value, set) and value:
        return set(_changed_items(sorted(value, key=dumped), generator))
    return value


def _changed_text(text: str, generator: random.Random) -> str:
    if not text:
        return "a"
    i = generator.randrange(len(text))
    changes = [
        text[:i] + text[i + 1 :],
        text[:i] + text[i] + text[i:],
        text[:i] + generator.choice(text) + text[i + 1 :],
        text[::-1],
        text[i:] + text[:i],
        text[:i] + text[i].swapcase() + text[i + 1 :],
        text + text[: i + 1],
    ]
    return generator.choice(changes)[:_MAX_ITEMS]


def _changed_items(items: list[Any], generator: random.Random) -> list[Any]:
    if not items:
        return items
    i = generator.randrange(len(items))
    if generator.random() < 0.5:
        try:
            return [changed(v, generator) if j == i else v for j, v in enumerate(items)]
        except TypeError:
            return items
    shuffled = list(items)
    generator.shuffle(shuffled)
    changes = [
        items[:i] + items[i + 1 :],
        [*items[:i], items[i], *items[i:]],
        [*items, changed(items[i], generator)],
        shuffled,
        items[::-1],
    ]
    return generator.choice(changes)[:_MAX_ITEMS]
