"""System calls that Python does not offer, by ctypes: namespaces, mounts, capabilities, Landlock.

Every function raises `OSError` with the name of the call when the kernel refuses.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import socket
import struct

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS = 0x00020000, 0x02000000, 0x04000000
CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x08000000, 0x10000000, 0x20000000, 0x40000000
ALL_NAMESPACES = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP = 1, 4, 22, 24
CAP_SYS_PTRACE = 19
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 36, 38, 47

_MACHINE = platform.machine()
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}.get(_MACHINE, -1)
_GETTID = {"x86_64": 186, "aarch64": 178}.get(_MACHINE, -1)
_MOUNT_SETATTR = 442
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_AT_RECURSIVE, _AT_FDCWD = 0x8000, -100
_CAPABILITY_VERSION_3 = 0x20080522

_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1
_CLONE3, _CLONE_CHILD_CLEARTID, _CLONE_CHILD_SETTID = 435, 0x00200000, 0x01000000
_PR_GET_TID_ADDRESS = 40

_libc = ctypes.CDLL(None, use_errno=True)
_libc_holding_the_gil = ctypes.PyDLL(None, use_errno=True)
_libc_holding_the_gil.syscall.restype = ctypes.c_long
_libc.ioctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p]
_libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
_libc.mount.argtypes = [ctypes.c_char_p] * 3 + [ctypes.c_ulong, ctypes.c_char_p]
_libc.syscall.restype = ctypes.c_long


def _check(name: str, result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def unshare(flags: int) -> None:
    """Move the process into new namespaces (a new pid namespace takes effect for its children)."""
    _check("unshare", _libc.unshare(flags))


def thread_id_address() -> int:
    """Return where the C library keeps the id of this thread, 0 where that is not known."""
    address = ctypes.c_void_p()
    if _libc.prctl(_PR_GET_TID_ADDRESS, ctypes.addressof(address), 0, 0, 0) < 0 or not address.value:
        return 0  # a kernel without checkpoint and restore
    # another C library may keep something else there
    own = _libc.syscall(_GETTID)
    return address.value if ctypes.c_int.from_address(address.value).value == own else 0


def fork_into(flags: int, thread_id_at: int) -> int:
    """Fork a process of one thread into new namespaces; returns as `os.fork` does."""
    set_id = _CLONE_CHILD_SETTID | _CLONE_CHILD_CLEARTID
    arguments = struct.pack("8Q", flags | set_id, 0, thread_id_at, 0, signal.SIGCHLD, 0, 0, 0)
    buffer = ctypes.create_string_buffer(arguments, len(arguments))
    ctypes.pythonapi.PyOS_BeforeFork()
    pid = int(_libc_holding_the_gil.syscall(_CLONE3, buffer, ctypes.c_size_t(len(arguments))))
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
        return 0
    number = ctypes.get_errno()
    ctypes.pythonapi.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(number, f"clone3: {os.strerror(number)}")
    return pid


def map_user(inner_uid: int, outer_uid: int, inner_gid: int, outer_gid: int) -> None:
    """Map one user and one group into the user namespace just made."""
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{inner_uid} {outer_uid} 1"),
        ("gid_map", f"{inner_gid} {outer_gid} 1"),
    ):
        fd = os.open(f"/proc/self/{name}", os.O_WRONLY)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)


def set_host_name(name: str) -> None:
    """Set the host name of this UTS namespace, where the kernel lets us."""
    _libc.sethostname(name.encode(), len(name))


def bring_up_loopback() -> None:
    """Bring up `lo` of this network namespace."""
    request = ctypes.create_string_buffer(struct.pack("16sh22x", b"lo", _IFF_UP))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        _check("bring up lo", _libc.ioctl(s.fileno(), _SIOCSIFFLAGS, request))


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """Mount a file system."""
    name = kind.encode() if kind else None
    options = data.encode() if data else None
    _check(f"mount {target}", _libc.mount(source.encode(), target.encode(), name, flags, options))


def make_read_only(target: str) -> None:
    """Make a mount and all mounts below it read-only, without set-uid (Linux 5.12)."""
    attributes = struct.pack("QQQQ", 0x1 | 0x2, 0, 0, 0)
    buffer = ctypes.create_string_buffer(attributes)
    result = _libc.syscall(
        _MOUNT_SETATTR, _AT_FDCWD, target.encode(), _AT_RECURSIVE, buffer, ctypes.c_size_t(len(attributes))
    )
    _check("mount_setattr", result)


def pivot_root(new: str, old: str) -> None:
    """Make `new` the root of the mount namespace and put the old root at `old`."""
    _check("pivot_root", _libc.syscall(_PIVOT_ROOT, new.encode(), old.encode()))


def unmount(target: str) -> None:
    """Detach a mount and everything below it."""
    _check(f"umount {target}", _libc.umount2(target.encode(), MNT_DETACH))


def prctl(option: int, a: int = 0, b: int = 0, c: int = 0, d: int = 0) -> int:
    """Call prctl."""
    return _check(f"prctl {option}", _libc.prctl(option, a, b, c, d))


def drop_capabilities() -> None:
    """Give up every capability, the bounding set included, for good."""
    for number in range(64):
        if _libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0) < 0:
            break  # EINVAL past the last one; EPERM where we hold none anyway
    _libc.prctl(PR_CAP_AMBIENT, 4, 0, 0, 0)
    header = ctypes.create_string_buffer(struct.pack("Ii", _CAPABILITY_VERSION_3, 0))
    _check("capset", _libc.capset(header, ctypes.create_string_buffer(24)))


def keep_for_exec(capability: int) -> None:
    """Keep one capability, and no other, over the next exec."""
    bit = 1 << capability
    header = ctypes.create_string_buffer(struct.pack("Ii", _CAPABILITY_VERSION_3, 0))
    sets = struct.pack("6I", bit, bit, bit, 0, 0, 0)
    _check("capset", _libc.capset(header, ctypes.create_string_buffer(sets, len(sets))))
    prctl(PR_CAP_AMBIENT, 2, capability)


def set_seccomp(filter_code: bytes) -> None:
    """Install a seccomp filter given as packed BPF instructions."""
    code = ctypes.create_string_buffer(filter_code, len(filter_code))
    header = struct.pack("HxxxxxxP", len(filter_code) // 8, ctypes.addressof(code))
    program = ctypes.create_string_buffer(header, len(header))
    prctl(PR_SET_SECCOMP, 2, ctypes.addressof(program))


def landlock_abi() -> int:
    """Return the Landlock version of the kernel, 0 where there is none."""
    return max(0, int(_libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)))


def landlock_create(fs: int, net: int, scope: int, abi: int) -> int:
    """Return the descriptor of a new ruleset that handles the given accesses."""
    attributes = struct.pack("QQQ", fs, net, scope)[: 24 if abi >= 6 else 16 if abi >= 4 else 8]
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    result = _libc.syscall(_LANDLOCK_CREATE, buffer, ctypes.c_size_t(len(attributes)), 0)
    return _check("landlock_create_ruleset", int(result))


def landlock_allow(ruleset: int, path_fd: int, access: int) -> None:
    """Allow `access` beneath the file or directory of a descriptor."""
    rule = ctypes.create_string_buffer(struct.pack("=Qi", access, path_fd), 12)
    _check("landlock_add_rule", int(_libc.syscall(_LANDLOCK_ADD, ruleset, 1, rule, 0)))


def landlock_restrict(ruleset: int) -> None:
    """Bind the process to a ruleset, for good (no_new_privs must be set)."""
    _check("landlock_restrict_self", int(_libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0)))
