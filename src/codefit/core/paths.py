"""Paths as a user writes them."""

from __future__ import annotations

from pathlib import Path

from codefit.core.errors import InputError


def expanded(path: str | Path, where: str) -> Path:
    """Return a path with `~` and `~user` replaced; raises `InputError` for a user who isn't there."""
    try:
        return Path(path).expanduser()
    except RuntimeError as e:
        raise InputError(f"no home folder for '{path}'", where=where, todo="write the path out") from e
