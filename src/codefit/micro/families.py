"""The nine families of the micro world: what a task iterates over, its words and its inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

from codefit.micro.ops_numbers import NUMBER_FILTERS, NUMBER_MAPS
from codefit.micro.ops_pairs import ENTRY_FILTERS, ENTRY_MAPS, PAIR_FILTERS, PAIR_MAPS
from codefit.micro.ops_text import CHAR_FILTERS, CHAR_MAPS, STRING_FILTERS, STRING_MAPS
from codefit.micro.prims import Bug, Prim
from codefit.micro.reductions import REDUCTIONS

Arguments = tuple[Any, ...]
WORDS = (
    "moon", "tide", "salt", "ember", "otter", "lid", "ax", "needle", "dune", "radar", "noon", "Iris", "sun",
    "lantern", "tin", "Mole", "elm", "odd", "rain", "stone", "Ash", "tea", "ladder", "umbra", "net", "I", "oat",
    "drum", "level", "Sand", "map", "trail", "mist", "nail", "sled", "use", "do", "enamel", "is", "Road", "liar",
)  # fmt: skip
TEXT = "aeiounrstlmdAEIRTLMD0147  bc"


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of task: parameters, the thing iterated over, nouns, primitives, random inputs.

    `draw(rng, size, constants)` returns one tuple of arguments with about `size` elements,
    the constants of the composition mixed in so that boundaries are met.
    """

    name: str
    params: tuple[str, ...]
    target: str
    iterable: str
    elements: Callable[[Arguments], Iterable[Any]]
    noun: str
    where: str
    filters: tuple[Prim, ...]
    maps: tuple[Prim, ...]
    draw: Callable[[Random, int, list[int]], Arguments]
    reductions: tuple[Prim, ...] = REDUCTIONS
    range_bug: Bug | None = None

    @property
    def signature(self) -> str:
        """Return the call as requests name it."""
        return f"solve({', '.join(self.params)})"


def _number(rng: Random, near: list[int], top: int = 20) -> int:
    if near and rng.random() < 0.4:
        return max(0, rng.choice(near) + rng.randint(-1, 1))
    return rng.randint(0, top)


def _numbers(rng: Random, size: int, near: list[int]) -> list[int]:
    return [_number(rng, near) for _ in range(size)]


def _words(rng: Random, size: int) -> list[str]:
    return [rng.choice(WORDS) for _ in range(size)]


def _digits(rng: Random, size: int, near: list[int]) -> int:
    return int("".join(str(min(9, _number(rng, near, 9))) for _ in range(max(1, size))))


def _pair_lists(rng: Random, size: int, near: list[int]) -> Arguments:
    xs = _numbers(rng, size, near)
    return xs, [x if rng.random() < 0.2 else _number(rng, near, 12) for x in xs]


def _table(rng: Random, size: int, near: list[int]) -> Arguments:
    keys = dict.fromkeys(w.lower() for w in _words(rng, size))
    return ({k: _number(rng, near) for k in keys},)


def _text(rng: Random, size: int, near: list[int]) -> Arguments:
    return ("".join(rng.choice(TEXT) for _ in range(size)),)


FAMILIES = (
    Family(
        "ints", ("nums",), "x", "nums", lambda a: a[0], "numbers", "in nums", NUMBER_FILTERS, NUMBER_MAPS,
        lambda rng, size, near: (_numbers(rng, size, near),),
    ),
    Family(
        "upto", ("n",), "x", "range(1, n + 1)", lambda a: range(1, a[0] + 1), "numbers", "from 1 to n",
        NUMBER_FILTERS, NUMBER_MAPS,
        lambda rng, size, near: (rng.choice([0, *near, rng.randint(1, 9), 3 * size + rng.randint(0, 3)]),),
        range_bug=Bug("range(n)", lambda a, c: range(a[0])),
    ),
    Family(
        "digits", ("n",), "x", "map(int, str(n))", lambda a: [int(d) for d in str(a[0])], "digits", "of n",
        tuple(p for p in NUMBER_FILTERS if p.name != "ends"), NUMBER_MAPS,
        lambda rng, size, near: (_digits(rng, size, near),),
    ),
    Family(
        "chars", ("text",), "x", "text", lambda a: a[0], "characters", "of text", CHAR_FILTERS, CHAR_MAPS,
        _text,
    ),
    Family(
        "words", ("text",), "x", "text.split()", lambda a: a[0].split(), "words", "of text",
        STRING_FILTERS, STRING_MAPS, lambda rng, size, near: (" ".join(_words(rng, size)),),
    ),
    Family(
        "strings", ("words",), "x", "words", lambda a: a[0], "strings", "in words",
        STRING_FILTERS, STRING_MAPS, lambda rng, size, near: (_words(rng, size),),
    ),
    Family(
        "pairs", ("xs", "ys"), "a, b", "zip(xs, ys)", lambda a: zip(*a, strict=False), "pairs (a, b)",
        "of xs and ys", PAIR_FILTERS, PAIR_MAPS, _pair_lists,
    ),
    Family(
        "table", ("table",), "k, v", "table.items()", lambda a: a[0].items(), "entries", "of table",
        ENTRY_FILTERS, ENTRY_MAPS, _table,
    ),
    Family(
        "branch", ("n",), "n", "", lambda a: a, "n", "", NUMBER_FILTERS[1:], NUMBER_MAPS,
        lambda rng, size, near: (_number(rng, near, 40),), reductions=NUMBER_MAPS,
    ),
)  # fmt: skip
BY_NAME = {f.name: f for f in FAMILIES}
