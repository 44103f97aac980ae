"""One sandbox for each isolation level that this machine can give."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from codefit.core.errors import MissingPrerequisite
from codefit.sandbox import Sandbox

LEVELS = ("bwrap+namespaces", "namespaces", "container", "landlock+seccomp")


@pytest.fixture(scope="session", params=LEVELS)
def box(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A sandbox of every level in turn; skips what the machine cannot give."""
    try:
        sandbox = Sandbox(level=request.param, jobs=1)
    except MissingPrerequisite as e:
        pytest.skip(e.line())
    with sandbox:
        yield sandbox
