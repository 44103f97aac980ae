"""Runs one program on one slot and says what became of it."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass, field
from typing import Any

from codefit.core.files import without_surrogates
from codefit.core.types import Outcome
from codefit.sandbox.codec import encode
from codefit.sandbox.conversation import Job, JobEnd, Message, ProgramFault, ServerFailure, Tampering
from codefit.sandbox.inside import guard
from codefit.sandbox.slot import Slot
from codefit.sandbox.types import Frame, Limits, OnFrame, Program, Run

_LEAST_LOAD_S = 2.0
_LEAST_WALL_S = 10.0
_WALL_FACTOR = 10.0
_FIRST_TEST_FRAMES = 2  # "started" and "ready" come before the first test's frame
_ERROR_CHARS = 500


@dataclass(slots=True)
class _Progress:
    """What is known of a program so far."""

    program: Program
    on_frame: OnFrame | None
    keep_values: bool = True
    frames: list[Frame] = field(default_factory=list)
    failure: tuple[Outcome, str] | None = None
    cpu_s: float = 0.0
    peak_mb: float | None = None
    stopped: bool = False
    ready: bool = False

    def deliver(self, frame: Frame) -> bool:
        """Take one test's frame; returns False when the caller wants no more."""
        if self.complete:
            raise Tampering("more frames than tests")
        self.frames.append(frame if self.keep_values else Frame(None, frame.error, frame.cpu_s))
        if self.on_frame and not self.on_frame(len(self.frames) - 1, frame):
            self.stopped = True
        return not self.stopped

    @property
    def complete(self) -> bool:
        return len(self.frames) == self.program.frames

    def loaded(self) -> None:
        """Take note that the program is loaded; each frame starts the clock of a test, so once only."""
        if self.ready:
            raise Tampering("the program was loaded twice")
        self.ready = True


def run_program(slot: Slot, program: Program, on_frame: OnFrame | None, *, keep_values: bool = True) -> Run:
    """Run one program to its end; raises `ServerFailure` when the sandbox itself fails.

    Without `keep_values` the run's frames hold errors and CPU seconds only.
    """
    began = time.monotonic()
    progress = _Progress(program, on_frame, keep_values)
    try:
        if program.kind == "stdin":
            _run_stdin(slot, progress)
        else:
            _run_tests(slot, progress)
    except ProgramFault as e:
        tampering = isinstance(e, Tampering)
        progress.failure = (Outcome.TAMPERING if tampering else Outcome.OUTPUT_LIMIT, str(e))
        if e.end:
            _add_usage(progress, e.end)
    outcome, error = progress.failure or (Outcome.PASSED, None)
    return Run(
        outcome=outcome,
        frames=tuple(progress.frames),
        error=error,
        cpu_s=progress.cpu_s,
        wall_s=time.monotonic() - began,
        peak_mb=progress.peak_mb,
        stopped=progress.stopped,
    )


def test_limits_s(limits: Limits) -> Callable[[int], tuple[float, float]]:
    """Return the CPU and wall limits in force after so many frames, in seconds; infinite where none is."""
    cpu_s, wall_s = _each(limits.test_cpu_s), _each(limits.test_wall_s)
    if limits.test_wall_s is None:
        wall_s = tuple(_backstop_s(s) for s in cpu_s)
    cpu, wall = _schedule(cpu_s, _LEAST_LOAD_S), _schedule(wall_s, 0.0)
    return lambda frames: (cpu(frames), wall(frames))


def _each(given: tuple[float, ...] | float | None) -> tuple[float, ...]:
    if given is None:
        return (math.inf,)
    return given if isinstance(given, tuple) else (float(given),)


def _schedule(each: tuple[float, ...], least_load_s: float) -> Callable[[int], float]:
    """Return the limit after so many frames; loading, and tests past the last figure, get the largest."""
    largest = max(each, default=0.0)
    load_s = max(least_load_s, largest)

    def limit(frames: int) -> float:
        test = frames - _FIRST_TEST_FRAMES
        if test < 0:
            return load_s
        return each[test] if test < len(each) else largest

    return limit


def _backstop_s(cpu_s: float) -> float:
    return max(_LEAST_WALL_S, _WALL_FACTOR * cpu_s)


def _wall_s(limits: Limits) -> float:
    return limits.wall_s if limits.wall_s is not None else _backstop_s(limits.cpu_s)


def _request(program: Program) -> dict[str, Any]:
    tests = [encode(tuple(t)) if program.kind == "calls" else t for t in program.tests]
    return {
        "kind": program.kind,
        "source": program.source,
        "setup": program.setup,
        "entry_point": program.entry_point or "",
        "tests": [] if program.kind == "stdin" else tests,
        "guard": _guarded(program),
        "stub": program.stub,
        "over": list(program.digest_over),
        "wrong": list(astuple(program.wrong)) if program.wrong else None,
    }


def _guarded(program: Program) -> bool:
    return program.guard or program.kind in ("asserts", "unittest")


