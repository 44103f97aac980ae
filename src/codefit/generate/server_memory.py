"""The most memory that a server and its workers hold."""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path

_EVERY_S = 2.0
_ASK_S = 20.0
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
_PROC = Path("/proc")


class ServerMemory:
    """The peak over the processes below `root`, in MiB: on GPUs as nvidia-smi shows it, else resident.

    Looked at when asked, at most every two seconds; resident peaks are the kernel's own (VmHWM), summed
    over processes, and hold the pages of a model file that is mapped.
    """

    def __init__(self, root: int, environ: Mapping[str, str]) -> None:
        self._root, self._environ = root, dict(environ)
        self._lock = threading.Lock()
        self._peak: float | None = None
        self._next = 0.0

    def peak_mb(self) -> float | None:
        """Return the peak so far, None where nothing could be read."""
        with self._lock:
            if time.monotonic() >= self._next:
                pids = _below(self._root)
                now = _on_gpus(pids, self._environ) or _resident(pids)
                self._peak = max((v for v in (self._peak, now) if v is not None), default=None)
                self._next = time.monotonic() + _EVERY_S
            return self._peak


def _below(root: int) -> set[int]:
    """Return the processes below one, itself left out."""
    parents: dict[int, int] = {}
    for path in _PROC.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            parents[int(path.parent.name)] = int(path.read_bytes().rpartition(b")")[2].split()[1])
    found, last = set[int](), {root}
    while last:
        last = {pid for pid, parent in parents.items() if parent in last} - found
        found |= last
    return found


def _resident(pids: set[int]) -> float | None:
    peaks = []
    for pid in pids:
        with contextlib.suppress(OSError):
            if found := _PEAK.search(
                (_PROC / str(pid) / "status").read_text(encoding="ascii", errors="replace")
            ):
                peaks.append(int(found[1]) / 1024)
    return round(sum(peaks), 1) if peaks else None


def _on_gpus(pids: set[int], environ: dict[str, str]) -> float | None:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        told = subprocess.run(
            ["nvidia-smi", "--query-compute-apps=pid,used_gpu_memory", "--format=csv,noheader,nounits"],
            capture_output=True, text=True, timeout=_ASK_S, check=True, env=environ,
        )  # fmt: skip
        used = (line.split(",") for line in told.stdout.splitlines() if line.count(",") == 1)
        held = [float(mb) for pid, mb in used if pid.strip().isdigit() and int(pid) in pids and _number(mb)]
        return sum(held) if held else None
    return None


def _number(text: str) -> bool:
    return text.strip().replace(".", "", 1).isdigit()
