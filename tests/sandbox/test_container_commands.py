"""How containers are started and cleaned up after, as far as that shows without an engine."""

from __future__ import annotations

import io
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from codefit.sandbox import container, engines, launch, levels, supervise
from codefit.sandbox.advice import Facts
from codefit.sandbox.container import Container
from codefit.sandbox.engines import Engine, NoEngine
from codefit.sandbox.types import Runtime
from codefit.sandbox.view import View, machine_view

PODMAN = Engine(("podman",), "podman", "4.3.1")
DOCKER = Engine(("sudo", "-n", "docker"), "docker", "20.10.24")


class Answers:
    """Stands in for an engine that answers questions; keeps what it was asked."""

    def __init__(self, *answers: tuple[int, str, str]) -> None:
        self.left = [*answers]
        self.asked: list[tuple[list[str], bytes | None]] = []

    def __call__(self, command: Sequence[str], text: bytes | None) -> subprocess.CompletedProcess[str]:
        self.asked.append(([*command], text))
        code, out, err = self.left.pop(0)
        return subprocess.CompletedProcess(command, code, out, err)


@pytest.fixture
def view(tmp_path: Path) -> View:
    (tmp_path / "machine").mkdir()
    (tmp_path / "machine" / "cache").write_text("x")
    binds = (str(tmp_path / "machine" / "cache"), "/usr/lib")
    links, files = (("usr/lib", "/lib"),), (("/etc/passwd", "sandbox:x:1000:1000::/:/bin/sh\n"),)
    return View(sys.executable, binds, links, ("/usr/lib/codefit",), (), files)


def flag_values(command: Sequence[str], flag: str) -> list[str]:
    return [value for name, value in pairwise(command) if name == flag]


@pytest.mark.parametrize(
    ("named", "says", "dialect", "version"),
    [
        ("podman", "podman version 4.3.1\n", "podman", "4.3.1"),
        ("docker", "Docker version 20.10.24+dfsg1, build 297e128\n", "docker", "20.10.24"),
        ("docker", "podman version 5.0.0\n", "podman", "5.0.0"),  # Podman in Docker's place
        ("/opt/run engine", "Docker version 27.1, build f\n", "docker", "27.1"),
        ("sudo -n /opt/podman-remote", "version 4.9\n", "podman", "4.9"),
        ("docker", "a build of our own\n", "docker", "of unknown version"),
    ],
)
def test_an_engine_is_what_it_says_it_is_else_what_it_is_called(
    named: str, says: str, dialect: str, version: str
) -> None:
    ask = Answers((0, says, ""))
    found = engines.find({engines.ENGINE: named, engines.FLAGS: "--cpus 2 --label 'a b'"}, ask)
    assert (found.dialect, found.version) == (dialect, version)
    assert found.flags == ("--cpus", "2", "--label", "a b")
    assert ask.asked == [([*shlex.split(named), "--version"], None)]


@pytest.mark.parametrize(
    ("environment", "answer", "message"),
    [
        ({"PATH": "/nowhere"}, (0, "", ""), "neither podman nor docker is installed"),
        ({engines.ENGINE: "/opt/run"}, (0, "version 1.2\n", ""), "/opt/run is neither podman nor docker"),
        ({engines.ENGINE: "podman"}, (125, "", "time=now\nError: no runtime\n"), "Error: no runtime"),
        ({engines.ENGINE: "podman"}, (3, "", ""), "status 3"),
    ],
)
def test_an_engine_that_cannot_be_had_is_told(
    environment: dict[str, str], answer: tuple[int, str, str], message: str
) -> None:
    with pytest.raises(NoEngine, match=message):
        engines.find(environment, Answers(answer))


def test_an_engine_that_is_not_there_is_told() -> None:
    with pytest.raises(NoEngine, match="/nowhere/podman does not run"):
        engines.find({engines.ENGINE: "/nowhere/podman"})


