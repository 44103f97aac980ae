"""Executors to run the same tests on: this process, two processes, and Ray where it is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest

from codefit.core import files
from codefit.scale import Executor, LocalExecutor, open_executor


@pytest.fixture(scope="session")
def two() -> Iterator[Executor]:
    executor = LocalExecutor(2)
    yield executor
    executor.close()


@pytest.fixture(scope="session")
def ray_executor() -> Iterator[Executor]:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    executor = open_executor("ray", jobs=2)
    yield executor
    executor.close()


@pytest.fixture(params=["one", "two", "ray"])
def executor(request: pytest.FixtureRequest) -> Executor:
    if request.param == "one":
        return LocalExecutor(1)
    found: Executor = request.getfixturevalue({"two": "two", "ray": "ray_executor"}[request.param])
    return found


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of tiny pieces are written here; kill -9 in real processes is tested with fsync."""
    monkeypatch.setattr(files, "_fsync", lambda path: None)
