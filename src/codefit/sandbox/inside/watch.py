"""Watches one running program until it ends or must end."""

from __future__ import annotations

import fcntl
import mmap
import os
import select
import socket
import struct
import termios
import time
from dataclasses import dataclass

from codefit.sandbox.inside.group import Group
from codefit.sandbox.inside.isolate import Job
from codefit.sandbox.inside.watcher import Usage, Watcher

ABANDONED = "abandoned"
_FIRST_TICK_MS, _TICK_MS, _SHARED_TICK_MS = 5, 10, 40
_PROGRESS = struct.Struct("<Qdd")  # frames, CPU and wall seconds of the test that runs


@dataclass(frozen=True)
class Outside:
    """What is the same for every program of a server.

    The judge writes its progress in a page and asks for an end over the control socket; `private` says
    that the pid namespace is the server's own, `ignored` what lived in it before the first program.
    """

    control: socket.socket
    progress: mmap.mmap
    ignored: frozenset[int]
    private: bool


class Watch:
    """The limits of one program and what it has used of them, by its control group if there is one."""

    def __init__(self, pid: int, job: Job, reply: int, outside: Outside, group: Group | None) -> None:
        self.job = job
        self.reply = reply
        self.outside = outside
        self.pidfd = os.pidfd_open(pid)
        self.group = group
        self.watcher = Watcher(pid, outside.ignored, private=outside.private)
        self.cpu_s = 0.0
        self._frames = -1
        self._frame_cpu_s = 0.0
        self._frame_at = self._started = time.monotonic()

    def until_end(self) -> str:
        """Return why the program ended or must end; `ABANDONED` when the judge is gone."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        poll.register(self.outside.control, select.POLLIN | select.POLLHUP)
        tick = _TICK_MS if self.outside.private else _SHARED_TICK_MS
        wait = _FIRST_TICK_MS
        control = self.outside.control.fileno()
        while True:
            ready = {fd for fd, _ in poll.poll(wait)}
            wait = tick
            if control in ready:
                return "killed" if self.outside.control.recv(64) else ABANDONED
            if self.pidfd in ready:
                return "exited"
            reason = self._over_limit()
            if reason:
                return reason

    @property
    def peak_mb(self) -> float:
        """The most MiB seen in use."""
        return self.group.peak_mb if self.group else self.watcher.peak_mb

    def ran_out_of_memory(self) -> str | None:
        """Return `memory` where the kernel stopped a process at the program's limit.

        `starved` means that the machine had no memory left, which is no fault of the program.
        """
        if self.group is None or not self.group.ran_out():
            return None
        return "memory" if self.group.reached_limit() else "starved"

    def _usage(self) -> Usage:
        if self.group is None:
            return self.watcher.sample(self.job.memory_mb)
        return Usage(self.group.cpu_s(), self.group.memory_mb(self.job.memory_mb), self.group.processes())

    def _over_limit(self) -> str | None:
        usage = self._usage()
        now = time.monotonic()
        self.cpu_s = max(self.cpu_s, usage.cpu_s)
        frames, test_cpu_s, test_wall_s = _PROGRESS.unpack_from(self.outside.progress)
        if frames != self._frames:
            self._frames, self._frame_cpu_s, self._frame_at = frames, self.cpu_s, now
        out = self.ran_out_of_memory()
        if out or usage.memory_mb > self.job.memory_mb:
            return out or "memory"
        if usage.processes > self.job.processes + 1:
            return "processes"
        if self.cpu_s > self.job.cpu_s:
            return "cpu"
        if now - self._started > self.job.wall_s:
            return "wall"
        if self._unread():
            return None  # the judge is behind: the frame that would reset the clock may be waiting
        if self.cpu_s - self._frame_cpu_s > test_cpu_s:
            return "test_cpu"
        return "test_wall" if now - self._frame_at > test_wall_s else None

    def _unread(self) -> bool:
        buffer = fcntl.ioctl(self.reply, termios.FIONREAD, b"\0\0\0\0")
        return any(buffer)
