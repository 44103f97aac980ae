"""Lines by which the second engine's processes tell the run what happens; all else they print is a log."""

from __future__ import annotations

import json
import sys
from typing import Any

from codefit.core.errors import CodefitError, InputError, MissingPrerequisite
from codefit.train.device import OutOfMemory
from codefit.train.diverged import LossDiverged

_MARK = "codefit-message "
_ERRORS: dict[str, type[CodefitError]] = {
    c.__name__: c for c in (InputError, MissingPrerequisite, LossDiverged, OutOfMemory)
}


def say(**fields: Any) -> None:
    """Print a message; one write, so that lines of several processes don't mix."""
    sys.stdout.write(f"{_MARK}{json.dumps(fields)}\n")
    sys.stdout.flush()


def say_error(error: CodefitError) -> None:
    """Print an error as a message."""
    say(error=type(error).__name__, what=error.what, where=error.where, todo=error.todo)


def heard(line: str) -> dict[str, Any] | None:
    """Return the message in a line, None for any other line."""
    if not line.startswith(_MARK):
        return None
    found: dict[str, Any] = json.loads(line.removeprefix(_MARK))
    return found


def as_error(message: dict[str, Any]) -> CodefitError:
    """Return the error of a message."""
    kind = _ERRORS.get(message["error"], CodefitError)
    return kind(message["what"], where=message["where"], todo=message["todo"])
