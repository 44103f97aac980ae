"""Measures commands as whole trees of processes: CPU time, peak memory, wall time, what they leave running.

Through a control group of version 1 where one can be made (root); else by looking at the tree in /proc ten
times a second, which misses what lives for less than that.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codefit.sandbox.cgroups import mounted
from codefit.suites.machine import machine_now

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """What a command used. `left` counts processes that were still there when it had ended."""

    wall_s: float
    cpu_s: float
    peak_mb: float | None
    left: int
    code: int
    output: str
    by: str


def machine() -> dict[str, Any]:
    """Return what figures depend on, with the date."""
    import codefit

    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"date": now, **machine_now(), "codefit": codefit.__version__}


def measured(command: Sequence[str], *, timeout_s: float = 3600, **options: Any) -> Usage:
    """Run a command to its end and say what its tree used; kills it, and all of it, after `timeout_s`."""
    where = mounted().v1
    if os.getuid() == 0 and {"memory", "cpuacct"} <= where.keys():
        return _in_groups(command, where, timeout_s, options)
    return in_proc(command, timeout_s, options)


def _in_groups(
    command: Sequence[str], where: Mapping[str, Path], timeout_s: float, options: dict[str, Any]
) -> Usage:
    name = f"bench-{os.getpid()}-{time.monotonic_ns()}"
    groups = [where[c] / name for c in ("memory", "cpuacct")]
    for group in groups:
        group.mkdir()
    joining = "import os, sys\nfor g in sys.argv[1:3]:\n    open(g + '/cgroup.procs', 'w').write('0')\n"
    joining += "os.execvp(sys.argv[3], sys.argv[3:])"
    began = time.monotonic()
    try:
        full = [sys.executable, "-c", joining, *map(str, groups), *command]
        code, output = _run(full, timeout_s, options)
        wall_s = time.monotonic() - began
        time.sleep(0.3)
        cpu_s = int((groups[1] / "cpuacct.usage").read_text()) / 1e9
        peak_mb = int((groups[0] / "memory.max_usage_in_bytes").read_text()) / 2**20
        left = _tasks(groups[0])
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        return Usage(wall_s, cpu_s, peak_mb, len(left), code, output, "control group")
    finally:
        _remove(groups)


def _tasks(group: Path) -> list[int]:
    """Return the processes of a group and of the groups below it."""
    files = [group / "cgroup.procs", *group.rglob("*/cgroup.procs")]
    return [int(p) for f in files for p in f.read_text().split()]


def _remove(groups: Sequence[Path]) -> None:
    deadline = time.monotonic() + 5
    for group in groups:
        while group.exists() and time.monotonic() < deadline:
            for below in sorted((p for p in group.rglob("*") if p.is_dir()), reverse=True):
                with contextlib.suppress(OSError):
                    below.rmdir()
            with contextlib.suppress(OSError):
                group.rmdir()
                break
            time.sleep(0.05)


def _run(command: Sequence[str], timeout_s: float, options: dict[str, Any]) -> tuple[int, str]:
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
        start_new_session=True, **options,
    ) as process:  # fmt: skip
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            return -signal.SIGKILL, output
        return process.returncode, output


def in_proc(command: Sequence[str], timeout_s: float, options: dict[str, Any]) -> Usage:
    """Measure by looking at the tree ten times a second: memory is that of processes, without the page cache."""
    seen: dict[int, float] = {}
    peak, stop = [0.0], threading.Event()

    def look() -> None:
        while not stop.wait(0.1):
            memory = 0.0
            for pid, cpu_s, rss_mb in _below(os.getpid()):
                seen[pid] = max(cpu_s, seen.get(pid, 0.0))
                memory += rss_mb
            peak[0] = max(peak[0], memory)

    watcher = threading.Thread(target=look, daemon=True)
    began = time.monotonic()
    watcher.start()
    code, output = _run(command, timeout_s, options)
    wall_s = time.monotonic() - began
    stop.set()
    watcher.join()
    left = len(list(_below(os.getpid())))
    return Usage(wall_s, sum(seen.values()), peak[0], left, code, output, "/proc")


def _below(root: int) -> Iterator[tuple[int, float, float]]:
    """Yield (pid, CPU seconds, MiB) of every process below one."""
    table: dict[int, tuple[int, float, float]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, IndexError):
            fields = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
            cpu_s = (int(fields[11]) + int(fields[12])) / _TICKS
            table[int(name)] = int(fields[1]), cpu_s, int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    wanted = {root}
    while more := {p for p, (parent, _, _) in table.items() if parent in wanted} - wanted:
        wanted |= more
    for pid in wanted - {root}:
        yield pid, table[pid][1], table[pid][2]


@contextlib.contextmanager
def busy(loops: int) -> Iterator[None]:
    """Keep so many processes spinning meanwhile."""
    code = "while True: pass"
    spinning = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(loops)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def python_version(python: str) -> str:
    """Return the version of an interpreter."""
    code = "import platform; print(platform.python_version())"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def peer_version(python: str, package: str) -> str:
    """Return the version of a package in a peer's environment."""
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
