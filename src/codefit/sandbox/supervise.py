"""Keeps one container: starts it, hands it its descriptors, and cleans up whoever dies first.

Runs as a process of its own between the judge and the engine's client, by its path and with the
standard library only. A container outlives its client, and a judge that is killed cleans nothing up:
this process sees both ends, kills and removes the container, and removes its folder.
Not covered: where this process and the judge are both killed with SIGKILL, the server ends all the same
(its control socket closes) and the engine removes the container; an empty folder is left behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

FIRST_FD = 3  # where the far side finds control socket, payload and progress page
_SPARE_FD = 60
_CONNECT_S = 45.0
_END_S = 15.0  # for the server to end by itself once its judge is gone
_REMOVE_S = 30.0


def remove(commands: Sequence[Sequence[str]], folder: str) -> None:
    """Kill and remove a container, and then its folder; silent where there is nothing left."""
    for command in commands:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_REMOVE_S,
                check=False,
            )
    remove_folder(folder)


def remove_folder(folder: str, mounts: str = "/proc/self/mountinfo") -> None:
    """Remove a container's folder, unless something is mounted in it: that could be the machine's."""
    with open(mounts) as f:
        if any(os.path.basename(folder) in line.split()[4] for line in f):
            return
    shutil.rmtree(folder, ignore_errors=True)


def main(plan: dict[str, Any]) -> int:
    """Run a container to its end; returns 0 when it ended by itself."""
    signal.signal(signal.SIGTERM, _leave)
    code: int | None = None
    try:
        client, judge = _start(plan)
        _wait(client, judge)
        code = client.poll()
    finally:
        remove(() if code == 0 else plan["remove"], plan["folder"])
    return 0 if code == 0 else 1


def _leave(_number: int, _frame: Any) -> NoReturn:
    raise SystemExit(1)


def _start(plan: dict[str, Any]) -> tuple[subprocess.Popen[bytes], int]:
    """Return the engine's client, its container provided with descriptors, and the judge's pidfd."""
    import fcntl  # not on Windows, where this module has to load

    given = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _SPARE_FD) for fd in plan["descriptors"]]
    for fd in plan["descriptors"]:
        os.close(fd)
    inherited: list[int] = []
    listener: socket.socket | None = None
    if plan["socket"]:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(plan["socket"])
        os.chmod(plan["socket"], 0o777)  # its folder's folder is the judge's alone
        listener.listen(1)
    else:
        inherited = [os.dup2(fd, FIRST_FD + at) for at, fd in enumerate(given)]
    client = subprocess.Popen(
        plan["command"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=inherited, cwd="/"
    )
    for fd in inherited:
        os.close(fd)
    judge = os.pidfd_open(os.getppid())
    if listener is not None:
        _hand_over(listener, given, client, judge)
        os.unlink(plan["socket"])
    for fd in given:
        os.close(fd)
    return client, judge


def _hand_over(
    listener: socket.socket, given: list[int], client: subprocess.Popen[bytes], judge: int
) -> None:
    ended = os.pidfd_open(client.pid)
    ready = select.select([listener.fileno(), ended, judge], [], [], _CONNECT_S)[0]
    os.close(ended)
    with listener:
        if listener.fileno() in ready:
            with listener.accept()[0] as connection:
                socket.send_fds(connection, [b"x"], given)
        elif not ready:
            print("the container does not connect", file=sys.stderr)  # noqa: T201
            raise SystemExit(1)


def _wait(client: subprocess.Popen[bytes], judge: int) -> None:
    ended = os.pidfd_open(client.pid)
    ready = select.select([ended, judge], [], [])[0]
    if ended not in ready:
        select.select([ended], [], [], _END_S)


if __name__ == "__main__":
    raise SystemExit(main(json.loads(sys.argv[1])))
