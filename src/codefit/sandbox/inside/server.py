"""The warm fork server: one program at a time, a fresh isolated fork for each.

It stands outside the programs' pid namespaces and is their reaper: it kills by SIGKILL on a namespace's
first process and never waits on an end of file. It never sees a program's text or its tests.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import mmap
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from typing import Any, NoReturn

from codefit.sandbox.codec import decode, encode
from codefit.sandbox.inside import harness, kernel, watcher
from codefit.sandbox.inside.isolate import Config, Descriptors, Jail, Job

_FIRST_TICK_MS, _TICK_MS, _SHARED_TICK_MS = 5, 10, 40
_PROGRESS = struct.Struct("<Qd")
_KILL_WAIT_S = 5.0
_NEW_NEIGHBOURS = 512  # threads that the user may start beside us while we serve
_LEAST_BACKSTOP_S = 10.0
_WARM = (
    "bisect", "collections", "copy", "datetime", "functools", "heapq", "itertools", "math", "operator",
    "random", "re", "site", "string", "threading", "typing",
)  # fmt: skip


class Server:
    """Serves jobs from the control socket until it closes."""

    def __init__(self, config: Config, control: socket.socket, progress_fd: int) -> None:
        self.config = config
        self.control = control
        self.progress = mmap.mmap(progress_fd, mmap.PAGESIZE, prot=mmap.PROT_READ)
        self.progress.madvise(mmap.MADV_DONTFORK)  # type: ignore[attr-defined,unused-ignore]
        os.close(progress_fd)
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        self.jail = Jail(config)
        self.problem = self._warm()
        self.ignored = frozenset({*(p.pid for p in watcher.read_all()), os.getpid()})

    def _warm(self) -> str | None:
        sys.path[:] = [p for p in sys.path if p] + list(self.config.import_paths)
        for name in _WARM:
            importlib.import_module(name)
        for name in self.config.preload:
            try:
                importlib.import_module(name)
            except Exception as e:
                return f"preload {name}: {type(e).__name__}: {e}"
        return None

    def serve(self) -> NoReturn:
        """Answer jobs until the judge closes its end, then end, and with us the namespace."""
        self.jail.proc = self.config.namespaces and self._can_mount_proc()
        hello = {"landlock": self.jail.rules.abi, "proc": self.jail.proc, "problem": self.problem}
        self.control.send(encode(hello))
        self.jail.measure(0 if self.config.namespaces else watcher.threads_of_user() + _NEW_NEIGHBOURS)
        gc.collect()
        gc.freeze()
        while True:
            message, fds, _, _ = socket.recv_fds(self.control, 1 << 16, 4)
            if not message:
                self.leave()
            if message == b"kill":
                continue  # it crossed with the end of its program
            result = self._serve_one(decode(message), fds)
            for fd in fds:
                os.close(fd)
            self.control.send(encode(result))

    def leave(self) -> NoReturn:
        """End the server; without namespaces the scratch directory is the machine's, so it goes too."""
        if not self.config.namespaces:
            _wipe(self.config.scratch)
            os.rmdir(self.config.scratch)
        os._exit(0)

    def _can_mount_proc(self) -> bool:
        pid = os.fork()
        if pid == 0:
            try:
                self.jail.enter_namespaces()
                child = os.fork()
                if child == 0:
                    self.jail.proc = True
                    self.jail.mount_private(1)
                    os._exit(0)
                os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            except BaseException:
                os._exit(1)
        return os.waitpid(pid, 0)[1] == 0

    def _serve_one(self, message: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        streams = message.pop("streams")
        job = Job(**message)
        files = Descriptors(fds[0], fds[1], fds[2] if streams else None, fds[3] if streams else None)
        try:
            pid = self._fork(job, files)
        except OSError as e:
            return {"reason": "failed", "error": f"fork: {e}", "status": 0, "cpu_s": 0.0, "peak_mb": 0.0}
        watch = _Watch(self, pid, job, files.reply)
        try:
            reason = watch.until_end()
        finally:
            status, usage = self._end(pid, watch.pidfd)
        cpu_s = max(watch.cpu_s, usage.ru_utime + usage.ru_stime)
        peak_mb = max(watch.watcher.peak_mb, usage.ru_maxrss / 1024)
        return {"reason": reason, "error": None, "status": status, "cpu_s": cpu_s, "peak_mb": peak_mb}

    def _fork(self, job: Job, files: Descriptors) -> int:
        """Fork the program's process and return its pid as seen from here."""
        if not self.config.namespaces:
            pid = os.fork()
            if pid == 0:
                self._become_program(job, files)
            return pid
        read_end, write_end = os.pipe()
        middle = os.fork()
        if middle == 0:
            try:
                self.jail.enter_namespaces()
                pid = os.fork()
                if pid == 0:
                    self._become_program(job, files)
                os.write(write_end, struct.pack("<i", pid))
                os._exit(0)
            except BaseException as e:
                os.write(write_end, b"E" + f"{e}".encode()[:500])
                os._exit(1)
        os.close(write_end)
        answer = os.read(read_end, 512)
        os.close(read_end)
        os.waitpid(middle, 0)
        if len(answer) != 4:
            raise OSError(answer[1:].decode(errors="replace") or "the forked process died")
        pid = int(struct.unpack("<i", answer)[0])
        return pid

    def _become_program(self, job: Job, files: Descriptors) -> NoReturn:
        try:
            os.setsid()
            files = self.jail.close_in(job, files)
            harness.run(files.request, files.reply, self.config.scratch)
        except BaseException as e:
            try:
                harness.report_failure(files.reply, f"{type(e).__name__}: {e}")
            finally:
                os._exit(71)
        os._exit(0)

    def _end(self, pid: int, pidfd: int) -> tuple[int, resource.struct_rusage]:
        """Kill what is left of the tree and reap it; ends this server when the kernel cannot."""
        deadline = time.monotonic() + _KILL_WAIT_S
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        if not select.select([pidfd], [], [], _KILL_WAIT_S)[0]:
            os._exit(72)
        _, status, usage = os.wait4(pid, 0)
        os.close(pidfd)
        left = [] if self.config.namespaces else self._descendants(pid)
        while left and time.monotonic() < deadline:
            for p in left:
                try:
                    os.kill(p.pid, signal.SIGKILL)
                except OSError:
                    pass
            self._reap()
            left = self._descendants(pid)
        self._reap()
        if not self.config.namespaces:
            _wipe(self.config.scratch)
        return status, usage

    def _descendants(self, pid: int) -> list[watcher.Process]:
        return watcher.Watcher(pid, self.ignored, private=False).processes()

    @staticmethod
    def _reap() -> None:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass


def _wipe(directory: str) -> None:
    """Empty a directory that a hostile program wrote in, whatever the modes and the depth of its folders."""
    pending = [directory]
    while pending:
        folder = pending.pop()
        try:
            os.chmod(folder, 0o700)
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    else:
                        os.unlink(entry.path)
        except OSError:
            continue  # too long a path: `rm` below descends without one
    folders = [os.path.join(directory, name) for name in os.listdir(directory)]
    for folder in folders:
        try:
            os.rmdir(folder)
        except OSError:
            subprocess.run(["rm", "-rf", "--", folder], check=False, stdin=subprocess.DEVNULL)


class _Watch:
    """Watches one running program until it ends or must end."""

    def __init__(self, server: Server, pid: int, job: Job, reply: int) -> None:
        self.server = server
        self.job = job
        self.reply = reply
        self.pidfd = os.pidfd_open(pid)
        self.watcher = watcher.Watcher(pid, server.ignored, private=server.config.namespaces)
        self.cpu_s = 0.0
        self._frames = -1
        self._frame_cpu_s = 0.0
        self._frame_at = self._started = time.monotonic()

    def until_end(self) -> str:
        """Return why the program ended or must end."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        poll.register(self.server.control, select.POLLIN | select.POLLHUP)
        tick = _TICK_MS if self.server.config.namespaces else _SHARED_TICK_MS
        wait = _FIRST_TICK_MS
        control = self.server.control.fileno()
        while True:
            ready = {fd for fd, _ in poll.poll(wait)}
            wait = tick
            if control in ready:
                if not self.server.control.recv(64):
                    self._abandon()
                return "killed"
            if self.pidfd in ready:
                return "exited"
            reason = self._over_limit()
            if reason:
                return reason

    def _abandon(self) -> NoReturn:
        signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        if not self.server.config.namespaces:
            for p in self.watcher.processes():
                os.kill(p.pid, signal.SIGKILL)
        self.server.leave()

    def _over_limit(self) -> str | None:
        usage = self.watcher.sample(self.job.memory_mb)
        now = time.monotonic()
        self.cpu_s = max(self.cpu_s, usage.cpu_s)
        frames, test_cpu_s = _PROGRESS.unpack_from(self.server.progress)
        if frames != self._frames:
            self._frames, self._frame_cpu_s, self._frame_at = frames, self.cpu_s, now
        if usage.memory_mb > self.job.memory_mb:
            return "memory"
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
        backstop_s = max(_LEAST_BACKSTOP_S, 10 * test_cpu_s)
        return "test_wall" if now - self._frame_at > backstop_s else None

    def _unread(self) -> bool:
        buffer = fcntl.ioctl(self.reply, termios.FIONREAD, b"\0\0\0\0")
        return any(buffer)
