"""Starts a server in a container of Podman or Docker: which engine, its command line, its empty root.

The container replaces nothing that the other levels do: inside, codefit builds its own namespaces again
(or, where the engine refuses them, runs its `landlock+seccomp` level), and talks to the judge over the
same three descriptors. Podman inherits them (`--preserve-fds`); Docker's daemon cannot, so the container
fetches them from a socket in a folder of its own, once. No image is taken from a registry: the root is
an empty folder, or an image of one, with what `view` names mounted read-only.
Not covered: a daemon on another machine or in another mount namespace, since paths of this one are mounted.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from codefit.sandbox.engines import Engine, make_root
from codefit.sandbox.supervise import FIRST_FD
from codefit.sandbox.view import USER, View

DESCRIPTORS = (FIRST_FD, FIRST_FD + 1, FIRST_FD + 2)
SCRATCH = "/tmp/programs"  # inside, where programs have no file system of their own

_SUPERVISE = Path(__file__).resolve().parent / "supervise.py"
_MEETING = "/rv/s"
_SCRATCH_MB = {True: 64, False: 512}  # by whether programs mount a scratch file system of their own
_ULIMITS = {"nofile": 1024, "nproc": 4096}
# becomes the server with an environment that the engine added nothing to
_ENTER = f"""import json, os, socket, sys
meeting, scratch, environment, *command = sys.argv[1:]
os.makedirs(scratch, 0o700, exist_ok=True)
if meeting:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.connect(meeting)
        spare = [os.dup2(fd, 60 + at) for at, fd in enumerate(socket.recv_fds(s, 1, 3)[1])]
    os.closerange({FIRST_FD}, 60)
    for at, fd in enumerate(spare):
        os.dup2(fd, {FIRST_FD} + at)
    os.closerange(60, 64)
os.execve(command[0], command, json.loads(environment))
"""


@dataclass(frozen=True, slots=True)
class Container:
    """How containers are started: the engine, and what was found to work with it here.

    `private`: programs get namespaces of their own inside. `keep_id`: run as the user that runs us, and
    not as one of its subordinates. `cgroups`: let the engine make control groups. `image`: Docker's.
    """

    engine: Engine
    private: bool = True
    keep_id: bool = False
    cgroups: bool = True
    image: str | None = None

    def after(self, problem: str, *, root: bool) -> Container | None:
        """Return what to try next after a start failed with a problem, None when nothing is left."""
        podman = self.engine.dialect == "podman"
        if podman and self.cgroups and "cgroup" in problem:
            return replace(self, cgroups=False)
        if podman and not root and not self.keep_id:
            return replace(self, keep_id=True)
        return replace(self, private=False, keep_id=False) if self.private else None


def command(
    container: Container, view: View, folder: str, scratch: str, environment: Mapping[str, str],
    python: Sequence[str],
) -> list[str]:  # fmt: skip
    """Return the engine's command that runs `python` in a container named after the folder, and prepare it."""
    podman = container.engine.dialect == "podman"
    if podman:
        os.mkdir(f"{folder}/root")
        make_root(view, f"{folder}/root")
    else:
        os.mkdir(f"{folder}/meeting")
        os.chmod(f"{folder}/meeting", 0o755)
    meeting = "" if podman else _MEETING
    entry = [
        view.interpreter,
        "-I",
        "-S",
        "-c",
        _ENTER,
        meeting,
        scratch,
        json.dumps(dict(environment)),
        *python,
    ]
    flags = [*run_flags(container, view), *container.engine.flags]
    first = [*container.engine.command, "run", "--name", os.path.basename(folder), *flags]
    if podman:
        return [*first, "--rootfs", f"{folder}/root", *entry]
    first += ["--volume", f"{folder}/meeting:{os.path.dirname(_MEETING)}:ro", "--entrypoint", entry[0]]
    return [*first, container.image or "", *entry[1:]]


def run_flags(container: Container, view: View) -> list[str]:
    """Return the flags of a container: no rights, no network, nothing to write but a small /tmp."""
    size = _SCRATCH_MB[container.private]
    flags = ["--rm", "--network", "none", "--read-only", "--cap-drop", "ALL", "--hostname", "sandbox"]
    flags += [
        "--security-opt",
        "no-new-privileges",
        "--security-opt",
        "label=disable",
        "--log-driver",
        "none",
    ]
    flags += ["--workdir", "/", "--tmpfs", f"/tmp:rw,nosuid,nodev,exec,size={size}m,mode=1777"]
    for name, most in _ULIMITS.items():
        value = _allowed(name, most)
        flags += ["--ulimit", f"{name}={value}:{value}"]
    flags += _dialect_flags(container)
    for path in view.binds:
        flags += ["--volume", f"{path}:{path}:ro"]
    for path in view.masks:
        flags += ["--tmpfs", f"{path}:ro,size=4k"]
    return flags


def _allowed(name: str, most: int) -> int:
    """Return a limit that this process may set, at most so much; an engine may refuse to raise one."""
    import resource  # not on Windows, where this module has to load for doctor to say what helps

    ceiling = resource.getrlimit(getattr(resource, f"RLIMIT_{name.upper()}"))[1]
    return most if ceiling == resource.RLIM_INFINITY else min(most, ceiling)


def _dialect_flags(container: Container) -> list[str]:
    """Return what the engines name differently; user namespaces inside need a whole /proc and mounts."""
    nested = ["--security-opt", "apparmor=unconfined"] if container.private else []
    if container.engine.dialect == "docker":
        nested += ["--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined"]
        return ["--user", f"{USER}:{USER}", "--pull", "never", *(nested if container.private else [])]
    flags = ["--preserve-fds", "3", "--read-only-tmpfs=false", "--no-hosts", "--http-proxy=false"]
    flags += ["--userns=keep-id"] if container.keep_id else ["--user", f"{USER}:{USER}"]
    flags += [] if container.cgroups else ["--cgroups=disabled"]
    return flags + ([*nested, "--security-opt", "unmask=ALL"] if container.private else [])


def supervised(
    container: Container, run: Sequence[str], descriptors: Sequence[int], folder: str
) -> list[str]:
    """Return the command that runs a container and cleans up after it, whoever dies first."""
    meeting = (
        None if container.engine.dialect == "podman" else f"{folder}/meeting/{os.path.basename(_MEETING)}"
    )
    plan = {
        "command": run,
        "descriptors": descriptors,
        "socket": meeting,
        "remove": removal(container.engine, folder),
        "folder": folder,
    }
    return [sys.executable, "-I", "-S", str(_SUPERVISE), json.dumps(plan)]


def removal(engine: Engine, folder: str) -> list[list[str]]:
    """Return the commands that end the container named after a folder, if it is still there."""
    name = os.path.basename(folder)
    return [[*engine.command, "kill", name], [*engine.command, "rm", "-f", name]]
