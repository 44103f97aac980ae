"""Reads what a control group uses: memory, CPU time and processes of a program's whole tree.

The server and everything it forks live in one group, made outside; what a program used is what the
group used since the program started, less what the server did meanwhile. Unlike /proc this counts
processes that lived for a moment, pipes, sockets and files in memory. The kernel enforces the memory
limit; the watcher sees most programs first and ends them in good order.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from codefit.sandbox.inside.isolate import ROOM

_MIB = 1 << 20
_SLACK_BYTES = 8 * _MIB  # above the limit, where the kernel steps in
_NO_LIMIT = {1: b"-1", 2: b"max"}
_CACHE_V1 = (b"cache", b"shmem")
_CACHE_V2 = (b"file", b"shmem")


@dataclass(frozen=True)
class Files:
    """Open descriptors of a group's files, -1 where there is none; `version` is that of the hierarchy."""

    version: int
    usage: int
    limit: int
    stat: int
    events: int
    cpu: int
    peak: int
    tasks: int
    tasks_limit: int


class Group:
    """Measures one program at a time."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._base_bytes = self._base_cache = self._base_kills = self._base_tasks = 0
        self._limit_bytes = self._base_hits = 0
        self._base_cpu_s = 0.0
        self._peak_resets = False
        self.peak_mb = 0.0

    def begin(self, memory_mb: int, processes: int) -> None:
        """Start measuring a program that may use so much more than the group does now."""
        files = self._files
        self.peak_mb = 0.0
        self._peak_resets = _write(files.peak, b"0")
        self._base_bytes = _number(files.usage)
        self._base_cache = self._cache_bytes()
        self._base_kills = self._kills()
        self._base_tasks = _number(files.tasks)
        self._base_cpu_s = self._others_cpu_s()
        self._base_hits = _field(files.events, b"oom")
        self._limit_bytes = self._base_bytes + memory_mb * _MIB
        _write(files.limit, b"%d" % (self._limit_bytes + _SLACK_BYTES))
        if files.tasks_limit >= 0:
            _write(files.tasks_limit, b"%d" % (self._base_tasks + processes + ROOM))

    def end(self) -> None:
        """Note the peak, and lift the limits that would bind the server."""
        if self._peak_resets:
            self.peak_mb = max(self.peak_mb, (_number(self._files.peak) - self._base_bytes) / _MIB)
        _write(self._files.limit, _NO_LIMIT[self._files.version])
        _write(self._files.tasks_limit, b"max")

    def cpu_s(self) -> float:
        """Return the CPU seconds of the program so far."""
        return max(0.0, self._others_cpu_s() - self._base_cpu_s)

    def memory_mb(self, limit_mb: float) -> float:
        """Return the MiB in use; files of the machine that were read count only while there is room."""
        used = (_number(self._files.usage) - self._base_bytes) / _MIB
        if used > limit_mb:
            used -= (self._cache_bytes() - self._base_cache) / _MIB
        self.peak_mb = max(self.peak_mb, used)
        return used

    def processes(self) -> int:
        """Return the processes and threads of the program, 0 where they are not counted."""
        return max(0, _number(self._files.tasks) - self._base_tasks)

    def ran_out(self) -> bool:
        """Return True if the kernel killed a process for want of memory, the program's or the machine's."""
        return self._kills() > self._base_kills

    def reached_limit(self) -> bool:
        """Return True if the program itself came to its memory limit."""
        if self._files.version == 1:
            return _number(self._files.peak) >= self._limit_bytes
        return _field(self._files.events, b"oom") > self._base_hits

    def _others_cpu_s(self) -> float:
        if self._files.version == 1:
            used = _number(self._files.cpu) / 1e9
        else:
            used = _field(self._files.cpu, b"usage_usec") / 1e6
        return used - time.process_time()

    def _cache_bytes(self) -> int:
        cache, shared = _CACHE_V1 if self._files.version == 1 else _CACHE_V2
        return _field(self._files.stat, cache) - _field(self._files.stat, shared)

    def _kills(self) -> int:
        return _field(self._files.events, b"oom_kill")


def _number(fd: int) -> int:
    if fd < 0:
        return 0
    return int(os.pread(fd, 64, 0))


def _field(fd: int, name: bytes) -> int:
    for line in os.pread(fd, 16384, 0).splitlines():
        key, _, value = line.partition(b" ")
        if key == name:
            return int(value)
    return 0


def _write(fd: int, text: bytes) -> bool:
    if fd < 0:
        return False
    try:
        os.pwrite(fd, text, 0)
    except OSError:
        return False
    return True
