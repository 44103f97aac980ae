"""Levels, start, death and the end of a sandbox."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

import codefit
from codefit.core.errors import ExitCode, MissingPrerequisite
from codefit.core.types import Outcome
from codefit.sandbox import Frame, Limits, Program, Runtime, Sandbox, launch, probe
from codefit.sandbox.slot import Slot

INCREMENT = Program("def f(x):\n    return x + 1\n", "calls", ((1,),), "f")
LEVELS = ("bwrap+namespaces", "namespaces", "container", "landlock+seccomp")


def _available(level: str) -> None:
    try:
        Sandbox(level=level, jobs=1).close()
    except MissingPrerequisite as e:
        pytest.skip(e.line())


def _descendants(pid: int) -> set[int]:
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path("/proc", name, "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        parents[int(name)] = int(fields[1])
    found = {pid}
    while more := {p for p, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def _wait_until_gone(pids: set[int], seconds: float) -> set[int]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        alive = {p for p in pids if os.path.exists(f"/proc/{p}") and "\nState:\tZ" not in _status(p)}
        if not alive:
            return set()
        time.sleep(0.02)
    return alive


def _status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "\nState:\tZ"


def test_probe_tells_of_every_level() -> None:
    found = probe()
    assert [p.name for p in found] == list(LEVELS)
    assert all(p.detail for p in found)


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown isolation level"):
        Sandbox(level="docker")


def test_no_isolation_needs_a_waiver() -> None:
    with pytest.raises(MissingPrerequisite, match="unsafe-no-isolation") as caught:
        Sandbox(level="none")
    assert caught.value.exit_code == ExitCode.PREREQUISITE
    with Sandbox(level="none", jobs=1, unsafe_no_isolation=True) as box:
        assert box.level == "none (unsafe)"
        assert "unsafe" in box.description
        assert box.run(INCREMENT).frames[0].value == 2


def test_a_named_level_is_never_replaced_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    with pytest.raises(MissingPrerequisite, match="apt install bubblewrap"):
        Sandbox(level="bwrap+namespaces")


def test_auto_takes_the_strongest_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    working = [p.name for p in probe() if p.ok]
    if not working:
        pytest.skip("no isolation here")
    with Sandbox(jobs=1) as box:
        assert box.level == working[0]
        assert box.description.startswith("isolation: ")
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    if "namespaces" in working:
        with Sandbox(jobs=1) as box:
            assert box.level == "namespaces"


def test_a_broken_bwrap_is_a_missing_prerequisite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name, path=None: str(fake))
    with pytest.raises(MissingPrerequisite, match="uid map: Permission denied"):
        Sandbox(level="bwrap+namespaces")


def test_libraries_beside_ours_are_seen_however_many_and_ours_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    level = "landlock+seccomp"
    _available(level)
    libraries = tmp_path / "site-packages"
    for name in (*(f"library_{i}" for i in range(1100)), "codefit"):
        (libraries / name).mkdir(parents=True)
    (libraries / "gone").symlink_to("nowhere")
    for name in ("library_7", "codefit"):
        (libraries / name / "__init__.py").write_text("data = 7\n")
    view = launch.machine_view()
    view = replace(view, binds=(*view.binds, str(libraries)), masks=(*view.masks, str(libraries / "codefit")))
    monkeypatch.setattr(launch, "machine_view", lambda _: view)
    imports = f"import sys; sys.path[:0] = [{str(libraries)!r}]; import NAME; print(NAME.data)"
    source = f"""
import subprocess, sys
def f(name):
    command = [sys.executable, "-I", "-S", "-c", {imports!r}.replace("NAME", name)]
    return subprocess.run(command, capture_output=True, text=True).stdout