def _run_tests(slot: Slot, progress: _Progress) -> None:
    program, limits = progress.program, progress.program.limits

    def on_message(message: Message) -> bool:
        if message.tag in (b"V", b"E"):
            return progress.deliver(_frame(message))
        if message.tag == b"R":
            progress.loaded()
        else:
            progress.failure = progress.failure or _told(message)
        return True

    limits_s = test_limits_s(limits)
    end = slot.run(Job(_request(program), limits, limits.cpu_s, _wall_s(limits), on_message, limits_s))
    _account(progress, end)
    if not (progress.stopped or progress.failure or progress.complete):
        progress.failure = _explain(end, program)


def _run_stdin(slot: Slot, progress: _Progress) -> None:
    program, limits = progress.program, progress.program.limits
    request = _request(program)
    limits_s = test_limits_s(limits)
    deadline = time.monotonic() + _wall_s(limits)
    for index, text in enumerate(program.tests):
        told: list[Message] = []

        def on_message(message: Message, told: list[Message] = told) -> bool:
            told.append(message)
            return True

        cpu_s, wall_s = limits_s(index + _FIRST_TEST_FRAMES)
        cpu_s = min(limits.cpu_s - progress.cpu_s, cpu_s)
        wall_s = min(deadline - time.monotonic(), wall_s)
        stdin = text.encode("utf-8", "surrogatepass")
        end = slot.run(Job(request, limits, cpu_s, wall_s, on_message, _no_test_limits, stdin))
        _account(progress, end)
        progress.failure = _stdin_failure(told, end, program)
        if progress.failure or not progress.deliver(_stdin_frame(told, end)):
            return


def _no_test_limits(frames: int) -> tuple[float, float]:
    """The process is the test: its own limits are those of the test."""
    return math.inf, math.inf


def _stdin_failure(told: list[Message], end: JobEnd, program: Program) -> tuple[Outcome, str] | None:
    for message in told:
        if message.tag == b"Y":
            return _told(message)
    return None if end.reason == "exited" else _explain(end, program)


def _stdin_frame(told: list[Message], end: JobEnd) -> Frame:
    for message in told:
        if message.tag in (b"E", b"L"):
            return Frame(error=_text(message.value), cpu_s=end.cpu_s)
    code = os.waitstatus_to_exitcode(end.status)
    if code:
        return Frame(error=_death(code), cpu_s=end.cpu_s)
    return Frame(value=end.stdout.decode("utf-8", "replace"), cpu_s=end.cpu_s)


def _frame(message: Message) -> Frame:
    if message.tag == b"E":
        return Frame(error=_text(message.value), cpu_s=message.cpu_s)
    return Frame(value=message.value, cpu_s=message.cpu_s)


def _text(value: Any) -> str:
    if type(value) is not str:
        return "error without a message"
    # A lone surrogate in a program's message could not be written to any file.
    return str(without_surrogates(value[:_ERROR_CHARS]))


def _told(message: Message) -> tuple[Outcome, str]:
    outcomes = {b"Y": Outcome.SYNTAX_ERROR, b"L": Outcome.RUNTIME_ERROR, b"O": Outcome.OUTPUT_LIMIT}
    if message.tag not in outcomes:
        raise Tampering("a frame of no known kind")
    return outcomes[message.tag], _text(message.value)


def _account(progress: _Progress, end: JobEnd) -> None:
    if not end.started and end.reason == "exited":
        raise ServerFailure(end.error or "the program's process could not be set up")
    if end.reason == "starved":
        raise ServerFailure("the machine ran out of memory")
    if end.reason == "failed":
        raise ServerFailure(end.error or "the program's process could not be forked")
    _add_usage(progress, end)


def _add_usage(progress: _Progress, end: JobEnd) -> None:
    progress.cpu_s += end.cpu_s
    progress.peak_mb = max(progress.peak_mb or 0.0, end.peak_mb)


def _explain(end: JobEnd, program: Program) -> tuple[Outcome, str]:
    """Return the outcome of a program that ended, or was ended, before its last frame."""
    limits = program.limits
    code = os.waitstatus_to_exitcode(end.status)
    if end.reason == "exited" and code in guard.REASONS and _guarded(program):
        return Outcome.TAMPERING, guard.REASONS[code]
    killed = end.reason == "exited" and code in (-signal.SIGXCPU, -signal.SIGKILL)
    if end.reason in ("cpu", "test_cpu") or (killed and end.cpu_s > limits.cpu_s):
        return Outcome.TIMEOUT, f"CPU time over the limit after {end.cpu_s:.2f} s"
    if end.reason in ("wall", "test_wall"):
        return Outcome.TIMEOUT, f"waited too long: {end.cpu_s:.2f} s of CPU time used"
    if end.reason == "memory":
        return Outcome.MEMORY_LIMIT, f"memory over {limits.memory_mb} MiB"
    if end.reason == "processes":
        return Outcome.RUNTIME_ERROR, f"more than {limits.processes} processes and threads"
    return Outcome.RUNTIME_ERROR, f"{_death(code)} before all tests finished"


def _death(code: int) -> str:
    if code < 0:
        known = code in {-s for s in signal.Signals}
        return f"killed by {signal.Signals(-code).name if known else f'signal {-code}'}"
    return f"exited with status {code}" if code else "exited"
