"""Executors: map an importable function over items, on this machine's processes or elsewhere."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Protocol, TypeVar

from codefit.core.errors import CodefitError, ExitCode, InputError, MissingPrerequisite

Item = TypeVar("Item")
Result = TypeVar("Result")
_WAITING = 2
"""Items handed out per worker: one at work, one ready."""


class Executor(Protocol):
    """Runs one function over many items; where and in which order is its own affair."""

    @property
    def description(self) -> str:
        """Return what runs the items, for people."""
        ...

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield the results as they come, in any order.

        The function is importable by name and its items and results can be pickled. Raises what
        the function raises (errors of ours as one line), and `CodefitError` where a worker died.
        """
        ...

    def close(self) -> None:
        """Stop the workers, whatever they are doing."""
        ...


class LocalExecutor:
    """Processes of this machine; with one job, this process.

    A worker ends with its parent, also when that is killed: it watches a pipe whose other end
    only the parent holds.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._pool: ProcessPoolExecutor | None = None
        self._lifeline: Connection | None = None

    @property
    def description(self) -> str:
        """Return the number of processes."""
        return "this process" if self.jobs == 1 else f"{self.jobs} local processes"

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield results as they come; few items wait at a time, so that `items` may be endless."""
        if self.jobs == 1:
            yield from map(function, items)
            return
        pool, source = self._started(), iter(items)
        pending: set[Future[Outcome]] = set()
        try:
            while True:
                while len(pending) < _WAITING * self.jobs:
                    item = next(source, _END)
                    if item is _END:
                        break
                    pending.add(pool.submit(guarded, function, item))
                if not pending:
                    return
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    yield result_of(future.result())
        except BrokenProcessPool as e:
            self.close()
            raise died("a worker process") from e

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            theirs, self._lifeline = context.Pipe(duplex=False)
            self._pool = ProcessPoolExecutor(self.jobs, context, _follow, (theirs,))
        return self._pool

    def close(self) -> None:
        """End the workers at once; what they were writing has no marker yet."""
        if self._lifeline is not None:
            self._lifeline.close()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._pool = self._lifeline = None


_END: Any = object()


def _follow(lifeline: Connection) -> None:
    """Make this worker end when its parent closes the lifeline or dies; Ctrl-C is the parent's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def end() -> None:
        lifeline.poll(None)
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()


@dataclass(frozen=True)
class Outcome:
    """A result, or the error that a worker met: its exit code and its line."""

    result: Any = None
    code: ExitCode | None = None
    line: str = ""


def guarded(function: Callable[[Any], Any], item: Any) -> Outcome:
    """Call the function; an error of ours becomes data, since not every exception survives pickling."""
    try:
        return Outcome(function(item))
    except CodefitError as e:
        return Outcome(code=e.exit_code, line=e.line())


def result_of(outcome: Outcome) -> Any:
    """Return a worker's result, or raise the error it met."""
    if outcome.code is None:
        return outcome.result
    kinds = {ExitCode.INPUT: InputError, ExitCode.PREREQUISITE: MissingPrerequisite}
    raise kinds.get(outcome.code, CodefitError)(outcome.line)


def died(what: str) -> CodefitError:
    """Return the error for a worker that ended without a result."""
    return CodefitError(
        f"{what} was killed or ran out of memory",
        where="executor",
        todo="run the same command again to go on, with smaller --shard-rows or fewer --jobs if memory is short",
    )
