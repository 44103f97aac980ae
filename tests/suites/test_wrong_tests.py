"""Tests made wrong: what changes, that lines stay where they are, and which tests are certain to fail."""

from __future__ import annotations

import ast

import pytest

from codefit.suites.wrong_tests import wrong_tests

MODULE = """
import unittest
class TestCases(unittest.TestCase):
    def test_number(self):
        self.assertEqual(task_func(1)[0], {literal})
"""
METHOD = "class TestCases:\n    def test_a(self):\n        "


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
def test_what_is_no_literal_gets_the_opposite_assertion(literal: str) -> None:
    found = wrong_tests(MODULE.format(literal=literal))
    assert found is not None
    assert found.text == MODULE.format(literal=literal).replace("assertEqual", "assertNotEqual")


def test_a_name_bound_twice_is_left_alone() -> None:
    text = MODULE.format(literal="w").replace("self.assert", "w = 1\n        w = 2\n        self.assert")
    found = wrong_tests(text)
    assert found is not None
    assert found.text == text.replace("assertEqual", "assertNotEqual")


@pytest.mark.parametrize(
    ("statement", "wrong"),
    [
        ("self.assertTrue(f(x))", "self.assertFalse(f(x))"),
        ("self.assertNotIn(1, f(x))", "self.assertIn(1, f(x))"),
        ("self.assertGreater(f(x), 1)", "self.assertLessEqual(f(x), 1)"),
        ("check(f(x))", "check(f(x)); self.assertIsNone(self)"),
        ("with patch() as a:\n            c(a)", "with patch() as a:\n            c(a); self.assertIsNone(self)"),
        ("with self.assertRaises(E):\n            f(x)", None),
        ("for i in x:\n            check(i)", None),
    ],
)  # fmt: skip
def test_other_tests_get_an_assertion_that_does_not_hold(statement: str, wrong: str | None) -> None:
    found = wrong_tests(METHOD + statement)
    assert (found.text if found else None) == (METHOD + wrong if wrong else None)
    assert found is None or found.names == ("test_a",)


@pytest.mark.parametrize(
    "statement",
    [
        "for i in f(x):\n            self.assertEqual(i, 1)",
        "if f(x):\n            self.assertTrue(f(x))",
        "[self.assertTrue(i) for i in f(x)]",
        "with self.assertRaises(E):\n            self.assertEqual(f(x), 1)",
    ],
)
def test_an_assertion_that_a_test_may_not_come_to_is_not_certain(statement: str) -> None:
    """A program that makes such a test pass over its assertion is no cheat."""
    found = wrong_tests(METHOD + statement)
    assert found is not None
    assert found.names == ()
    assert found.lines


def test_arguments_of_the_call_are_not_expectations() -> None:
    found = wrong_tests(METHOD + "self.assertEqual(task_func(5), 6)\n")
    assert found is not None
    assert "task_func(5), 7" in found.text


def test_every_test_is_made_wrong() -> None:
    body = "".join(
        f"    def test_{i}(self):\n        self.assertEqual(task_func({i}), {i})\n" for i in range(9)
    )
    found = wrong_tests(f"class TestCases:\n{body}")
    assert found is not None
    assert len(found.names) == 9
    ast.parse(found.text)


def test_an_assertion_over_several_lines_counts_on_each_of_them() -> None:
    found = wrong_tests(METHOD + "self.assertEqual(\n            task_func(5),\n            6,\n        )\n")
    assert found is not None
    assert found.lines == (3, 4, 5, 6)


@pytest.mark.parametrize(
    "text", ["", "def f(:", "class Other:\n    def test_a(self):\n        self.assertEqual(1, 2)\n"]
)
def test_nothing_to_change_is_nothing(text: str) -> None:
    assert wrong_tests(text) is None