def test_a_missing_engine_is_an_attempt_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(engines.ENGINE, raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(levels, "facts", Facts)
    with ThreadPoolExecutor(1) as spawner:
        attempt = levels.try_level(launch.CONTAINER, Runtime(), spawner)
    assert attempt.slot is None
    assert attempt.detail == "neither podman nor docker is installed"
    assert "apt install podman" in (attempt.fix or "")


@pytest.mark.parametrize("engine", [PODMAN, DOCKER])
@pytest.mark.parametrize("private", [True, False])
def test_every_container_is_without_rights_network_and_places_to_write(
    engine: Engine, private: bool, view: View
) -> None:
    flags = container.run_flags(Container(engine, private), view)
    assert {"--rm", "--read-only"} < {*flags}
    assert flag_values(flags, "--network") == ["none"]
    assert flag_values(flags, "--cap-drop") == ["ALL"]
    assert flag_values(flags, "--user") == ["1000:1000"]
    assert "no-new-privileges" in flag_values(flags, "--security-opt")
    assert flag_values(flags, "--volume") == [f"{path}:{path}:ro" for path in view.binds]
    scratch, *masks = flag_values(flags, "--tmpfs")
    assert scratch.startswith("/tmp:rw,nosuid,nodev,exec,size=")
    assert masks == ["/usr/lib/codefit:ro,size=4k"]
    assert "--privileged" not in flags


def test_what_the_engine_hides_is_shown_only_to_build_namespaces_inside(view: View) -> None:
    def opened(engine: Engine, private: bool) -> set[str]:
        options = flag_values(container.run_flags(Container(engine, private), view), "--security-opt")
        return {*options} - {"no-new-privileges", "label=disable"}

    assert opened(PODMAN, True) == {"unmask=ALL", "apparmor=unconfined"}
    assert opened(DOCKER, True) == {
        "systempaths=unconfined",
        "seccomp=unconfined",
        "apparmor=unconfined",
    }
    assert opened(PODMAN, False) == opened(DOCKER, False) == set()


def test_podman_mounts_a_folder_with_links_files_and_places_as_its_root(tmp_path: Path, view: View) -> None:
    folder = tmp_path / "codefit-sandbox-ab"
    folder.mkdir()
    engine = replace(PODMAN, flags=("--cpus", "2"))
    before = os.umask(0o077)
    try:
        command = container.command(
            Container(engine, cgroups=False), view, str(folder), "/tmp", {"A": "1"}, ["/py", "-c", "x"]
        )
    finally:
        os.umask(before)
    assert command[:4] == ["podman", "run", "--name", "codefit-sandbox-ab"]
    assert flag_values(command, "--preserve-fds") == ["3"]
    assert "--cgroups=disabled" in command
    at = command.index("--rootfs")
    assert command[at - 2 : at + 2] == ["--cpus", "2", "--rootfs", f"{folder}/root"]
    assert command[at + 2] == view.interpreter
    assert command[-6:] == ["", "/tmp", '{"A": "1"}', "/py", "-c", "x"]
    root = folder / "root"
    assert os.readlink(root / "lib") == "usr/lib"
    assert (root / "etc" / "passwd").read_text().startswith("sandbox:")
    assert Path(f"{root}{view.binds[0]}").is_file()
    assert Path(f"{root}{view.binds[1]}").is_dir()
    modes = {oct(p.stat().st_mode & 0o7777) for p in (root, *root.rglob("*")) if not p.is_symlink()}
    assert modes == {"0o755", "0o644", "0o1777"}


def test_docker_gets_an_image_and_a_place_to_meet(tmp_path: Path, view: View) -> None:
    folder = tmp_path / "codefit-sandbox-cd"
    folder.mkdir()
    command = container.command(
        Container(DOCKER, image="i:1"), view, str(folder), "/tmp", {}, ["/py", "-c", "x"]
    )
    assert command[:6] == ["sudo", "-n", "docker", "run", "--name", "codefit-sandbox-cd"]
    assert f"{folder}/meeting:/rv:ro" in flag_values(command, "--volume")
    assert flag_values(command, "--pull") == ["never"]
    at = command.index("--entrypoint")
    assert command[at : at + 3] == ["--entrypoint", view.interpreter, "i:1"]
    assert command[-6:] == ["/rv/s", "/tmp", "{}", "/py", "-c", "x"]


def test_an_image_is_made_once_of_the_root_alone(view: View) -> None:
    assert engines.image_for(PODMAN, view, Answers()) is None
    there = Answers((0, "[]", ""))
    name = engines.image_for(DOCKER, view, there)
    missing = Answers((1, "", "no such image"), (0, "sha256:1", ""))
    assert engines.image_for(DOCKER, view, missing) == name
    assert [asked[3:] for asked, _ in (*there.asked, *missing.asked)] == [
        ["image", "inspect", name],
        ["image", "inspect", name],
        ["import", "-", name],
    ]
    with tarfile.open(fileobj=io.BytesIO(missing.asked[1][1] or b"")) as archive:
        entries = {e.name: e for e in archive.getmembers()}
    assert entries["./lib"].linkname == "usr/lib"
    assert entries["./tmp"].mode == 0o1777
    assert {(e.uid, e.size) for n, e in entries.items() if n != "./etc/passwd"} == {(0, 0)}
    other = replace(view, symlinks=())
    assert engines.image_for(DOCKER, other, Answers((0, "[]", ""))) != name
    with pytest.raises(NoEngine, match="Cannot connect"):
        engines.image_for(DOCKER, view, Answers((1, "", ""), (1, "", "Cannot connect to the daemon\n")))


def test_what_is_tried_after_a_start_that_failed() -> None:
    first = Container(PODMAN)
    second = first.after("Error: crun: cgroups in hybrid mode not supported", root=True)
    assert second == replace(first, cgroups=False)
    assert second is not None
    last = second.after("Error: crun: cgroups in hybrid mode not supported", root=True)
    assert last == replace(second, private=False)
    assert last is not None
    assert last.after("PermissionError", root=True) is None
    own = first.after("Permission denied", root=False)
    assert own == replace(first, keep_id=True)
    assert own is not None
    assert "--userns=keep-id" in container.run_flags(own, machine_view())
    assert flag_values(container.run_flags(own, machine_view()), "--user") == []
    assert own.after("unshare: refused", root=False) == replace(first, private=False)
    assert Container(DOCKER).after("cgroup", root=False) == Container(DOCKER, private=False)


def test_a_container_is_only_tried_by_itself_where_there_is_an_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[str] = []

    def failing(level: str, *_rest: object) -> levels.Attempt:
        tried.append(level)
        return levels.Attempt(level, None, "no", None)

    monkeypatch.setattr(levels, "try_level", failing)
    for named, expected in (
        ("podman", launch.LEVELS),
        ("", ("bwrap+namespaces", "namespaces", "landlock+seccomp")),
    ):
        monkeypatch.setenv(engines.ENGINE, named)
        monkeypatch.setenv("PATH", "/nowhere")
        tried.clear()
        with ThreadPoolExecutor(1) as spawner, pytest.raises(Exception, match="no isolation"):
            levels.choose("auto", Runtime(), False, spawner)
        assert tuple(tried) == expected


def test_a_folder_in_which_something_is_mounted_stays(tmp_path: Path) -> None:
    folder = tmp_path / "codefit-sandbox-ef"
    (folder / "root" / "usr").mkdir(parents=True)
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 2 0:3 /usr {folder / 'root' / 'usr'} ro - ext4 none rw\n")
    supervise.remove_folder(str(folder), str(mounts))
    assert (folder / "root" / "usr").is_dir()
    mounts.write_text("1 2 0:3 / / rw - ext4 /dev/disk rw\n")
    supervise.remove_folder(str(folder), str(mounts))
    assert not folder.exists()


# stands in for an engine's client: takes three descriptors as its dialect has them, and says so on the first
CLIENT = """import os, socket, sys, time
meeting, log = sys.argv[1:3]
fds = [3, 4, 5]
if meeting:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.connect(meeting)
        fds = socket.recv_fds(s, 1, 3)[1]
control = socket.socket(fileno=fds[0])
control.send(os.read(fds[1], 10) + os.read(fds[2], 10) + b" %d" % os.getpid())
word = control.recv(10)
sys.exit(0 if not word else int(word))
"""
REMOVE = "import sys; open(sys.argv[1], 'a').write(' '.join(sys.argv[2:]) + '\\n')"


class Kept:
    """A supervisor with a stand-in for a client, and what it wrote down."""

    def __init__(self, tmp_path: Path, by_socket: bool) -> None:
        self.folder = tmp_path / "codefit-sandbox-gh"
        (self.folder / "meeting").mkdir(parents=True)
        self.log = tmp_path / "log"
        meeting = str(self.folder / "meeting" / "s") if by_socket else ""
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        files = [os.memfd_create("a"), os.memfd_create("b")]
        for fd, text in zip(files, (b"pay", b"load"), strict=True):
            os.write(fd, text)
            os.lseek(fd, 0, os.SEEK_SET)
        fds = [theirs.fileno(), *files]
        plan = {
            "command": [sys.executable, "-c", CLIENT, meeting, str(self.log)],
            "descriptors": fds,
            "socket": meeting or None,
            "remove": [[sys.executable, "-c", REMOVE, str(self.log), word] for word in ("kill", "rm")],
            "folder": str(self.folder),
        }
        command = [sys.executable, "-I", "-S", supervise.__file__, json.dumps(plan)]
        self.process = subprocess.Popen(command, pass_fds=fds, start_new_session=True)
        theirs.close()
        for fd in files:
            os.close(fd)
        self.client = int(self.said().split()[1])

    def said(self) -> bytes:
        self.control.settimeout(10)
        return self.control.recv(100)

    def removed(self) -> list[str]:
        return self.log.read_text().split() if self.log.exists() else []


@pytest.fixture(params=[False, True], ids=["inherited", "by socket"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    return Kept(tmp_path, request.param)


def test_a_container_that_ends_by_itself_needs_no_removing(kept: Kept) -> None:
    kept.control.close()
    assert kept.process.wait(10) == 0
    assert kept.removed() == []
    assert not kept.folder.exists()


@pytest.mark.parametrize("way", ["client killed", "client failed", "told to end"])
def test_a_container_that_may_be_left_is_killed_and_removed(kept: Kept, way: str) -> None:
    if way == "client killed":
        os.kill(kept.client, signal.SIGKILL)
    elif way == "client failed":
        kept.control.send(b"7")
    else:
        kept.process.terminate()
    assert kept.process.wait(10) == 1
    assert kept.removed() == ["kill", "rm"]
    assert not kept.folder.exists()
    if way != "told to end":
        assert kept.control.recv(1) == b""  # nobody holds the far end any more
    kept.control.close()


def test_a_client_that_never_connects_is_told_of(tmp_path: Path) -> None:
    plan = {
        "command": [sys.executable, "-c", "raise SystemExit(3)"],
        "descriptors": [],
        "socket": str(tmp_path / "s"),
        "remove": [],
        "folder": str(tmp_path / "codefit-sandbox-ij"),
    }
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-I", "-S", supervise.__file__, json.dumps(plan)], timeout=30, check=False
    )
    assert done.returncode == 1
    assert time.monotonic() - began < 10
    assert not (tmp_path / "s").exists()
