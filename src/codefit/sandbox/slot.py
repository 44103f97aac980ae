"""One job slot on the judge's side: a warm server, and the conversation about one program."""

from __future__ import annotations

import contextlib
import mmap
import os
import select
import socket
import struct
import subprocess
import tempfile
import time
from concurrent.futures import Executor
from typing import Any

from codefit.sandbox import cgroups, launch, supervise
from codefit.sandbox.codec import decode, encode
from codefit.sandbox.container import removal
from codefit.sandbox.conversation import (
    Job,
    JobEnd,
    ProgramFault,
    Reading,
    ServerFailure,
    Tampering,
    TooMuchOutput,
    job_end,
    message_of,
    whole_frames,
)

_START_S = 60.0
_LAST_WORDS_S = 5.0
_GRACE_S = 15.0  # beyond the wall limit, which the server enforces, before the server counts as dead
_CREDENTIALS = struct.Struct("iII")  # process, user, group
_PROGRESS = struct.Struct("<Qdd")  # frames, CPU and wall seconds of the test that runs
_READ_BYTES = 1 << 18


class Slot:
    """Owns one server; restarted by the caller after `ServerFailure`."""

    def __init__(self, start: launch.Start, spawner: Executor) -> None:
        self._start = start
        # the kernel ties the server's life to the thread that started it, so that one must last
        self._spawner = spawner
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: str | None = None
        self._group: cgroups.ControlGroup | None = None
        self._held = contextlib.ExitStack()  # what a server that runs has of ours
        self.hello: dict[str, Any] = {}

    def start(self) -> None:
        """Start the server and wait for its greeting; raises `ServerFailure` with what it said."""
        self.close()
        try:
            self._spawn()
            self._greet()
        except BaseException:
            self.close()
            raise

    def _spawn(self) -> None:
        if self._start.needs_folder:
            try:
                self._folder = tempfile.mkdtemp(prefix="codefit-sandbox-")
            except OSError as e:
                raise ServerFailure(f"no scratch directory: {e.strerror}") from e
            self._held.callback(supervise.remove_folder, self._folder)
        where = cgroups.mounted()
        self._group = cgroups.in_own_group(where)
        prefix = [] if self._group or self._start.container else cgroups.scope_prefix(where)
        self._errors = self._held_fd(os.memfd_create("errors"))
        with contextlib.ExitStack() as passed:
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._held.callback(self._control.close)
            passed.callback(theirs.close)
            self._control.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            page = os.memfd_create("progress")
            passed.callback(os.close, page)
            os.ftruncate(page, mmap.PAGESIZE)
            self._progress = mmap.mmap(page, mmap.PAGESIZE)
            self._held.callback(self._progress.close)
            text = _memfd(launch.payload(self._start, self._start.scratch(self._folder)))
            passed.callback(os.close, text)
            descriptors = (theirs.fileno(), text, page)
            try:
                started = self._spawner.submit(
                    launch.spawn, self._start, descriptors, self._errors, self._folder, prefix
                )
                self._process = started.result()
            except OSError as e:
                raise ServerFailure(f"cannot start: {e.strerror}") from e

    def _held_fd(self, fd: int) -> int:
        self._held.callback(os.close, fd)
        return fd

    def _greet(self) -> None:
        assert self._process is not None
        ready = select.select([self._control], [], [], _START_S)[0]
        message, sender = _received(self._control) if ready else (b"", 0)
        if not message:
            with contextlib.suppress(subprocess.TimeoutExpired):  # it may be about to say why
                self._process.wait(timeout=_LAST_WORDS_S if ready else 0)
            said = os.pread(self._errors, 4000, 0).decode(errors="replace").strip().splitlines()
            raise ServerFailure(said[-1] if said else "the server did not start")
        self.hello = decode(message)
        if self.hello["problem"]:
            raise ServerFailure(self.hello["problem"])
        # an engine's containers are not below its client
        self._account_in_group(sender if self._start.container else self._process.pid)

    def _account_in_group(self, pid: int) -> None:
        """Count what the server's programs use in a control group, where one can be had."""
        find = cgroups.of_container if self._start.container else cgroups.in_scope_of
        group = self._group or find(pid)
        if group is not None and not group.adopt(pid):
            group.close()
            group = None
        self._group = group
        if group is not None:
            message = encode({"version": group.version, "files": [*group.files]})
            socket.send_fds(self._control, [b"group" + message], [*group.files.values()])
            group.close_files()

    @property
    def grouped(self) -> bool:
        """Whether a control group counts what programs use."""
        return self._group is not None

    @property
    def running(self) -> bool:
        """Whether there is a live server."""
        if self._process is None or self._process.poll() is not None:
            return False
        return not select.select([self._control], [], [], 0)[0]  # between programs it says nothing

    @property
    def server_pid(self) -> int | None:
        """The process id of the server's outermost process."""
        return self._process.pid if self._process else None

    def close(self) -> None:
        """End the server, by force if need be, and whatever runs in it."""
        if self._process is not None:
            self._control.close()
            self._end(self._process)
            self._process = None
        self._held.close()
        self._folder = None
        if self._group:
            self._group.close()
            self._group = None

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        if self._start.needs_folder:  # it kills the program's tree and leaves its folder in order
            for hurry in (process.terminate, process.kill):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=_GRACE_S)
                    break
                hurry()
        process.kill()
        if process.wait() < 0 and self._start.container and self._folder:
            # nobody looked after the container any more
            engine = self._start.container.engine
            supervise.remove(removal(engine, self._folder), self._folder)

    def run(self, job: Job) -> JobEnd:
        """Run one process to its end.

        Raises `ServerFailure`, `Tampering`, `TooMuchOutput`; the program is dead in every case.
        """
        nonce = os.urandom(16)
        reading = self._send(job, nonce)
        try:
            return self._converse(reading)
        finally:
            os.close(reading.reply)
            if reading.stdout is not None:
                os.close(reading.stdout)

    def _send(self, job: Job, nonce: bytes) -> Reading:
        limits = job.limits
        request = _memfd(encode({**job.request, "nonce": nonce, "cap": limits.output_bytes}))
        reply, reply_end = os.pipe()
        stdout = stdout_end = stdin = None
        passed = [request, reply_end]
        if job.stdin is not None:
            stdin = _memfd(job.stdin)
            stdout, stdout_end = os.pipe()
            passed += [stdin, stdout_end]
        message = {
            "memory_mb": limits.memory_mb,
            "processes": limits.processes,
            "file_mb": limits.file_mb,
            "cpu_s": job.cpu_s,
            "wall_s": job.wall_s,
            "streams": job.stdin is not None,
        }
        _PROGRESS.pack_into(self._progress, 0, 0, *job.test_limits_s(0))
        try:
            socket.send_fds(self._control, [encode(message)], passed)
        except OSError as e:
            for fd in (reply, stdout):
                if fd is not None:
                    os.close(fd)
            raise ServerFailure(f"the server is gone: {e.strerror}") from e
        finally:
            for fd in passed:
                os.close(fd)
        return Reading(job, nonce, reply, stdout)

    def _converse(self, reading: Reading) -> JobEnd:
        poll = select.poll()
        open_fds = [fd for fd in (reading.reply, reading.stdout) if fd is not None]
        for fd in open_fds:
            poll.register(fd, select.POLLIN)
            os.set_blocking(fd, False)
        poll.register(self._control, select.POLLIN)
        deadline = time.monotonic() + reading.job.wall_s + _GRACE_S
        try:
            while True:
                ready = poll.poll(1000)
                ended = False
                for fd, _ in ready:
                    if fd == self._control.fileno():
                        ended = True
                    elif not self._read(reading, fd):
                        poll.unregister(fd)
                if ended:
                    return self._finish(reading, open_fds)
                if reading.stopped:
                    return self._finish(reading, [])
                if time.monotonic() > deadline:
                    raise ServerFailure("the server does not answer")
        except ServerFailure:
            self.close()
            raise
        except ProgramFault as e:
            self._stop(reading)
            e.end = job_end(reading)
            raise
        except BaseException:  # the caller's callback, or a keyboard interrupt
            self._stop(reading)
            raise

    def _stop(self, reading: Reading) -> None:
        """Have the program killed, unless the server has said that it ended."""
        if reading.end is not None:
            return
        try:
            self._control.send(b"kill")
            reading.end = self._answer()
        except (OSError, ServerFailure):
            self.close()
            raise ServerFailure("the server is gone") from None

    def _answer(self) -> dict[str, Any]:
        if not select.select([self._control], [], [], _GRACE_S)[0]:
            raise ServerFailure("the server does not answer")
        message = self._control.recv(1 << 16)
        if not message:
            raise ServerFailure("the server is gone")
        answer: dict[str, Any] = decode(message)
        return answer

    def _finish(self, reading: Reading, fds: list[int]) -> JobEnd:
        if reading.stopped:
            self._stop(reading)
        reading.end = reading.end or self._answer()
        for fd in fds:  # the process is dead: what it wrote is in the pipes, whoever still holds them
            while not reading.stopped and self._read(reading, fd):
                pass
        return job_end(reading)

    def _read(self, reading: Reading, fd: int) -> bool:
        """Take what a pipe holds; returns False at its end or when it is empty."""
        try:
            data = os.read(fd, _READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            return False
        limits = reading.job.limits
        reading.total += len(data)
        if fd == reading.stdout:
            reading.output += data
            if len(reading.output) > limits.output_bytes:
                raise TooMuchOutput(f"more than {limits.output_bytes} bytes of output")
        else:
            reading.buffer += data
            self._take_frames(reading)
        if reading.total > limits.total_output_bytes:
            raise TooMuchOutput(f"more than {limits.total_output_bytes} bytes of output in all")
        return True

    def _take_frames(self, reading: Reading) -> None:
        found = whole_frames(reading)
        if not found:
            return
        # the server's clock for a test starts anew before anyone looks at the frames
        reading.frames += len(found)
        _PROGRESS.pack_into(self._progress, 0, reading.frames, *reading.job.test_limits_s(reading.frames))
        for raw in found:
            message = message_of(raw, reading.nonce)
            if message.tag == b"S":
                if reading.started:  # saying so again would start a test's clock anew
                    raise Tampering("a program that starts twice")
                reading.started = True
            elif not reading.stopped and not reading.job.on_message(message):
                reading.stopped = True


def _memfd(data: bytes) -> int:
    """Return a descriptor of an anonymous file that holds `data` and can no longer be changed."""
    import fcntl  # not on Windows, where this module has to load

    fd = os.memfd_create("data", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return fd


def _received(control: socket.socket) -> tuple[bytes, int]:
    """Return a message and the process id of its sender, as the kernel knows it here."""
    message, told, _, _ = control.recvmsg(1 << 16, socket.CMSG_SPACE(_CREDENTIALS.size))
    for level, kind, data in told:
        if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            return message, _CREDENTIALS.unpack(data)[0]
    return message, 0
