"""Comparison rules, oracles, literals, assertions: everything the grader decides without a sandbox."""

from __future__ import annotations

import ast
import math
from typing import Any

import pytest

from codefit.core.errors import InputError
from codefit.sandbox.codec import Opaque
from codefit.suites.asserts import split_assert
from codefit.suites.canonical import canonical_digest
from codefit.suites.compare import PlainComparer, close, json_equal, judge_value
from codefit.suites.literals import NotConstant, constant
from codefit.suites.oracles import EvalplusComparer, special_rule, tolerances
from codefit.suites.rebuild import mbpp_arguments
from codefit.suites.show import short
from codefit.suites.stdio import as_text, same_output

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("expected", "got", "right"),
    [
        (1, 1.0, True),
        (1, True, True),
        ([1], (1,), False),
        ({1}, frozenset({1}), True),
        ("a", b"a", False),
        (None, Opaque("NoneType"), False),
        ([1], [Opaque("int")], False),
        (NAN, NAN, False),
        (INF, INF, True),
    ],
)
def test_equality_is_that_of_plain_data(expected: Any, got: Any, right: bool) -> None:
    assert judge_value(expected, got, 0.0) is right


@pytest.mark.parametrize(
    ("expected", "got", "right"),
    [
        (1.0, 1.0 + 5e-7, True),
        (1.0, 1.0 + 5e-6, False),
        (1e9, 1e9 + 50, True),
        (1e9, 1e9 + 500, False),
        ([1.0, 2.0], [1.0, 2.0 + 1e-7], True),
        ([1.0, 2.0], (1.0, 2.0), False),
        ([1.0, 2.0], [1.0], False),
        (0.5, "0.5", False),
        (INF, 1e308, False),
        (-INF, INF, False),
        (0.0, NAN, False),
        ([[1.0], [2.0]], [[1.0, 1.0], [2.0, 2.0]], False),
        (1.0, 10**400, False),
    ],
)
def test_tolerance_is_that_of_allclose_on_one_shape(expected: Any, got: Any, right: bool) -> None:
    assert judge_value(expected, got, 1e-6) is right


def test_no_tolerance_without_one() -> None:
    assert not judge_value(1.0, 1.0 + 1e-9, 0.0)
    assert not PlainComparer()(0, (), 3, 3.0000001)
    assert PlainComparer()(0, (), 3.0, 3.0000001)


def test_closeness_needs_numbers() -> None:
    assert not close("a", "a", 1.0)
    assert not close({1.0}, {1.0}, 1.0)


@pytest.mark.parametrize(
    ("expected", "got", "right"),
    [
        ([1, 2], (1, 2), True),
        ([[1], [2]], [(1,), (2,)], True),
        ({"1": [2]}, {1: (2,)}, True),
        ({"true": 1}, {True: 1}, True),
        ({"1": 2}, {1: 3}, False),
        ({"1": 2}, [1], False),
        (2.0, 2.0000001, True),
        (2, 2.1, False),
        ([1], {1}, False),
    ],
)
def test_values_from_json_forgive_what_json_cannot_say(expected: Any, got: Any, right: bool) -> None:
    assert json_equal(expected, got) is right


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (1, 1.0),
        (1, True),
        (1.0, 1 + 0j),
        ({1, 2, "a"}, {"a", 2.0, 1}),
        ({"a": 1, "b": [2]}, {"b": [2.0], "a": True}),
        (0.0, -0.0),
        ([INF], [INF]),
        ({frozenset({1, 2})}, {frozenset({2, 1})}),
    ],
)
def test_equal_values_have_equal_digests(one: Any, two: Any) -> None:
    assert one == two
    assert canonical_digest(one) == canonical_digest(two) is not None


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ([1], (1,)), (1, "1"), ("a", b"a"), ([1, [2]], [[1], 2]), ({1: 2}, {2: 1}), (1.5, 1.25),
        ([12], [1, 2]), ("", None), (1j, 1), ({1}, [1]), (2**64, 2**64 + 1), (["ab"], ["a", "b"]),
    ],
)  # fmt: skip
def test_different_values_have_different_digests(one: Any, two: Any) -> None:
    assert canonical_digest(one) != canonical_digest(two)


@pytest.mark.parametrize("value", [NAN, [NAN], Opaque("x"), {1: Opaque("x")}])
def test_what_equals_nothing_has_no_digest(value: Any) -> None:
    assert canonical_digest(value) is None


def judged(
    entry_point: str, expected: Any, got: Any, inputs: Any = (), atol: float = 0.0, oracle: str = "0.3"
) -> bool:
    family = "humaneval" if entry_point == "find_zero" else "mbpp"
    return EvalplusComparer(special_rule(family, entry_point, oracle), (atol,))(0, inputs, expected, got)


