"""A step on fake tensors, as a GPU would run it: what `train.trace` counts and this room's layers ask for.

Fake tensors lie on a fake CPU, since a fake GPU takes the process down in its backward pass. While a
simulation is on, code that would take a GPU's kernel takes the same way, with what the kernel keeps in registers
not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, Protocol


class Counter(Protocol):
    """What counts the bytes of a simulated step."""

    gpu: bool

    def uncounted(self) -> AbstractContextManager[None]:
        """Leave what is made inside out, unless it outlives the block and is counted by `keep`."""

    def keep(self, made: Any) -> None:
        """Count the tensors in `made` from now on."""


_current: ContextVar[Counter | None] = ContextVar("simulation", default=None)


def current() -> Counter | None:
    """Return the counter of the simulation that is on, if one is."""
    return _current.get()


def as_gpu() -> bool:
    """Return whether a GPU is being simulated."""
    found = _current.get()
    return found is not None and found.gpu


@contextmanager
def simulating(counter: Counter) -> Iterator[None]:
    """Have the layers of this room behave as on the device that is simulated."""
    token = _current.set(counter)
    try:
        yield
    finally:
        _current.reset(token)


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function as one kernel: only what it returns is counted."""
    counter = current()
    if counter is None:
        return function

    def call(*args: Any) -> Any:
        with counter.uncounted():
            made = function(*args)
        counter.keep(made)
        return made

    return call
