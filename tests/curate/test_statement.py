"""What statements let an answer differ in."""

from __future__ import annotations

import time

import pytest

from codefit.curate.statement import Rules, rules_of
from codefit.sources.taco import open_taco
from tests.shared_data import shared_data


@pytest.mark.parametrize(
    ("sentence", "tolerance", "relative"),
    [
        ("Your result counts if its relative error is at most 10^{-6}.", 1e-6, True),
        ("The absolute or relative error must not exceed 10 - 9.", 1e-9, True),
        ("Results within 10-5 are accepted as correct answers.", 1e-5, False),
        ("Answers within 10⁻⁵ of ours are fine.", 1e-5, False),
        ("An absolute error of 1e-4 is accepted.", 1e-4, False),
        ("It is accepted if it differs by at most 0.001 from ours.", 1e-3, False),
        ("The game is over after 10-9=1 turns.", None, True),
        ("A code has 10-13 digits.", None, True),
        ("An error costs 5 points.", None, True),
    ],
)
def test_tolerance(sentence: str, tolerance: float | None, relative: bool) -> None:
    rules = rules_of(f"Find the area. {sentence} Good luck.")
    assert rules.tolerance == pytest.approx(tolerance) if tolerance else rules.tolerance is None
    assert rules.relative is relative


@pytest.mark.parametrize(
    ("sentence", "unit"),
    [
        ("You may return the answer in any order.", "items"),
        ("Print the numbers in arbitrary order.", "items"),
        ("Print the edges, one a line, in any order.", "lines"),
        ("The combinations may be returned in any order.", "lines"),
        ("The order of the lines in the output does not matter.", "lines"),
        ("You may do the jobs in any order.", None),
        ("Print the largest number that you can form by joining the digits in any order.", None),
        ("The pairs are given in any order.", None),
        ("Print how many cities lie between (the order of visits doesn't matter).", None),
    ],
)
def test_any_order(sentence: str, unit: str | None) -> None:
    assert rules_of(f"Here is a task. {sentence}").any_order == unit


@pytest.mark.parametrize(
    ("sentence", "several"),
    [
        ("If there are several ways, print any of them.", True),
        ("If more than one answer exists, you can output any.", True),
        ("When the answer is not unique, return any valid list.", True),
        ("Return any permutation that does it.", True),
        ("Any valid answer will be accepted.", True),
        ("This is an interactive problem.", True),
        ("If there are several answers, print the smallest one.", False),
        ("If there are several such rows, remove any of them and go on.", False),
        ("Any answer that differs by less than 1e-5 will be accepted.", False),
        ("If it cannot be done, do not print any number.", False),
        ("In how many different ways can it be done?", False),
        ("Return the number of any two.", False),
    ],
)
def test_several_answers(sentence: str, several: bool) -> None:
    assert rules_of(f"Here is a task. {sentence}").several is several


@pytest.mark.parametrize(
    ("sentence", "any_case"),
    [
        ("You can print each letter in any case.", True),
        ("Print YES or NO (case insensitive).", True),
        ("The words of the text are case insensitive.", False),
        ("In any case, print the number.", False),
        ("The text has lowercase and uppercase letters.", False),
    ],
)
def test_any_case(sentence: str, any_case: bool) -> None:
    assert rules_of(f"Here is a task. {sentence}").any_case is any_case


def test_a_statement_that_says_nothing_has_the_plain_rules() -> None:
    assert rules_of("Add two numbers.\n\nInput\n\nTwo numbers.\n\nOutput\n\nTheir sum.") == Rules()


@pytest.mark.parametrize(
    ("sentence", "in_place"),
    [
        ("Modify the list in-place.", True),
        ("Do not return anything.", True),
        ("You need not modify the list in-place.", False),
        ("The box remains in place.", False),
    ],
)
def test_in_place(sentence: str, in_place: bool) -> None:
    assert rules_of(f"Sort it. {sentence}").in_place is in_place


def test_a_long_statement_without_a_full_stop_is_read_in_time() -> None:
    began = time.process_time()
    rules_of("if there are several print " * 4_000)
    rules_of("x" * 10_000_000)
    assert time.process_time() - began < 2


def test_quoted_yes_and_no_are_known_in_one_order() -> None:
    assert rules_of('Print "YES", or "NO" otherwise. "YES" is more likely.').said == ("NO", "YES")


@pytest.mark.parametrize(
    ("name", "tolerance", "any_case", "any_order", "several"),
    [("taco_schema_stdin", 26, 5, 14, 50), ("taco_schema_function", 15, 1, 47, 30)],
)
def test_real_statements(name: str, tolerance: int, any_case: int, any_order: int, several: int) -> None:
    """The rows were read one by one by a person when these counts were taken."""
    rules = [rules_of(row.instruction) for row in open_taco(shared_data(f"{name}.jsonl.gz")).rows()]
    assert sum(r.tolerance is not None for r in rules) == tolerance
    assert sum(r.any_case for r in rules) == any_case
    assert sum(r.any_order is not None for r in rules) == any_order
    assert sum(r.several for r in rules) == several
