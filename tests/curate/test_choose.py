"""Which of several passing solutions becomes the answer."""

from __future__ import annotations

import itertools

from codefit.curate.choose import Passing, branches, ranked, readability
from codefit.curate.step import estimate_tokens

CLEAR = "def total(numbers):\n    result = 0\n    for number in numbers:\n        result += number\n    return result"
TYPED = CLEAR.replace("(numbers)", "(numbers: list[int]) -> int")
SHORT = "def total(a): return sum(a)"
GOLFED = "total=lambda a:(sum(a))if a else(0)"


def _best(*passing: Passing) -> str:
    orders = list(itertools.permutations(passing))
    found = {order[ranked(order, estimate_tokens)[0]].source for order in orders}
    assert len(found) == 1, "the order of the candidates decided"
    return found.pop()


def test_the_stricter_rule_goes_first() -> None:
    assert _best(Passing(CLEAR, "any order"), Passing(SHORT, "exact")) == SHORT


def test_golf_and_templates_fall_out_by_length() -> None:
    template = "\n".join(f"def helper_{i}(value):\n    return value + {i}" for i in range(60)) + "\n" + CLEAR
    solutions = [Passing(CLEAR), Passing(TYPED), Passing(template), Passing(GOLFED)]
    order = [solutions[i].source for i in ranked(solutions, estimate_tokens)]
    assert set(order[:2]) == {CLEAR, TYPED}
    assert order[0] == TYPED


def test_a_slow_one_comes_after_a_fast_one_but_noise_does_not_count() -> None:
    assert _best(Passing(TYPED, cpu_s=3.0), Passing(CLEAR, cpu_s=0.1)) == CLEAR
    assert _best(Passing(TYPED, cpu_s=0.3), Passing(CLEAR, cpu_s=0.1)) == TYPED


def test_equals_are_told_apart_by_branches_then_length_then_text() -> None:
    a = "def f(value):\n    return value + 1"
    b = "def f(value):\n    return value + 2"
    assert _best(Passing(a), Passing(b)) == a
    assert ranked([], estimate_tokens) == []


def test_readability_counts_what_a_reader_minds() -> None:
    assert readability(TYPED) == 10
    assert readability(CLEAR) == 9
    assert readability(CLEAR.replace("    result = 0\n", "    result = 0; other = 1\n")) == 8
    assert readability("import sys\n" + CLEAR) == 8
    assert readability("import sys\nsys.setrecursionlimit(10**6)\n" + CLEAR) == 8
    assert readability(CLEAR + "\nexec('1')") == 8
    assert readability(GOLFED) < 7
    assert readability("def f(:") == 0


def test_branches() -> None:
    assert branches("x = 1") == 0
    assert branches("for i in x:\n    if i and j:\n        pass") == 3
