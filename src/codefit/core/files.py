"""Files: atomic writes, JSON Lines that survive kill -9, content hashes."""

from __future__ import annotations

import contextlib
import errno
import glob
import gzip
import hashlib
import json
import os
import re
import secrets
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from codefit.core.errors import InputError

_FULL_BYTES = 1 << 18
_YOUNG_S = 60.0
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, no NaN.

    Raises `ValueError` for NaN or infinity.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(*parts: str | bytes) -> str:
    """Return 16 hex digits of SHA-256 over the parts, each length-prefixed."""
    h = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        h.update(len(data).to_bytes(8, "big") + data)
    return h.hexdigest()[:16]


def file_digest(path: Path) -> str:
    """Return 16 hex digits of SHA-256 over a file's bytes, or over a folder's files by name."""
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file())
        return digest(*(s for p in files for s in (p.relative_to(path).as_posix(), file_digest(p))))
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()[:16]


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success fsync it and rename it into place.

    What a killed writer of the same path left behind is removed first: a checkpoint is gigabytes.
    """
    import fcntl  # not on Windows, where this module has to load

    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_left(path)
    temp = path.parent / f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.part"
    held = os.open(temp, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield temp
        _fsync(temp)
        os.replace(temp, path)
        _fsync(path.parent)
    finally:
        os.close(held)
        temp.unlink(missing_ok=True)


@contextmanager
def atomic_folder(out: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `out`; on success it takes the place of `out`, on failure it is removed."""
    out.parent.mkdir(parents=True, exist_ok=True)
    temp = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        with telling_full_disk(temp):
            yield temp
        temp.chmod(0o755)
        shutil.rmtree(out, ignore_errors=True)
        temp.rename(out)
    finally:
        shutil.rmtree(temp, ignore_errors=True)


def _remove_left(path: Path) -> None:
    """Remove temporary files of a path that no living process holds."""
    import fcntl

    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        with contextlib.suppress(OSError):  # held by its writer, or gone meanwhile
            held = os.open(left, os.O_WRONLY)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # A writer that has made its file and not yet locked it is young.
                if time.time() - os.fstat(held).st_mtime > _YOUNG_S or not _alive(left):
                    left.unlink()
            finally:
                os.close(held)


def _alive(left: Path) -> bool:
    """Return True if the process that a temporary file's name holds may be running."""
    try:
        os.kill(int(left.name.rsplit(".", 3)[1]), 0)
    except (ProcessLookupError, ValueError, IndexError):
        return False
    except OSError:
        return True
    return True


@contextmanager
def telling_full_disk(folder: Path) -> Iterator[None]:
    """Turn a library's own error into `OSError` ENOSPC where the disk is full.

    Writers in C++ and Rust report a short write as a fault of theirs.
    """
    try:
        yield
    except OSError:
        raise
    except Exception as e:
        if shutil.disk_usage(folder).free > _FULL_BYTES:
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)) from e


def _fsync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically (UTF-8)."""
    with atomic_path(path) as temp:
        temp.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically, indented for people."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """Write a whole JSON Lines file atomically and return the number of lines."""
    n = 0
    with atomic_path(path) as temp, temp.open("w", encoding="utf-8") as f:
        for row in rows:
            f.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
            n += 1
    return n


def read_json(path: Path) -> Any:
    """Read a JSON file; raises `InputError` naming file and line."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise InputError(f"cannot read: {e.strerror}", where=str(path)) from e
    except (ValueError, RecursionError) as e:
        raise InputError(f"not JSON: {e}", where=str(path)) from e


