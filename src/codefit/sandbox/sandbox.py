"""The sandbox as the other rooms see it: programs in, runs out."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from codefit.core.types import Outcome
from codefit.sandbox import launch
from codefit.sandbox.conversation import ServerFailure
from codefit.sandbox.judge import run_program
from codefit.sandbox.levels import choose, elsewhere, try_level
from codefit.sandbox.slot import Slot
from codefit.sandbox.types import Frame, OnFrame, ProbeResult, Program, Run, Runtime

_LOOK_AHEAD = 2  # programs waiting for each slot
_TRIES = 2


class Sandbox:
    """Runs programs, `jobs` at a time, each isolated from the machine and from the others.

    `level` is `auto` (the strongest that works here) or one of `bwrap+namespaces`, `namespaces`,
    `container`, `landlock+seccomp`, `none`; a level that cannot be had raises `MissingPrerequisite`, and `none` needs
    `unsafe_no_isolation`. `runtime` says what programs find around them. One server is started here, the
    others when they are first needed.
    Not covered where no control group can be had (`description` says so): kernel memory of pipes and
    sockets, and CPU time of processes that live less than a tick and are never waited for; the wall-clock
    backstop bounds both.
    """

    level: str
    description: str

    def __init__(
        self,
        *,
        level: str = "auto",
        jobs: int = 2,
        runtime: Runtime | None = None,
        unsafe_no_isolation: bool = False,
    ) -> None:
        if jobs < 1:
            raise ValueError("jobs must be at least 1")
        self.jobs = jobs
        self.runtime = runtime or Runtime()
        self._spawner = ThreadPoolExecutor(1, thread_name_prefix="sandbox-spawner")
        try:
            chosen = choose(level, self.runtime, unsafe_no_isolation, self._spawner)
        except BaseException:
            self._spawner.shutdown()
            raise
        self.level, self.description = chosen.level, chosen.detail
        assert chosen.slot is not None
        assert chosen.start is not None
        self._slots = [chosen.slot]
        self._slots += [Slot(chosen.start, self._spawner) for _ in range(jobs - 1)]
        self._free: queue.SimpleQueue[Slot] = queue.SimpleQueue()
        for slot in self._slots:
            self._free.put(slot)
        self._closed = False

    def run(self, program: Program, on_frame: OnFrame | None = None) -> Run:
        """Run one program; failures of the program and of the sandbox are outcomes, not exceptions.

        `on_frame(index, frame)` is called as frames arrive, and the run then keeps no values; returning
        False ends the program.
        """
        return self._run(program, on_frame, keep_values=on_frame is None)

    def _run(self, program: Program, on_frame: OnFrame | None, *, keep_values: bool) -> Run:
        if self._closed:
            raise ValueError("the sandbox is closed")
        slot = self._free.get()
        try:
            return _run_on(slot, program, on_frame, keep_values)
        finally:
            self._free.put(slot)

    def map(self, jobs: Iterable[tuple[Program, OnFrame | None]]) -> Iterator[tuple[int, Run]]:
        """Run programs side by side and yield (index, run) as they end.

        The iterable is read lazily, a few programs ahead. Callbacks run in worker threads; what one
        raises is raised here.
        """
        pending = iter(enumerate(jobs))
        done: queue.SimpleQueue[tuple[int, Run | BaseException]] = queue.SimpleQueue()
        stop = threading.Event()

        def work(index: int, program: Program, on_frame: OnFrame | None) -> None:
            if stop.is_set():
                return
            try:
                run = self._run(program, _stoppable(on_frame, stop), keep_values=on_frame is None)
                done.put((index, run))
            except BaseException as e:
                done.put((index, e))

        waiting = 0
        with ThreadPoolExecutor(self.jobs, thread_name_prefix="sandbox") as pool:
            try:
                while True:
                    while waiting < _LOOK_AHEAD * self.jobs and (job := next(pending, None)):
                        pool.submit(work, job[0], *job[1])
                        waiting += 1
                    if not waiting:
                        return
                    index, result = done.get()
                    waiting -= 1
                    if isinstance(result, BaseException):
                        raise result
                    yield index, result
            finally:
                stop.set()

    def close(self) -> None:
        """End every server; leaves no process and no file behind."""
        if self._closed:
            return
        self._closed = True
        for slot in self._slots:
            slot.close()
        self._spawner.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _stoppable(on_frame: OnFrame | None, stop: threading.Event) -> OnFrame:
    return lambda index, frame: (on_frame is None or on_frame(index, frame)) and not stop.is_set()


class _CallerError(Exception):
    """Carries what a caller's callback raised past the handling of our own failures."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def _guarded(on_frame: OnFrame | None) -> OnFrame | None:
    """Return a callback that hands on each frame once, also where the program has to run again."""
    if on_frame is None:
        return None
    answers: list[bool] = []

    def guarded(index: int, frame: Frame) -> bool:
        if index == len(answers):
            try:
                answers.append(on_frame(index, frame))
            except Exception as e:
                raise _CallerError(e) from e
        return answers[index]

    return guarded


def _run_on(slot: Slot, program: Program, on_frame: OnFrame | None, keep_values: bool) -> Run:
    """Run on one slot; when the sandbox itself fails, start a new server and try once more."""
    problem = ""
    guarded = _guarded(on_frame)
    for _ in range(_TRIES):
        try:
            if not slot.running:
                slot.start()
            return run_program(slot, program, guarded, keep_values=keep_values)
        except _CallerError as e:
            raise e.error from None
        except (ServerFailure, OSError) as e:
            problem = str(e)
            slot.close()
    return Run(Outcome.SANDBOX_FAILED, (), problem, 0.0, 0.0, None, False)


def probe() -> list[ProbeResult]:
    """Try every level on this machine and say what works, what does not, and the line that fixes it."""
    if (none_at_all := elsewhere()) is not None:
        return [ProbeResult(none_at_all.level, False, none_at_all.detail, none_at_all.fix)]
    found = []
    with ThreadPoolExecutor(1) as spawner:
        for level in launch.LEVELS:
            attempt = try_level(level, Runtime(), spawner)
            found.append(ProbeResult(level, attempt.slot is not None, attempt.detail, attempt.fix))
            if attempt.slot:
                attempt.slot.close()
    return found
