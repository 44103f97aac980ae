"""One program against one set of tests: what to run, and what its values are worth.

The program runs in the sandbox and delivers one frame a test; the decision is taken here, in
the grader's process, on decoded data. A `Check` is used for one run:

    check = Check(source, tests)
    result = check.result(sandbox.run(check.program, check.on_frame))
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

from codefit.core.files import without_surrogates
from codefit.core.types import Outcome, Tests
from codefit.sandbox.codec import Digest
from codefit.sandbox.types import Frame, Limits, Program, Run, WrongAsserts
from codefit.suites.asserts import Split, split_assert
from codefit.suites.compare import Comparer, PlainComparer
from codefit.suites.show import short
from codefit.suites.stdio import as_text, same_output
from codefit.suites.wrong_asserts import wrong_asserts, wrong_expression

KEEP_BYTES = 64 * 1024  # an encoded value above this is kept and sent as a digest, where equality decides
_COMPARE_FAULTS = (ArithmeticError, RecursionError, TypeError, ValueError, MemoryError)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one run was worth. `failed_index` and `failed_test` describe the first failed test.

    `failed` holds the indices of all failed tests that ran, `failed_names` their names where they have
    some; `ran` counts the tests that ran.
    """

    outcome: Outcome
    error: str | None = None
    failed_index: int | None = None
    failed_test: Mapping[str, str | None] | None = None
    failed: tuple[int, ...] = ()
    failed_names: tuple[str, ...] = ()
    ran: int = 0
    tests: int = 0
    cpu_s: float = 0.0
    wall_s: float = 0.0
    peak_mb: float | None = None

    @property
    def passed(self) -> bool:
        """Return True only if every test ran and was right."""
        return self.outcome is Outcome.PASSED


class Judgement(Protocol):
    """One program's check: what to run, and what its frames are worth. Used for one run.

    `probe` is run after a pass where tests are decided beside the program; `tampered` then says what
    shows that they were tampered with, if anything does.
    """

    program: Program

    def on_frame(self, index: int, frame: Frame) -> bool: ...

    def result(self, run: Run) -> CheckResult: ...

    @property
    def probe(self) -> Program | None: ...

    def tampered(self, run: Run) -> str | None: ...


@dataclass(frozen=True, slots=True)
class _Failure:
    index: int
    outcome: Outcome
    error: str | None
    got: str | None


