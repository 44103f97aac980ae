"""What a freshly forked process does to itself before it may touch a hostile program."""

from __future__ import annotations

import fcntl
import os
import platform
import resource
from dataclasses import dataclass
from typing import Any

from codefit.sandbox.inside import kernel, seccomp
from codefit.sandbox.inside.landlock import Rules

_MIB = 1 << 20
_DESCRIPTORS = 256
_STACK_BYTES = 64 * _MIB
_INODES = 16384
ROOM = 16  # processes that the kernel allows above the limit, so that the watcher sees it passed
_FIRST_FREE = 100  # the reply's descriptor, out of the way of what programs open


@dataclass(frozen=True)
class Config:
    """What the judge tells a server at its start."""

    level: str
    namespaces: bool
    filters: bool
    uid: int
    gid: int
    scratch: str
    readable: tuple[str, ...]
    listable: tuple[str, ...]
    devices: tuple[str, ...]
    import_paths: tuple[str, ...]
    preload: tuple[str, ...]
    copies: tuple[tuple[str, str], ...]
    loopback: bool
    root: dict[str, Any] | None = None


@dataclass(frozen=True)
class Job:
    """The limits of one program, as the server knows them; it never sees the program itself."""

    memory_mb: int
    processes: int
    file_mb: int
    cpu_s: float
    wall_s: float


@dataclass(frozen=True)
class Descriptors:
    """The open files of one program: the request to read, the reply to write, and its own streams."""

    request: int
    reply: int
    stdin: int | None
    stdout: int | None


class Jail:
    """Everything that can be prepared once, before the first program."""

    def __init__(self, config: Config) -> None:
        self.config = config
        shared = None if config.namespaces else config.scratch
        paths = (config.readable, config.listable, config.devices) if config.filters else ((), (), ())
        self.rules = Rules(*paths, shared, config.loopback)
        self._filter = seccomp.build(platform.machine(), loopback=config.loopback) if config.filters else b""
        self.null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        self.proc = False
        self._own_bytes = 0
        self._neighbours = 0

    def measure(self, neighbours: int) -> None:
        """Note what a program starts with and what its own comes on top of.

        That is the address space of a fork and, where the user namespace is shared, the user's other
        threads, which the kernel's limit on processes counts too.
        """
        self._neighbours = neighbours
        with open("/proc/self/statm") as f:
            self._own_bytes = int(f.read().split()[0]) * resource.getpagesize()

    def map_user(self) -> None:
        """Give a process in a new user namespace its user and group."""
        kernel.map_user(self.config.uid, self.config.uid, self.config.gid, self.config.gid)

    def mount_private(self, file_mb: int) -> None:
        """Mount the private tmpfs, and a proc of this pid namespace or nothing in its place.

        Where the runtime says so, the loopback of the private network is brought up.
        """
        kernel.set_host_name("sandbox")
        if self.config.loopback:
            kernel.bring_up_loopback()
        options = f"size={file_mb}m,nr_inodes={_INODES},mode=0700"
        scratch = self.config.scratch
        kernel.mount("tmpfs", scratch, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, options)
        flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
        if self.proc:
            kernel.mount("proc", "/proc", "proc", flags)
        else:
            kernel.mount("tmpfs", "/proc", "tmpfs", flags | kernel.MS_RDONLY, "size=4k")

    def close_in(self, job: Job, files: Descriptors) -> Descriptors:
        """Take away everything that the program must not have; returns the request and the reply."""
        scratch = self.config.scratch
        if self.config.namespaces:
            self.map_user()
            self.mount_private(job.file_mb)
        for name in ("home", "cwd", ".shm"):
            os.makedirs(f"{scratch}/{name}", 0o700, exist_ok=True)
        os.chdir(f"{scratch}/cwd")
        _be_the_first_to_go()
        _set_limits(job, self._own_bytes, job.processes + self._neighbours + ROOM)
        files = self._arrange(files)
        if self.config.filters:
            self._give_up_rights(scratch)
        for fd in (*self.rules.descriptors(), self.null):
            os.close(fd)
        return files

    def _give_up_rights(self, scratch: str) -> None:
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        kernel.drop_capabilities()
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
        self.rules.enforce(scratch, ("/proc",) if self.config.namespaces else (), self.config.loopback)
        code = self._filter
        if not self.config.namespaces:
            code = seccomp.build(platform.machine(), own_pid=os.getpid())
        kernel.set_seccomp(code)

    def _arrange(self, files: Descriptors) -> Descriptors:
        reply = fcntl.fcntl(files.reply, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE)
        request = fcntl.fcntl(files.request, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE)
        os.dup2(self.null if files.stdin is None else files.stdin, 0)
        os.dup2(self.null if files.stdout is None else files.stdout, 1)
        os.dup2(self.null, 2)
        keep = sorted({*self.rules.descriptors(), self.null, reply, request})
        first = 3
        for fd in keep:
            os.closerange(first, fd)
            first = fd + 1
        os.closerange(first, 1 << 16)
        return Descriptors(request, reply, None, None)


def _be_the_first_to_go() -> None:
    """Offer this process, and not the server, where the kernel runs out of a control group's memory."""
    try:
        fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    except OSError:
        return
    try:
        os.write(fd, b"1000")
    except OSError:
        pass
    finally:
        os.close(fd)


def _set_limits(job: Job, own_bytes: int, threads: int) -> None:
    # the watcher holds the tree to memory_mb; this one makes a single huge allocation a MemoryError,
    # counted on top of what the fork already has
    address_space = own_bytes + 2 * job.memory_mb * _MIB + 512 * _MIB
    wanted = (
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NPROC, threads, threads),
        (resource.RLIMIT_NOFILE, _DESCRIPTORS, _DESCRIPTORS),
        (resource.RLIMIT_FSIZE, job.file_mb * _MIB, job.file_mb * _MIB),
        (resource.RLIMIT_MSGQUEUE, 0, 0),
        (resource.RLIMIT_STACK, _STACK_BYTES, _STACK_BYTES),
        (resource.RLIMIT_AS, address_space, address_space),
        (resource.RLIMIT_CPU, int(job.cpu_s) + 3, int(job.cpu_s) + 3),
    )
    for which, soft, hard in wanted:
        ceiling = resource.getrlimit(which)[1]
        if ceiling != resource.RLIM_INFINITY:
            soft, hard = min(soft, ceiling), min(hard, ceiling)
        resource.setrlimit(which, (soft, hard))
