"""Forks a process that is the first of namespaces of its own."""

from __future__ import annotations

import os
import select
import signal
import struct
from collections.abc import Callable

from codefit.sandbox.inside import kernel
from codefit.sandbox.inside.isolate import Jail

_TRIAL_S = 5.0


class Forker:
    """Forks a server for each program, in one step where that is safe.

    One step is `clone3` with the namespace flags, between the hooks that Python runs around a fork. It
    skips what the C library does there: with a single thread that is noting the new thread id, which
    the kernel does as well; so it needs a single thread, and is tried first. Two steps are a fork that
    unshares and forks again, because a pid namespace takes effect for children only; that copies the
    page tables twice.
    """

    def __init__(self, jail: Jail) -> None:
        self._jail = jail
        self._thread_id_at = kernel.thread_id_address()
        alone = len(os.listdir("/proc/self/task")) == 1
        self.one_step = alone and self._thread_id_at != 0
        self.one_step = self.one_step and self._works(self._knows_itself)

    def fork(self) -> int:
        """Return 0 in the new process and its pid, as seen from here, in this one.

        The new process has no user mapped yet. Raises `OSError` where the kernel refuses.
        """
        if self.one_step:
            return kernel.fork_into(kernel.ALL_NAMESPACES, self._thread_id_at)
        return _fork_twice()

    def can_mount_proc(self) -> bool:
        """Return True where a forked process may mount a proc of its own pid namespace."""

        def mount() -> bool:
            self._jail.proc = True
            self._jail.map_user()
            self._jail.mount_private(1)
            return True

        return self._works(mount)

    def _knows_itself(self) -> bool:
        """Return True if the C library knows which process this new one is (an old one keeps its pid)."""
        return os.getpid() == 1 and kernel.thread_id_address() == self._thread_id_at

    def _works(self, check: Callable[[], bool]) -> bool:
        """Try something in a forked process; one that hangs has failed."""
        try:
            pid = self.fork()
        except OSError:
            return False
        if pid == 0:
            try:
                os._exit(0 if check() else 1)
            finally:
                os._exit(1)
        pidfd = os.pidfd_open(pid)
        if not select.select([pidfd], [], [], _TRIAL_S)[0]:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.close(pidfd)
        return os.waitpid(pid, 0)[1] == 0


def _fork_twice() -> int:
    read_end, write_end = os.pipe()
    middle = os.fork()
    if middle == 0:
        try:
            kernel.unshare(kernel.ALL_NAMESPACES)
            pid = os.fork()
            if pid == 0:
                return 0
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
    return int(struct.unpack("<i", answer)[0])
