"""The system-call filter, as classic BPF built by hand: a deny list that answers EPERM.

The namespaces already keep a program in; the filter takes away what it could attack the kernel with
(mounts, namespaces, tracing, BPF, io_uring, keys, modules) and memory that no limit counts
(memfd, System V shared memory and queues).
"""

from __future__ import annotations

import struct

_NO_CALL = -1
# name: (x86_64, aarch64)
_DENIED: dict[str, tuple[int, int]] = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "kcmp": (312, 272), "pidfd_getfd": (438, 438), "process_madvise": (440, 440),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442), "open_tree_attr": (467, 467),
    "statmount": (457, 457), "listmount": (458, 458),
    "unshare": (272, 97), "setns": (308, 268),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "reboot": (169, 142),
    "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89), "quotactl": (179, 60),
    "quotactl_fd": (443, 443), "syslog": (103, 116), "iopl": (172, _NO_CALL), "ioperm": (173, _NO_CALL),
    "modify_ldt": (154, _NO_CALL), "personality": (135, 92), "vhangup": (153, 58), "uselib": (134, _NO_CALL),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171),
    "clock_adjtime": (305, 266), "sethostname": (170, 161), "setdomainname": (171, 162),
    "lookup_dcookie": (212, 18), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262), "nfsservctl": (180, 42), "move_pages": (279, 239),
    "migrate_pages": (256, 238), "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
}  # fmt: skip

# what a program may do to itself but not to others, where it shares its pid namespace with them
_SHARED_PIDS: dict[str, tuple[int, int]] = {
    "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424), "pidfd_open": (434, 434), "setpriority": (141, 140),
    "sched_setscheduler": (144, 119), "sched_setparam": (142, 118), "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274), "ioprio_set": (251, 30), "connect": (42, 203), "bind": (49, 200),
}  # fmt: skip
_ARCHES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_CLONE = {"x86_64": 56, "aarch64": 220}
_SOCKET = {"x86_64": 41, "aarch64": 198}
_KILL = {"x86_64": 62, "aarch64": 129}
_TGKILL = {"x86_64": 234, "aarch64": 131}
_PRLIMIT = {"x86_64": 302, "aarch64": 261}
_IOCTL = {"x86_64": 16, "aarch64": 29}
_CLONE3 = 435
_NAMESPACE_FLAGS = 0x7E020080  # every CLONE_NEW* bit, the time namespace included
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_AF_UNIX = 1
_OWN_NETWORK = (2, 10, 16)  # IPv4, IPv6, netlink (which lists interfaces)

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL_PROCESS, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS = 1, 38

_OP = tuple[int, int, int, int]


def _op(code: int, k: int, if_true: int = 0, if_false: int = 0) -> _OP:
    return code, if_true, if_false, k


def build(machine: str, *, own_pid: int | None = None, loopback: bool = False) -> bytes:
    """Return the packed filter for a machine; raises `KeyError` for one that is not known.

    `own_pid` is given where the program shares its pid namespace with others: then it may signal
    itself only, and may use no sockets but pairs. `loopback` allows the sockets of a network of its own.
    """
    column = 0 if machine == "x86_64" else 1
    ops = [
        _op(_LOAD, 4),
        _op(_JUMP_EQUAL, _ARCHES[machine], 1, 0),
        _op(_RETURN, _KILL_PROCESS),
        _op(_LOAD, 0),
    ]
    if machine == "x86_64":  # the x32 calls would slip past every number below
        ops += [_op(_JUMP_AT_LEAST, 0x40000000, 0, 1), _op(_RETURN, _KILL_PROCESS)]
    table = dict(_DENIED) if own_pid is None else {**_DENIED, **_SHARED_PIDS}
    numbers = sorted(n for pair in table.values() if (n := pair[column]) != _NO_CALL)
    for number in numbers:
        ops += [_op(_JUMP_EQUAL, number, 0, 1), _op(_RETURN, _ERRNO | _EPERM)]
    # without clone3 the C library falls back to clone, whose flags a filter can read
    ops += [_op(_JUMP_EQUAL, _CLONE3, 0, 1), _op(_RETURN, _ERRNO | _ENOSYS)]
    ops += _argument_rule(_CLONE[machine], 0, [_op(_JUMP_ANY_BIT, _NAMESPACE_FLAGS, 0, 1)])
    ops += _argument_rule(
        _IOCTL[machine], 1, [_op(_JUMP_EQUAL, _TIOCSTI, 1, 0), _op(_JUMP_EQUAL, _TIOCLINUX, 0, 1)]
    )
    if own_pid is None:
        families = (_AF_UNIX, *(_OWN_NETWORK if loopback else ()))
        jumps = [_op(_JUMP_EQUAL, family, len(families) - n, 0) for n, family in enumerate(families)]
        ops += _argument_rule(_SOCKET[machine], 0, jumps)
    else:
        ops += [_op(_JUMP_EQUAL, _SOCKET[machine], 0, 1), _op(_RETURN, _ERRNO | _EPERM)]
        for call in (_KILL[machine], _TGKILL[machine]):
            ops += _argument_rule(call, 0, [_op(_JUMP_EQUAL, own_pid, 1, 0)])
        own = [_op(_JUMP_EQUAL, own_pid, 2, 0), _op(_JUMP_EQUAL, 0, 1, 0)]
        ops += _argument_rule(_PRLIMIT[machine], 0, own)
    ops.append(_op(_RETURN, _ALLOW))
    return b"".join(struct.pack("HBBI", *op) for op in ops)


def _argument_rule(call: int, argument: int, tests: list[_OP]) -> list[_OP]:
    """Return the ops that refuse `call` when `tests` fall through for its argument's low half."""
    body = [_op(_LOAD, 16 + 8 * argument), *tests, _op(_RETURN, _ERRNO | _EPERM), _op(_LOAD, 0)]
    return [_op(_JUMP_EQUAL, call, 0, len(body)), *body]
