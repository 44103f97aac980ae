"""The order in which programs run: dearest first, new ones as they come up, doubtful ones with a core to themselves.

An iterator that may be empty for now: whoever takes from it asks again after each program that ended.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Schedule(Iterator[T], Generic[T]):
    """Items by cost; those that mostly wait and those that compute in turn, while there are both.

    `jobs` is how many run at once. Items of `push_alone` come when nothing else is left to start and at
    most `jobs - 1` others run, one at a time.
    """

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._heaps: tuple[list[tuple[float, int, T]], list[tuple[float, int, T]]] = ([], [])
        self._alone: deque[T] = deque()
        self._pushed = self._running = 0
        self._turn = self._one_alone = False

    def push(self, item: T, cost_s: float, *, waits: bool = False) -> None:
        """Add an item that takes about so long."""
        self._pushed += 1
        heapq.heappush(self._heaps[waits], (-cost_s, self._pushed, item))

    def push_alone(self, item: T) -> None:
        """Add an item that is to have a core to itself."""
        self._alone.append(item)

    def __next__(self) -> T:
        """Return the next item to start; raises `StopIteration` where there is none for now."""
        self._turn = not self._turn
        for heap in (self._heaps[self._turn], self._heaps[not self._turn]):
            if heap:
                self._running += 1
                return heapq.heappop(heap)[2]
        if self._alone and not self._one_alone and self._running < self._jobs:
            self._one_alone = True
            self._running += 1
            return self._alone.popleft()
        raise StopIteration

    def ended(self, *, alone: bool = False) -> None:
        """Take note that a running item ended."""
        self._running -= 1
        if alone:
            self._one_alone = False
