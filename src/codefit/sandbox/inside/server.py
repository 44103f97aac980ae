"""The warm fork server: one program at a time, a fresh isolated fork for each.

It stands outside the programs' pid namespaces and is their reaper: it kills by SIGKILL on a namespace's
first process and never waits on an end of file. It never sees a program's text or its tests.
"""

from __future__ import annotations

import gc
import importlib
import mmap
import os
import resource
import select
import shutil
import signal
import socket
import stat
import sys
import time
from typing import Any, NoReturn

from codefit.sandbox.codec import decode, encode
from codefit.sandbox.inside import harness, kernel, watcher
from codefit.sandbox.inside.forking import Forker
from codefit.sandbox.inside.group import Files, Group
from codefit.sandbox.inside.isolate import Config, Descriptors, Jail, Job
from codefit.sandbox.inside.watch import ABANDONED, Outside, Watch

_GROUP = b"group"
_KILL_WAIT_S = 5.0
_NEW_NEIGHBOURS = 512  # threads that the user may start beside us while we serve
_WARM = (
    "bisect", "collections", "copy", "datetime", "functools", "heapq", "itertools", "math", "operator",
    "random", "re", "site", "string", "threading", "typing",
)  # fmt: skip


class Server:
    """Serves jobs from the control socket until it closes."""

    def __init__(self, config: Config, control: socket.socket, progress_fd: int) -> None:
        self.config = config
        self.control = control
        progress = mmap.mmap(progress_fd, mmap.PAGESIZE, prot=mmap.PROT_READ)
        progress.madvise(mmap.MADV_DONTFORK)  # type: ignore[attr-defined,unused-ignore]
        os.close(progress_fd)
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        self.jail = Jail(config)
        self.group: Group | None = None
        self.problem = self._warm()
        self.forker = Forker(self.jail) if config.namespaces else None
        ignored = frozenset({*(p.pid for p in watcher.read_all()), os.getpid()})
        self.outside = Outside(control, progress, ignored, config.namespaces)

    def _warm(self) -> str | None:
        sys.path[:] = [p for p in sys.path if p] + list(self.config.import_paths)
        for source, target in self.config.copies:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(source, target)
        for name in _WARM:
            importlib.import_module(name)
        for name in self.config.preload:
            try:
                importlib.import_module(name)
            except Exception as e:
                return f"preload {name}: {type(e).__name__}: {e}"
        harness.warm(harness)
        return None

    def serve(self) -> NoReturn:
        """Answer jobs until the judge closes its end, then end, and with us the namespace."""
        self.jail.proc = self.forker is not None and self.forker.can_mount_proc()
        hello = {
            "landlock": self.jail.rules.abi,
            "proc": self.jail.proc,
            "one_step": self.forker is not None and self.forker.one_step,
            "problem": self.problem,
        }
        self.control.send(encode(hello))
        self.jail.measure(0 if self.config.namespaces else watcher.threads_of_user() + _NEW_NEIGHBOURS)
        gc.collect()
        gc.freeze()
        while True:
            message, fds, _, _ = socket.recv_fds(self.control, 1 << 16, 8)
            if not message:
                self.leave()
            if message == b"kill":
                continue  # it crossed with the end of its program
            if message.startswith(_GROUP):
                self._join_group(decode(message.removeprefix(_GROUP)), fds)
                continue
            result = self._serve_one(decode(message), fds)
            for fd in fds:
                os.close(fd)
            self.control.send(encode(result))

    def _join_group(self, told: dict[str, Any], fds: list[int]) -> None:
        """Measure by the control group that the judge put us in."""
        names = [n for n in Files.__dataclass_fields__ if n != "version"]
        found = dict(zip(told["files"], fds, strict=True))
        self.group = Group(Files(told["version"], *(found.get(n, -1) for n in names)))

    def leave(self) -> NoReturn:
        """End the server; without namespaces the scratch directory is the machine's, so it goes too."""
        if not self.config.namespaces:
            _wipe(self.config.scratch)
            os.rmdir(self.config.scratch)
        os._exit(0)

    def _serve_one(self, message: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        streams = message.pop("streams")
        job = Job(**message)
        files = Descriptors(fds[0], fds[1], fds[2] if streams else None, fds[3] if streams else None)
        group = self.group
        if group:
            group.begin(job.memory_mb, job.processes)
        try:
            pid = self._fork(job, files)
        except OSError as e:
            return {"reason": "failed", "error": f"fork: {e}", "status": 0, "cpu_s": 0.0, "peak_mb": 0.0}
        watch = Watch(pid, job, files.reply, self.outside, group)
        try:
            reason = watch.until_end()
        finally:
            status, usage = self._end(pid, watch.pidfd)
        if reason == ABANDONED:
            self.leave()
        cpu_s = max(watch.cpu_s, usage.ru_utime + usage.ru_stime)
        peak_mb = max(watch.peak_mb, 0.0 if group else usage.ru_maxrss / 1024)
        if group:
            reason = (watch.ran_out_of_memory() or reason) if reason == "exited" else reason
            cpu_s = max(cpu_s, group.cpu_s())
            group.end()
            peak_mb = group.peak_mb
        return {"reason": reason, "error": None, "status": status, "cpu_s": cpu_s, "peak_mb": peak_mb}

    def _fork(self, job: Job, files: Descriptors) -> int:
        """Fork the program's process and return its pid as seen from here."""
        pid = self.forker.fork() if self.forker else os.fork()
        if pid == 0:
            self._become_program(job, files)
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
        return watcher.Watcher(pid, self.outside.ignored, private=False).processes()

    @staticmethod
    def _reap() -> None:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass


def _wipe(directory: str) -> None:
    """Empty a directory that a hostile program wrote in, whatever the modes and the depth of its folders.

    A folder's folders are moved to the top before it is removed, so that no path is ever long; nothing
    of the program's lives any more that could put a link in our way. Raises `OSError` where something
    stays, which ends the server: the next program must not find it.
    """
    os.chmod(directory, 0o700)
    top = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    prefix, moved = os.urandom(8).hex(), 0
    try:
        while names := os.listdir(top):
            for name in names:
                moved = _take_apart(top, name, prefix, moved)
    finally:
        os.close(top)


def _take_apart(top: int, name: str, prefix: str, moved: int) -> int:
    """Remove one entry of a directory; returns how many folders have been moved to it so far."""
    if not _is_folder(name, top):
        os.unlink(name, dir_fd=top)
        return moved
    os.chmod(name, 0o700, dir_fd=top)
    folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
    try:
        for inner in os.listdir(folder):
            if _is_folder(inner, folder):
                os.chmod(inner, 0o700, dir_fd=folder)  # moving one writes in it
                os.rename(inner, f"{prefix}-{moved}", src_dir_fd=folder, dst_dir_fd=top)
                moved += 1
            else:
                os.unlink(inner, dir_fd=folder)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=top)
    return moved


def _is_folder(name: str, where: int) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=where, follow_symlinks=False).st_mode)
