"""Where control groups are looked for, and that what they count is right."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from codefit.core.types import Outcome
from codefit.sandbox import Limits, Program, Sandbox, cgroups

V1_MOUNTS = """25 1 0:24 / /sys/fs/cgroup rw - tmpfs tmpfs rw
26 25 0:25 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
27 25 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
28 25 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
"""
V1_OWN = "5:memory:/a/b\n4:cpu,cpuacct:/\n0::/\n"


def proc(folder: Path, mounts: str, own: str) -> Path:
    (folder / "mountinfo").write_text(mounts)
    (folder / "cgroup").write_text(own)
    return folder


def test_version_1_controllers_are_found_by_their_mounts(tmp_path: Path) -> None:
    found = cgroups.mounted(proc(tmp_path, V1_MOUNTS, V1_OWN))
    assert found.v1["memory"] == Path("/sys/fs/cgroup/memory/a/b")
    assert found.v1["cpuacct"] == Path("/sys/fs/cgroup/cpu,cpuacct")
    assert found.v2 == Path("/sys/fs/cgroup/unified")


def test_version_2_is_found_where_it_is_mounted(tmp_path: Path) -> None:
    mounts = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
    found = cgroups.mounted(proc(tmp_path, mounts, "0::/user.slice/user-1000.slice/session-2.scope\n"))
    assert found.v1 == {}
    assert found.v2 == Path("/sys/fs/cgroup/user.slice/user-1000.slice/session-2.scope")


def test_a_group_mounted_from_below_its_root_is_found(tmp_path: Path) -> None:
    mounts = "30 23 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n"
    found = cgroups.mounted(proc(tmp_path, mounts, "0::/docker/abc\n"))
    assert found.v2 == Path("/sys/fs/cgroup")


def test_without_any_there_is_none(tmp_path: Path) -> None:
    found = cgroups.mounted(tmp_path / "nowhere")
    assert (found.v1, found.v2) == ({}, None)
    assert cgroups.in_own_group(found) is None


def test_a_hierarchy_that_cannot_be_written_gives_no_group_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    assert cgroups.in_own_group(cgroups.Mounted(v2=tmp_path / "own")) is None
    assert list((tmp_path / "own").iterdir()) == []
    assert [p.name for p in tmp_path.iterdir()] == ["own"]


def test_left_overs_of_judges_that_are_gone_are_removed(tmp_path: Path) -> None:
    own = cgroups._new_name()
    for name in ("codefit-1-2-ab", "codefit-999999999-5-ab", own, "other"):
        (tmp_path / name).mkdir()
    cgroups._remove_left_overs(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {own, "other"}


@pytest.fixture
def grouped() -> object:
    with Sandbox(jobs=1) as box:
        if "cgroup" not in box.description:
            pytest.skip("no control group can be had here")
        yield box


def test_memory_of_pipes_and_children_counts(grouped: Sandbox) -> None:
    source = """
import os
def f(n):
    for _ in range(n):
        if os.fork() == 0:
            block = bytearray(b"x" * (40 << 20))
            os.pause() if hasattr(os, "pause") else __import__("signal").pause()
    __import__("time").sleep(20)
"""
    run = grouped.run(Program(source, "calls", ((4,),), "f", limits=Limits(memory_mb=100, cpu_s=5)))
    assert run.outcome is Outcome.MEMORY_LIMIT, run
    assert run.wall_s < 5


def test_cpu_of_children_that_nobody_waits_for_counts(grouped: Sandbox) -> None:
    source = """
import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
def f(n):
    for _ in range(n):
        if os.fork() == 0:
            end = time.process_time() + 0.004
            while time.process_time() < end:
                pass
            os._exit(0)
    time.sleep(0.5)
    return 1
"""
    run = grouped.run(Program(source, "calls", ((25,),), "f", limits=Limits(processes=64)))
    assert run.outcome is Outcome.PASSED, run
    assert run.cpu_s > 0.08


def test_the_peak_is_the_programs_own_and_is_seen_however_short_it_is(grouped: Sandbox) -> None:
    small = grouped.run(Program("def f(n):\n    return 1\n", "calls", ((1,),), "f"))
    big = grouped.run(
        Program("def f(n):\n    return len(bytearray(b'x' * (64 << 20)))\n", "calls", ((1,),), "f")
    )
    again = grouped.run(Program("def f(n):\n    return 1\n", "calls", ((1,),), "f"))
    assert small.peak_mb is not None
    assert big.peak_mb is not None
    assert again.peak_mb is not None
    assert small.peak_mb < 15
    assert again.peak_mb < 15
    assert 64 <= big.peak_mb < 200


def groups() -> set[str]:
    """Every group of ours, wherever it lies: below our own, beside it, or a scope of the service manager."""
    mine = f"codefit-{os.getpid()}-"
    walks = os.walk("/sys/fs/cgroup")
    return {f"{at}/{name}" for at, names, _ in walks for name in names if name.startswith(mine)}


def test_no_group_is_left_after_the_sandbox(grouped: Sandbox) -> None:
    before = groups()
    with Sandbox(jobs=1) as box:
        assert box.run(Program("def f(n):\n    return 1\n", "calls", ((1,),), "f")).outcome is Outcome.PASSED
        assert groups() > before
    end = time.monotonic() + 5
    while groups() != before and time.monotonic() < end:  # the service manager removes scopes in its own time
        time.sleep(0.05)
    assert groups() == before
