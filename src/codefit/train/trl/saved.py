"""The second engine's checkpoints: folders that TRL writes, of which only those with our marker are whole."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from codefit.core.files import read_json, write_json

_MARKER = "codefit.json"
_NAME = re.compile(r"checkpoint-(\d+)")


def mark(checkpoint: Path, key: str, step: int) -> None:
    """Enter in a checkpoint that it is whole, and of which job; written last."""
    write_json(checkpoint / _MARKER, {"job": key, "step": step})


def newest(folder: Path, key: str) -> tuple[Path | None, int]:
    """Return the newest whole checkpoint of a job and its step, (None, 0) where there is none."""
    found = [(step, path) for path, step in _whole(folder, key)]
    step, path = max(found, default=(0, None))
    return path, step


def discard(folder: Path, key: str) -> bool:
    """Remove half-written checkpoints and those of other jobs; return whether there were any of the latter."""
    whole = {path for path, _ in _whole(folder, key)}
    gone = [path for path in folder.glob("checkpoint-*") if path not in whole]
    foreign = any((path / _MARKER).exists() for path in gone)
    for path in gone:
        (path / _MARKER).unlink(missing_ok=True)  # first: what is left of a killed removal is not whole
        shutil.rmtree(path)
    return foreign


def _whole(folder: Path, key: str) -> list[tuple[Path, int]]:
    found = []
    for path in folder.glob("checkpoint-*"):
        marker = path / _MARKER
        if _NAME.fullmatch(path.name) and marker.exists():
            data = read_json(marker)
            if data["job"] == key:
                found.append((path, int(data["step"])))
    return found
