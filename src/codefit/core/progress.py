"""Progress as events: long jobs report, the caller decides how it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Event:
    """One report of a long job. `done` and `total` count `unit`s; `total` may be unknown."""

    stage: str
    message: str = ""
    done: int | None = None
    total: int | None = None
    unit: str = ""
    finished: bool = False


class Listener(Protocol):
    """Whoever wants to hear of progress."""

    def __call__(self, event: Event) -> None: ...


def silent(event: Event) -> None:
    """Hear and say nothing."""
