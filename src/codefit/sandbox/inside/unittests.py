"""Runs a class of unittest tests beside the program, and says which of them ended well.

The frame of such a program is a list of [test, status, text] with the statuses `ok`, `failure`, `error`,
`skipped`, `expected failure` and `unexpected success`; `setUpClass` and the like stand in it only where
they fail. The frames of a probe: a list of the tests that accept a wrong expectation, and a dict of those
that end well although the entry point is a stub that raises (`raises`) or returns None (`none`).

A run over the class takes three steps, so that what the program finds on the stack is the same in all
runs, and little: the class is prepared (`watch_over`), its tests run (`run_tests`), and what is left is
looked at (`ended`).
"""

from __future__ import annotations

import sys
import unittest
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from codefit.sandbox.inside import guard

CLASS = "TestCases"
_TEXT_CHARS = 300
FILE = "__test__.py"
_frame = sys._getframe
_CALL = "_callTestMethod"  # what unittest calls a test method through, since Python 3.8
_NOTES = tuple(n for n in dir(unittest.TestResult) if n.startswith(("add", "start", "stop")))
_NAMES = tuple(n for n in dir(unittest.TestCase) if n.startswith("assert"))
_NOTED = tuple(n for n in _NAMES if not n.endswith(("Raises", "RaisesRegex", "Warns", "WarnsRegex", "Logs")))
_BITES: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("assertEqual", (1, 2)),
    ("assertTrue", (False,)),
    ("assertFalse", (True,)),
    ("assertIn", (1, ())),
    ("assertIsNone", (0,)),
    ("assertAlmostEqual", (1.0, 2.0)),
    ("assertIsInstance", (1, str)),
    ("assertGreater", (1, 2)),
)
_run_suite, _load_tests = unittest.TestSuite.run, unittest.TestLoader.loadTestsFromTestCase
_new_loader, _is_subclass, _issue = unittest.TestLoader, issubclass, unittest.TestCase
_set_attribute = type.__setattr__
Verify = guard.Verify


class NoTests(Exception):
    """The test module has no usable class of tests."""