class Check:
    """A program, its tests, and the judgement of the frames that come back.

    `limits` are the sandbox's; `atol` is an absolute tolerance for floats; `compare` replaces
    the comparison of `calls` tests, `compare_text` that of `stdin` tests; `json_values` says that
    expected values went through JSON;
    `all_tests` goes on after the first failure. Raises `ValueError` for zero tests, because an
    empty set of tests would pass everything.

    Assert tests that cannot be split into expression and expectation (`trusting` is True then) are decided
    beside the program, which is watched and, after a pass, run again with wrong expectations and with its
    entry point replaced.
    """

    def __init__(
        self,
        source: str,
        tests: Tests,
        *,
        limits: Limits | None = None,
        atol: float = 0.0,
        compare: Comparer | None = None,
        compare_text: Comparer | None = None,
        json_values: bool = False,
        all_tests: bool = False,
        hash_seed: int = 0,
    ) -> None:
        if not len(tests):
            raise ValueError("no tests: nothing could be judged")
        if tests.kind != "asserts" and len(tests.outputs) != len(tests.inputs):
            raise ValueError(f"{len(tests.inputs)} inputs but {len(tests.outputs)} expected outputs")
        self.tests = tests
        self._atol = atol
        self._compare = compare or PlainComparer(atol, json_values=json_values)
        self._compare_text = compare_text
        self._all_tests = all_tests
        self._splits = _splits(tests)
        self._failures: list[_Failure] = []
        self._ran = 0
        self.program = replace(
            _program(source, tests, self._splits),
            limits=limits or Limits(),
            hash_seed=hash_seed,
            guard=self.trusting,
            digest_over=_digests(tests),
        )

    @property
    def trusting(self) -> bool:
        """Return True if some test is decided beside the program, where it could interfere."""
        if self.tests.kind != "asserts":
            return False
        return self._splits is None or any(s.trusting for s in self._splits)

    @property
    def probe(self) -> Program | None:
        """The program to run once more after a pass: made wrong, and with a stub in it, its tests must fail."""
        if not self.trusting:
            return None
        texts = tuple(self.program.tests[i] for i in self._stubbed) if self.tests.entry_point else ()
        program = replace(self.program, wrong=self._wrong[0])
        return replace(program, tests=texts, stub=True) if texts else replace(program, tests=("None",))

    @cached_property
    def _wrong(self) -> tuple[WrongAsserts, tuple[int, ...]]:
        """The tests with wrong expectations, and which of them cannot pass."""
        program = self.program
        if self._splits is None:
            return wrong_asserts(program.tests, program.setup)
        trusting = self._trusting(self._splits)
        texts = [
            wrong_expression(self.tests.asserts[i]) if i in trusting else text
            for i, text in enumerate(program.tests)
        ]
        return WrongAsserts(program.setup, tuple(texts)), tuple(trusting)

    @cached_property
    def _stubbed(self) -> tuple[int, ...]:
        """The trusting tests that speak of the entry point: others say nothing about the program."""
        head = (self.tests.entry_point or "").partition(".")[0]
        trusting = range(len(self.tests)) if self._splits is None else self._trusting(self._splits)
        return tuple(i for i in trusting if head in _words(self.tests.asserts[i]))

    @staticmethod
    def _trusting(splits: tuple[Split, ...]) -> list[int]:
        return [i for i, split in enumerate(splits) if split.trusting]

    def tampered(self, run: Run) -> str | None:
        """Return what shows, by the run of the probe, that a test was tampered with."""
        if run.outcome is Outcome.TAMPERING:
            return run.error
        first = len(self.tests)  # frame of the tests with a stub, behind those of the wrong tests
        for number, frame in enumerate(run.frames[:first]):
            if number in self._wrong[1] and self._met(number, frame):
                return f"meets a wrong expectation as well: {self.tests.asserts[number][:200]}"
        for number, frame in zip(self._stubbed, run.frames[first:], strict=False):
            if self._met(number, frame):
                return f"passes without the program: {self.tests.asserts[number][:200]}"
        limited = run.outcome in (Outcome.TIMEOUT, Outcome.MEMORY_LIMIT, Outcome.SANDBOX_FAILED)
        if run.outcome is Outcome.PASSED or (limited and len(run.frames) >= first):
            return None
        return f"did not come to the end of its probe: {run.error or run.outcome.value}"

    def _met(self, number: int, frame: Frame) -> bool:
        return frame.error is None and self._right(number, frame.value)

    def on_frame(self, index: int, frame: Frame) -> bool:
        """Judge the frame of one test; False asks the sandbox to stop."""
        self._ran += 1
        failure = self._judge(index, frame)
        if failure is None:
            return True
        self._failures.append(failure)
        return self._all_tests

    def _judge(self, index: int, frame: Frame) -> _Failure | None:
        if frame.error is not None:
            wrong = frame.error.startswith("AssertionError") and self.tests.kind == "asserts"
            outcome = Outcome.WRONG_ANSWER if wrong else Outcome.RUNTIME_ERROR
            return _Failure(index, outcome, without_surrogates(frame.error), None)
        try:
            right = self._right(index, frame.value)
        except _COMPARE_FAULTS:
            right = False
        return None if right else _Failure(index, Outcome.WRONG_ANSWER, None, short(frame.value))

    def _right(self, index: int, value: Any) -> bool:
        if self.tests.kind == "asserts":
            return self._splits is None or self._splits[index].accept(value, self._atol)
        expected = self.tests.outputs[index]
        if self.tests.kind == "stdin":
            if self._compare_text:
                return self._compare_text(index, self.tests.inputs[index], as_text(expected), value)
            return isinstance(value, str) and same_output(as_text(expected), value)
        return self._compare(index, self.tests.inputs[index], expected, value)

    def result(self, run: Run) -> CheckResult:
        """Return the judgement of a finished run."""
        common = CheckResult(
            run.outcome,
            error=without_surrogates(run.error),
            ran=self._ran,
            tests=len(self.tests),
            failed=tuple(f.index for f in self._failures),
            cpu_s=run.cpu_s,
            wall_s=run.wall_s,
            peak_mb=run.peak_mb,
        )
        if self._failures and run.outcome not in (Outcome.SANDBOX_FAILED, Outcome.TAMPERING):
            first = self._failures[0]
            return replace(
                common,
                outcome=first.outcome,
                error=first.error,
                failed_index=first.index,
                failed_test=self._describe(first),
            )
        if run.outcome is Outcome.PASSED and self._ran != len(self.tests):
            error = f"ended after {self._ran} of {len(self.tests)} tests"
            return replace(common, outcome=Outcome.RUNTIME_ERROR, error=error, failed_index=self._ran)
        if run.outcome is not Outcome.PASSED and self._ran < len(self.tests):
            return replace(common, failed_index=self._ran)
        return common

    def _describe(self, failure: _Failure) -> dict[str, str | None]:
        index = failure.index
        if self.tests.kind == "asserts":
            expected = short(self._splits[index].expected) if self._splits else None
            return {"input": self.tests.asserts[index][:400], "expected": expected, "got": failure.got}
        return {
            "input": short(self.tests.inputs[index]),
            "expected": short(self.tests.outputs[index]),
            "got": failure.got,
        }


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def _digests(tests: Tests) -> tuple[int | None, ...]:
    """Return how long a value may be sent, by test: one that should equal a digest leaves as a digest."""
    if tests.kind != "calls" or not any(isinstance(o, Digest) for o in tests.outputs):
        return ()
    return tuple(KEEP_BYTES if isinstance(o, Digest) else None for o in tests.outputs)


def _splits(tests: Tests) -> tuple[Split, ...] | None:
    """Split all assertions, or none: a program runs its tests in one way."""
    if tests.kind != "asserts":
        return None
    found = [split_assert(text) for text in tests.asserts]
    complete = [s for s in found if s is not None]
    return tuple(complete) if len(complete) == len(found) else None


def _program(source: str, tests: Tests, splits: tuple[Split, ...] | None) -> Program:
    if tests.kind == "stdin":
        return Program(source, "stdin", tuple(as_text(i) for i in tests.inputs), setup=tests.setup)
    if tests.kind == "calls":
        arguments = tuple(tuple(i) for i in tests.inputs)
        return Program(source, "calls", arguments, entry_point=tests.entry_point, setup=tests.setup)
    if splits is None:
        return Program(source, "asserts", tests.asserts, tests.entry_point, setup=tests.setup)
    return Program(source, "exprs", tuple(s.expression for s in splits), tests.entry_point, setup=tests.setup)
