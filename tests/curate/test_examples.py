"""Examples read out of rows without tests."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codefit.curate.examples import example_call, examples_of

ADD = "def add(a, b):\n    return a + b"


@pytest.mark.parametrize(
    ("instruction", "response", "explicit", "tests"),
    [
        ("Add.", 'def add(a, b):\n    """>>> add(1, 2)\n    3\n    """\n    return a + b', True, "add(1, 2) == 3"),
        ("Add.\n>>> add('a', 'b')\n'ab'", ADD, True, "add('a', 'b') == 'ab'"),
        ("For example, add(1, 2) returns 3, and so on.", ADD, False, "add(1, 2) == 3"),
        ("add([1], [2]) should return [1, 2].", ADD, False, "add([1], [2]) == [1, 2]"),
        ("`add(1, 2)` -> 3", ADD, False, "add(1, 2) == 3"),
        ("Add. Input: a = 1, b = 2\nOutput: 3", ADD, False, "add(1, 2) == 3"),
        ("Add.", f"{ADD}\n\nprint(add(1, 2))  # Output: 3", False, "add(1, 2) == 3"),
        ("Add.", f"{ADD}\n\nadd(1, 2)\n# => 3", False, "add(1, 2) == 3"),
    ],
)  # fmt: skip
def test_found(instruction: str, response: str, explicit: bool, tests: str) -> None:
    found = examples_of(instruction, response)
    assert found is not None
    assert (found.explicit, found.tests.asserts, found.tests.entry_point) == (
        explicit,
        (f"assert {tests}",),
        "add",
    )


@pytest.mark.parametrize(
    ("instruction", "response"),
    [
        ("add(1, 2) returns the sum.", ADD),
        ("add(x, 2) returns 3.", ADD),
        ("sub(1, 2) returns 3.", ADD),
        ("add(1, 2) returns 3. But add(1, 2) returns 4.", ADD),
        ("add(1, 2) returns 3.", "print('no function')"),
        ("add(__import__('os').system('true'), 2) returns 0.", ADD),
        (">>> add(1, 2)\nTraceback (most recent call last):\nValueError: no", ADD),
    ],
)
def test_not_found(instruction: str, response: str) -> None:
    assert examples_of(instruction, response) is None


@pytest.mark.parametrize(
    ("given_input", "call"),
    [
        ("1, 2", "add(1, 2)"),
        ("a = 1\nb = [2]", "add(1, [2])"),
        ("[1, 2]", None),
        ("some words", None),
        ("a == b", None),
    ],
)
def test_the_input_of_a_request_becomes_a_call(given_input: str, call: str | None) -> None:
    assert example_call(f"Add.\n\nInput:\n{given_input}", ADD) == call


@given(st.text(max_size=60))
def test_any_text_is_read_without_an_error(text: str) -> None:
    examples_of(f"add(1) returns {text} Input: {text} Output: {text}\n>>> {text}", ADD)
    example_call(f"Add.\n\nInput:\n{text}", ADD)


@pytest.mark.parametrize("text", ["x" * 3_000_000, "\n" * 3_000_000, "add(" * 500_000, "Input: x " * 300_000])
def test_a_long_request_is_read_in_time(text: str) -> None:
    began = time.process_time()
    examples_of(text, ADD)
    example_call(f"Add.\n\nInput:\n{text}", ADD)
    assert time.process_time() - began < 2
