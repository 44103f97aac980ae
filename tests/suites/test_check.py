"""Checks of real programs in the real sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from codefit.core.types import Outcome, Tests
from codefit.sandbox import Limits, Sandbox
from codefit.suites.check import Check, CheckResult


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(jobs=1) as box:
        yield box


def run(sandbox: Sandbox, source: str, tests: Tests, **options: Any) -> CheckResult:
    check = Check(source, tests, **options)
    return check.result(sandbox.run(check.program, check.on_frame))


CALLS = Tests("calls", "f", inputs=((1,), (2,), (3,)), outputs=(1, 4, 9))


def test_a_right_program_passes(sandbox: Sandbox) -> None:
    found = run(sandbox, "def f(x): return x * x", CALLS)
    assert found.passed
    assert (found.ran, found.tests, found.failed_index) == (3, 3, None)


def test_the_first_wrong_answer_ends_it_and_is_described(sandbox: Sandbox) -> None:
    found = run(sandbox, "def f(x): return x + x - 1", CALLS)
    assert found.outcome is Outcome.WRONG_ANSWER
    assert found.failed_test == {"input": "(2,)", "expected": "4", "got": "3"}
    assert (found.failed_index, found.ran) == (1, 2)


def test_all_tests_goes_on_behind_a_failure(sandbox: Sandbox) -> None:
    found = run(sandbox, "def f(x): return 4", CALLS, all_tests=True)
    assert found.failed == (0, 2)
    assert found.ran == 3


@pytest.mark.parametrize(
    ("source", "outcome"),
    [
        ("def f(x): return x / 0", Outcome.RUNTIME_ERROR),
        ("def g(x): return x", Outcome.RUNTIME_ERROR),
        ("def f(x: return", Outcome.SYNTAX_ERROR),
        ("import nothing_of_that_name", Outcome.RUNTIME_ERROR),
        ("def f(x):\n    while True: pass", Outcome.TIMEOUT),
        ("class A:\n    def __eq__(self, o): return True\ndef f(x): return A()", Outcome.WRONG_ANSWER),
        ("from unittest.mock import ANY\ndef f(x): return ANY", Outcome.WRONG_ANSWER),
        ("class I(int):\n    def __eq__(self, o): return True\ndef f(x): return I(0)", Outcome.WRONG_ANSWER),
    ],
)
def test_what_goes_wrong_has_a_name(sandbox: Sandbox, source: str, outcome: Outcome) -> None:
    limits = Limits(cpu_s=2.0, test_cpu_s=0.5)
    assert run(sandbox, source, CALLS, limits=limits).outcome is outcome


def test_leaving_early_is_not_passing(sandbox: Sandbox) -> None:
    assert not run(
        sandbox, "import os\ndef f(x):\n    if x == 3: os._exit(0)\n    return x * x", CALLS
    ).passed
    assert not run(sandbox, "import os\nos._exit(0)", CALLS).passed


def test_zero_tests_are_an_error() -> None:
    with pytest.raises(ValueError, match="no tests"):
        Check("def f(): pass", Tests("asserts"))
    with pytest.raises(ValueError, match="outputs"):
        Check("def f(): pass", Tests("calls", "f", inputs=((),)))


def test_split_assertions_keep_expectations_out_of_the_sandbox(sandbox: Sandbox) -> None:
    tests = Tests("asserts", asserts=("assert f(1) == 123456", "assert set(f(2)) == {654321}"))
    check = Check("def f(x): return x", tests)
    assert not check.trusting
    assert "123456" not in repr(check.program)
    found = run(sandbox, "def f(x): return 123456 if x == 1 else [654321]", tests)
    assert found.passed
    found = run(sandbox, "def set(x): return {654321}\ndef f(x): return 123456", tests)
    assert found.passed, "a program may name its answer as it likes; it had to know it"


def test_a_wrong_assertion_shows_expected_and_got(sandbox: Sandbox) -> None:
    found = run(sandbox, "def f(x): return 5", Tests("asserts", asserts=("assert f(1) == 4",)))
    assert found.outcome is Outcome.WRONG_ANSWER
    assert found.failed_test == {"input": "assert f(1) == 4", "expected": "4", "got": "5"}


def test_setup_code_is_at_hand_for_assertions(sandbox: Sandbox) -> None:
    tests = Tests("asserts", asserts=("assert f(tree) == 3",), setup="tree = Node(3)")
    source = "class Node:\n    def __init__(self, v): self.v = v\ndef f(n): return n.v"
    assert run(sandbox, source, tests).passed


def test_statements_that_are_no_assertion_run_as_a_whole(sandbox: Sandbox) -> None:
    tests = Tests(
        "asserts", asserts=("check(f)",), setup="def check(c):\n    for i in range(3): assert c(i) == i"
    )
    assert Check("", tests).trusting
    assert run(sandbox, "def f(x): return x", tests).passed
    assert run(sandbox, "def f(x): return 0", tests).outcome is Outcome.WRONG_ANSWER


def test_methods_of_a_solution_class_are_called(sandbox: Sandbox) -> None:
    tests = Tests("calls", "Solution.twice", inputs=(([1, 2],),), outputs=([2, 4],))
    source = "class Solution:\n    def twice(self, a): return tuple(2 * x for x in a)"
    assert not run(sandbox, source, tests).passed
    assert run(sandbox, source, tests, json_values=True).passed


def test_standard_input_programs_are_compared_tolerantly(sandbox: Sandbox) -> None:
    tests = Tests("stdin", inputs=("1 2\n", ["3", "4"]), outputs=("1.50", ["3.5"]))
    source = "a, b = (int(x) for x in open(0).read().split())\nprint((a + b) / 2)"
    assert run(sandbox, source, tests).passed
    found = run(sandbox, "print(1.5)", tests)
    assert found.outcome is Outcome.WRONG_ANSWER
    assert found.failed_index == 1


def test_floats_have_the_tolerance_asked_for(sandbox: Sandbox) -> None:
    tests = Tests("calls", "f", inputs=((),), outputs=(0.3,))
    assert run(sandbox, "def f(): return 0.1 + 0.2", tests).passed
    assert not run(sandbox, "def f(): return 0.31", tests).passed
    assert run(sandbox, "def f(): return 0.31", tests, atol=0.1).passed


LOOP = Tests(
    "asserts", "f", ("check(f)",), setup="def check(g):\n    for i in range(9):\n        assert g(i) == i + 1"
)


def test_tests_that_cannot_be_split_are_probed_after_a_pass(sandbox: Sandbox) -> None:
    check = Check("def f(x): return x + 1", LOOP)
    assert check.trusting
    assert check.result(sandbox.run(check.program, check.on_frame)).passed
    assert check.probe is not None
    assert check.tampered(sandbox.run(check.probe)) is None


@pytest.mark.parametrize(
    "source",
    [
        "class E:\n    def __eq__(self, o): return True\ndef f(x): return E()",
        "import builtins\nbuiltins.range = lambda n: []\ndef f(x): return 0",
        "import os\ndef f(x): os._exit(0)",
        "def f(x):\n    raise SystemExit(0)",
    ],
)
def test_cheats_of_tests_that_cannot_be_split_do_not_pass(source: str, sandbox: Sandbox) -> None:
    assert not run(sandbox, source, LOOP).passed


def test_a_test_that_passes_without_the_program_is_tampering(sandbox: Sandbox) -> None:
    check = Check("def f(x): return 0", Tests("asserts", "f", ("f",)))
    assert check.result(sandbox.run(check.program, check.on_frame)).passed
    assert check.probe is not None
    assert check.tampered(sandbox.run(check.probe)) == "passes without the program: f"
