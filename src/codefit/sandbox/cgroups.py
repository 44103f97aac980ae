"""Control groups for a server and what it runs, where this user may make them.

Two hierarchies are understood. Version 1 (mostly for root): a child of our own group under the
controllers memory and cpuacct, pids too where it is there. Version 2: a child of our own group, or, for
an ordinary user under systemd, a scope of the user's manager that is delegated to us.
The files' semantics: kernel documentation, admin-guide/cgroup-v1/memory and cgroup-v2.
Not covered: a judge killed with SIGKILL leaves empty directories behind, which the next one removes.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_SELF = Path("/proc/self")
_NAME = "codefit-"
_END_S = 1.0
_V1 = {
    "usage": ("memory", "memory.usage_in_bytes"),
    "limit": ("memory", "memory.limit_in_bytes"),
    "stat": ("memory", "memory.stat"),
    "events": ("memory", "memory.oom_control"),
    "peak": ("memory", "memory.max_usage_in_bytes"),
    "cpu": ("cpuacct", "cpuacct.usage"),
    "tasks": ("pids", "pids.current"),
    "tasks_limit": ("pids", "pids.max"),
}
_V2 = {
    "usage": "memory.current",
    "limit": "memory.max",
    "stat": "memory.stat",
    "events": "memory.events",
    "peak": "memory.peak",
    "cpu": "cpu.stat",
    "tasks": "pids.current",
    "tasks_limit": "pids.max",
}
_OPTIONAL = ("peak", "tasks", "tasks_limit")
_WRITTEN = ("limit", "peak", "tasks_limit")


@dataclass(frozen=True, slots=True)
class Mounted:
    """Where this process stands: its directory per version 1 controller, and in version 2."""

    v1: Mapping[str, Path] = field(default_factory=dict)
    v2: Path | None = None


def mounted(proc: Path = _SELF, mounts: Path | None = None) -> Mounted:
    """Return where a process' control groups lie, by its own mounts or by those of another process."""
    own: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in (proc / "cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            own |= dict.fromkeys(controllers.split(",") if controllers else [""], path)
    found: dict[str, Path] = {}
    v2 = None
    for kind, root, point, options in _mounts(mounts or proc):
        if kind == "cgroup2" and "" in own and v2 is None:
            v2 = _below_mount(point, root, own[""])
        elif kind == "cgroup":
            for controller in options & own.keys():
                found.setdefault(controller, _below_mount(point, root, own[controller]))
    return Mounted(found, v2)


def _mounts(proc: Path) -> Iterator[tuple[str, str, Path, set[str]]]:
    with contextlib.suppress(OSError):
        for line in (proc / "mountinfo").read_text().splitlines():
            before, _, after = line.partition(" - ")
            fields, kinds = before.split(), after.split()
            if kinds[:1] in (["cgroup"], ["cgroup2"]):
                yield kinds[0], fields[3], Path(fields[4]), set(kinds[-1].split(","))


def _below_mount(point: Path, root: str, path: str) -> Path:
    return point / os.path.relpath(path, root) if path.startswith(root) else point


class ControlGroup:
    """The group of one server. `files` are open descriptors by name, for the server to read and write.

    A `lent` one is a container's: its processes are in it, and its engine removes it.
    """

    def __init__(self, version: int, folders: Mapping[str, Path], *, lent: bool = False) -> None:
        self.version = version
        self._lent = lent
        self._folders = dict(folders)
        self.files: dict[str, int] = {}
        try:
            self.files = _open_files(version, self._folders)
        except OSError:
            self.close()
            raise

    def adopt(self, pid: int) -> bool:
        """Move a process and all below it here; what they use from now on counts here."""
        if pid <= 0:  # of a process namespace that we don't see; the kernel would take 0 for ourselves
            return False
        if self._lent:
            return True
        try:
            for child in _tree(pid):
                for folder in self._folders.values():
                    (folder / "cgroup.procs").write_text(str(child))
        except OSError:
            return False
        return True

    def close_files(self) -> None:
        """Close the descriptors, once the server has them."""
        for fd in self.files.values():
            os.close(fd)
        self.files = {}

    def close(self) -> None:
        """Remove the group; what ran in it is dead already, but the kernel may need a moment."""
        self.close_files()
        if self._lent:
            return
        deadline = time.monotonic() + _END_S
        for folder in self._folders.values():
            while folder.exists():
                try:
                    folder.rmdir()
                except OSError:
                    if time.monotonic() > deadline:
                        break
                    time.sleep(0.005)


def _open_files(version: int, folders: Mapping[str, Path]) -> dict[str, int]:
    found: dict[str, int] = {}
    paths = (
        {name: folders[c] / file for name, (c, file) in _V1.items() if c in folders}
        if version == 1
        else {name: folders[""] / file for name, file in _V2.items()}
    )
    try:
        for name, path in paths.items():
            flags = os.O_RDWR if name in _WRITTEN else os.O_RDONLY
            try:
                found[name] = os.open(path, flags | os.O_CLOEXEC)
            except OSError:
                if name not in _OPTIONAL:
                    raise
    except OSError:
        for fd in found.values():
            os.close(fd)
        raise
    return found


def _tree(pid: int) -> list[int]:
    """Return a process and all below it, parents first."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{parent}/task"):
                found += [int(p) for p in Path(f"/proc/{parent}/task/{task}/children").read_text().split()]
    return found


def in_own_group(where: Mounted) -> ControlGroup | None:
    """Return a group below our own, or None where that cannot be made."""
    name = _new_name()
    if {"memory", "cpuacct"} <= where.v1.keys():
        folders = {c: where.v1[c] / name for c in ("memory", "cpuacct", "pids") if c in where.v1}
        return _made(1, folders)
    for parent in (where.v2, where.v2.parent) if where.v2 is not None else ():
        found = _made(2, {"": parent / name})
        if found is not None:
            return found
    return None


def _made(version: int, folders: dict[str, Path]) -> ControlGroup | None:
    made: dict[str, Path] = {}
    try:
        for key, folder in folders.items():
            _remove_left_overs(folder.parent)
            folder.mkdir()
            made[key] = folder
        return ControlGroup(version, folders)
    except OSError:
        for folder in made.values():
            with contextlib.suppress(OSError):
                folder.rmdir()
        return None


def _remove_left_overs(parent: Path) -> None:
    """Remove empty groups of judges that are gone."""
    for folder in parent.glob(f"{_NAME}*"):
        owner, began, *_ = (*folder.name.removeprefix(_NAME).split("-"), "")
        if owner.isdigit() and _began(owner) != began:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _new_name() -> str:
    """Return a name that says whose group it is: process ids come again, with other times of birth."""
    return f"{_NAME}{os.getpid()}-{_began('self')}-{secrets.token_hex(4)}"


def _began(pid: str) -> str:
    """Return when a process began, in ticks since the machine did; nothing for one that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def scope_prefix(where: Mounted) -> list[str]:
    """Return the command that starts a program in a scope of the user's service manager, if there is one.

    Needed where our own group is not ours to change: the login session of an ordinary user.
    """
    bus = os.path.join(os.environ.get("XDG_RUNTIME_DIR", "/nonexistent"), "bus")
    if os.getuid() == 0 or where.v2 is None or not os.path.exists(bus) or not shutil.which("systemd-run"):
        return []
    command = ["systemd-run", "--user", "--scope", "--quiet", "--collect", "-p", "Delegate=yes"]
    return [*command, "--unit", _new_name(), "--"]


def in_scope_of(pid: int) -> ControlGroup | None:
    """Return a group in the delegated scope that a process was started in, None where there is none."""
    scope = mounted(Path(f"/proc/{pid}"), _SELF).v2  # its mounts may be those of a sandbox by now
    if scope is None or not scope.name.startswith(_NAME):
        return None
    leaf = scope / "server"
    try:
        leaf.mkdir()
        for child in _tree(pid):
            (leaf / "cgroup.procs").write_text(str(child))
        (scope / "cgroup.subtree_control").write_text("+memory +pids")
    except OSError:
        return None
    try:
        return ControlGroup(2, {"": leaf})
    except OSError:
        return None


def of_container(pid: int) -> ControlGroup | None:
    """Return the group that an engine made for the container of a process, where it is this user's."""
    theirs, ours = mounted(Path(f"/proc/{pid}"), _SELF).v2, mounted().v2
    if theirs is None or theirs == ours or not any(n in str(theirs) for n in ("libpod-", "docker")):
        return None
    try:
        return ControlGroup(2, {"": theirs}, lent=True)
    except OSError:
        return None
