"""Ways to put a task to a program of another make: arguments of another kind, factories, objects, parts of a script."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codefit.core.types import Row
from codefit.curate.leaks.adapt import adapted
from codefit.curate.leaks.answers import Agreement, agreement, unwritten
from codefit.curate.leaks.callables import ENTRY, callables
from codefit.curate.leaks.forms import Form, forms
from codefit.curate.leaks.places import echo, words
from codefit.curate.leaks.probe import Probe, Prober, Question
from codefit.curate.leaks.program import program_of
from codefit.curate.leaks.wide import constants, wide_shapes
from codefit.curate.leaks.words import altered, request
from codefit.sandbox import Sandbox

Calls = list[tuple[tuple[Any, ...], Any]]
DOT: Calls = [(([(1, 5), (2, 3)],), 11), (([(4, 4), (0, 9)],), 16), (([(2, 2), (6, 1)],), 10)]
AREA: Calls = [((3, 4, 2), 14), ((1, 0, 5), 5), ((2, 6, 3), 15)]
BOUND: Calls = [((2, 5), 14), ((1, 3), 6), ((4, 4), 4)]
TABLE: Calls = [(([[1, 4], [2, 0]], 2), 6), (([[7, 9], [3, 5]], 2), 16)]
LONG: Calls = [(("a bb",), 1), (("ccc ddd e",), 2), (("f ggg",), 1)]
DIGITS: Calls = [((14,), 5), ((250,), 7), ((9,), 9)]
TOTAL: Calls = [(([3, 9, 2],), 14), (([5, 7],), 12)]
FIXED: Calls = [(([3, 9, 2], 2), 2), (([5, 7, 8], 2), 2)]
MULTIPLES: Calls = [(([3, 9, 2],), 2), (([5, 7, 12],), 1)]
HALF_OPEN: Calls = [((2, 5), 9), ((1, 3), 3)]
NESTED: Calls = [((["a", "b"], ["x", "y"], [1, 2]), [{"a": {"x": 1}}, {"b": {"y": 2}}])]
CELLS: Calls = [(([[1, 2], [3, 4]], 1, 0), 7), (([[5, 6, 7]], 0, 2), 10)]
GRID: Calls = [(([[0, 1], [1, 1]],), [1, 2]), (([[0, 0, 1]],), [1])]
SUM: Calls = [(([3, 9, 3],), 15), (([5],), 5)]
STOCK: Calls = [(({"a": 3, "b": 4},), 7), (({"c": 5},), 5)]
WAYS: dict[str, tuple[str, Calls]] = {
    "columns": ("def f(a, b):\n    return sum(x * y for x, y in zip(a, b))", DOT),
    "group 01 2": ("def f(box, c):\n    return box[0] * box[1] + c", AREA),
    "group 2 10": ("def f(c, box):\n    return box[0] * box[1] + c", AREA),
    "one more": ("def f(low, end):\n    return sum(range(low, end))", BOUND),
    "rows, no length": ("def f(top, bottom):\n    return sum(map(max, zip(top, bottom)))", TABLE),
    "words": ("def f(words):\n    return sum(len(w) > 1 for w in words)", LONG),
    "digits": ("def f(digits):\n    return sum(digits)", DIGITS),
    "texts of numbers": ("def f(text):\n    return sum(int(c) for c in text.strip())", DIGITS),
    "spaces between": ("def f(line):\n    return sum(map(int, line.split()))", TOTAL),
    "JSON": ("import json\n\ndef f(text):\n    return sum(json.loads(text))", TOTAL),
    "without 1": ("def f(xs):\n    return len(xs) - 1", FIXED),
    "items": ("def f(pairs):\n    return sum(n for _, n in pairs)", STOCK),
    "rows of lists": ("def f(rows):\n    return [{a: {b: c}} for a, b, c in rows]", NESTED),
    "a range": ("def f(span):\n    return sum(span)", BOUND),
    "a range to": ("def f(span):\n    return sum(span)", HALF_OPEN),
    "cells": ("def f(grid, place):\n    return grid[place] + len(grid)", CELLS),
    "lines": ("def f(plan):\n    return [line.count('1') for line in plan.splitlines()]", GRID),
    "how often each": ("def f(tally):\n    return sum(k * n for k, n in tally.items())", SUM),
    "a constant 3": ("def f(xs, k):\n    return sum(x % k == 0 for x in xs)", MULTIPLES),
    "a constant 3 before": ("def f(k, xs):\n    return sum(x % k == 0 for x in xs)", MULTIPLES),
}


def agrees(source: str, calls: Calls, shape: str, sandbox: Sandbox, place: int = -1) -> bool:
    """Return True if a callable of a source agrees on all calls, given the arguments in a shape."""
    one = callables(source)[place]
    seen = [arguments for arguments, _ in calls]
    given_calls = [(adapted(a, shape, seen) or (), value) for a, value in calls]
    prober = Prober(sandbox, None)
    (answers,) = prober.run([Probe(one.source, ENTRY, [Question.of(c) for c in given_calls])])
    prober.close()
    return all(answer.agrees() for answer in answers)


@pytest.mark.parametrize("name", sorted(WAYS))
def test_arguments_of_another_kind_reach_the_program(name: str, sandbox: Sandbox) -> None:
    source, calls = WAYS[name]
    one = callables(source)[-1]
    offered = wide_shapes([a for a, _ in calls], [3, 2], one.least, one.most)
    assert f"with {name}" in offered
    assert agrees(source, calls, f"with {name}", sandbox)


@pytest.mark.parametrize(
    "source",
    [
        "def without(k):\n    def strip(xs):\n        return [x for x in xs if x != k]\n    return strip",
        "def without(k):\n    return lambda xs: [x for x in xs if x != k]",
        "async def without(k, xs):\n    return [x for x in xs if x != k]",
        "class Bag(list):\n    def without(self, k):\n        self[:] = [x for x in self if x != k]",
        "class Bag:\n    def __init__(self, xs=()):\n        self.xs = list(xs)\n\n"
        "    def drop(self, k):\n        self.xs = [x for x in self.xs if x != k]\n        return True",
        "xs = [4, 1, 4]\nk = 4\nLIMIT = 30\nleft = [x for x in xs if x != k][:LIMIT]\nprint(left)",
        "import numpy as np\nxs = np.array([4, 1, 4])\nk = 4\nprint([int(x) for x in xs if x != k])",
        "xs = [4, 1, 4]\nk = 4\npi = 22 / 7\nprint([x for x in xs if x != k and x < 9 * pi])",
        "xs = [4, 1, 4]\nk = 4\n\ndef show():\n    print([x for x in xs if x != k])\n\nshow()",
    ],
    ids=["curried", "lambda", "async", "list", "state", "constant", "array", "worked out", "global"],
)
def test_factories_states_and_scripts_are_functions_of_what_they_take(source: str, sandbox: Sandbox) -> None:
    pytest.importorskip("numpy")
    calls: Calls = [(([4, 1, 4, 2], 4), [1, 2]), (([7, 3], 3), [7])]
    turned: Calls = [((k, xs), value) for (xs, k), value in calls]
    places = range(len(callables(source)))
    assert any(agrees(source, put, "as is", sandbox, place) for place in places for put in (calls, turned))


def test_an_endless_series_is_a_function_of_the_place(sandbox: Sandbox) -> None:
    source = "def squares():\n    n = 0\n    while True:\n        n += 1\n        yield n * n"
    counted: Calls = [((1,), 1), ((3,), 9), ((12,), 144)]
    from_zero: Calls = [((0,), 1), ((2,), 9)]
    assert [agrees(source, counted, "as is", sandbox, place) for place in (-3, -2)] == [True, False]
    assert [agrees(source, from_zero, "as is", sandbox, place) for place in (-3, -2)] == [False, True]


@pytest.mark.parametrize(
    "source",
    [
        "class W:\n    def __init__(self, k):\n        self.k, self.xs = k, []\n\n"
        "    def put(self, x):\n        if x != self.k:\n            self.xs.append(x)\n\n"
        "    def __iter__(self):\n        return iter(self.xs)",
        "class W:\n    def __init__(self, *, xs, k):\n        self.xs, self.k = xs, k\n\n"
        "    def left(self):\n        return [x for x in self.xs if x != self.k]",
        "class W:\n    def __init__(self):\n        self.xs = []\n\n    def add(self, x):\n"
        "        self.xs.append(x)\n        return self\n\n    def without(self, k):\n"
        "        return [x for x in self.xs if x != k]",
        "from abc import ABC, abstractmethod\n\nclass Base(ABC):\n    def __init__(self, xs):\n        self.xs = xs\n\n"
        "    @abstractmethod\n    def keeps(self, x, k): ...\n\n    def run(self, k):\n"
        "        return [x for x in self.xs if self.keeps(x, k)]\n\nclass W(Base):\n"
        "    def keeps(self, x, k):\n        return x != k",
        "class W:\n    def __init__(self, xs):\n        self.xs = xs if isinstance(xs, list) else [xs]\n\n"
        "    def __sub__(self, other):\n        return [x for x in self.xs if x not in other.xs]",
    ],
    ids=["iterated", "keywords", "asked with an argument", "inherited", "operator"],
)
def test_classes_are_used_in_the_ways_they_offer(source: str, sandbox: Sandbox) -> None:
    calls: Calls = [(([4, 1, 4, 2], 4), [1, 2]), (([7, 3], 3), [7])]
    turned: Calls = [((k, xs), value) for (xs, k), value in calls]
    places = range(len(callables(source)))
    assert any(agrees(source, put, "as is", sandbox, place) for place in places for put in (calls, turned))


@pytest.mark.parametrize(
    ("source", "calls"),
    [
        ("class D:\n    def __init__(self):\n        self.best = 0\n        self._run = 0\n\n    def add(self, x):\n"
         "        self._run = max(0, self._run + x)\n        if self._run > self.best:\n"
         "            self.best = self._run", [(([1, 2, -9, 4],), 4), (([3, -1, 5],), 7)]),
        ("class T:\n    def __init__(self, **kept):\n        self._kept = kept\n\n    def __add__(self, other):\n"
         "        keys = {*self._kept, *other._kept}\n        return T(**{k: self._kept.get(k, 0) + "
         "other._kept.get(k, 0) for k in keys})", [(({"a": 1}, {"a": 2, "b": 3}), {"a": 3, "b": 3})]),
        ("from dataclasses import dataclass\n\n@dataclass\nclass C:\n    a: int\n    b: int\n\n    @property\n"
         "    def total(self):\n        return self.a + self.b\n\n    @property\n    def apart(self):\n"
         "        return abs(self.a - self.b)", [((3, 5), {"total": 8, "apart": 2})]),
        ("class S:\n    def __init__(self, step):\n        self.step = step\n\n    def __iter__(self):\n        n = 0\n"
         "        while True:\n            n += self.step * 1\n            if n % 1 == 0:\n                yield n",
         [((3, 4), [3, 6, 9, 12])]),
        ("def squares():\n    n = 0\n    while True:\n        n += 1\n        yield n * n", [((3,), [1, 4, 9])]),
        ("class A:\n    def __init__(self, *parts):\n        self.parts = parts\n\n    @classmethod\n"
         "    def read(cls, text):\n        return cls(*map(int, text.split('.')))\n\n    def __str__(self):\n"
         "        return '.'.join(map(str, self.parts))", [(("01.20.003",), "1.20.3")]),
        ("from enum import Enum\n\nclass Kind(Enum):\n    LOW = 1\n    HIGH = 2\n\ndef kind(n):\n"
         "    return Kind.HIGH if n > 5 else Kind.LOW", [((7,), "HIGH"), ((2,), "LOW")]),
        ("def wire(line):\n    found = {}\n    for entry in line.split(';'):\n        a, b = entry.split('>')\n"
         "        found.setdefault(a, []).append(b)\n    return found",
         [(([("a", "b"), ("a", "c")],), {"a": ["b", "c"]})]),
        ("def between(route):\n    low, high = map(int, route.split('->'))\n    return list(range(low + 1, high))",
         [((2, 5), [3, 4])]),
        ("def longest(talks):\n    best = 0\n    for talk in talks:\n        a, _, b = talk.partition('-')\n"
         "        best = max(best, int(b) - int(a))\n    return best", [(([(3, 9), (4, 5)],), 6)]),
    ],
    ids=["attribute", "any keywords", "properties", "first few", "first few of a series", "its text", "enum",
         "two marks", "a mark", "texts with a mark"],
)  # fmt: skip
def test_programs_are_asked_in_the_form_they_take_and_give(
    source: str, calls: Calls, sandbox: Sandbox
) -> None:
    places = range(len(callables(source)))
    assert any(agrees(source, calls, "as is", sandbox, place) for place in places)


def test_an_error_that_a_program_raises_itself_says_that_there_is_none(sandbox: Sandbox) -> None:
    source = (
        "def f(xs):\n    for x in xs:\n        if x > 5:\n            return x\n    raise LookupError(xs)"
    )
    assert agrees(source, [(([1, 7],), 7), (([1],), -1), (([2],), None)], "as is", sandbox)
    assert not agrees(source, [(([1, 7],), 7), (([1],), 3)], "as is", sandbox)
    assert not agrees(source, [(([1, 7],), 7), ((3,), None)], "as is", sandbox)  # a TypeError of its own


def test_a_json_text_is_what_it_holds_unless_a_text_is_asked_for(sandbox: Sandbox) -> None:
    source = "import json\n\ndef f(n):\n    return json.dumps([n, n + 1])"
    assert agrees(source, [((3,), [3, 4])], "as is", sandbox)
    assert agrees(source, [((3,), "[3, 4]")], "as is", sandbox)


def test_records_stand_for_pairs_and_pairs_for_records(sandbox: Sandbox) -> None:
    source = (
        "def best(rows, least):\n    able = [r for r in rows if r['points'] >= least]\n"
        "    return sorted(able, key=lambda r: r['name'])"
    )
    calls: Calls = [(([("b", 3), ("a", 5), ("c", 1)], 2), [("a", 5), ("b", 3)]), (([("x", 1)], 2), [])]
    places = range(len(callables(source)))
    assert any(agrees(source, calls, "as is", sandbox, place) for place in places)


def test_objects_are_made_of_their_parts(sandbox: Sandbox) -> None:
    source = (
        "from typing import NamedTuple\n\nclass P(NamedTuple):\n    x: int\n    y: int\n\n"
        "def apart(p: P, others: list[P]):\n    return sum(abs(p.x - o.x) + abs(p.y - o.y) for o in others)"
    )
    calls: Calls = [(((1, 2), [(3, 4), (0, 0)]), 7), (([5, 5], [[5, 6]]), 1)]
    assert agrees(source, calls, "as is", sandbox)


@pytest.mark.parametrize(
    "source",
    [
        "\n".join(f"a{n} = {n + 2}" for n in range(3_000)) + "\nprint(a1 + a2)",
        "def f(x):\n    return x\n\nprint(" + " + ".join(["'a'"] * 900) + ")",
        "def f(p: tuple[()], q: list[()]):\n    return p\n\nclass P:\n    pass",
        f"x = {10**310} + 1j\nprint(x)",
        "a, *b = 5, 2\nprint(a, b)",
        "f = open('d.txt')\nprint(f.read())",
    ],
    ids=["many", "deep", "empty", "complex", "starred", "file"],
)
def test_odd_programs_are_looked_at_in_no_time_and_without_an_error(source: str) -> None:
    assert len(callables(source)) <= 8


def test_numbers_of_any_size_can_be_expected_given_and_named() -> None:
    huge = 10**5_000
    assert constants("def f():\n    return 1e999 + 0x" + "f" * 5_000, "Find it.") == [2, 10, 3]
    assert wide_shapes([(huge, "a")], [], 1, 2)
    assert wide_shapes([([huge, 2],)], [], 1, 2)
    assert wide_shapes([([[huge, 1], [2, 3]],)], [], 1, 2)
    for expected, got in [
        ("MM", (2_000, huge)),
        ({"a": 1}, {huge: 1}),
        (3, ("\0printed", huge)),
        ([1], ["\0changed", 5]),
    ]:
        assert agreement(expected, got, (1,)) is Agreement.OTHER
        forms(expected, got, (huge,))


def test_values_of_any_depth_can_be_compared() -> None:
    deep: Any = 1
    for _ in range(3_000):
        deep = [deep]
    text = "[" * 930 + "]" * 930
    assert unwritten([], text) == text
    for expected, got in [
        ([1, 2, 3], [deep, 2, 3]),
        ([[1], [2], [3]], [deep] * 3),
        ([1, 2, 3], unwritten([], text[910:-910])),
    ]:
        assert not forms(expected, got, ([1, 2, 3],)) & Form.UNORDERED
    assert unwritten([], "[" * 100_000) == "[" * 100_000


def test_helpers_stay_within_reach_of_each_other(sandbox: Sandbox) -> None:
    source = (
        "def total():\n    return sum(xs)\n\ndef twice(v):\n    return 2 * total() + 0 * len(v)\n\n"
        "xs = [3, 1, 2]\nfound = []\nfor n in range(len(xs)):\n    found.append(twice(xs) - n + n)\nprint(found[0])"
    )
    assert agrees(source, [(([4, 5],), 18), (([1],), 2)], "as is", sandbox)


def test_an_argument_is_left_out_only_where_it_is_a_length() -> None:
    seen = [([[1, 4], [2, 0]], 2), ([[7, 9], [3, 5]], 2)]
    assert adapted(([[1, 4], [2, 0]], 2), "with rows, no length", seen) == ([1, 4], [2, 0])
    assert adapted(([[1, 4], [2, 0]], 9), "with rows, no length", seen) is None


@pytest.mark.parametrize(
    ("response", "names"),
    [
        (
            "First:\n```python\ndef a(x):\n    return x + 1\n```\nor:\n```python\ndef b(x):\n    return 1 + x\n```",
            "ab",
        ),
        (
            "```python\nxs = [1, 2]\n```\nThen\n```python\ndef c(xs):\n    return sum(xs)\n```\ngives\n```\n3\n```",
            "c",
        ),
        (
            '```python\ndef e(x):\n    """\n    >>> e(2)\n    4\n    """\n    return x * 2\n```\n'
            "```python\ndef f(x):\n    return e(x)\n```",
            "ef",
        ),
        (">>> def d(x):\n...     return x * 2\n...\n>>> d(3)\n6\n", "d"),
    ],
)
def test_all_blocks_of_an_answer_are_its_program(response: str, names: str) -> None:
    found = callables(program_of(Row("r", "here", "Do it.", response)))
    assert {one.name for one in found if one.name} == set(names)


def test_blocks_that_cannot_be_one_program_are_not_made_one() -> None:
    reads = "```python\ndef main():\n    print(int(input()) + 1)\nmain()\n```\n"
    assert program_of(Row("r", "here", "Do it.", reads * 2)).count("input") == 1
    first, second = "def a():\n    return 1", "from __future__ import annotations\ndef b():\n    return 2"
    late = f"```python\n{first}\n```\n```python\n{second}\n```"
    assert "def a" not in program_of(Row("r", "here", "Do it.", late))


def test_a_session_of_expressions_is_a_script() -> None:
    program = program_of(Row("r", "here", "Find it.", ">>> xs = [3, 1, 2]\n>>> sorted(xs)[-2]\n2\n"))
    (one,) = callables(program)
    assert (one.least, one.name) == (1, None)


def test_the_numbers_of_a_task_are_offered_as_parameters() -> None:
    assert constants("def f(xs):\n    return [x for x in xs if x % 7 == 0]", "Find multiples of 7 below 90.")[
        :2
    ] == [7, 90]


@given(st.sets(st.text("abcxyz", min_size=1), max_size=6))
def test_a_set_is_told_in_one_order_in_every_process(items: set[str]) -> None:
    assert words(items) == sorted(words(list(items)))


@given(st.lists(st.integers(0, 99), min_size=1, max_size=6))
def test_what_was_given_is_no_work_and_a_sum_is(items: list[int]) -> None:
    assert echo(items, (items,))
    assert echo(" ".join(map(str, items)), (items, len(items)))
    assert not echo(sum(items) + 100, (items,))


@pytest.mark.parametrize(
    ("expected", "got", "wanted"),
    [
        ("ID-is-4", True, Agreement.OTHER),
        (None, "There is no such word", Agreement.LOOSE),
        (-1, [], Agreement.LOOSE),
        (-1, "None of 7 fits", Agreement.LOOSE),
        (-1, "None of 8 fits", Agreement.OTHER),
        ("", [], Agreement.LOOSE),
        ([{}, {}], "", Agreement.OTHER),
        (None, ("\0printed", "-1"), Agreement.LOOSE),
        (True, "PASSED", Agreement.LOOSE),
        (False, "FAILED", Agreement.LOOSE),
        (True, "FAILED", Agreement.OTHER),
        (False, ("\0printed", "rejected\n"), Agreement.LOOSE),
        (3, {"sum": 3}, Agreement.LOOSE),
        (3, {"sum": 3, "of": 2}, Agreement.OTHER),
    ],
)
def test_nothing_found_can_be_said_in_many_ways(expected: Any, got: Any, wanted: Agreement) -> None:
    assert agreement(expected, got, (7,)) is wanted


def test_words_turned_round_are_not_nothing() -> None:
    assert agreement("free not is", "is not free", ("is not free",)) is Agreement.OTHER


def test_a_sentence_that_begins_with_return_is_no_code() -> None:
    first, second = (request(f"xs are numbers.\nReturn the {word} of them.") for word in ("sum", "product"))
    assert first.key != second.key
    assert request("Do it.\nreturn the items in order").words[-1] == "order"
    assert request("Do it.\nreturn xs + [1]").words == ("do", "it")


def test_a_conversion_in_the_other_direction_is_another_task() -> None:
    assert altered(request("Convert rgb color to hsv color."), request("Convert hsv color to rgb color."))
    assert not altered(
        request("Convert rgb color to hsv color."), request("Convert an rgb color to a hsv color.")
    )
