"""Large files: downloaded once, resumed after a kill, and compared with the hash that the hub lists.

The hub's client resumes inside one process only: it writes to a name of its own and removes that on failure, so
a model of 3 GB starts over after a cut. Here the part stays, and the next process asks for the rest.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from codefit.core.errors import InputError

Progress = Callable[[int], None]
"""Called with the bytes that are there."""


class _Counting(io.FileIO):
    """A file that tells how much of it is there."""

    def __init__(self, path: Path, progress: Progress) -> None:
        # Another process may be writing it: opening must not cut it off.
        super().__init__(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+")
        self._progress = progress

    def write(self, data: Any) -> int:
        """Write all of `data`; a plain file may stop in the middle."""
        view = memoryview(data).cast("B")
        written = 0
        while written < len(view):
            written += super().write(view[written:]) or 0
        self._progress(self.tell())
        return written


def download(
    url: str, target: Path, *, size: int, sha256: str, headers: dict[str, str], progress: Progress, where: str
) -> None:
    """Download `url` to `target`, going on with what an earlier process left; `size` in bytes.

    Whoever else wants the same file waits for it. Raises `InputError` where the bytes are not those that the
    hub lists, and what the client raises where the connection breaks for good.
    """
    from huggingface_hub.file_download import http_get

    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.codefit.part")
    with _held(part, progress) as f:
        if target.exists():
            part.unlink(missing_ok=True)
            return
        done = f.seek(0, os.SEEK_END)
        if done > size:
            done = f.truncate(0)
            f.seek(0)
        http_get(url, f, resume_size=done, headers=headers, expected_size=size)
        os.fsync(f.fileno())
        if file_sha256(part) != sha256:
            part.unlink()
            todo = "run the same command again; if it stays so, the mirror serves a damaged file"
            raise InputError(
                "downloaded, but its SHA-256 is not the one that is listed", where=where, todo=todo
            )
        os.replace(part, target)


def _held(part: Path, progress: Progress) -> _Counting:
    """Return the file, locked; whoever held it before may have renamed or removed what was opened."""
    while True:
        f = _Counting(part, progress)
        fcntl.flock(f.fileno(), fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(f.fileno()), part.stat()):
                return f
        f.close()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def git_sha1(path: Path) -> str:
    """Return a file's name in git: SHA-1 over `blob SIZE\\0` and its bytes."""
    h = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as f:
        while block := f.read(1 << 20):
            h.update(block)
    return h.hexdigest()
