"""Builds by hand what bubblewrap would: a root of read-only binds in namespaces of its own."""

from __future__ import annotations

import os
import signal

from codefit.sandbox.inside import kernel
from codefit.sandbox.inside.isolate import Config

_BASE = "/tmp"  # exists everywhere; only covered in the new mount namespace
_TMPFS_FLAGS = kernel.MS_NOSUID | kernel.MS_NODEV


def build(config: Config) -> None:
    """Move this process into new namespaces with a root that shows the given paths only.

    On return the process is pid 1 of the new pid namespace, with the right to trace its children as its
    only capability; the process that called waits outside and
    ends with it. Raises `OSError` where the kernel refuses.
    """
    uid, gid = os.getuid(), os.getgid()
    parent = os.getpid()
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    kernel.unshare(kernel.ALL_NAMESPACES)
    kernel.map_user(config.uid, uid, config.gid, gid)
    child = os.fork()
    if child:
        os.closerange(3, 1 << 16)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() not in (0, parent):
        os._exit(1)
    os.setsid()
    _fill(config)
    kernel.keep_for_exec(kernel.CAP_SYS_PTRACE)


def _fill(config: Config) -> None:
    layout = config.root or {}
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", _BASE, "tmpfs", _TMPFS_FLAGS, "size=1m,mode=0755")
    os.mkdir(f"{_BASE}/new")
    os.mkdir(f"{_BASE}/old")
    kernel.mount(f"{_BASE}/new", f"{_BASE}/new", None, kernel.MS_BIND)
    kernel.pivot_root(_BASE, f"{_BASE}/old")
    os.chdir("/")
    for path in layout["binds"]:
        _bind(path, read_only=True)
    for path in layout["devices"]:
        _bind(path, read_only=False)
    for target, link in layout["symlinks"]:
        os.makedirs(os.path.dirname(f"/new{link}"), exist_ok=True)
        os.symlink(target, f"/new{link}")
    for path, text in layout["files"]:
        os.makedirs(os.path.dirname(f"/new{path}"), exist_ok=True)
        with open(f"/new{path}", "w") as f:
            f.write(text)
    for path in ("/proc", config.scratch):
        os.makedirs(f"/new{path}", exist_ok=True)
    size = f"size={layout['scratch_bytes']},mode=0755"
    kernel.mount("tmpfs", f"/new{config.scratch}", "tmpfs", _TMPFS_FLAGS, size)
    for path in layout["masks"]:
        kernel.mount("tmpfs", f"/new{path}", "tmpfs", _TMPFS_FLAGS | kernel.MS_RDONLY, "size=4k")
    kernel.mount("proc", "/new/proc", "proc", _TMPFS_FLAGS | kernel.MS_NOEXEC)
    kernel.unmount("/old")
    _enter_new_root()


def _bind(path: str, *, read_only: bool) -> None:
    source, target = f"/old{path}", f"/new{path}"
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    kernel.mount(source, target, None, kernel.MS_BIND | kernel.MS_REC)
    if read_only:
        kernel.make_read_only(target)


def _enter_new_root() -> None:
    old = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    os.chdir("/new")
    kernel.pivot_root(".", ".")
    os.fchdir(old)
    kernel.unmount(".")
    os.close(old)
    os.chdir("/")
    flags = kernel.MS_BIND | kernel.MS_RDONLY | _TMPFS_FLAGS
    kernel.mount("none", "/", None, flags | 32)  # 32: remount, the root itself read-only
