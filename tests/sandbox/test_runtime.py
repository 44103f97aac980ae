"""What programs find around them when a runtime says so, and what they don't."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from codefit.core.errors import MissingPrerequisite
from codefit.sandbox import Program, Runtime, Sandbox

FULL = Runtime(python=sys.executable, userland=True, loopback=True, environment=(("GREETING", "hello"),))


@pytest.fixture(scope="module", params=["bwrap+namespaces", "namespaces"])
def full(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    try:
        with Sandbox(level=request.param, jobs=1, runtime=FULL) as sandbox:
            yield sandbox
    except MissingPrerequisite as e:
        pytest.skip(e.line())


def value(box: Sandbox, body: str) -> object:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    run = box.run(Program(f"def f():\n{lines}", "calls", ((),), "f"))
    frame = run.frames[0] if run.frames else None
    assert frame is not None, run
    assert frame.error is None, frame
    return frame.value


def test_commands_of_the_system_are_there_read_only(full: Sandbox) -> None:
    assert (
        value(full, "import subprocess\nreturn subprocess.check_output(['/bin/sh', '-c', 'echo $GREETING'])")
        == b"hello\n"
    )
    assert value(full, "import os\nreturn os.access('/usr/bin', os.W_OK)") is False


def test_a_program_can_start_the_interpreter_again(full: Sandbox) -> None:
    body = "import subprocess, sys\nreturn subprocess.check_output([sys.executable, '-c', 'print(6 * 7)'])"
    assert value(full, body) == b"42\n"


def test_users_and_hosts_are_made_up(full: Sandbox) -> None:
    body = "import pwd, socket\nusers = [p.pw_name for p in pwd.getpwall()]\n"
    body += "return [users, socket.gethostbyname('localhost'), socket.gethostname()]"
    assert value(full, body) == [["root", "sandbox"], "127.0.0.1", "sandbox"]
    assert value(full, "import os\nreturn os.path.exists('/etc/shadow')") is False


def test_loopback_is_the_programs_own(full: Sandbox) -> None:
    body = """import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    with socket.create_connection(server.getsockname(), timeout=2) as one:
        other, _ = server.accept()
        with other:
            one.sendall(b"x")
            return other.recv(1)"""
    assert value(full, body) == b"x"


def test_nothing_outside_is_reached_over_the_network(full: Sandbox) -> None:
    body = """import socket
found = []
for address in (("127.0.0.1", PORT), ("8.8.8.8", 53), ("169.254.169.254", 80)):
    try:
        socket.create_connection(address, timeout=1).close()
        found.append(address)
    except OSError:
        pass
return found"""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        assert value(full, body.replace("PORT", str(server.getsockname()[1]))) == []


def test_without_a_runtime_there_are_no_commands_and_no_sockets(box: Sandbox) -> None:
    if box.level not in ("bwrap+namespaces", "namespaces"):
        pytest.skip("the file system is the machine's at this level; reading it is refused")
    assert (
        value(box, "import os\nreturn os.path.exists('/usr/bin/env') or os.path.exists('/bin/sh')") is False
    )
    assert (
        value(box, "import socket\ntry:\n    socket.socket()\nexcept OSError:\n    return 'refused'")
        == "refused"
    )


def test_files_for_the_server_are_copied_where_it_imports(tmp_path: Path) -> None:
    """A font cache, say: read at import, by the process that programs are forks of."""
    module = tmp_path / "greeting.py"
    module.write_text("text = open('/tmp/home/.config/greeting').read()\n")
    said = tmp_path / "said.txt"
    said.write_text("hello")
    # an interpreter's own files are all that a server sees, so the file to copy must lie there
    library = Path(sys.prefix) / "lib"
    place = library / "codefit-test-greeting.txt"
    try:
        place.write_text("hello")
    except OSError:
        pytest.skip("the interpreter's folder cannot be written to")
    try:
        runtime = Runtime(copies=((str(place), "/tmp/home/.config/greeting"),))
        with Sandbox(jobs=1, runtime=runtime) as box:
            assert value(box, "import os\nreturn os.path.exists('/tmp/home/.config/greeting')") is False
    finally:
        place.unlink()


def test_an_interpreter_that_does_not_run_is_told() -> None:
    with pytest.raises(MissingPrerequisite, match="the interpreter does not run"):
        Sandbox(jobs=1, runtime=Runtime(python="/nonexistent/python"))
