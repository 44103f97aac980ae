"""A program is the answer to a task in whatever form it takes arguments and gives its value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codefit.core.types import Row, Task, Tests
from codefit.curate.calls import Call, telling
from codefit.curate.leaks.adapt import adapted, restored, shapes
from codefit.curate.leaks.answers import CHANGED, PRINTED, Agreement, agreement
from codefit.curate.leaks.behaviour import behaviours
from codefit.curate.leaks.callables import ENTRY, callables
from codefit.curate.leaks.index import TaskIndex
from codefit.curate.leaks.layout import text_shapes
from codefit.curate.leaks.lift import lifted
from codefit.curate.leaks.probe import Probe, Prober, Question
from codefit.curate.leaks.program import program_of
from codefit.curate.leaks.vary import length_arguments, variations
from codefit.sandbox import Sandbox

LARGEST = "def top(items):\n    return max(items)\n"
FORMS = {
    "function": (
        "def highest(xs):\n    best = xs[0]\n    for x in xs:\n        best = max(best, x)\n    return best",
        "as is",
    ),
    "prints": ("def show(xs):\n    print('The largest is:', max(xs))", "as is"),
    "method": ("class Finder:\n    def run(self, xs):\n        return max(xs)", "as is"),
    "constructor": (
        "class Finder:\n    def __init__(self, xs, name='x'):\n        self.xs = xs\n\n"
        "    def largest(self):\n        return max(self.xs)",
        "as is",
    ),
    "property": (
        "from dataclasses import dataclass\n\n@dataclass\nclass Finder:\n    xs: list\n\n"
        "    @property\n    def largest(self):\n        return max(self.xs)",
        "as is",
    ),
    "called object": ("class Finder:\n    def __call__(self, xs):\n        return max(xs)", "as is"),
    "static method": (
        "class Finder:\n    @staticmethod\n    def of(xs):\n        return max(xs)",
        "as is",
    ),
    "inherited": (
        "class Base:\n    def __init__(self, xs):\n        self.xs = xs\n\n"
        "class Finder(Base):\n    def largest(self):\n        return max(self.xs)",
        "as is",
    ),
    "fed": (
        "class Finder:\n    def __init__(self):\n        self.xs = []\n\n    def add(self, x):\n"
        "        self.xs.append(x)\n\n    def result(self):\n        return max(self.xs)",
        "as is",
    ),
    "lambda": ("top = lambda xs: max(xs)", "as is"),
    "bare lambda": ("lambda xs: max(xs)", "as is"),
    "keyword": ("def top(*, xs, quiet=True):\n    return max(xs)", "as is"),
    "record": ("def top(record):\n    return max(record['xs'])", "as is"),
    "attribute": ("def top(box):\n    return max(box.xs)", "as is"),
    "spread": ("def top(*xs):\n    return max(xs)", "as arguments"),
    "no print": ("xs = [3, 9, 2]\nordered = sorted(xs)\nlargest = ordered[-1]", "as is"),
    "literal in place": ("print(max([3, 9, 2]))", "as is"),
    "free name": ("max(x for x in xs)", "as is"),
    "script": ("xs = [3, 9, 2]\nprint(max(xs))", "as is"),
    "loop": ("samples = [[3, 9, 2], [4]]\nfor xs in samples:\n    print(xs, '->', max(xs))", "as is"),
    "main": (
        "def main():\n    xs = [3, 9, 2]\n    print(max(xs))\n\nif __name__ == '__main__':\n    main()",
        "as is",
    ),
    "words": ("def f(line):\n    return max(int(w) for w in line.split())", "as words"),
    "generator": ("def each(xs):\n    yield max(xs)", "as is"),
    "with length": ("def f(xs, n):\n    return max(xs[:n])", "as is, length"),
    "length first": ("def f(n, xs):\n    return max(xs[:n])", "length first"),
    "reads": ("n = int(input('How many? '))\nprint(max(map(int, input().split())))", "sized lines"),
    "bytes": ("import sys\nprint(max(map(int, sys.stdin.buffer.read().split())))", "lines"),
    "items": ("n = int(input())\nprint(max(int(input()) for _ in range(n)))", "item lines"),
    "java": (
        "import java.util.Scanner;\npublic class Main {\n  public static void main(String[] args) {\n"
        "    Scanner in = new Scanner(System.in);\n    int n = in.nextInt();\n    int best = Integer.MIN_VALUE;\n"
        "    for (int i = 0; i < n; i++) best = Math.max(best, in.nextInt());\n"
        '    System.out.println("Largest: " + best);\n  }\n}',
        "sized lines",
    ),
    "commas": ("print(max(int(p) for p in input().split(',')))", "commas"),
    "literal": ("import json\nprint(max(json.loads(input())))", "literals"),
    "javascript": ("```js\nconst top = (xs) => xs.reduce((a, b) => (a > b ? a : b));\n```", "as is"),
    "cases": (
        "import sys\ndef main():\n    read = sys.stdin.readline\n    for _ in range(int(read())):\n        read()\n"
        "        print(max([int(v) for v in read().split()]))\n    sys.exit()\n\n"
        "if __name__ == '__main__':\n    main()",
        "one case",
    ),
}
CALLS: list[tuple[tuple[Any, ...], Any]] = [(([3, 9, 2],), 9), (([-5, -7],), -5), (([4],), 4)]


@pytest.mark.parametrize("form", sorted(FORMS))
def test_each_form_of_a_program_can_be_asked(form: str, sandbox: Sandbox) -> None:
    source, shape = FORMS[form]
    seen = [arguments for arguments, _ in CALLS]
    offered = [
        one
        for one in callables(program_of(Row("r", "here", "Find it.", source)))
        if shape in (text_shapes(seen) if one.reads else shapes(seen, one.least, one.most))
    ]
    given_calls = [Question.of((adapted(a, shape, seen) or (), value)) for a, value in CALLS]
    prober = Prober(sandbox, None)
    found = prober.run([Probe(one.source, ENTRY, given_calls) for one in offered])
    prober.close()
    assert any(all(answer.agrees() for answer in answers) for answers in found)


@pytest.mark.parametrize(
    "source",
    [
        "x = 5\nprint(x + int(input()))",
        "count = 0\nprint(count)",
        "x = 5\nx = 6\nprint(x)",
        "a = 5",
        "yes",
        "best = None\nfor x in [3, 9]:\n    best = x",
    ],
)
def test_programs_whose_inputs_are_not_plain_are_left_alone(source: str) -> None:
    assert lifted(source) == ()


@pytest.mark.parametrize(
    ("expected", "got", "arguments", "wanted"),
    [
        (3, 3, (1,), Agreement.EXACT),
        ((1, 2), [1, 2], (1,), Agreement.EXACT),
        ([1, 2], {2, 1}, (1,), Agreement.LOOSE),
        (True, "Yes", (1,), Agreement.LOOSE),
        (False, "It is not balanced", (1,), Agreement.LOOSE),
        (True, "No", (1,), Agreement.OTHER),
        ("Yes", True, (1,), Agreement.LOOSE),
        (0.3333333, 0.3333, (1,), Agreement.LOOSE),
        (3, 3.0005, (1,), Agreement.OTHER),
        (7, (PRINTED, "The sum is: 7\n"), (1,), Agreement.LOOSE),
        (7, (PRINTED, "6 7\n"), (1,), Agreement.OTHER),
        ({}, (PRINTED, "{}\n"), ("",), Agreement.LOOSE),
        ("a9", (PRINTED, "9 a -> a9"), ("9 a",), Agreement.LOOSE),
        ("abc", (PRINTED, "ABC"), ("ABC",), Agreement.OTHER),
        (True, 1, (1,), Agreement.OTHER),
        ([1, 2, 3], (CHANGED, [[1, 2, 3]]), ([3, 1, 2],), Agreement.LOOSE),
        ([1, 2, 3], (CHANGED, [[1, 2, 3]]), ([1, 2, 3],), Agreement.OTHER),
        (None, (CHANGED, [[1]]), ([1],), Agreement.EXACT),
        ([4], 4, (1,), Agreement.LOOSE),
        ("a b", " a b\n", (1,), Agreement.LOOSE),
        ("a b", "a  b", (1,), Agreement.OTHER),
        ("abc", "ABC", (1,), Agreement.OTHER),
        ("", "x", (1,), Agreement.OTHER),
        (["s", "r"], "s,r", (["as", "br"],), Agreement.LOOSE),
        (["s", "r"], "s r", ("s r",), Agreement.OTHER),
        ({"a": 1, "b": 2}, [("b", 2), ("a", 1)], (1,), Agreement.LOOSE),
        ({"a": 1}, [("a", 2)], (1,), Agreement.OTHER),
        (20, (PRINTED, "A 4x3 grid has 20 squares"), (4, 3), Agreement.LOOSE),
        (20, (PRINTED, "20 of 21 squares"), (4, 3), Agreement.OTHER),
        (True, (PRINTED, "They share an element"), ([1], [1]), Agreement.LOOSE),
        (False, (PRINTED, "They share an element"), ([1], [1]), Agreement.OTHER),
    ],
)
def test_answers_are_compared_loosely_and_said_to_be(
    expected: object, got: object, arguments: tuple[object, ...], wanted: Agreement
) -> None:
    assert agreement(expected, got, arguments) is wanted


def test_numbers_that_python_does_not_print_can_be_compared() -> None:
    large = 10**5_000
    assert agreement(large, (PRINTED, "7"), (1,)) is Agreement.OTHER
    assert agreement(large, "7", (large,)) is Agreement.OTHER
    assert agreement(large, large, (large,)) is Agreement.EXACT


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)


@given(expected=PLAIN, got=PLAIN, arguments=st.lists(PLAIN, max_size=2).map(tuple))
def test_any_two_values_can_be_compared_and_equal_ones_agree(
    expected: Any, got: Any, arguments: tuple[Any, ...]
) -> None:
    agreement(expected, got, arguments)
    assert agreement(expected, expected, arguments) is Agreement.EXACT


@given(seen=st.lists(st.tuples(PLAIN, PLAIN), min_size=1, max_size=4), seed=st.text(max_size=4))
def test_variations_are_new_repeatable_and_of_the_same_number_of_arguments(
    seen: list[tuple[Any, ...]], seed: str
) -> None:
    found = variations(seen, 6, seed)
    assert repr(found) == repr(variations(seen, 6, seed))
    assert len({repr(a) for a in [*seen, *found]}) == len({repr(a) for a in seen}) + len(found)
    assert all(len(a) == 2 for a in found)


def test_a_length_argument_stays_the_length_and_can_be_left_out() -> None:
    seen = [([1, 2, 3], 3), ([5], 1)]
    assert length_arguments(seen) == {1: 0}
    assert all(n == len(items) for items, n in variations(seen, 20, "s"))
    assert adapted(([7, 7], 2), "order 0", seen) == ([7, 7],)
    assert "order 0" in shapes(seen, 1, 1)


@given(
    arguments=st.tuples(st.lists(st.integers(), min_size=1, max_size=4), st.integers(), st.text(max_size=3)),
    shape=st.sampled_from(["as is", "order 0 2 3", "order 3 2 0", "length first", "as is, length"]),
)
def test_arguments_in_another_shape_can_be_put_back(arguments: tuple[Any, ...], shape: str) -> None:
    items, number, text = arguments
    whole = (items, len(items), number, text)
    seen = [whole, ([1, 2], 2, 5, "x")]
    given_ones = adapted(whole, shape, seen)
    assert given_ones is not None
    assert restored(given_ones, shape, seen) == whole


def test_the_reference_says_what_variations_give(sandbox: Sandbox) -> None:
    tests = Tests("asserts", "top", ("assert top([1, 2]) == 2", "assert top([7, 5]) == 7"))
    task = Task("1", "Find the largest.", "top", tests, reference=LARGEST)
    index = TaskIndex({"b": [task]}, ngram=10, long_ngram=8)
    (found,) = behaviours(index, sandbox, None)
    assert found.complete
    assert list(found.base) == [(([1, 2],), 2), (([7, 5],), 7)]
    assert len(found.varied) >= 10
    assert all(value == max(items) for (items,), value in found.varied)


def test_the_longest_arguments_tell_most_whatever_their_size() -> None:
    calls: list[Call] = [((1,), 1), ((10**5_000,), 2), (([1, 2],), 3)]
    assert telling(calls, 1) == [((10**5_000,), 2)]
