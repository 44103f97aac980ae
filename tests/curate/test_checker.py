"""Checkers: which rule accepts which output, and that none accepts a wrong one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codefit.curate.checker import Checker, accepted_text, accepted_value
from codefit.curate.statement import Rules

PLAIN = Rules()


@pytest.mark.parametrize(
    ("expected", "got", "rules", "rule"),
    [
        ("1 2\n3\n", "1 2 \n3", PLAIN, "exact"),
        ("1 2\n3\n", "1\n2 3", PLAIN, "tokens"),
        ("0.5", "0.5000001", PLAIN, "tolerance 1e-06"),
        ("0.5", "0.51", PLAIN, None),
        ("5", "5.0000001", PLAIN, None),
        ("5", "5.0000001", Rules(tolerance=1e-4), "tolerance 1e-04"),
        ("5", "5.001", Rules(tolerance=1e-4), None),
        ("1000000", "1000001", Rules(tolerance=1e-4), None),
        ("1000000.0", "1000001.0", Rules(tolerance=1e-4), "tolerance 1e-04"),
        ("1000000.0", "1000001.0", Rules(tolerance=1e-4, relative=False), None),
        ("1.5", "nan", Rules(tolerance=1e-4), None),
        ("1e400", "1e401", Rules(tolerance=1e-4), None),
        ("YES\nNO", "yes\nNo", Rules(any_case=True), "any case"),
        ("YES\nNO", "yes\nNo", PLAIN, None),
        ("Yes", "YES", Rules(said=("NO", "YES")), "any case"),
        ("Yes", "NO", Rules(said=("NO", "YES")), None),
        ("YES", "Yes", Rules(said=("NO", "YES")), None),
        ("3\n1 2\n3 4\n5 6", "3\n5 6\n1 2\n3 4", Rules(any_order="lines"), "any order"),
        ("3\n1 2\n3 4\n5 6", "3\n5 6\n1 2\n4 3", Rules(any_order="lines"), None),
        ("2\n1 2\n2 2", "2\n2 2\n2 1", Rules(any_order="lines"), None),
        ("2\n1 2 3", "2\n3 2 1", Rules(any_order="items"), "any order"),
        ("2\n1 2 3", "3\n2 2 1", Rules(any_order="items"), None),
        ("2\n1 2 3", "2\n3 2 1", PLAIN, None),
    ],
)
def test_printed_output(expected: str, got: str, rules: Rules, rule: str | None) -> None:
    assert accepted_text(expected, got, rules, 1e-6) == rule


@pytest.mark.parametrize(
    ("expected", "got", "rules", "rule"),
    [
        ([1, 2], (1, 2), PLAIN, "exact"),
        ({"1": [2]}, {1: (2,)}, PLAIN, "exact"),
        (0.3, 0.1 + 0.2, PLAIN, "tolerance 1e-06"),
        (2, 2.00001, PLAIN, None),
        (2, 2.000001, Rules(tolerance=1e-5), "tolerance 1e-05"),
        ([2, 3], [2, 4], Rules(tolerance=1e-5), None),
        (10**9, 10**9 + 1, Rules(tolerance=1e-5), None),
        (True, 1.000001, Rules(tolerance=1e-5), None),
        ([[1, 2], [3]], [[3], [1, 2]], Rules(any_order="items"), "any order"),
        ([[1, 2], [3]], [[3], [2, 1]], Rules(any_order="items"), None),
        ([1, 2, 2], {1, 2}, Rules(any_order="items"), None),
        (["b", "a"], {"a", "b"}, Rules(any_order="items"), "any order"),
        ([1, None, "x"], ["x", 1, None], Rules(any_order="items"), "any order"),
        ([1, 2], [2, 1], PLAIN, None),
        ("ab", "ba", Rules(any_order="items"), None),
    ],
)
def test_returned_value(expected: Any, got: Any, rules: Rules, rule: str | None) -> None:
    assert accepted_value(expected, got, rules, 1e-6) == rule


@pytest.mark.parametrize(
    ("expected", "got", "printed", "rules", "let_pass"),
    [
        ("1 2", "2 1", True, Rules(several=True), True),
        ("1 2", "a b", True, Rules(several=True), False),
        ("NO", "1 2", True, Rules(several=True), False),
        ("1 2", "-1", True, Rules(several=True), False),
        ("1 2", "", True, Rules(several=True), False),
        ("1 2", "2 1", True, PLAIN, False),
        ("YES\n1 2", "YES\n1 3", True, Rules(any_order="lines"), True),
        ("7", "8", True, Rules(any_order="lines"), False),
        ([1, 2], [2, 1], False, Rules(several=True), True),
        ([1, 2], "ab", False, Rules(several=True), False),
        ([1, 2], [], False, Rules(several=True), False),
        ([], [1], False, Rules(several=True), False),
        (True, False, False, Rules(several=True), True),
        (True, 2, False, Rules(several=True), False),
        ([[1, 2]], [[2, 1]], False, Rules(any_order="items"), True),
        ([[1, 2]], [[2, 2]], False, Rules(any_order="items"), False),
    ],
)
def test_what_needs_a_checker_is_let_pass_and_counted(
    expected: Any, got: Any, printed: bool, rules: Rules, let_pass: bool
) -> None:
    checker = Checker(rules, 1e-6, printed=printed)
    assert checker(0, None, expected, got) is let_pass
    assert checker.open_tests == let_pass


def test_a_verdict_carries_the_loosest_rule_that_was_needed() -> None:
    checker = Checker(Rules(any_order="items"), 1e-6, printed=False)
    for expected, got in (([1, 2], [2, 1]), ([0.5], [0.5000001]), ([3], [3])):
        assert checker(0, (), expected, got)
    assert checker.rule == "any order"


_PLAIN_VALUES = st.one_of(st.integers(), st.text(max_size=4), st.lists(st.integers(), max_size=3), st.none())


@given(st.lists(_PLAIN_VALUES, max_size=6), st.randoms(use_true_random=False), _PLAIN_VALUES)
def test_any_order_accepts_permutations_and_nothing_else(values: list[Any], random: Any, more: Any) -> None:
    shuffled = random.sample(values, len(values))
    assert accepted_value(values, shuffled, Rules(any_order="items"), 1e-6) in ("exact", "any order")
    assert accepted_value(values, [*shuffled, more], Rules(any_order="items"), 1e-6) is None
    if values and shuffled[0] != more:
        assert accepted_value(values, [more, *shuffled[1:]], Rules(any_order="items"), 1e-6) is None


@given(
    st.text(max_size=30),
    st.text(max_size=30),
    st.sampled_from([PLAIN, Rules(any_order="lines", several=True)]),
)
def test_a_checker_never_raises_on_text(expected: str, got: str, rules: Rules) -> None:
    Checker(rules, 1e-6, printed=True)(0, "", expected, got)
