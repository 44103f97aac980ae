"""Real containers, where an engine works: what programs see, limits, and that nothing outlives anybody."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import codefit
from codefit.core.errors import MissingPrerequisite
from codefit.core.types import Outcome
from codefit.sandbox import Limits, Program, Run, Runtime, Sandbox
from codefit.sandbox.engines import FLAGS, named

INCREMENT = Program("def f(x):\n    return x + 1\n", "calls", ((1,),), "f")


def opened(runtime: Runtime | None = None) -> Sandbox:
    try:
        return Sandbox(level="container", jobs=1, runtime=runtime)
    except MissingPrerequisite as e:
        pytest.skip(e.line())


@pytest.fixture(scope="module")
def contained() -> Iterator[Sandbox]:
    with opened() as box:
        yield box


def ran(box: Sandbox, body: str, **limits: Any) -> Run:
    lines = textwrap.indent(textwrap.dedent(body), "    ")
    return box.run(Program(f"def f():\n{lines}\n", "calls", ((),), "f", limits=Limits(**limits)))


def value(box: Sandbox, body: str) -> Any:
    run = ran(box, body)
    assert run.frames, run
    assert run.frames[0].error is None, run
    return run.frames[0].value


def engine(*words: str) -> str:
    command = [*named(os.environ), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout


def containers() -> set[str]:
    """Every container that the engine knows of by a name of ours, running or not."""
    names = engine("ps", "--all", "--format", "{{.Names}}").split()
    return {n for n in names if n.startswith("codefit-sandbox-")}


def folders() -> set[str]:
    return {n for n in os.listdir(tempfile.gettempdir()) if n.startswith("codefit-sandbox-")}


def mentions(word: str) -> set[int]:
    """Processes of the whole machine with a word in their command lines."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.add(int(pid))
    return found - {os.getpid()}


def eventually(check: Any, seconds: float = 15.0) -> bool:
    end = time.monotonic() + seconds
    while not check():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def test_a_program_runs_and_the_line_says_how(contained: Sandbox) -> None:
    run = contained.run(INCREMENT)
    assert (run.outcome, run.frames[0].value) == (Outcome.PASSED, 2)
    assert contained.level == "container"
    first, _, rest = contained.description.partition(" + ")
    assert first.startswith(("isolation: container (podman ", "isolation: container (docker "))
    assert "landlock" in rest
    assert "memory: " in rest


def test_a_program_sees_nothing_of_the_machine(contained: Sandbox, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("secret")
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o755) if folder.owner() == Path.home().owner() else None
    places = [str(canary), str(Path.home()), "/home", "/etc/shadow", "/rv", "/run", "/sys/kernel", "/srv"]
    source = f"""
        import os
        found = []
        for place in {places}:
            try:
                found.append((place, os.listdir(place) if os.path.isdir(place) else open(place).read()))
            except OSError:
                pass
        return found
    """
    assert value(contained, source) == []
    environment = value(contained, "import os\nreturn sorted(os.environ)")
    assert not {"container", "HOSTNAME", "TERM", *filter(lambda n: "PROXY" in n.upper(), environment)} & {
        *environment
    }


def test_a_program_reaches_no_network_and_no_process_outside(contained: Sandbox) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        source = f"""
            import os, signal, socket
            done = []
            try:
                socket.create_connection(("127.0.0.1", {listener.getsockname()[1]}), 2)
                done.append("connected")
            except OSError:
                pass
            try:
                os.kill({os.getpid()}, 0)
                done.append("signalled")
            except OSError:
                pass
            return done
        """
        assert value(contained, source) == []


def test_limits_hold(contained: Sandbox) -> None:
    assert ran(contained, "while True: pass", cpu_s=0.4).outcome is Outcome.TIMEOUT
    hog = "kept = []\nwhile True: kept.append(bytearray(b'x' * (1 << 20)))"
    assert ran(contained, hog, memory_mb=150).outcome is Outcome.MEMORY_LIMIT
    bomb = ran(contained, "import os\nwhile True: os.fork()")
    assert bomb.outcome is not Outcome.PASSED
    assert contained.run(INCREMENT).outcome is Outcome.PASSED


def test_what_one_program_writes_the_next_does_not_find(contained: Sandbox) -> None:
    assert value(contained, "open('left', 'w').write('x')\nreturn 1") == 1
    assert value(contained, "import os\nreturn os.path.exists('left')") is False


