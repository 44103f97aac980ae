"""Errors that a user can act on, and the exit codes they end with.

An error is one line: what is wrong, where, and what to do. The command line prints it
without a traceback; library code raises it and never prints or exits.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """Process exit codes of every verb."""

    OK = 0
    BUG = 1
    INPUT = 2
    PREREQUISITE = 3
    GATE = 4
    INTERRUPTED = 130


class CodefitError(Exception):
    """A failure with a message for the user; `exit_code` says whose side it is on."""

    exit_code: ExitCode = ExitCode.BUG

    def __init__(self, what: str, *, where: str | None = None, todo: str | None = None) -> None:
        self.what, self.where, self.todo = what, where, todo
        super().__init__(self.line())

    def line(self) -> str:
        """Return the message as one line: `where: what; todo`."""
        head = f"{self.where}: {self.what}" if self.where else self.what
        text = f"{head}; {self.todo}" if self.todo else head
        return " ".join(text.split())


class InputError(CodefitError):
    """The user's input cannot be used (exit 2)."""

    exit_code = ExitCode.INPUT


class InputErrors(InputError):
    """Several faults of one input, all reported at once (exit 2)."""

    def __init__(self, errors: Iterable[InputError]) -> None:
        self.errors = list(errors)
        first = self.errors[0]
        super().__init__(first.what, where=first.where, todo=first.todo)

    def lines(self) -> list[str]:
        """Return one line per fault."""
        return [e.line() for e in self.errors]


class MissingPrerequisite(CodefitError):
    """Something the machine lacks: a sandbox, a GPU, an extra (exit 3)."""

    exit_code = ExitCode.PREREQUISITE


class GateNotPassed(CodefitError):
    """A stated gate was not passed (exit 4)."""

    exit_code = ExitCode.GATE


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return `did you mean 'x'?` for the nearest known word, or None."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else None
