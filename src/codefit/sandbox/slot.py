"""One job slot on the judge's side: a warm server, and the conversation about one program."""

from __future__ import annotations

import fcntl
import mmap
import os
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from codefit.sandbox import cgroups, launch
from codefit.sandbox.codec import DecodeError, decode, encode
from codefit.sandbox.types import Limits

_START_S = 60.0
_GRACE_S = 15.0  # beyond the wall limit, which the server enforces, before the server counts as dead
_HEAD = struct.Struct(">I16scd")
_PROGRESS = struct.Struct("<Qdd")  # frames, CPU and wall seconds of the test that runs
_SETUP_FAILED = 0xFFFFFFFF
_READ_BYTES = 1 << 18
_TEXT_BYTES = 8192


class ServerFailure(Exception):
    """The sandbox itself failed, not the program."""


@dataclass(frozen=True, slots=True)
class Message:
    """One decoded frame as the harness sent it: its tag, value and CPU seconds."""

    tag: bytes
    value: Any
    cpu_s: float


@dataclass(slots=True)
class Job:
    """One process to run: the request, its limits, and who is told of messages.

    `on_message` returns False to stop the program. `test_limits_s(frames)` are the CPU and wall limits of
    the test that runs after `frames` frames. `stdin` is given for programs that read it and print.
    """

    request: dict[str, Any]
    limits: Limits
    cpu_s: float
    wall_s: float
    on_message: Callable[[Message], bool]
    test_limits_s: Callable[[int], tuple[float, float]]
    stdin: bytes | None = None


@dataclass(slots=True)
class JobEnd:
    """How a process ended: the server's reason, its wait status, and what it used."""

    reason: str
    status: int
    cpu_s: float
    peak_mb: float
    started: bool
    stopped: bool
    error: str | None
    stdout: bytes = b""


class ProgramFault(Exception):
    """The program broke the rules of the conversation; `end` says what it had used."""

    end: JobEnd | None = None


class Tampering(ProgramFault):
    """What came back was not written by our harness."""


class TooMuchOutput(ProgramFault):
    """A program produced more than its limit."""


@dataclass(slots=True)
class _Reading:
    """The state of one conversation."""

    job: Job
    nonce: bytes
    reply: int
    stdout: int | None
    buffer: bytearray = field(default_factory=bytearray)
    output: bytearray = field(default_factory=bytearray)
    total: int = 0
    frames: int = 0
    started: bool = False
    stopped: bool = False
    setup_error: str | None = None
    end: dict[str, Any] | None = None