def test_a_runtime_is_found_inside() -> None:
    full = Runtime(userland=True, loopback=True, preload=("decimal",), environment=(("GREETING", "hello"),))
    with opened(full) as box:
        if "(no namespaces:" in box.description:
            pytest.skip(box.description)
        assert value(box, "import os, sys\nreturn [os.environ['GREETING'], 'decimal' in sys.modules]") == [
            "hello",
            True,
        ]
        assert value(box, "import getpass, pwd, os\nreturn pwd.getpwuid(os.getuid()).pw_name") == "sandbox"
        shell = "import subprocess\nreturn subprocess.run(['sh', '-c', 'echo $GREETING'], capture_output=True).stdout"
        assert value(box, shell) == b"hello\n"
        source = """
            import socket
            with socket.create_server(("127.0.0.1", 0)) as server:
                with socket.create_connection(server.getsockname()) as client:
                    client.sendall(b"over loopback")
                    return server.accept()[0].recv(100)
        """
        assert value(box, source) == b"over loopback"


def test_an_engine_that_refuses_namespaces_gives_the_weaker_level_and_says_so(
    contained: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = tmp_path / "refuse.json"
    refused = {"names": ["unshare"], "action": "SCMP_ACT_ERRNO"}
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [refused]}))
    monkeypatch.setenv(
        FLAGS, f"{os.environ.get(FLAGS, '')} --security-opt seccomp={shlex.quote(str(profile))}"
    )
    with opened() as box:
        assert "(no namespaces: " in box.description
        assert "[no namespaces inside: " in box.description
        assert box.run(INCREMENT).frames[0].value == 2
        assert (
            ran(box, "import os\nos.makedirs('a/b/c')\nopen('left', 'w').write('x')").outcome
            is Outcome.PASSED
        )
        assert value(box, "import os\nreturn sorted(os.listdir('.'))") == ["solution.py"]


def test_closing_leaves_no_container_no_process_and_no_folder() -> None:
    before = (containers(), folders())
    with opened() as box:
        (name,) = folders() - before[1]
        assert containers() - before[0] == {name}
        assert box.run(INCREMENT).outcome is Outcome.PASSED
    assert (containers(), folders()) == before
    assert mentions(name) == set()


def test_a_killed_client_costs_a_restart_and_leaves_nothing(contained: Sandbox) -> None:
    slot = contained._slots[0]
    assert contained.run(INCREMENT).outcome is Outcome.PASSED
    name = os.path.basename(slot._folder or "")
    supervisor = slot.server_pid
    clients = {int(p) for p in Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()}
    assert clients
    for client in clients:
        os.kill(client, signal.SIGKILL)
    assert contained.run(INCREMENT).frames[0].value == 2  # on the old server or on a new one
    assert eventually(lambda: not slot.running or os.path.basename(slot._folder or "") != name)
    assert contained.run(INCREMENT).frames[0].value == 2
    assert eventually(lambda: name not in containers() | folders())
    assert eventually(lambda: not mentions(name))


def test_a_killed_supervisor_leaves_nothing_either(contained: Sandbox) -> None:
    slot = contained._slots[0]
    assert contained.run(INCREMENT).outcome is Outcome.PASSED
    name = os.path.basename(slot._folder or "")
    assert slot.server_pid is not None
    os.kill(slot.server_pid, signal.SIGKILL)
    assert eventually(lambda: not slot.running)
    assert contained.run(INCREMENT).frames[0].value == 2
    assert name not in containers() | folders()
    assert mentions(name) == set()


def test_a_killed_container_is_noticed(contained: Sandbox) -> None:
    slot = contained._slots[0]
    assert contained.run(INCREMENT).outcome is Outcome.PASSED
    engine("kill", os.path.basename(slot._folder or ""))
    assert eventually(lambda: not slot.running)
    assert contained.run(INCREMENT).frames[0].value == 2


def test_a_killed_judge_leaves_no_container_no_process_and_no_folder(contained: Sandbox) -> None:
    before = (containers(), folders())
    script = """
        import os
        from codefit.sandbox import *
        source = (
            "import os\\nfor _ in range(3):\\n    if os.fork() == 0:\\n        os.setsid()\\n"
            "def f(x):\\n    while True: pass\\n"
        )
        with Sandbox(level="container", jobs=1) as box:
            print(box._slots[0]._folder, flush=True)
            box.run(Program(source, "calls", ((1,),), "f", limits=Limits(cpu_s=60)))
    """
    judge = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(codefit.__file__).parents[1])},
    )
    assert judge.stdout is not None
    name = os.path.basename(judge.stdout.readline().decode().strip())
    assert containers() - before[0] == {name}
    time.sleep(0.3)
    judge.kill()
    judge.wait()
    judge.stdout.close()
    assert eventually(lambda: (containers(), folders()) == before)
    assert eventually(lambda: not mentions(name))
