"""Tests that are decided beside the program: what it finds there, and what is noticed."""

from __future__ import annotations

import pytest

from codefit.core.types import Outcome
from codefit.sandbox import Program, Run, Sandbox

ADD = "def f(x):\n    return x + 1\n"


def asserts(source: str, *tests: str, stub: bool = False, setup: str = "") -> Program:
    return Program(source, "asserts", tests, "f", stub=stub, setup=setup)


def errors(run: Run) -> list[str | None]:
    return [f.error for f in run.frames]


def test_statements_share_names_and_report_one_by_one(box: Sandbox) -> None:
    run = box.run(asserts(ADD, "y = f(1)", "assert y == 2", "assert y == 3, 'no'", "assert f(y) == 3"))
    assert run.outcome is Outcome.PASSED
    assert errors(run) == [None, None, "AssertionError: no", None]


def test_expressions_can_be_guarded(box: Sandbox) -> None:
    run = box.run(Program(ADD, "exprs", ("f(1) == 2", "isinstance(f(1), str)"), "f", guard=True))
    assert [f.value for f in run.frames] == [True, False]


def test_a_program_that_hides_builtins_does_not_hide_them_from_its_tests(box: Sandbox) -> None:
    source = ADD + "def isinstance(a, b):\n    return True\ndef abs(x):\n    return 0\n"
    run = box.run(Program(source, "exprs", ("isinstance(f(1), str)", "abs(f(1) - 9) < 1"), "f", guard=True))
    assert [f.value for f in run.frames] == [False, False]


def test_helpers_of_the_program_are_there_for_its_tests(box: Sandbox) -> None:
    source = ADD + "def back(x):\n    return x - 1\n"
    assert errors(box.run(asserts(source, "assert back(f(5)) == 5"))) == [None]


def test_the_setup_can_define_what_tests_call(box: Sandbox) -> None:
    check = "def check(g):\n    for i in range(5):\n        assert g(i) == i + 1\n"
    assert errors(box.run(asserts(ADD, "check(f)", setup=check))) == [None]
    assert errors(box.run(asserts("def f(x):\n    return 1\n", "check(f)", setup=check))) == [
        "AssertionError"
    ]


def test_a_stub_in_the_place_of_the_function_fails_its_tests(box: Sandbox) -> None:
    run = box.run(asserts(ADD, "assert f(1) == 2", "assert True", stub=True))
    assert errors(run) == ["StubCalled", None]


def test_a_stub_takes_the_place_of_a_method(box: Sandbox) -> None:
    source = "class Solution:\n    def go(self, x):\n        return x + 1\n"
    tests = ("assert Solution().go(1) == 2",)
    assert errors(box.run(Program(source, "asserts", tests, "Solution.go"))) == [None]
    assert errors(box.run(Program(source, "asserts", tests, "Solution.go", stub=True))) == ["StubCalled"]


@pytest.mark.parametrize(
    "source",
    [
        "import builtins\nbuiltins.AssertionError = KeyError\n" + ADD,
        "import builtins\nbuiltins.abs = lambda x: 0\n" + ADD,
        "def f(x):\n    import math\n    math.isclose = lambda *a, **k: True\n    return 0\n",
        "class Same:\n    def __eq__(self, o):\n        return True\ndef f(x):\n    return Same()\n",
        "class Same:\n    def __eq__(self, o):\n        return True\ndef f(x):\n    return {'a': [Same()]}\n",
    ],
)
def test_meddling_is_told(source: str, box: Sandbox) -> None:
    run = box.run(asserts(source, "assert abs(f(1) - 2) < 1 or f(1) == 2 or f(1) == {'a': [2]}"))
    assert run.outcome is Outcome.TAMPERING, run


@pytest.mark.parametrize("search", ["frame.f_locals", "frame.f_globals", "frame.f_builtins"])
def test_nothing_on_the_stack_leads_to_the_sender(search: str, box: Sandbox) -> None:
    """Whoever held the sender or the nonce could forge a pass."""
    source = f"""
import sys
def f(x):
    frame, found = sys._getframe(1), []
    while frame:
        for name, value in list({search}.items()):
            if name in ("send", "nonce", "steps", "request") and value and not isinstance(value, type(f)):
                found.append(name)
            if type(value) is bytes and len(value) == 16:
                found.append(name)
        frame = frame.f_back
    return found
"""
    assert errors(box.run(asserts(source, "assert f(1) == [], f(1)"))) == [None]


def test_the_collector_does_not_list_what_was_there_before(box: Sandbox) -> None:
    source = """
import gc
def f(x):
    if hasattr(gc, "unfreeze"):
        return "unfreeze"
    try:
        gc.get_objects()
    except RuntimeError:
        return "refused"
"""
    assert errors(box.run(asserts(source, "assert f(1) == 'refused', f(1)"))) == [None]


def test_honest_objects_may_define_equality(box: Sandbox) -> None:
    source = """
import dataclasses, decimal, fractions, pathlib
@dataclasses.dataclass
class Point:
    x: int
class Version:
    def __init__(self, n):
        self.n = n
    def __eq__(self, other):
        return isinstance(other, Version) and self.n == other.n
    def __lt__(self, other):
        return self.n < other.n
def f(x):
    return [Point(x), Version(x), decimal.Decimal(x), fractions.Fraction(x), pathlib.Path("a")]
"""
    run = box.run(asserts(source, "assert f(1) == f(1)", "assert f(1)[0].x == 1"))
    assert run.outcome is Outcome.PASSED, run
    assert errors(run) == [None, None]


@pytest.mark.parametrize("way", ["guard.trip = lambda status: None", "guard._exit = lambda status: None"])
def test_taking_away_the_alarm_makes_no_pass(way: str, box: Sandbox) -> None:
    source = f"""
import sys
class Same:
    def __eq__(self, other):
        return True
def f(x):
    frame = sys._getframe(1)
    while frame:
        guard = frame.f_globals.get("guard")
        if guard:
            {way}
        frame = frame.f_back
    return Same()
"""
    run = box.run(asserts(source, "assert f(1) == 2"))
    assert run.outcome is not Outcome.PASSED or run.frames[0].error is not None, run
