"""Answers of endpoints on disk, shared by all runs: what was paid for is never asked twice.

One append-only JSON Lines file per endpoint and model, each line named by the hash of everything that was
sent. A line holds the request as well, so that a person can read what was asked. Several processes may
append at once: every line is written under a lock, behind whatever a killed writer left half-written.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

from codefit.core.errors import InputError
from codefit.core.files import digest, parse_json
from codefit.generate.types import Answer

_FIELDS = ("text", "tokens", "mean_logprob", "min_logprob", "finish_reason")


def store_file(folder: Path, identity: str, shown: str) -> Path:
    """Return where the answers of what `identity` names are kept; `shown` is for people."""
    name = "".join(c if c.isalnum() or c in "-._" else "-" for c in shown)[:60]
    return folder / f"{name}-{digest(identity)}.jsonl"


class Replay:
    """The answers of one endpoint and model. `identity` names what answers, such as address and model."""

    def __init__(self, folder: Path, identity: str, shown: str) -> None:
        import fcntl  # not on Windows, where this module has to load

        self._fcntl = fcntl
        self.path = store_file(folder, identity, shown)
        self._thread = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab+")
        except OSError as e:
            raise InputError(f"cannot keep answers here: {e.strerror}", where=str(self.path)) from e
        self._found: dict[str, dict[str, Any]] = {}
        self._read()

    def _read(self) -> None:
        """Read every whole line; what a killed writer cut off is passed over."""
        self._file.seek(0)
        for raw in self._file:
            try:
                entry = parse_json(raw.decode("utf-8"))
            except (ValueError, RecursionError):
                continue
            if isinstance(entry, dict) and isinstance(entry.get("key"), str) and _is_answer(entry):
                self._found.setdefault(entry["key"], entry)

    def get(self, key: str, index: int) -> tuple[Answer, dict[str, float | None]] | None:
        """Return the answer of a request and what it took, None where it was never answered."""
        entry = self._found.get(key)
        return (Answer(index, *(entry[name] for name in _FIELDS)), entry["spent"]) if entry else None

    def put(
        self,
        key: str,
        answer: Answer,
        spent: dict[str, float | None],
        request: dict[str, Any],
        told: dict[str, Any],
    ) -> None:
        """Keep an answer; it is with the kernel when this returns, so kill -9 cannot lose it."""
        entry = {"key": key, "request": request, "told": told, "spent": spent,
                 **{name: getattr(answer, name) for name in _FIELDS}}  # fmt: skip
        line = json.dumps(entry, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        with self._thread:
            self._fcntl.flock(self._file, self._fcntl.LOCK_EX)
            try:
                size = self._file.seek(0, os.SEEK_END)
                if size and os.pread(self._file.fileno(), 1, size - 1) != b"\n":
                    line = b"\n" + line
                self._file.write(line)
                self._file.flush()
            finally:
                self._fcntl.flock(self._file, self._fcntl.LOCK_UN)
            self._found[key] = entry

    def close(self) -> None:
        """Close the file."""
        with self._thread:
            self._file.close()


def _is_answer(entry: dict[str, Any]) -> bool:
    whole = all(name in entry for name in (*_FIELDS, "spent"))
    return whole and isinstance(entry["text"], str) and isinstance(entry["spent"], dict)
