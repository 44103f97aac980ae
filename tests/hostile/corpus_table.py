"""Reads the corpus: each file holds programs `=== name [limits and outcome]`, then the text.

Every program defines `solve(x)`. An attack returns `x + 1` only if the forbidden thing worked;
a control is honest, and must return `x + 1`. Placeholders name things of the host to attack.
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from codefit.sandbox import Limits, Program

INPUTS = (3, 41)
_HEAD = re.compile(r"^=== (\w+)(?: \[(.*)\])?$", re.MULTILINE)


@dataclass(frozen=True)
class Case:
    name: str
    text: str
    settings: dict[str, str]

    @property
    def outcome(self) -> str | None:
        return self.settings.get("outcome")

    def program(self, places: dict[str, str]) -> Program:
        text = self.text
        for place, value in places.items():
            text = text.replace(f"@{place}@", value)
        given = {k: float(v) for k, v in self.settings.items() if k != "outcome"}
        whole = {k: int(v) for k, v in given.items() if k in ("memory_mb", "file_mb")}
        limits = Limits(**{"cpu_s": 3.0, **given, **whole})
        return Program(text, "calls", tuple((x,) for x in INPUTS), "solve", limits=limits)


def read(name: str) -> list[Case]:
    """Return the cases of one file."""
    text = (Path(__file__).parent / "corpus" / f"{name}.txt").read_text()
    parts = _HEAD.split(text)[1:]
    return [
        Case(f"{name}:{title}", body, dict(pair.split("=") for pair in (settings or "").split()))
        for title, settings, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    ]


def skip_without_libraries(case: Case) -> None:
    """Skip a program that needs a library which is not installed."""
    if "numpy" in case.text and importlib.util.find_spec("numpy") is None:
        pytest.skip("numpy is not installed")
