"""A hub with every repository, and an environment that points there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.worlds import environment, whole_hub
from tests.hub_server import Server, serving


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """Serve every repository; this process asks it, with a cache of its own."""
    with serving(whole_hub()) as server:
        for name, value in environment(server.url, tmp_path / "hf").items():
            monkeypatch.setenv(name, value)
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_CACHE", "TRANSFORMERS_OFFLINE"):
            monkeypatch.delenv(name, raising=False)
        yield server
