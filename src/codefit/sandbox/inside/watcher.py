"""Sees what one program's whole tree of processes uses, through /proc."""

from __future__ import annotations

import os
from dataclasses import dataclass

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / (1 << 20)


@dataclass(frozen=True)
class Process:
    """One line of /proc: times in seconds, memory in MiB."""

    pid: int
    parent: int
    own_s: float
    children_s: float
    threads: int
    rss_mb: float


@dataclass(frozen=True)
class Usage:
    """What the tree used at one instant; `cpu_s` is since its start."""

    cpu_s: float
    memory_mb: float
    processes: int


def read_process(pid: int) -> Process | None:
    """Return what /proc says of a process, None when it is gone."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return None
    try:
        text = os.read(fd, 4096)
    except OSError:
        return None
    finally:
        os.close(fd)
    fields = text[text.rfind(b")") + 2 :].split()
    own = int(fields[11]) + int(fields[12])
    waited = int(fields[13]) + int(fields[14])
    rss = int(fields[21]) * _PAGE_MB
    return Process(pid, int(fields[1]), own * _TICK_S, waited * _TICK_S, int(fields[17]), rss)


def read_all() -> list[Process]:
    """Return every process of this pid namespace."""
    found = (read_process(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return [p for p in found if p]


def threads_of_user() -> int:
    """Return how many threads this process' user has in this pid namespace."""
    total = 0
    for p in read_all():
        try:
            total += p.threads if os.stat(f"/proc/{p.pid}").st_uid == os.getuid() else 0
        except OSError:
            continue
    return total


def pss_mb(pid: int) -> float | None:
    """Return a process' proportional share of memory, None where the kernel does not tell us."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as f:
            for line in f:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    return None


def _share_mb(process: Process) -> float:
    """Return the share of memory of a process, nothing for one that ended meanwhile."""
    share = pss_mb(process.pid)
    if share is not None:
        return share
    now = read_process(process.pid)
    return now.rss_mb if now else 0.0


class Watcher:
    """Watches the tree of one program.

    With a pid namespace of the server's own, the tree is everything that was not there before, so no
    daemon escapes. Without, it is what descends from the server, which adopts orphans.
    """

    def __init__(self, root: int, ignored: frozenset[int], private: bool) -> None:
        self._root = root
        self._ignored = ignored
        self._private = private
        self._seen_s: dict[int, float] = {}
        self._base_mb = (read_process(os.getpid()) or Process(0, 0, 0, 0, 0, 0)).rss_mb
        self.peak_mb = 0.0

    def processes(self) -> list[Process]:
        """Return the processes of the tree that live now."""
        every = read_all()
        if self._private:
            return [p for p in every if p.pid not in self._ignored]
        below = {os.getpid()}
        tree: list[Process] = []
        pending = [p for p in every if p.pid not in self._ignored]
        while True:
            children = [p for p in pending if p.parent in below]
            if not children:
                return tree
            tree += children
            below = {p.pid for p in children}
            pending = [p for p in pending if p.pid not in below]

    def sample(self, limit_mb: float) -> Usage:
        """Return the usage now; a tree over its memory limit is measured again by shares."""
        tree = self.processes()
        for p in tree:
            # a process that vanished keeps the time it was last seen with
            self._seen_s[p.pid] = max(p.own_s, self._seen_s.get(p.pid, 0.0))
        waited = max((p.own_s + p.children_s for p in tree if p.pid == self._root), default=0.0)
        memory = sum(max(0.0, p.rss_mb - self._base_mb) for p in tree)
        if memory > limit_mb:
            memory = min(memory, sum(_share_mb(p) for p in tree))
        self.peak_mb = max(self.peak_mb, memory)
        return Usage(max(sum(self._seen_s.values()), waited), memory, sum(p.threads for p in tree))