@pytest.mark.parametrize(
    "name",
    ["similar_elements", "find_char_long", "common_in_nested_lists", "extract_singly",
     "larg_nnum", "intersection_array", "find_dissimilar", "Diff"],
)  # fmt: skip
def test_set_equality_came_with_oracle_03(name: str) -> None:
    assert judged(name, (4, 5), [5, 4, 4])
    assert not judged(name, (4, 5), [5, 4], oracle="0.2")
    assert not judged(name, (4, 5), [5, 6])
    assert not judged(name, (4, 5), None)
    assert not judged(name, (4, 5), [[4], [5]])


@pytest.mark.parametrize("name", ["check_str", "text_match_three", "text_starta_endb"])
def test_some_tasks_ask_only_whether_there_is_a_match(name: str) -> None:
    assert judged(name, True, Opaque("re.Match"))
    assert judged(name, True, "Found")
    assert judged(name, False, None)
    assert judged(name, False, False)
    assert not judged(name, True, False)
    assert not judged(name, True, None)
    assert not judged(name, False, "Not found")


def test_are_equivalent_accepts_every_value() -> None:
    assert judged("are_equivalent", True, False)


def test_sum_div_accepts_zero() -> None:
    assert judged("sum_div", 7, 0)
    assert not judged("sum_div", 7, 6)
    assert not judged("sum_div", 7, Opaque("Zero"))


def test_surface_area_accepts_the_perpendicular_height() -> None:
    # edge 6, height 4: the slant height is 5, so 36 + 2 * 6 * 5
    assert judged("surface_Area", 84, 96, (6, 4))
    assert not judged("surface_Area", 84, 97, (6, 4))


def test_digit_distance_accepts_padding_with_zeros() -> None:
    assert judged("digit_distance_nums", 0, 8, (123, 56)) is (abs(0 - 1) + abs(2 - 5) + abs(3 - 6) == 8)
    assert judged("digit_distance_nums", 0, 7, (123, 56))
    assert not judged("digit_distance_nums", 0, 9, (123, 56))


def test_find_zero_accepts_any_root() -> None:
    assert judged("find_zero", -0.5, -0.5, ([1, 2],), 1e-4)
    assert judged("find_zero", 3.0, 2.0, ([6, -5, 1],), 1e-4)
    assert not judged("find_zero", 3.0, 2.5, ([6, -5, 1],), 1e-4)
    assert not judged("find_zero", 3.0, "2", ([6, -5, 1],), 1e-4)


def test_tolerance_stays_once_a_float_was_expected() -> None:
    assert tolerances(0.0, [False, True, False]) == (0.0, 1e-6, 1e-6)
    assert tolerances(1e-4, [True, False]) == (1e-4, 1e-4)


def test_an_unknown_oracle_is_refused() -> None:
    with pytest.raises(InputError, match="oracle"):
        special_rule("mbpp", "f", "1.0")


@pytest.mark.parametrize(
    ("task", "raw", "rebuilt"),
    [
        (2, [[1, 2], [3]], ((1, 2), (3,))),
        (63, [[[1, 2], [3]]], ([(1, 2), (3,)],)),
        (75, [[[6, 24]], 6], ([(6, 24)], 6)),
        (106, [[5], [9, 10]], ([5], (9, 10))),
        (115, [[[1, 2], [], 5]], ([{1, 2}, {}, {}],)),
        (124, ["0", "1j"], (0.0, 1j)),
        (250, [[1, 8], 8], ((1, 8), 8)),
        (252, ["1j"], (1j,)),
        (259, [[[1], [2]], [[3]]], (((1,), (2,)), ((3,),))),
        (278, [[1, [2, 3]]], ((1, (2, 3)),)),
        (307, [["A"], 0, 50], (("A",), 0, 50)),
        (580, [[1, [2, [3]]]], ((1, (2, (3,))),)),
        (722, [{"a": [6.2, 70]}, 6.0], ({"a": (6.2, 70)}, 6.0)),
        (3, [[1, 2]], ([1, 2],)),
    ],
)
def test_arguments_are_rebuilt_by_task(task: int, raw: list[Any], rebuilt: tuple[Any, ...]) -> None:
    found = mbpp_arguments(f"Mbpp/{task}", raw)
    assert found == rebuilt
    assert repr(found) == repr(rebuilt)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[1, (2, 'a'), {3: None}]", [1, (2, "a"), {3: None}]),
        ("set((4, 5))", {4, 5}),
        ("2 ** 10 - 1", 1023),
        ("-(3 + 4)", -7),
        ("float('inf')", INF),
        ("[1, 2] * 2", [1, 2, 1, 2]),
        ("sorted([2, 1])", [1, 2]),
        ("{1: 2 + 3}", {1: 5}),
    ],
)
def test_constants_are_folded(text: str, value: Any) -> None:
    assert constant(ast.parse(text, mode="eval").body) == value


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "f(1)",
        "open('a')",
        "9 ** 9 ** 9",
        "'a' * 10 ** 9",
        "1 / 0",
        "[0] * 10**8",
        "'%d' % 3",
        "2 ** 10**9",
    ],
)
def test_what_is_not_a_harmless_constant_is_not_folded(text: str) -> None:
    with pytest.raises(NotConstant):
        constant(ast.parse(text, mode="eval").body)


