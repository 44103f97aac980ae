"""What speaks for and against a leak: inputs of the tests' form, answers in other forms, tasks that are rivals."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codefit.core.types import Row, Task
from codefit.curate import DecontaminateSettings, decontaminate
from codefit.curate.leaks.form import formed
from codefit.curate.leaks.forms import Form, forms
from codefit.curate.leaks.layout import text_shapes, written
from codefit.sandbox import Sandbox
from tests.curate.conftest import asserts, row, task

ALL = DecontaminateSettings(execution_match="all")


def removed(rows: list[Row], tasks: list[Task], sandbox: Sandbox) -> dict[str, set[str]]:
    """Return row -> tasks that it gives away, by what it does."""
    found: dict[str, set[str]] = {one.id: set() for one in rows}
    for hit in decontaminate(rows, {"bench": tasks}, settings=ALL, sandbox=sandbox).hits:
        if hit.action == "removed":
            found[hit.row_id].add(hit.task_id)
    return found


@given(st.lists(st.lists(st.integers(0, 99), min_size=3, max_size=6, unique=True), min_size=2, max_size=4))
def test_changed_inputs_keep_what_the_tests_inputs_share(lists: list[list[int]]) -> None:
    seen = [(sorted(items), len(items)) for items in lists]
    found = formed(seen, 12, "seed")
    assert found == formed(seen, 12, "seed")
    for items, length in found:
        assert all(a < b for a, b in pairwise(items))
        assert length == len(items)
        assert (items, length) not in seen


def test_changed_texts_keep_their_layout() -> None:
    found = formed([("2026-01-02",), ("1999-12-31",)], 20, "seed")
    assert len(found) > 10
    assert all(len(d) == 10 and d[4] == d[7] == "-" and d.replace("-", "").isdigit() for (d,) in found)


def test_one_input_says_nothing_of_the_form() -> None:
    assert formed([([1, 2],), ([1, 2],)], 9, "seed") == []


@pytest.mark.parametrize(
    ("expected", "got", "wanted"),
    [
        ([4, 1], [1, 4], Form.SWAPPED),
        ([4, 1], [4, 1], Form.FLAT),
        (3, (3, "x"), Form.FIRST),
        (3, {"index": 1, "value": 3}, Form.LAST),
        (3, [7, 8, 9], Form.COUNT),
        (3, 4, Form.ABOVE),
        (3, 2, Form.BELOW),
        (True, False, Form.NOT),
        (True, 1, Form.NUMBER | Form.TRUTHY),
        (True, 2, Form.TRUTHY),
        (False, 0, Form.NUMBER | Form.TRUTHY),
        (3, [3, 1], Form.NONE),
        ([1, 2, 3], ([1, 2, 3], 6), Form.FIRST),
        (3, "I see 3", Form.START_1 | Form.END_1),
        (3, "Sorted: 3 4 5 6 7", Form.NONE),
        (3, "Of 7 pears 3 are ripe", Form.START_2 | Form.END_1),
        ("wren", "The owl ate the wren", Form.START_5 | Form.END_1),
        ((3, 4), {"low": 3, "high": 4}, Form.FLAT),
        ([7, 2], {"low": 2, "high": 7}, Form.FLAT),
        ([2, 7, 5], {"items": [7, 2, 5]}, Form.NONE),
        ((7, 19), "starts at 7 and ends at 19.", Form.IN_ORDER),
        ((7, 19), "starts at 7, 8 and ends at 19.", Form.NONE),
        ("ab cd", ["ab", "cd"], Form.JOINED),
        ("ab cd", "AbCd", Form.JOINED),
        ("[(2, 4)]", "2, 4\n", Form.JOINED),
        (2.6667, 2.67, Form.ROUNDED),
        (2.6667, 3, Form.NONE),
        (0.25, 25.0, Form.SCALED),
        (5, "101", Form.BASE),
        (8, [3, 5, 8], Form.LAST_ITEM),
        (True, [5], Form.TRUTHY),
        (True, {"ok": True, "why": "all"}, Form.FIRST),
        (True, (1, 0), Form.TRUTHY),
        ("Yes", "((()))", Form.TRUTHY),
        ([4, 6], {"low": 4, "high": 6, "width": 2}, Form.FIRST),
        ([3, 3, 9], {3: 2, 9: 1}, Form.FLAT),
        (["a", "a", "b"], [("a", 2), ("b", 1)], Form.FLAT),
        ([[1], [2, 3], [4]], [(3, 2), (4,), (1,)], Form.UNORDERED),
        ([2, 7, 5], [5, 2, 7], Form.NONE),
        (7, 1, Form.AT),
        (0, 5, Form.AT),
        ((5, 2), (0, 2), Form.AT),
    ],
)
def test_an_answer_says_in_which_forms_it_is_the_expected_one(expected: Any, got: Any, wanted: Form) -> None:
    assert forms(expected, got, (1, [5, 7, 2])) is wanted


@given(st.lists(st.integers(-9, 99), max_size=5), st.integers(0, 9))
def test_every_layout_of_arguments_holds_all_of_their_numbers(items: list[int], one: int) -> None:
    for shape in text_shapes([(items, one)]):
        text = written((items, one), shape) or ""
        words = text.replace("[", " ").replace("]", " ").replace(",", " ").split()
        assert {*map(str, items), str(one)} <= set(words)


SHARED = task(
    "shared",
    "Write a function to say whether two closed ranges share at least three whole numbers.",
    "def f(a, b):\n    odd = a[0] > a[1] or b[0] > b[1] or len(a) != 2 or len(b) != 2\n"
    "    return 'many' if odd or min(a[1], b[1]) - max(a[0], b[0]) >= 2 else 'few'",
    [
        (([1, 5], [3, 9]), "many"),
        (([0, 4], [5, 6]), "few"),
        (([2, 2], [1, 3]), "few"),
        (([0, 30], [7, 19]), "many"),
    ],
)


def test_a_function_that_differs_on_inputs_of_another_form_only_is_a_leak(sandbox: Sandbox) -> None:
    story = row(
        "story",
        "Two guests stay at a hotel. Are they there together for three nights?",
        "def together(one, two):\n    nights = 0\n    for day in range(one[0], one[1] + 1):\n"
        "        if two[0] <= day <= two[1]:\n            nights += 1\n    return 'many' if nights > 2 else 'few'",
    )
    (hit,) = decontaminate([story], {"bench": [SHARED]}, settings=ALL, sandbox=sandbox).hits
    assert (hit.action, hit.score < 0.9) == ("removed", True)


RUNS = [([1, 1, 2, 2, 2, 3], 3), ([5, 5, 5, 5], 4), ([7, 8, 7, 8], 1), ([4, 4, 9], 2), ([6] * 7 + [2], 7)]
LONGEST = task(
    "runs",
    "Write a function to find the length of the longest run of equal neighbours in a list.",
    "def f(xs):\n    best = now = 1\n    for a, b in zip(xs, xs[1:]):\n        now = now + 1 if a == b else 1\n"
    "        best = max(best, now)\n    return best",
    [((xs,), n) for xs, n in RUNS],
)
PAIRED = (
    "def longest(values):\n    best, which, start = 0, None, 0\n    for i, value in enumerate(values):\n"
    "        if i and values[i - 1] != value:\n            start = i\n        if i - start + 1 > best:\n"
    "            best, which = i - start + 1, value\n    return {1}"
)


@pytest.mark.parametrize(
    ("request_", "returned", "leak"),
    [
        ("What is the longest run of equal neighbours in a list, and of which value?", "best, which", True),
        ("The river rises. Say how often it stayed at one height, and at which.", "best, which", False),
        ("The river rises. Say for how many days at most it stayed at one height.", "best", True),
    ],
)
def test_more_beside_the_answer_needs_a_request_in_like_words(
    request_: str, returned: str, leak: bool, sandbox: Sandbox
) -> None:
    source = PAIRED.replace("{1}", returned)
    assert removed([row("r", request_, source)], [LONGEST], sandbox) == {"r": {"runs"} if leak else set()}


def test_a_row_whose_own_tests_ask_for_another_form_is_another_task(sandbox: Sandbox) -> None:
    asked = "What is the longest run of equal neighbours in a list, and of which value?"
    own = asserts("assert longest([1, 1, 2]) == (2, 1)", name="longest")
    one = row("r", asked, PAIRED.replace("{1}", "best, which"), tests=own)
    kept = decontaminate([one], {"bench": [LONGEST]}, settings=ALL, sandbox=sandbox, verified=["r"]).kept
    assert kept == [one]


def test_tasks_that_ask_for_less_are_no_rivals(sandbox: Sandbox) -> None:
    plain = [
        task(
            f"sum {n}",
            f"Write a function to find the {word} of the amounts.",
            "def f(xs):\n    return sum(xs)",
            [(([n, 2, 3],), n + 5), (([4, 1],), 5)],
        )
        for n, word in enumerate(("total", "whole", "entire worth", "overall size"), start=1)
    ]
    largest = task(
        "largest",
        "Write a function to find the largest sum of a contiguous part of the list.",
        "def f(xs):\n    best = here = 0\n    for x in xs:\n        here = max(0, here + x)\n"
        "        best = max(best, here)\n    return best",
        [(([-2, -3, 4, -1, 5],), 8), (([3, -9, 4],), 4), (([1, 2],), 3)],
    )
    story = row(
        "story",
        "A trader gains or loses each day. When should he have come and gone, and what had he won?",
        "def won(days):\n    total = low = best = 0\n    for gain in days:\n        total += gain\n"
        "        if total - low > best:\n            best = total - low\n"
        "        if total < low:\n            low = total\n    return best",
    )
    adding = row("adding", "A shop has sold these.", "def till(sold):\n    return sum(sold)")
    found = removed([story, adding], [*plain, largest], sandbox)
    assert found == {"story": {"largest"}, "adding": set()}