class Record(unittest.TestResult):
    """Notes how each test ended."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[list[str]] = []

    def _note(self, test: Any, status: str, error: Any = None) -> None:
        name = getattr(test, "_testMethodName", None) or str(test).partition(" ")[0]
        text = ""
        if error:
            text = f"{error[0].__name__}: {error[1]}"[:_TEXT_CHARS]
        self.entries.append([name, status, text])

    def addSuccess(self, test: Any) -> None:
        self._note(test, "ok")

    def addFailure(self, test: Any, err: Any) -> None:
        self._note(test, "failure", err)

    def addError(self, test: Any, err: Any) -> None:
        self._note(test, "error", err)

    def addSkip(self, test: Any, reason: str) -> None:
        self._note(test, "skipped")

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        self._note(test, "expected failure")

    def addUnexpectedSuccess(self, test: Any) -> None:
        self._note(test, "unexpected success")

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        if err is not None:
            self._note(test, "failure" if issubclass(err[0], test.failureException) else "error", err)


@dataclass
class Watched:
    """One run over a class of tests: what the program can reach of it."""

    tests: type
    record: Record
    held: set[tuple[str, int]]
    completed: list[None]


Methods = list[tuple[type, str, Any, Any]]


def watch_over(namespace: dict[str, Any], verify: Verify) -> tuple[Any, ...]:
    """Prepare the class `TestCases` of a test module that was executed in `namespace`.

    Everything is verified after each test method, before its clean-up may hide anything, and each assertion
    that holds is noted by test and line. Returns what `run_tests` takes, and behind it what `ended` takes.
    Raises `NoTests`.
    """
    tests = namespace.get(CLASS)
    if not isinstance(tests, type) or not _is_subclass(tests, _issue):
        raise NoTests(f"the tests define no class {CLASS}")
    run = Watched(tests, Record(), set(), [])
    methods: Methods = []
    own = frozenset(n for c in tests.__mro__ if c not in _issue.__mro__ for n in vars(c))
    for name in _NOTED:
        if name not in own:
            _set_attribute(tests, name, _noting(getattr(tests, name), run.held))
    _set_attribute(tests, _CALL, _verifying(run, own, methods, verify))
    methods += _methods(tests)
    classes = [c for c in tests.__mro__ if c not in _issue.__mro__]
    return run, classes, methods.copy(), run.record.entries, run.held, run.completed


def run_tests(run: Watched) -> None:
    """Run the tests of a class that was prepared."""
    _run_suite(_load_tests(_new_loader(), run.tests), run.record)


def ended(
    classes: list[type], methods: Methods, entries: list[Any], held: set[Any], completed: list[None]
) -> tuple[list[list[str]], set[tuple[str, int]]]:
    """Return how each test ended and which assertions held.

    Ends the process where the functions of the classes are not what they were, or something else stands
    among the entries and assertions than `Record` and `_noting` put there. What is looked at is copied
    first, because a thread of the program may change it.
    """
    rows = [(*e,) if type(e) is list else () for e in [*entries]]
    places = [h for h in [*held] if type(h) is tuple]
    plain = all([*map(type, row)] == [str] * 3 for row in rows)
    plain = plain and all([*map(type, h)] == [str, int] for h in places)
    now = [entry for c in classes for entry in _methods_of(c)]
    same = len(now) == len(methods) and all(map(_is_same, now, methods))
    if not same or not plain or sum(row[1] == "ok" for row in rows) > len(completed):
        raise guard.trip(guard.PATCHED)
    return [[*row] for row in rows], {*places}


def _is_same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return all(a is b for a, b in zip(one, other, strict=True))


def accepting(
    entries: list[list[str]], held: set[tuple[str, int]], lines: list[int], names: list[str]
) -> list[str]:
    """Return the tests that accepted a wrong expectation: the assertion held, or the test ended well."""
    wrong = frozenset(lines)
    found = {test for test, line in held if line in wrong}
    return sorted(found | {name for name, status, _ in entries if status == "ok" and name in names})


def _noting(assertion: Callable[..., Any], held: set[tuple[str, int]]) -> Callable[..., Any]:
    """Return an assertion that notes where it held."""

    def check(self: Any, *args: Any, **kwargs: Any) -> Any:
        value = assertion(self, *args, **kwargs)
        caller = _frame(1)
        if caller.f_code.co_filename == FILE:
            held.add((self._testMethodName, caller.f_lineno))
        return value

    return check


def _verifying(
    run: Watched, own: frozenset[str], methods: Methods, verify: Verify
) -> Callable[[Any, Any], None]:
    """Return what unittest calls a test method through: it verifies that nothing was meddled with."""
    tests, record, completed = run.tests, run.record, run.completed
    original = getattr(tests, _CALL)

    def call(self: Any, method: Callable[[], Any]) -> None:
        original(self, method)
        shadowed = any(name in vars(self) for name in _NAMES) or any(n in vars(record) for n in _NOTES)
        if shadowed or _methods(tests) != methods or not verify(False) or not _all_bite(self, own):
            raise guard.trip(guard.PATCHED)
        completed.append(None)

    return call


def _methods(tests: type) -> Methods:
    """Return the functions of the class of tests and of its bases up to unittest's, with their code."""
    return [entry for c in tests.__mro__ if c not in _issue.__mro__ for entry in _methods_of(c)]


def _methods_of(cls: type) -> Methods:
    found = [(cls, n, v, guard.code_of(v)) for n, v in vars(cls).items()]
    return [entry for entry in found if entry[3] is not None]


def _all_bite(case: Any, own: frozenset[str]) -> bool:
    """Return True if assertions that must fail do; those that the tests define themselves are theirs."""
    for name, arguments in _BITES:
        if name in own:
            continue
        try:
            getattr(case, name)(*arguments)
        except AssertionError:
            continue
        except Exception:
            return False
        return False
    return True
