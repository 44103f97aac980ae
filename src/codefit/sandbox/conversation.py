"""What is said between the judge and one process of a slot: a job, its frames, its end."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from codefit.sandbox.codec import DecodeError, decode
from codefit.sandbox.types import Limits

_HEAD = struct.Struct(">I16scd")
_SETUP_FAILED = 0xFFFFFFFF
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
class Reading:
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


def job_end(reading: Reading) -> JobEnd:
    """Return how the process ended, once the server has said so."""
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


def whole_frames(reading: Reading) -> list[bytes]:
    """Take the whole frames out of the buffer and keep the rest; raises `Tampering` for an impossible one."""
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


def message_of(raw: bytes, nonce: bytes) -> Message:
    """Return what a frame says; raises `Tampering` for one that our harness did not write."""
    _, tagged, tag, cpu_s = _HEAD.unpack_from(raw)
    if tagged != nonce:
        raise Tampering("a frame that is not from the harness")
    try:
        return Message(tag, decode(raw[_HEAD.size :]), cpu_s)
    except (DecodeError, RecursionError, MemoryError) as e:
        raise Tampering(f"a frame that cannot be decoded: {e}") from e
