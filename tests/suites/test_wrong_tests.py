"""Tests made wrong: which literals change, and that lines stay where they are."""

from __future__ import annotations

import ast

import pytest

from codefit.suites.wrong_tests import TESTS_MAX, wrong_tests

MODULE = """
import unittest
class TestCases(unittest.TestCase):
    def test_number(self):
        self.assertEqual(task_func(1)[0], {literal})
"""


@pytest.mark.parametrize(
    ("literal", "wrong"),
    [
        ("3", "4"), ("-3", "-4"), ("2.5", "6.5"), ("'ab'", "'ab~'"), ("True", "False"), ("[1, 'b']", "[2, 'b']"),
        ("{'é': 1}", "{'é~': 1}"), ("((), 0)", "((), 1)"),
    ],
)  # fmt: skip
def test_a_literal_expectation_is_changed_in_place(literal: str, wrong: str) -> None:
    found = wrong_tests(MODULE.format(literal=literal))
    assert found is not None
    assert found.text == MODULE.format(literal=wrong)
    assert (found.names, found.lines) == (("test_number",), (5,))


def test_an_expectation_by_name_is_changed_where_it_is_bound() -> None:
    text = MODULE.format(literal="wanted").replace("self.assert", "wanted = {'a': 1}\n        self.assert")
    found = wrong_tests(text)
    assert found is not None
    assert "wanted = {'a~': 1}" in found.text
    assert found.lines == (6,)


@pytest.mark.parametrize(
    "literal", ["task_func(2)", "None", "[]", "x", "f'{1}'", "len(self.rows)", "'a' 'b' if x else 1"]
)
def test_what_is_no_literal_is_left_alone(literal: str) -> None:
    assert wrong_tests(MODULE.format(literal=literal)) is None


def test_a_name_bound_twice_is_left_alone() -> None:
    text = MODULE.format(literal="w").replace("self.assert", "w = 1\n        w = 2\n        self.assert")
    assert wrong_tests(text) is None


def test_arguments_of_the_call_are_not_expectations() -> None:
    found = wrong_tests(
        "class TestCases:\n    def test_a(self):\n        self.assertEqual(task_func(5), 6)\n"
    )
    assert found is not None
    assert "task_func(5), 7" in found.text


def test_a_few_tests_are_chosen_and_always_the_same() -> None:
    body = "".join(
        f"    def test_{i}(self):\n        self.assertEqual(task_func({i}), {i})\n" for i in range(9)
    )
    text = f"class TestCases:\n{body}"
    first, second = wrong_tests(text), wrong_tests(text)
    assert first is not None
    assert first == second
    assert len(first.names) == TESTS_MAX
    ast.parse(first.text)


def test_an_assertion_over_several_lines_counts_on_each_of_them() -> None:
    found = wrong_tests(
        "class TestCases:\n    def test_a(self):\n        self.assertEqual(\n            task_func(5),\n"
        "            6,\n        )\n"
    )
    assert found is not None
    assert found.lines == (3, 4, 5, 6)


@pytest.mark.parametrize(
    "text", ["", "def f(:", "class Other:\n    def test_a(self):\n        self.assertEqual(1, 2)\n"]
)
def test_nothing_to_change_is_nothing(text: str) -> None:
    assert wrong_tests(text) is None
