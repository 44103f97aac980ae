"""The line that would most likely make an isolation level work on a machine, from facts about it.

Not covered: managed clusters and other container engines than Podman and Docker; docs/isolation.md says
which of these lines were seen to help.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from codefit.sandbox import engines
from codefit.sandbox.launch import BWRAP, CONTAINER, LANDLOCK

_APPARMOR = "kernel.apparmor_restrict_unprivileged_userns"
# name: the value that refuses user namespaces, the one that allows them
_SYSCTLS = {
    _APPARMOR: ("1", "0"),
    "kernel.unprivileged_userns_clone": ("0", "1"),
    "user.max_user_namespaces": ("0", "15000"),
}
_INSTALLERS = {
    "apt": "apt install",
    "dnf": "dnf install",
    "zypper": "zypper install",
    "pacman": "pacman -S",
    "apk": "apk add",
}
_INSIDE = {"podman": Path("/run/.containerenv"), "docker": Path("/.dockerenv")}
# what each engine hides or forbids that namespaces inside a container need
_CONTAINER_FLAGS = {
    "docker": "seccomp=unconfined apparmor=unconfined systempaths=unconfined",
    "podman": "unmask=ALL apparmor=unconfined",
}
_PROFILE = Path("/etc/apparmor.d/bwrap")
_DISTRIBUTIONS_PROFILE = Path("/etc/apparmor.d/bwrap-userns-restrict")
_PROFILE_TEXT = (
    "abi <abi/4.0>,\\ninclude <tunables/global>\\n"
    "profile bwrap /usr/bin/bwrap flags=(unconfined) {\\n  userns,\\n}\\n"
)
_ELSEWHERE = (
    "run codefit in a Linux container: docker build -t codefit -f Containerfile . && docker run --rm -it "
    '--security-opt seccomp=unconfined --security-opt systempaths=unconfined -v "$PWD:/data" codefit doctor '
    "(docs/isolation.md)"
)
# part of what an engine says: what helps
_ENGINE_PROBLEMS = (
    ("Cannot connect to the Docker daemon", "sudo systemctl start docker"),
    ("permission denied while trying to connect", "sudo usermod -aG docker $USER, and log in again"),
    ("newuidmap", "sudo apt install uidmap"),
    ("subuid", "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER"),
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What decides which line helps: the system, what its kernel allows, and what we run in.

    `inside` is `docker`, `podman` or nothing; `installer` a package manager's command; `engine` the command
    of a container engine, where there is one; `profiled`: the distribution has its own profile for bwrap.
    """

    system: str = "linux"
    release: str = ""
    sysctls: Mapping[str, str] = field(default_factory=dict)
    inside: str = ""
    installer: str = "apt"
    engine: str = ""
    profiled: bool = False
    root: bool = False


def facts() -> Facts:
    """Return what is the case on this machine."""
    values = {}
    for name in _SYSCTLS:
        with contextlib.suppress(OSError):
            values[name] = Path("/proc/sys", name.replace(".", "/")).read_text().strip()
    return Facts(
        system=sys.platform,
        release=platform.release(),
        sysctls=values,
        inside=next((name for name, sign in _INSIDE.items() if sign.exists()), ""),
        installer=next((name for name in _INSTALLERS if shutil.which(name)), "apt"),
        engine=" ".join(engines.named(os.environ)),
        profiled=_DISTRIBUTIONS_PROFILE.exists(),
        root=sys.platform != "win32" and os.getuid() == 0,
    )


def fix_for(level: str, problem: str, known: Facts) -> str | None:
    """Return the line for a level that failed with a problem, None where none is known."""
    if known.system != "linux":
        # WSL 2 is the shorter way where there is Windows
        return (
            f"wsl --install, then use codefit in it; or {_ELSEWHERE}"
            if known.system == "win32"
            else _ELSEWHERE
        )
    if known.release.endswith("-Microsoft"):  # WSL 2 says microsoft-standard-WSL2
        return "this is WSL 1, which has no namespaces; in PowerShell: wsl --set-version DISTRIBUTION 2"
    if level == LANDLOCK:
        return "Linux 5.13 or newer is needed, with landlock in lsm= on the kernel's command line"
    if level == CONTAINER:
        return _fix_for_engine(problem, known)
    if level == BWRAP and "not installed" in problem:
        return _install("bubblewrap", known)
    return _fix_for_namespaces(level, known)


def _sudo(known: Facts) -> str:
    return "" if known.root else "sudo "


def _install(packages: str, known: Facts) -> str:
    return f"{_sudo(known)}{_INSTALLERS[known.installer]} {packages}"


def _fix_for_engine(problem: str, known: Facts) -> str | None:
    if not known.engine and known.inside:
        return _fix_for_namespaces(CONTAINER, known)  # an engine in a container needs no less
    if not known.engine:
        packages = "podman uidmap" if known.installer == "apt" else "podman"
        return f"{_install(packages, known)}, or name an engine's command in {engines.ENGINE}"
    return next((line for part, line in _ENGINE_PROBLEMS if part in problem), None)


def _fix_for_namespaces(level: str, known: Facts) -> str | None:
    kernel = next((n for n, (refusing, _) in _SYSCTLS.items() if known.sysctls.get(n) == refusing), None)
    flags = " ".join(f"--security-opt {f}" for f in _CONTAINER_FLAGS.get(known.inside, "").split())
    if kernel is None:
        return f"start the container with {flags}" if flags else None
    line = f"sysctl -w {kernel}={_SYSCTLS[kernel][1]}"
    if flags:  # the kernel is the machine's, and so is its setting
        return f"on the machine: sudo {line}; and start the container with {flags}"
    line = f"{_sudo(known)}{line}"
    if kernel != _APPARMOR:
        return line
    why = "AppArmor refuses user namespaces"
    return f"{why}: {_profile(known)}, or for all programs: {line}" if level == BWRAP else f"{why}: {line}"


def _profile(known: Facts) -> str:
    """Return the line that gives bwrap, and what it starts, an AppArmor profile that allows user namespaces."""
    sudo = _sudo(known)
    line = f"printf '{_PROFILE_TEXT}' | {sudo}tee {_PROFILE} && {sudo}apparmor_parser -r {_PROFILE}"
    if not known.profiled:
        return line
    # two profiles for one program cancel each other; the distribution's takes from bwrap's children what we need
    theirs = _DISTRIBUTIONS_PROFILE
    away = f"{sudo}apparmor_parser -R {theirs} && {sudo}ln -s {theirs} {theirs.parent}/disable/"
    return f"{away} && {line}"
