"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from codefit.core.errors import MissingPrerequisite
from codefit.sandbox import Sandbox

if "PYTEST_XDIST_WORKER" in os.environ:
    # Several workers with a thread per core each wait for one another; set before torch is imported.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """The strongest sandbox of this machine."""
    try:
        found = Sandbox(jobs=2)
    except MissingPrerequisite as e:
        pytest.skip(str(e))
    with found:
        yield found
