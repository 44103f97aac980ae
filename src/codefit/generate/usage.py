"""The most memory held while a model answers."""

from __future__ import annotations

import contextlib
import re
import resource
from pathlib import Path

import torch

from codefit.core.units import mib
from codefit.models.card import release

_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


def forget_peak(device: str) -> None:
    """Let what was held before count no more; call before a model is loaded.

    On a GPU that is the allocator's peak, on Linux the process's (proc_pid_clear_refs(5), value 5);
    elsewhere a process's peak cannot be forgotten.
    """
    release(device)
    if not device.startswith("cuda"):
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_mb(device: str) -> float:
    """Return the peak in MiB: reserved by the allocator on a GPU, resident in the process on a CPU."""
    if device.startswith("cuda"):
        return mib(torch.cuda.max_memory_reserved(device))
    with contextlib.suppress(OSError):
        if found := _PEAK.search(Path("/proc/self/status").read_text(encoding="ascii")):
            return mib(int(found[1]) * 1024)
    return mib(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
