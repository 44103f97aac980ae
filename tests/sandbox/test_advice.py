"""The line that helps, by facts of machines that are not this one."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

import codefit
from codefit.core.errors import ExitCode, MissingPrerequisite
from codefit.sandbox import Sandbox, advice, engines, levels, probe
from codefit.sandbox.advice import Facts, fix_for

BWRAP, NAMESPACES, CONTAINER, LANDLOCK = "bwrap+namespaces", "namespaces", "container", "landlock+seccomp"
REFUSED = "bwrap: setting up uid map: Permission denied"
APPARMOR = "kernel.apparmor_restrict_unprivileged_userns"
NOBLE = Facts(release="6.8.0-31-generic", sysctls={APPARMOR: "1", "user.max_user_namespaces": "127000"})
NO_CONTAINER = Facts(release="6.1.0-21-amd64")
DOCKER, PODMAN = replace(NO_CONTAINER, inside="docker"), replace(NO_CONTAINER, inside="podman")


def fix(level: str, problem: str, known: Facts) -> str:
    line = fix_for(level, problem, known)
    assert line is not None
    assert "\n" not in line
    return line


def test_ubuntu_gets_a_profile_for_bwrap_and_the_setting_for_all_programs() -> None:
    line = fix(BWRAP, REFUSED, NOBLE)
    assert line.startswith("AppArmor refuses user namespaces: printf '")
    assert "| sudo tee /etc/apparmor.d/bwrap && sudo apparmor_parser -r /etc/apparmor.d/bwrap" in line
    assert line.endswith(f"for all programs: sudo sysctl -w {APPARMOR}=0")
    # without bwrap there is no program that a profile could be for
    assert fix(NAMESPACES, "PermissionError", NOBLE) == (
        f"AppArmor refuses user namespaces: sudo sysctl -w {APPARMOR}=0"
    )


def test_the_profile_is_one_that_lets_bwrap_make_user_namespaces() -> None:
    text = fix(BWRAP, REFUSED, NOBLE).partition("printf '")[2].partition("'")[0].replace("\\n", "\n")
    assert text == textwrap.dedent(
        """\
        abi <abi/4.0>,
        include <tunables/global>
        profile bwrap /usr/bin/bwrap flags=(unconfined) {
          userns,
        }
        """
    )
    assert text in (Path(__file__).parents[2] / "docs" / "isolation.md").read_text()


def test_the_distributions_own_profile_is_taken_away_first() -> None:
    line = fix(BWRAP, REFUSED, replace(NOBLE, profiled=True))
    away = "sudo apparmor_parser -R /etc/apparmor.d/bwrap-userns-restrict && sudo ln -s "
    assert away in line
    assert line.index(away) < line.index("printf")


@pytest.mark.parametrize(
    ("name", "value", "allowing"),
    [("kernel.unprivileged_userns_clone", "0", "1"), ("user.max_user_namespaces", "0", "15000")],
)
def test_other_kernel_settings_that_refuse(name: str, value: str, allowing: str) -> None:
    known = replace(NO_CONTAINER, sysctls={name: value})
    for level in (BWRAP, NAMESPACES):
        assert fix(level, REFUSED, known) == f"sudo sysctl -w {name}={allowing}"
        assert fix(level, REFUSED, replace(known, root=True)) == f"sysctl -w {name}={allowing}"
        assert fix_for(level, REFUSED, replace(known, sysctls={name: allowing})) is None


def test_nested_docker_and_podman_get_their_flags() -> None:
    for level in (BWRAP, NAMESPACES):
        assert fix(level, REFUSED, DOCKER) == (
            "start the container with --security-opt seccomp=unconfined "
            "--security-opt apparmor=unconfined --security-opt systempaths=unconfined"
        )
        assert fix(level, REFUSED, PODMAN) == (
            "start the container with --security-opt unmask=ALL --security-opt apparmor=unconfined"
        )
    missing = "neither podman nor docker is installed"
    assert fix_for(CONTAINER, missing, DOCKER) == fix_for(NAMESPACES, REFUSED, DOCKER)


def test_a_container_on_a_machine_that_refuses_needs_both() -> None:
    line = fix(BWRAP, REFUSED, replace(DOCKER, sysctls=NOBLE.sysctls))
    assert line.startswith(f"on the machine: sudo sysctl -w {APPARMOR}=0; and start the container with --sec")


def test_wsl_1_is_told_from_wsl_2() -> None:
    for level in (BWRAP, NAMESPACES, CONTAINER, LANDLOCK):
        line = fix(level, REFUSED, Facts(release="4.4.0-19041-Microsoft"))
        assert line.endswith("wsl --set-version DISTRIBUTION 2")
    wsl2 = Facts(release="5.15.153.1-microsoft-standard-WSL2")
    assert fix(BWRAP, "bwrap is not installed", wsl2) == "sudo apt install bubblewrap"


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_other_systems_get_the_line_of_a_container(system: str) -> None:
    known = Facts(system)
    lines = {fix(level, "no", known) for level in (BWRAP, NAMESPACES, CONTAINER, LANDLOCK, "any level")}
    (line,) = lines
    assert "docker run --rm -it --security-opt seccomp=unconfined" in line
    assert "systempaths=unconfined" in line
    assert ("wsl --install" in line) is (system == "win32")


@pytest.mark.parametrize(
    ("installer", "line"),
    [
        ("apt", "sudo apt install bubblewrap"),
        ("dnf", "sudo dnf install bubblewrap"),
        ("zypper", "sudo zypper install bubblewrap"),
        ("pacman", "sudo pacman -S bubblewrap"),
        ("apk", "sudo apk add bubblewrap"),
    ],
)
def test_what_is_missing_is_installed_by_the_machines_own_manager(installer: str, line: str) -> None:
    known = replace(NO_CONTAINER, installer=installer)
    assert fix(BWRAP, "bwrap is not installed", known) == line
    assert fix(CONTAINER, "neither podman nor docker is installed", known).startswith(
        line.replace("bubblewrap", "podman")
    )


@pytest.mark.parametrize(
    ("problem", "helps"),
    [
        (
            "docker: Cannot connect to the Docker daemon at unix:///var/run/docker.sock.",
            "systemctl start docker",
        ),
        (
            "docker: permission denied while trying to connect to the Docker daemon socket at unix:///x",
            "usermod -aG docker $USER",
        ),
        ('Error: exec: "newuidmap": executable file not found in $PATH', "apt install uidmap"),
        ("Error: cannot find mappings for user x: no subuid ranges found", "usermod --add-subuids"),
    ],
)
def test_an_engine_that_does_not_work_gets_the_line_for_its_problem(problem: str, helps: str) -> None:
    assert helps in fix(CONTAINER, problem, replace(NO_CONTAINER, engine="docker"))
    assert fix_for(CONTAINER, "something else", replace(NO_CONTAINER, engine="docker")) is None


def test_facts_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(engines.ENGINE, "sudo -n docker")
    found = advice.facts()
    assert found.system == sys.platform
    assert found.engine == "sudo -n docker"
    assert found.installer in ("apt", "dnf", "zypper", "pacman", "apk")
    assert all(value.isdigit() for value in found.sysctls.values())


def test_where_programs_cannot_run_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "facts", lambda: Facts("darwin"))
    monkeypatch.setattr(levels, "try_level", lambda *_: pytest.fail("tried"))
    (found,) = probe()
    assert (found.ok, found.detail) == (False, "programs run on Linux only, this is darwin")
    assert "docker run" in (found.fix or "")
    for level, unsafe in (("auto", False), ("none", True)):
        with pytest.raises(MissingPrerequisite, match="this is darwin") as caught:
            Sandbox(level=level, unsafe_no_isolation=unsafe)
        assert caught.value.exit_code == ExitCode.PREREQUISITE


def test_windows_is_told_although_it_lacks_what_servers_need() -> None:
    code = """
        import sys
        sys.modules.update(fcntl=None, resource=None)
        from codefit.sandbox import levels, probe
        from codefit.sandbox.advice import Facts
        levels.facts = lambda: Facts("win32")
        print(probe()[0].fix)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": str(Path(codefit.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "wsl --install" in done.stdout, done.stderr


def test_where_nothing_works_the_strongest_levels_line_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "facts", lambda: NOBLE)
    monkeypatch.setenv(engines.ENGINE, "/nowhere/podman")
    monkeypatch.setattr(levels, "_try_start", lambda start, _: levels._failed(start.level, REFUSED))
    with pytest.raises(MissingPrerequisite, match="no isolation for hostile code") as caught:
        Sandbox()
    assert caught.value.exit_code == ExitCode.PREREQUISITE
    assert "apparmor_parser -r /etc/apparmor.d/bwrap" in caught.value.line()
