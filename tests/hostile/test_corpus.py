"""Hostile programs of our own: no attack works, nothing hangs, every honest control passes."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from codefit.core.errors import MissingPrerequisite
from codefit.core.types import Outcome
from codefit.sandbox import Sandbox
from tests.hostile import corpus_table

ATTACKS = [
    case
    for name in ("host", "network", "channel", "resources", "hangs", "more_values")
    for case in corpus_table.read(name)
]
CONTROLS = corpus_table.read("controls") + corpus_table.read("more_controls")
LEVELS = ("bwrap+namespaces", "namespaces", "container", "landlock+seccomp")
# what the weakest level gives away, or takes from honest programs, by its nature
WEAKER = {
    "host:sees_other_places_of_the_machine": "names of files outside can be seen, their content not",
    "host:has_a_parent_it_can_name": "the process table is shared; no other process can be signalled or read",
    "host:becomes_another_user": "root stays root by name, without capabilities",
    "controls:process_pool": "there is no shared memory file system of the program's own",
}


def _processes() -> set[str]:
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            stat = Path("/proc", pid, "stat").read_text()
        except OSError:
            continue
        if stat.rsplit(")", 1)[1].split()[0] != "Z":
            found.add(pid)
    return found


@pytest.fixture(scope="module", params=LEVELS)
def box(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CODEFIT_TEST_SECRET", "canary")
        try:
            with Sandbox(level=request.param, jobs=1) as sandbox:
                yield sandbox
        except MissingPrerequisite as e:
            pytest.skip(e.line())


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    canary = tmp_path_factory.mktemp("canary") / "secret.txt"
    canary.write_text("secret")
    canary.chmod(0o644)
    name = f"codefit-{secrets.token_hex(8)}"
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as unix:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        unix.bind(f"\0{name}")
        unix.listen()
        yield {
            "CANARY": str(canary),
            "PORT": str(tcp.getsockname()[1]),
            "ABSTRACT": name,
            "PID": str(os.getpid()),
        }


def _skip_what_is_weaker(box: Sandbox, case: corpus_table.Case) -> None:
    if _is_weaker(box) and case.name in WEAKER:
        pytest.skip(WEAKER[case.name])


def _is_weaker(box: Sandbox) -> bool:
    """Return True where programs have no namespaces of their own; a container may have to do without."""
    return "(no namespaces:" in box.description


@pytest.mark.parametrize("case", ATTACKS, ids=lambda c: c.name)
def test_attack_gains_nothing(box: Sandbox, case: corpus_table.Case, places: dict[str, str]) -> None:
    _skip_what_is_weaker(box, case)
    began = time.monotonic()
    run = box.run(case.program(places))
    assert time.monotonic() - began < 30
    assert run.outcome is not Outcome.SANDBOX_FAILED, run.error
    rights = [x + 1 for x in corpus_table.INPUTS]
    assert not any(type(f.value) is int and f.value == r for f, r in zip(run.frames, rights, strict=False)), (
        run
    )
    if case.outcome:
        assert run.outcome.value == case.outcome, run


@pytest.mark.parametrize("case", CONTROLS, ids=lambda c: c.name)
def test_honest_program_passes(box: Sandbox, case: corpus_table.Case, places: dict[str, str]) -> None:
    _skip_what_is_weaker(box, case)
    corpus_table.skip_without_libraries(case)
    run = box.run(case.program(places))
    assert run.outcome is Outcome.PASSED, run
    assert [f.value for f in run.frames] == [x + 1 for x in corpus_table.INPUTS], run


@pytest.mark.parametrize("level", LEVELS)
def test_machine_is_as_before_after_the_corpus(
    level: str, places: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODEFIT_TEST_SECRET", "canary")
    before = _machine()
    try:
        sandbox = Sandbox(level=level, jobs=1)
    except MissingPrerequisite as e:
        pytest.skip(e.line())
    with sandbox:
        for case in (*corpus_table.read("host"), *corpus_table.read("more_values")):
            run = sandbox.run(case.program(places))
            if not _is_weaker(sandbox) or case.name not in WEAKER:
                assert not any(f.value in (4, 42) for f in run.frames), case.name
    assert _machine() == before


def _machine() -> tuple[set[str], ...]:
    """Our processes, and files where programs may write, but for the folders of sandboxes beside this one."""
    folders = (set(os.listdir(p)) for p in ("/tmp", "/dev/shm"))
    return (_ours(), *({n for n in names if not n.startswith("codefit-sandbox-")} for names in folders))


def _ours() -> set[str]:
    """Processes whose parents lead to this one."""
    parents = {}
    for pid in _processes():
        try:
            parents[pid] = Path("/proc", pid, "stat").read_text().rsplit(")", 1)[1].split()[1]
        except OSError:
            continue
    found = {str(os.getpid())}
    while more := {p for p, parent in parents.items() if parent in found} - found:
        found |= more
    return found