@pytest.mark.parametrize(
    ("text", "expression", "right", "wrong"),
    [
        ("assert f(2) == 4", "f(2)", 4, 5),
        ("assert 4 == f(2)", "f(2)", 4, 5),
        ("assert f(2) == 4, 'message'", "f(2)", 4, None),
        ("assert set(f(1)) == set([1, 2])", "set(f(1))", {2, 1}, {1}),
        ("assert f(1) == True", "f(1)", True, 0),
        ("assert f(1) is True", "f(1)", True, 1),
        ("assert f(1) is None", "f(1)", None, 0),
        ("assert f(1) is not None", "f(1)", 0, None),
        ("assert f(1) != 3", "f(1)", 4, 3),
        ("assert f(1)", "f(1)", [0], []),
        ("assert not f(1)", "f(1)", 0, 1),
        ("assert f(1) in (1, 2)", "f(1)", 2, 3),
        ("assert f(1) < 3", "f(1)", 2, 3),
        ("assert 3 <= f(1)", "f(1)", 3, 2),
        ("assert abs(f(1) - 0.5) < 1e-6", "f(1)", 0.5000001, 0.51),
        ("assert abs(0.5 - f(1)) <= 0.1", "f(1)", 0.6 - 1e-9, "0.5"),
        ("assert math.isclose(f(1), 2.5, rel_tol=0.001)", "f(1)", 2.501, 2.6),
        ("assert isclose(2.5, f(1), abs_tol=0.1)", "f(1)", 2.45, 2.7),
        ("assert f(1) == -2 ** 3", "f(1)", -8, 8),
    ],
)
def test_assertions_are_split(text: str, expression: str, right: Any, wrong: Any) -> None:
    split = split_assert(text)
    assert split is not None
    assert not split.trusting
    assert split.expression == expression
    assert split.accept(right, 0.0)
    assert not split.accept(wrong, 0.0)
    assert (
        "==" in text
        or not split.accept(Opaque("Cheat"), 0.0)
        or text in ("assert f(1)", "assert f(1) is not None")
    )


@pytest.mark.parametrize(
    "text", ["assert f(1) == g(2)", "assert f(1) == 1 and f(2) == 2", "assert 1 < f(1) < 3"]
)
def test_what_cannot_be_split_is_decided_beside_the_program_and_says_so(text: str) -> None:
    split = split_assert(text)
    assert split is not None
    assert split.trusting
    assert split.accept(True, 0.0)
    assert not split.accept(1, 0.0)


@pytest.mark.parametrize("text", ["x = 1", "assert f(1) == 1; assert f(2) == 2", "assert f(", ""])
def test_what_is_not_one_assertion_is_not_split(text: str) -> None:
    assert split_assert(text) is None


@pytest.mark.parametrize(
    ("expected", "got", "right"),
    [
        ("1 2\n3\n", "1 2\n3", True),
        ("1 2\n3\n", "1 2  \n3\n\n", True),
        ("1 2 3", "1\n2\n3", True),
        ("YES", "yes", False),
        ("0.5000", "0.5", True),
        ("0.3333333", "0.33333334", True),
        ("1.5", "1.6", False),
        ("1000000", "1000001", False),
        ("1e-3", "0.001", True),
        ("12345678901234567890", "12345678901234567891", False),
        ("1.0", "nan", False),
        ("1.0", "1.0 2.0", False),
        ("", "", True),
        ("", "0", False),
        ("1.0", "9" * 5000, False),
    ],
)
def test_printed_output_is_compared_by_kind(expected: str, got: str, right: bool) -> None:
    assert same_output(expected, got) is right


def test_lists_of_lines_are_texts() -> None:
    assert as_text(["1 2", "3"]) == "1 2\n3\n"
    assert as_text("a\n") == "a\n"


def test_shown_values_are_bounded() -> None:
    deep: Any = []
    for _ in range(100):
        deep = [deep] * 50
    for value in ("a" * 10**6, 10**100_000, list(range(10**6)), deep, {i: "x" * 999 for i in range(999)}):
        assert len(short(value)) <= 400
