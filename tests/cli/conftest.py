"""Run the real command line in real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache folder that all tests of a session share."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def cli(cache: Path, tmp_path: Path) -> Cli:
    """Return a function that runs `codefit ARGS…` in the test's folder."""

    def run(*args: str | Path, timeout: float = 300, **env: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "codefit", *map(str, args)]
        full = {**os.environ, "CODEFIT_CACHE": str(cache), "COLUMNS": "160", **env}
        return subprocess.run(
            command, cwd=tmp_path, env=full, capture_output=True, text=True, errors="replace", timeout=timeout
        )

    return run


def one_line(result: subprocess.CompletedProcess[str]) -> str:
    """Return the only line on standard error; fails where there is a traceback or another line."""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.stderr
    return lines[0]
