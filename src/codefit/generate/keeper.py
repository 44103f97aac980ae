"""Keeps one model server: starts it, and ends all of its processes when codefit closes it or dies.

Runs as a process of its own, by its path and with the standard library only. A server outlives whoever
started it, and a codefit that is killed with SIGKILL cleans nothing up: this process sees it die. It
takes in orphans of the server (Linux: child subreaper), so that workers which hold a GPU's memory go too.
Not covered: where this process is killed with SIGKILL, the server itself is told to end by the kernel
(parent-death signal), its workers end as they please.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_GRACE_S = 10.0
_STEP_S = 0.05
_libc = ctypes.CDLL(None, use_errno=True)


def main(parent: int, command: list[str]) -> int:
    """Run a server until it ends, standard input closes, or `parent` dies; returns the server's exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    watched = os.pidfd_open(parent)
    if os.getppid() != parent:
        return 1
    server = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_die_with_me
    )
    ended = os.pidfd_open(server.pid)
    select.select([ended, watched, sys.stdin], [], [])
    _end(server)
    return server.returncode


def _die_with_me() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)  # what is ignored would stay so in the server
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _end(server: subprocess.Popen[bytes]) -> None:
    """End a server's process group and every orphan of it: asked first, then killed."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + _GRACE_S
        _tell(server, number)
        while time.monotonic() < until and (server.poll() is None or _children()):
            time.sleep(_STEP_S)
            _reap(server)
            if number == signal.SIGKILL or server.poll() is not None:
                _tell(server, number)  # those that have become orphans meanwhile
    _reap(server)


def _tell(server: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(server.pid, number)
    for pid in _children():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _children() -> list[int]:
    """Return the processes whose parent this one is, the dead ones left out."""
    me, found = os.getpid(), []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                with open(f"/proc/{name}/stat", "rb") as f:
                    state, parent = f.read().rpartition(b")")[2].split()[:2]
                if int(parent) == me and state != b"Z":
                    found.append(int(name))
    return found


def _reap(server: subprocess.Popen[bytes]) -> None:
    """Take the exit codes of orphans; the server's own is the `Popen`'s to take."""
    if server.poll() is None:
        return
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]), sys.argv[2:]))