DAMAGED = (OSError, EOFError, zlib.error)
"""What reading raises where a file is cut off or its packing is damaged."""


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file for reading, unpacking gzip by its magic number."""
    try:
        f = path.open("rb")
    except OSError as e:
        raise InputError(f"cannot read: {e.strerror}", where=str(path), todo="check the path") from e
    try:
        magic = f.peek(2)[:2]
    except OSError as e:
        f.close()
        raise InputError(f"cannot read: {e.strerror}", where=str(path), todo="check the path") from e
    return cast(IO[bytes], gzip.open(f)) if magic == b"\x1f\x8b" else f


BadLine = Callable[[InputError], None]


def read_jsonl(path: Path, on_bad: BadLine | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) of a JSON Lines file, gzip accepted.

    A line that is not a JSON object goes to `on_bad` with file and line named; without
    `on_bad` it raises. Lone surrogates become U+FFFD. Raises `InputError` for a missing file or
    damaged gzip data.
    """
    with open_bytes(path) as f:
        number = 0
        lines = iter(f)
        while True:
            try:
                raw = next(lines, None)
            except DAMAGED as e:
                raise InputError(f"damaged after line {number}: {e}", where=str(path)) from e
            if raw is None:
                return
            number += 1
            if not raw.strip():
                continue
            value = _parse_line(raw, f"{path}:{number}")
            if isinstance(value, dict):
                yield number, value
            elif on_bad:
                on_bad(value)
            else:
                raise value


def _parse_line(raw: bytes, where: str) -> dict[str, Any] | InputError:
    try:
        value = parse_json(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as e:
        return InputError(f"not UTF-8 at byte {e.start}", where=where, todo="save the file as UTF-8")
    except (ValueError, RecursionError) as e:
        return InputError(f"not JSON: {e}", where=where, todo="fix or remove the line")
    if not isinstance(value, dict):
        return InputError(f"not a JSON object but {type(value).__name__}", where=where)
    return value


def parse_json(text: str, parse_int: Callable[[str], int] | None = None) -> Any:
    """Return the value of a JSON text from outside, with U+FFFD for lone surrogates.

    JSON can spell them (`\\ud83d`), but no UTF-8 file, tokenizer or Parquet column can hold them.
    Raises `ValueError` and `RecursionError` as `json.loads` does.
    """
    value = json.loads(text, parse_int=parse_int)
    return without_surrogates(value) if _ESCAPED_SURROGATE.search(text) else value


def without_surrogates(value: Any) -> Any:
    """Return a plain value whose texts hold U+FFFD in place of lone surrogates."""
    if isinstance(value, str):
        return value if value.isascii() else _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [without_surrogates(v) for v in value]
    if isinstance(value, dict):
        return {without_surrogates(k): without_surrogates(v) for k, v in value.items()}
    return value


class Ledger:
    """An append-only JSON Lines file that survives kill -9.

    A half-written last line is cut off when the ledger is opened again. Raises `InputError` for a
    file that is no ledger, which is left as it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.entries: list[dict[str, Any]] = []
        self._file = path.open("ab+")
        self._repair()

    def _repair(self) -> None:
        self._file.seek(0)
        good = 0
        for number, raw in enumerate(self._file, start=1):
            if not raw.endswith(b"\n"):
                break
            entry = _parse_line(raw, f"{self.path}:{number}")
            if isinstance(entry, InputError):
                self._file.close()
                raise entry
            self.entries.append(entry)
            good += len(raw)
        if good == 0 and self._file.seek(0, os.SEEK_END) and not self._starts_like_json():
            self._file.close()
            raise InputError(
                "not a file that codefit wrote", where=str(self.path), todo="choose another name"
            )
        self._file.truncate(good)
        self._file.seek(good)

    def _starts_like_json(self) -> bool:
        self._file.seek(0)
        return self._file.read(1) == b"{"

    def append(self, entry: dict[str, Any]) -> None:
        """Append one entry; it is with the kernel when this returns, so kill -9 cannot lose it."""
        self._file.write(json.dumps(entry, ensure_ascii=False, allow_nan=False).encode() + b"\n")
        self._file.flush()
        self.entries.append(entry)

    def close(self) -> None:
        """Flush to disk and close."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
