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
    """The part of a ruleset that is the same for every program: made once, by the server.

    Where all programs have the same directory to write in, `shared`, that is all of it, and one
    descriptor; else the descriptors of the paths. Where codefit is installed beside a program's
    libraries these are read one by one, and more than a process may have open.
    """

    def __init__(
        self,
        readable: Iterable[str],
        listable: Iterable[str],
        devices: Iterable[str],
        shared: str | None = None,
        network: bool = False,
    ) -> None:
        self.abi = kernel.landlock_abi()
        self._paths: list[tuple[int, int]] = []
        self._ruleset: int | None = None
        if not self.abi:
            return
        if shared is None:
            self._paths = [(_opened(path), access) for path, access in _accesses(readable, listable, devices)]
            return
        self._ruleset = self._new(network)
        for path, access in (*_accesses(readable, listable, devices), (shared, self._own)):
            _allow(self._ruleset, path, access)

    @property
    def _own(self) -> int:
        return _handled(self.abi) & ~(_MAKE_CHAR | _MAKE_BLOCK | _IOCTL_DEV)

    def _new(self, network: bool) -> int:
        return kernel.landlock_create(_handled(self.abi), 0 if network else _NET, _SCOPE, self.abi)

    def enforce(self, writable: str, extra_readable: Iterable[str] = (), network: bool = False) -> None:
        """Restrict this process to the rules, plus one directory that is the program's own.

        `network` leaves connections alone, where the network is the program's own. Where the rules are
        whole already, they stay as they were made.
        """
        if not self.abi:
            return
        if self._ruleset is not None:
            kernel.landlock_restrict(self._ruleset)
            return
        ruleset = self._new(network)
        for fd, access in self._paths:
            kernel.landlock_allow(ruleset, fd, access)
        _allow(ruleset, writable, self._own)
        for path in extra_readable:
            _allow(ruleset, path, _READ_FILE | _READ_DIR)
        kernel.landlock_restrict(ruleset)
        os.close(ruleset)

    def descriptors(self) -> list[int]:
        """Return the descriptors held open."""
        return [fd for fd, _ in self._paths] if self._ruleset is None else [self._ruleset]


def _accesses(
    readable: Iterable[str], listable: Iterable[str], devices: Iterable[str]
) -> list[tuple[str, int]]:
    found = [(p, _EXECUTE | _READ_FILE | (_READ_DIR if os.path.isdir(p) else 0)) for p in readable]
    found += [(path, _READ_DIR) for path in listable]
    return found + [(path, _READ_FILE | _WRITE_FILE) for path in devices]


def _opened(path: str) -> int:
    return os.open(path, os.O_PATH | os.O_CLOEXEC)


def _allow(ruleset: int, path: str, access: int) -> None:
    fd = _opened(path)
    try:
        kernel.landlock_allow(ruleset, fd, access)
    finally:
        os.close(fd)
