"""Digests computed beside the program: equal values have equal ones, unequal values don't."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codefit.core.types import Outcome
from codefit.sandbox import Digest, Limits, Program, Sandbox
from codefit.sandbox.codec import decode, encode
from codefit.sandbox.inside.fingerprint import fingerprint

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([0.0, -0.0, 1.0, 2.5, float("inf"), 1e300, 2**70]),
    st.text(alphabet="aé\ud800", max_size=2), st.binary(max_size=2), st.sampled_from([1 + 0j, 2j, complex(-0.0, 2)]),
)  # fmt: skip
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.sets(SCALARS, max_size=3),
        st.frozensets(SCALARS, max_size=3),
        st.dictionaries(SCALARS, inner, max_size=3),
    ),
    max_leaves=8,
)


@settings(max_examples=500, deadline=None)
@given(VALUES, VALUES)
def test_digests_are_equal_exactly_where_values_are(first: Any, second: Any) -> None:
    assert (fingerprint(first) == fingerprint(second)) == bool(first == second)
    assert fingerprint(first) == fingerprint(first)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ([True, 2], [1, 2.0], True),
        ([(1, 2)] * 5000, [(1.0, 2)] * 5000, True),
        ([(1, 2)] * 5000, [[1, 2]] * 5000, False),
        ([1] * 5000 + [2], [1] * 5000 + [3], False),
        ([[1, [2]]] * 3000, [[1, [2]]] * 3000, True),
        ({1: "a", 2: "b"}, {2: "b", 1.0: "a"}, True),
        ({"a", "b"}, frozenset({"b", "a"}), True),
        ([["a", "b"]], [["ab"]], False),
        ([1, 2], [12], False),
        ([], (), False),
        ([[], [1]], [[1], []], False),
    ],
)
def test_long_and_mixed_values(first: Any, second: Any, same: bool) -> None:
    assert (fingerprint(first) == fingerprint(second)) is same


class Opaque:
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = object.__hash__


class Number(int):
    pass


@pytest.mark.parametrize(
    "value", [float("nan"), [1, float("nan")], Opaque(), [Opaque()], [Number(1)], {1: Opaque()}]
)
def test_what_equals_nothing_has_the_empty_digest_which_equals_nothing(value: Any) -> None:
    found = fingerprint(value)
    assert found.hex == ""
    assert found != fingerprint(value)


def test_a_digest_crosses_the_codec() -> None:
    value = fingerprint(list(range(10)))
    assert decode(encode([value])) == [value]
    assert decode(encode(value)).size == 10


def test_only_values_over_the_threshold_leave_as_digests_and_floats_never_do(box: Sandbox) -> None:
    source = "def f(n, kind):\n    return [kind(i) if kind else str(i) for i in range(n)]\n".replace(
        "kind(i) if kind", "i / 2 if kind"
    )
    tests = ((10, 0), (5000, 0), (5000, 1), (5000, 0))
    program = Program(source, "calls", tests, "f", digest_over=(1000, 1000, 1000, None))
    short, long, floats, whole = (f.value for f in box.run(program).frames)
    assert short == [str(i) for i in range(10)]
    assert long == fingerprint([str(i) for i in range(5000)])
    assert floats == [i / 2 for i in range(5000)]
    assert whole == [str(i) for i in range(5000)]


def test_a_value_far_over_the_output_limit_is_judged_by_its_digest(box: Sandbox) -> None:
    source = "def f(n):\n    return [(i, str(i)) for i in range(n)]\n"
    limits = Limits(output_bytes=10_000, memory_mb=512, cpu_s=20)
    run = box.run(Program(source, "calls", ((300_000,),), "f", limits=limits, digest_over=(1000,)))
    assert run.outcome is Outcome.PASSED, run
    assert run.frames[0].value == fingerprint([(i, str(i)) for i in range(300_000)])


def test_a_lying_object_has_no_digest(box: Sandbox) -> None:
    source = "class L(list):\n    def __eq__(self, o):\n        return True\n"
    source += "def f(n):\n    return [L([str(i)]) for i in range(n)]\n"
    run = box.run(Program(source, "calls", ((5000,),), "f", digest_over=(1000,)))
    assert isinstance(run.frames[0].value, Digest)
    assert run.frames[0].value.hex == ""


def test_numbers_of_numpy_have_the_digest_of_plain_ones() -> None:
    np = pytest.importorskip("numpy")
    plain = [*range(5000)]
    assert fingerprint(np.array(plain).tolist()) == fingerprint([*np.array(plain)]) == fingerprint(plain)
    assert fingerprint([(1, 2.5)] * 3000) == fingerprint([(np.int64(1), np.float64(2.5))] * 3000)
    assert fingerprint({1: [plain, 2]}) == fingerprint({np.int64(1): [[*np.array(plain)], np.int8(2)]})
