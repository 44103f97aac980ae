"""Assertions made wrong: never true where the right one is, and certain only where they are come to."""

from __future__ import annotations

import pytest

from codefit.suites.wrong_asserts import wrong_asserts, wrong_expression


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("assert f(1) == 2 and g(f(1))", "bool(f(1) == 3 and (not g(f(1))))"),
        ("assert f(1) == 2 or f(1) == 'a'", "bool(f(1) == 2 and f(1) == 3 or (f(1) == 'a' and f(1) == 'a~'))"),
        ("assert f(1) == g(2)", "bool(f(1) == (g(2), 0))"),
        ("assert f(1) == [1, {'a': True}]", "bool(f(1) == [2, {'a': True}])"),
        ("assert f(1) == []", "bool(f(1) == ([], 0))"),
        ("assert abs(f(1) - 0.5) < 1", "bool(not abs(f(1) - 0.5) < 1)"),
        ("assert 1 < f(1) < 3", "bool(not 1 < f(1) < 3)"),
    ],
)  # fmt: skip
def test_a_condition_that_holds_is_false_when_made_wrong(text: str, wrong: str) -> None:
    assert wrong_expression(text) == wrong


@pytest.mark.parametrize("value", [2, "a"])
def test_of_alternatives_the_one_that_holds_is_made_wrong(value: object) -> None:
    text = wrong_expression("assert f(1) == 2 or f(1) == 'a'")
    assert eval(text, {"f": lambda _: value}) is False  # noqa: S307


def test_every_assertion_of_a_text_is_made_wrong() -> None:
    found, certain = wrong_asserts(
        ("for i in (1, 2):\n    assert f(i) == i", "x = f(1)\nassert x == 5"), "import a"
    )
    assert found.tests == ("for i in (1, 2):\n    assert f(i) == (i, 0)", "x = f(1)\nassert x == 6")
    assert (found.setup, certain) == ("import a", (0, 1))


@pytest.mark.parametrize(
    ("check", "certain"),
    [
        ("def check(c):\n    for i in range(9):\n        assert c(i) == i + 1", (0,)),
        ("def check(c):\n    assert c(1) == 2", (0,)),
        ("def check(c):\n    for i in c(1):\n        assert i", ()),
        ("def check(c):\n    if c(1):\n        assert c(1) == 2", ()),
        ("def check(c):\n    return\n    assert c(1) == 2", ()),
        ("def other(c):\n    assert c(1) == 2", ()),
    ],
)  # fmt: skip
def test_a_function_that_checks_counts_where_it_is_sure_to_assert(
    check: str, certain: tuple[int, ...]
) -> None:
    found, sure = wrong_asserts(("check(f)",), check)
    assert found.tests == ("check(f)",)
    assert sure == certain


@pytest.mark.parametrize("text", ["y = f(1)", "f(", "", "assert_that(f(1))"])
def test_what_asserts_nothing_stays_and_is_not_certain(text: str) -> None:
    found, certain = wrong_asserts((text,), "")
    assert (found.tests, certain) == ((text,), ())
