"""Find the optional folder of real data; tests that need it skip where it is missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("CODEFIT_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))


def shared_data(name: str) -> Path:
    """Return the path of a real data file, or skip the test."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"real data not at hand: {name}")
    return path