class Slot:
    """Owns one server; restarted by the caller after `ServerFailure`."""

    def __init__(self, start: launch.Start, spawner: Executor) -> None:
        self._start = start
        # the kernel ties the server's life to the thread that started it, so that one must last
        self._spawner = spawner
        self._process: subprocess.Popen[bytes] | None = None
        self._group: cgroups.ControlGroup | None = None
        self.hello: dict[str, Any] = {}

    def start(self) -> None:
        """Start the server and wait for its greeting; raises `ServerFailure` with what it said."""
        self.close()
        self._own_folder = None
        if not self._start.private:
            try:
                self._own_folder = tempfile.mkdtemp(prefix="codefit-sandbox-")
            except OSError as e:
                raise ServerFailure(f"no scratch directory: {e.strerror}") from e
        scratch = self._own_folder or launch.SCRATCH
        where = cgroups.mounted()
        self._group = cgroups.in_own_group(where)
        prefix = [] if self._group else cgroups.scope_prefix(where)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        page = os.memfd_create("progress")
        os.ftruncate(page, mmap.PAGESIZE)
        self._progress = mmap.mmap(page, mmap.PAGESIZE)
        text = _memfd(launch.payload(self._start, scratch))
        self._errors = os.memfd_create("errors")
        self._control = ours
        try:
            descriptors = (theirs.fileno(), text, page)
            started = self._spawner.submit(
                launch.spawn, self._start, descriptors, self._errors, scratch, prefix
            )
            self._process = started.result()
        except OSError as e:
            raise ServerFailure(f"cannot start: {e.strerror}") from e
        finally:
            theirs.close()
            os.close(text)
            os.close(page)
        self._greet()

    def _greet(self) -> None:
        ready = select.select([self._control], [], [], _START_S)[0]
        message = self._control.recv(1 << 16) if ready else b""
        if not message:
            said = os.pread(self._errors, 4000, 0).decode(errors="replace").strip().splitlines()
            self.close()
            raise ServerFailure(said[-1] if said else "the server did not start")
        self.hello = decode(message)
        if self.hello["problem"]:
            self.close()
            raise ServerFailure(self.hello["problem"])
        self._account_in_group()

    def _account_in_group(self) -> None:
        """Count what the server's programs use in a control group, where one can be had."""
        assert self._process is not None
        pid = self._process.pid
        group = self._group or cgroups.in_scope_of(pid)
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
        return self._process is not None and self._process.poll() is None

    @property
    def server_pid(self) -> int | None:
        """The process id of the server's outermost process."""
        return self._process.pid if self._process else None

    def close(self) -> None:
        """End the server, by force if need be, and whatever runs in it."""
        if self._process is None:
            return
        self._control.close()
        if not self._start.private:
            try:  # it kills the program's tree and removes the scratch directory
                self._process.wait(timeout=_GRACE_S)
            except subprocess.TimeoutExpired:
                pass
        self._process.kill()
        self._process.wait()
        self._process = None
        self._progress.close()
        os.close(self._errors)
        if self._own_folder:
            shutil.rmtree(self._own_folder, ignore_errors=True)
        if self._group:
            self._group.close()
            self._group = None

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

    def _send(self, job: Job, nonce: bytes) -> _Reading:
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
        return _Reading(job, nonce, reply, stdout)

    def _converse(self, reading: _Reading) -> JobEnd:
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
            e.end = _job_end(reading)
            raise
        except BaseException:  # the caller's callback, or a keyboard interrupt
            self._stop(reading)
            raise

    def _stop(self, reading: _Reading) -> None:
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

    def _finish(self, reading: _Reading, fds: list[int]) -> JobEnd:
        if reading.stopped:
            self._stop(reading)
        reading.end = reading.end or self._answer()
        for fd in fds:  # the process is dead: what it wrote is in the pipes, whoever still holds them
            while not reading.stopped and self._read(reading, fd):
                pass
        return _job_end(reading)

    def _read(self, reading: _Reading, fd: int) -> bool:
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

    def _take_frames(self, reading: _Reading) -> None:
        found = _split(reading)
        if not found:
            return
        # the server's clock for a test starts anew before anyone looks at the frames
        reading.frames += len(found)
        _PROGRESS.pack_into(self._progress, 0, reading.frames, *reading.job.test_limits_s(reading.frames))
        for raw in found:
            message = _message(raw, reading.nonce)
            if message.tag == b"S":
                reading.started = True
            elif not reading.stopped and not reading.job.on_message(message):
                reading.stopped = True


def _job_end(reading: _Reading) -> JobEnd:
    end = reading.end or {}
    return JobEnd(
        reason=end["reason"],
        status=end["status"],
        cpu_s=end["cpu_s"],
        peak_mb=end["peak_mb"],
        started=reading.started,
        stopped=reading.stopped,
        error=reading.setup_error or end["error"],
        stdout=bytes(reading.output),
    )


def _split(reading: _Reading) -> list[bytes]:
    """Return the whole frames in the buffer and keep the rest."""
    buffer, at = reading.buffer, 0
    found: list[bytes] = []
    cap = max(reading.job.limits.output_bytes, _TEXT_BYTES) + _HEAD.size
    while len(buffer) - at >= 4:
        size = int.from_bytes(buffer[at : at + 4], "big")
        if size == _SETUP_FAILED and not reading.started and not reading.frames and not found:
            reading.setup_error = buffer[at + 4 :].decode(errors="replace")
            return []
        if not _HEAD.size - 4 < size <= cap:
            raise Tampering(f"a frame of {size} bytes")
        if len(buffer) - at < 4 + size:
            break
        found.append(bytes(buffer[at : at + 4 + size]))
        at += 4 + size
    del buffer[:at]
    return found


def _message(raw: bytes, nonce: bytes) -> Message:
    _, tagged, tag, cpu_s = _HEAD.unpack_from(raw)
    if tagged != nonce:
        raise Tampering("a frame that is not from the harness")
    try:
        return Message(tag, decode(raw[_HEAD.size :]), cpu_s)
    except (DecodeError, RecursionError, MemoryError) as e:
        raise Tampering(f"a frame that cannot be decoded: {e}") from e


def _memfd(data: bytes) -> int:
    """Return a descriptor of an anonymous file that holds `data` and can no longer be changed."""
    fd = os.memfd_create("data", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return fd
