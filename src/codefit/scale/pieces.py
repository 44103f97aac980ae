"""Pieces of work over files, each with a completion marker, so that a killed job goes on where it was.

A piece reads files of earlier pieces and writes files into a folder of its own. Its marker,
`done.json`, is written last and holds a key over the code, the function, the options and the
content of the inputs, and every output's size and hash. A piece whose marker has the right key,
and whose files are still there with their sizes, is not run again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codefit.core.errors import CodefitError, InputError
from codefit.core.files import canonical_json, digest, file_digest, read_json, write_json
from codefit.scale.executor import Executor

MARKER = "done.json"
OnPiece = Callable[[str, int, int], None]
"""(phase, pieces done, pieces in all)."""


@dataclass(frozen=True)
class Piece:
    """One unit of work: input files by role, options that JSON can hold, and the folder it writes."""

    folder: Path
    inputs: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def file(self, name: str) -> Path:
        """Return the path of an output."""
        return self.folder / name

    def one(self, role: str) -> Path:
        """Return the only input of a role."""
        (path,) = self.inputs[role]
        return path


Work = Callable[[Piece], Mapping[str, Any]]
"""Writes a piece's files atomically and returns what is to be known about them, as JSON can hold it."""


@dataclass(frozen=True)
class Done:
    """A finished piece: its folder, what its work returned, and its files' hashes by name."""

    folder: Path
    summary: Mapping[str, Any]
    files: Mapping[str, str]

    def file(self, name: str) -> Path:
        """Return the path of an output."""
        return self.folder / name


class Runner:
    """Runs phases of pieces on an executor, and knows the content of every file they wrote.

    `code` names the version of the code: another version repeats the work.
    """

    def __init__(self, executor: Executor, code: str, on_piece: OnPiece = lambda *_: None) -> None:
        self._executor, self._code, self._on_piece = executor, code, on_piece
        self._content: dict[Path, str] = {}

    def know(self, path: Path) -> Path:
        """Take a file that no piece wrote as a possible input."""
        self._content[path] = file_digest(path)
        return path

    def take(self, pieces: Iterable[Done]) -> None:
        """Take the files of pieces done elsewhere as possible inputs."""
        for piece in pieces:
            self._content |= {piece.folder / name: content for name, content in piece.files.items()}

    def run(self, phase: str, work: Work, pieces: Sequence[Piece]) -> list[Done]:
        """Return the pieces done, in their order; those with a valid marker are not run again."""
        keys = {piece.folder: self._key(work, piece) for piece in pieces}
        found = {piece.folder: finished(piece.folder, keys[piece.folder]) for piece in pieces}
        waiting = [(work, piece, keys[piece.folder]) for piece in pieces if found[piece.folder] is None]
        done = len(pieces) - len(waiting)
        self._on_piece(phase, done, len(pieces))
        for fresh in self._executor.map(perform, waiting):
            found[fresh.folder] = fresh
            done += 1
            self._on_piece(phase, done, len(pieces))
        results = [result for piece in pieces if (result := found[piece.folder])]
        if len(results) < len(pieces):
            raise CodefitError(f"{len(pieces) - len(results)} pieces gave no result", where=f"phase {phase}")
        self.take(results)
        return results

    def _key(self, work: Work, piece: Piece) -> str:
        inputs = {role: [self._content[path] for path in paths] for role, paths in piece.inputs.items()}
        name = f"{work.__module__}.{work.__qualname__}"
        return digest(self._code, name, canonical_json(dict(piece.options)), canonical_json(inputs))


def perform(item: tuple[Work, Piece, str]) -> Done:
    """Do one piece of work from its beginning and leave its marker."""
    work, piece, key = item
    clear(piece.folder)
    piece.folder.mkdir(parents=True)
    return finish(piece.folder, key, work(piece))


def finish(folder: Path, key: str, summary: Mapping[str, Any]) -> Done:
    """Write the marker of a folder whose files are all written."""
    paths = sorted(path for path in folder.iterdir() if path.name != MARKER and path.is_file())
    files = {path.name: [path.stat().st_size, file_digest(path)] for path in paths}
    write_json(folder / MARKER, {"key": key, "files": files, "summary": dict(summary)})
    # What comes from a marker on resumption and what comes from the work must be the same.
    plain = json.loads(json.dumps(dict(summary), ensure_ascii=False))
    return Done(folder, plain, {name: str(content) for name, (_, content) in files.items()})


def finished(folder: Path, key: str) -> Done | None:
    """Return the piece if its marker has this key and its files are there with their sizes."""
    marker = folder / MARKER
    if not marker.exists():
        return None
    try:
        found = read_json(marker)
        files = {name: content for name, (_, content) in found["files"].items()}
        sizes = {name: size for name, (size, _) in found["files"].items()}
    except (InputError, KeyError, TypeError, ValueError, AttributeError):
        return None
    if found.get("key") != key:
        return None
    paths = {name: folder / name for name in sizes}
    whole = all(path.exists() and path.stat().st_size == sizes[name] for name, path in paths.items())
    return Done(folder, found["summary"], files) if whole else None


def clear(folder: Path) -> None:
    """Remove what an earlier try left; the marker goes first, so that no rest looks complete."""
    (folder / MARKER).unlink(missing_ok=True)
    if folder.exists():
        shutil.rmtree(folder)
