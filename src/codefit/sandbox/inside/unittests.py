"""Runs a class of unittest tests beside the program, and says which of them ended well.

The frame of such a program is a list of [test, status, text] with the statuses `ok`, `failure`, `error`,
`skipped`, `expected failure` and `unexpected success`; `setUpClass` and the like stand in it only where
they fail. The frame of a probe is a dict: the tests that end well although the entry point is a stub that
raises (`raises`) or returns None (`none`), and the tests of which a wrong expectation was met (`wrong`).
"""

from __future__ import annotations

import sys
import unittest
from collections.abc import Callable
from types import FunctionType
from typing import Any

from codefit.sandbox.inside import guard

CLASS = "TestCases"
_TEXT_CHARS = 300
WRONG_FILE = "__test__.py"
_EQUALITIES = frozenset(
    n for n in dir(unittest.TestCase) if n.startswith("assert") and "Equal" in n and "Not" not in n
)
_frame = sys._getframe
_CALL = "_callTestMethod"  # what unittest calls a test method through, since Python 3.8
_NOTES = tuple(n for n in dir(unittest.TestResult) if n.startswith(("add", "start", "stop")))
_NAMES = tuple(n for n in dir(unittest.TestCase) if n.startswith("assert"))
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


def run_class(namespace: dict[str, Any], verify: Verify) -> list[list[str]]:
    """Run `TestCases` of a test module that was executed in `namespace`; raises `NoTests`."""
    tests = namespace.get(CLASS)
    if not isinstance(tests, type) or not _is_subclass(tests, _issue):
        raise NoTests(f"the tests define no class {CLASS}")
    record = Record()
    completed = _watch_over(tests, record, verify)
    _run_suite(_load_tests(_new_loader(), tests), record)
    well = [e for e in record.entries if e[1] == "ok"]
    if len(well) > len(completed):
        raise guard.trip(guard.PATCHED)
    return record.entries


def _watch_over(tests: type, record: Record, verify: Verify) -> list[None]:
    """Have everything verified after each test method, before its clean-up may hide anything.

    Returns a list that grows by one for each method that came to its end.
    """
    original = next(
        vars(c)[_CALL] for c in tests.__mro__ if _CALL in vars(c) and not _is_ours(vars(c)[_CALL])
    )
    completed: list[None] = []

    def call(self: Any, method: Callable[[], Any]) -> None:
        original(self, method)
        shadowed = any(name in vars(self) for name in _NAMES) or any(n in vars(record) for n in _NOTES)
        if shadowed or _methods(tests) != methods or not verify(False) or not _all_bite(self, tests):
            raise guard.trip(guard.PATCHED)
        completed.append(None)

    _set_attribute(tests, _CALL, call)
    methods = _methods(tests)
    return completed


def _methods(tests: type) -> list[tuple[type, str, Any, Any]]:
    """Return the functions of the class of tests and of its bases up to unittest's, with their code."""
    own = [c for c in tests.__mro__ if c not in _issue.__mro__]
    return [(c, n, v, v.__code__) for c in own for n, v in vars(c).items() if type(v) is FunctionType]


def _is_ours(function: Any) -> bool:
    """Return True for what an earlier run over the same class left there."""
    return getattr(function, "__globals__", None) is globals()


def _all_bite(case: Any, tests: type) -> bool:
    """Return True if assertions that must fail do; methods that the tests define themselves are theirs."""
    for name, arguments in _BITES:
        if name in vars(tests):
            continue
        try:
            getattr(case, name)(*arguments)
        except AssertionError:
            continue
        except Exception:
            return False
        return False
    return True


def probe(
    namespace: dict[str, Any], entry_point: str, wrong: list[Any] | None, verify: Verify
) -> dict[str, list[str]]:
    """Run the tests with the entry point replaced by stubs, then wrong tests with the entry point itself.

    Returns the tests that end well by kind of stub, and the wrong ones of which an assertion held.
    """
    function = namespace[entry_point]
    found = {}
    for kind, stub in (("raises", guard.raising), ("none", _none)):
        namespace[entry_point] = stub
        found[kind] = sorted({name for name, status, _ in run_class(namespace, verify) if status == "ok"})
    namespace[entry_point] = function
    found["wrong"] = _accepted(namespace, *wrong, verify=verify) if wrong else []
    return found


def _none(*_args: Any, **_kwargs: Any) -> Any:
    return None


def _accepted(
    namespace: dict[str, Any], text: str, lines: list[int], names: list[str], *, verify: Verify
) -> list[str]:
    """Run the named tests of a module with wrong expectations; returns those of which one was met."""
    exec(compile(text, WRONG_FILE, "exec", dont_inherit=True), namespace)  # noqa: S102
    tests, accepted = namespace[CLASS], set()

    def watched(assertion: Callable[..., None]) -> Callable[..., None]:
        def check(self: Any, *args: Any, **kwargs: Any) -> None:
            assertion(self, *args, **kwargs)
            caller = _frame(1)
            if caller.f_lineno in lines and caller.f_code.co_filename == WRONG_FILE:
                accepted.add(self._testMethodName)

        return check

    for name in _NAMES:
        if name in _EQUALITIES and name not in vars(tests):
            _set_attribute(tests, name, watched(getattr(tests, name)))
    for name in dir(tests):
        if name.startswith("test") and name not in names:
            _set_attribute(tests, name, None)
    run_class(namespace, verify)
    return sorted(accepted)
