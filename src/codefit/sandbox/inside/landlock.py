"""Landlock: the second layer over the namespaces, and the first where there are none."""

from __future__ import annotations

import os
from collections.abc import Iterable

from codefit.sandbox.inside import kernel

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_BASE = (1 << 13) - 1
_FILE_ONLY = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_NET = 1 | 2
_SCOPE = 1 | 2  # abstract unix sockets, signals


def _handled(abi: int) -> int:
    extra = ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEV))
    return _BASE | sum(bit for least, bit in extra if abi >= least)


class Rules:
    """The part of a ruleset that is the same for every program: opened once, by the server."""

    def __init__(self, readable: Iterable[str], devices: Iterable[str]) -> None:
        self.abi = kernel.landlock_abi()
        self._paths: list[tuple[int, int]] = []
        if not self.abi:
            return
        for path in readable:
            access = _EXECUTE | _READ_FILE | (_READ_DIR if os.path.isdir(path) else 0)
            self._paths.append((os.open(path, os.O_PATH | os.O_CLOEXEC), access))
        for path in devices:
            self._paths.append((os.open(path, os.O_PATH | os.O_CLOEXEC), _READ_FILE | _WRITE_FILE))

    def enforce(self, writable: str, extra_readable: Iterable[str] = (), network: bool = False) -> None:
        """Restrict this process to the rules, plus one directory that is the program's own.

        `network` leaves connections alone, where the network is the program's own.
        """
        if not self.abi:
            return
        handled = _handled(self.abi)
        ruleset = kernel.landlock_create(handled, 0 if network else _NET, _SCOPE, self.abi)
        for fd, access in self._paths:
            kernel.landlock_allow(ruleset, fd, access)
        own = handled & ~(_MAKE_CHAR | _MAKE_BLOCK | _IOCTL_DEV)
        reading = ((path, _READ_FILE | _READ_DIR) for path in extra_readable)
        for path, access in ((writable, own), *reading):
            fd = os.open(path, os.O_PATH)
            kernel.landlock_allow(ruleset, fd, access)
            os.close(fd)
        kernel.landlock_restrict(ruleset)
        os.close(ruleset)

    def descriptors(self) -> list[int]:
        """Return the descriptors held open."""
        return [fd for fd, _ in self._paths]