"""
    with Sandbox(level=level, jobs=1) as box:
        run = box.run(Program(source, "calls", (("library_7",), ("codefit",)), "f"))
    assert [frame.value for frame in run.frames] == ["7\n", ""]


def test_preloaded_modules_are_there_and_an_unknown_one_is_told() -> None:
    _available("bwrap+namespaces")
    with Sandbox(jobs=1, runtime=Runtime(preload=("json", "decimal"))) as box:
        source = "import sys\nwas = 'decimal' in sys.modules\ndef f(x):\n    return was\n"
        assert box.run(Program(source, "calls", ((1,),), "f")).frames[0].value is True
    with pytest.raises(MissingPrerequisite, match="no_such_module"):
        Sandbox(jobs=1, runtime=Runtime(preload=("no_such_module",)))


def test_map_runs_side_by_side_lazily_and_yields_everything() -> None:
    drawn = 0

    def jobs() -> object:
        nonlocal drawn
        for i in range(40):
            drawn += 1
            yield Program("def f(x):\n    return x + 1\n", "calls", ((i,),), "f"), None

    with Sandbox(jobs=2) as box:
        results = box.map(jobs())  # type: ignore[arg-type]
        first = next(results)
        assert drawn <= 10
        found = dict([first, *results])
    assert {i: r.frames[0].value for i, r in found.items()} == {i: i + 1 for i in range(40)}


def test_map_can_be_left_early() -> None:
    slow = Program(
        "import time\ndef f(x):\n    time.sleep(.2)\n    return x\n",
        "calls",
        tuple((i,) for i in range(50)),
        "f",
    )
    with Sandbox(jobs=2) as box:
        began = time.monotonic()
        results = box.map((p, None) for p in [INCREMENT, slow, slow, slow, slow])
        next(results)
        results.close()  # type: ignore[attr-defined]
        assert time.monotonic() - began < 5


def test_a_dead_server_is_replaced(box: Sandbox) -> None:
    slot: Slot = box._slots[0]
    assert slot.server_pid is not None
    os.kill(slot.server_pid, signal.SIGKILL)
    run = box.run(INCREMENT)
    assert (run.outcome, run.frames[0].value) == (Outcome.PASSED, 2)


def test_a_program_that_runs_again_delivers_each_frame_once(box: Sandbox) -> None:
    slot: Slot = box._slots[0]
    seen = []

    def on_frame(index: int, frame: Frame) -> bool:
        seen.append((index, frame.value))
        if index == 1 and slot.server_pid:
            os.kill(slot.server_pid, signal.SIGKILL)
        return True

    slow = "import time\ndef f(x):\n    time.sleep(.1)\n    return x\n"
    run = box.run(Program(slow, "calls", tuple((i,) for i in range(4)), "f"), on_frame)
    assert (run.outcome, len(run.frames)) == (Outcome.PASSED, 4)
    assert seen == [(0, 0), (1, 1), (2, 2), (3, 3)]


def test_a_server_that_dies_twice_is_a_sandbox_failure() -> None:
    hang = Program("def f(x):\n    while True: pass\n", "calls", ((1,),), "f", limits=Limits(cpu_s=20))
    with Sandbox(jobs=1) as box:
        slot = box._slots[0]
        done = threading.Event()

        def kill() -> None:
            last = None
            while not done.wait(0.3):
                if slot.server_pid and slot.server_pid != last:
                    last = slot.server_pid
                    os.kill(last, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        run = box.run(hang)
        done.set()
        killer.join()
        assert run.outcome is Outcome.SANDBOX_FAILED
        assert box.run(INCREMENT).outcome is Outcome.PASSED


@pytest.mark.parametrize("level", LEVELS)
def test_closing_leaves_no_process_and_no_file(level: str) -> None:
    _available(level)
    before = (_descendants(os.getpid()), sorted(os.listdir("/dev/shm")), len(os.listdir("/proc/self/fd")))
    with Sandbox(level=level, jobs=2) as box:
        list(box.map([(INCREMENT, None)] * 8))
    left = _wait_until_gone(_descendants(os.getpid()) - before[0], 2)
    assert not left
    assert (sorted(os.listdir("/dev/shm")), len(os.listdir("/proc/self/fd"))) == before[1:]


@pytest.mark.parametrize("level", LEVELS)
def test_killing_the_judge_leaves_no_orphan(level: str) -> None:
    _available(level)
    script = f"""
        from codefit.sandbox import *
        source = (
            "import os\\nfor _ in range(3):\\n    if os.fork() == 0:\\n        os.setsid()\\n"
            "def f(x):\\n    while True: pass\\n"
        )
        with Sandbox(level={level!r}, jobs=1) as box:
            print("ready", flush=True)
            box.run(Program(source, "calls", ((1,),), "f", limits=Limits(cpu_s=60)))
    """
    source = str(Path(codefit.__file__).parents[1])
    judge = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": source},
    )
    assert judge.stdout is not None
    assert judge.stdout.readline() == b"ready\n"
    time.sleep(0.5)
    below = _descendants(judge.pid)
    assert len(below) >= 2
    judge.kill()
    judge.wait()
    judge.stdout.close()
    assert _wait_until_gone(below, 5) == set()


def test_an_ordinary_user_has_the_same_sandbox() -> None:
    setpriv = shutil.which("setpriv")
    if os.getuid() != 0 or setpriv is None:
        pytest.skip("needs root to become an ordinary user")
    as_user = [setpriv, "--reuid=65534", "--regid=65534", "--clear-groups"]
    as_user += ["sh", "-c", 'exec "$@"', "sh"]  # the first exec still has root's rights to paths
    source = str(Path(codefit.__file__).parents[1])
    check = "import sys, codefit.sandbox; assert sys.version_info >= (3, 11)"
    environment = {"PYTHONPATH": source, "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ["PATH"]}
    for python in (sys.executable, "/usr/bin/python3"):
        tried = subprocess.run([*as_user, python, "-c", check], env=environment, cwd="/", capture_output=True)
        if tried.returncode == 0:
            break
    else:
        pytest.skip("no interpreter that another user may run")
    script = """
        import os
        from codefit.sandbox import *
        for level in [p.name for p in probe() if p.ok]:
            with Sandbox(level=level, jobs=1) as box:
                source = "def f(x):\\n    open('a', 'w').write('1')\\n    return x"
                run = box.run(Program(source, "calls", ((1,),), "f"))
                print(os.getuid(), level, run.frames[0].value)
    """
    done = subprocess.run(
        [*as_user, python, "-c", textwrap.dedent(script)],
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines
    assert all(line.startswith("65534 ") and line.endswith(" 1") for line in lines)


def test_many_programs_do_not_grow_the_judge() -> None:
    with Sandbox(jobs=1) as box:
        for _ in range(50):
            box.run(INCREMENT)
        server = box._slots[0].server_pid
        before = (len(os.listdir("/proc/self/fd")), threading.active_count(), len(_descendants(os.getpid())))
        memory = _rss_mb(os.getpid())
        for _ in range(150):
            assert box.run(INCREMENT).outcome is Outcome.PASSED
        assert box._slots[0].server_pid == server
        assert (
            len(os.listdir("/proc/self/fd")),
            threading.active_count(),
            len(_descendants(os.getpid())),
        ) == before
        assert _rss_mb(os.getpid()) - memory < 1.5


def _rss_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
