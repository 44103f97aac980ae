"""Both ways of forking into new namespaces, each in an interpreter of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import codefit

SCRIPT = """
    import os, signal, sys, threading
    from codefit.sandbox.inside import kernel
    from codefit.sandbox.inside.forking import Forker
    from codefit.sandbox.inside.isolate import Config, Jail

    def say(*words):
        os.write(1, (" ".join(map(str, words)) + "\\n").encode())

    hooks = []
    os.register_at_fork(before=lambda: hooks.append("before"), after_in_child=lambda: hooks.append("child"),
                        after_in_parent=lambda: hooks.append("parent"))
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    config = Config("namespaces", True, False, os.getuid(), os.getgid(), "/tmp", (), (), (), (), (), (), False)
    forker = Forker(Jail(config))
    if sys.argv[1] == "one step" and not forker.one_step:
        sys.exit(77)
    forker.one_step = sys.argv[1] == "one step"
    hooks.clear()
    try:
        pid = forker.fork()
    except OSError:
        sys.exit(77)
    if pid:
        say("parent", hooks[0], hooks[-1], os.getpid() != 1)
        say("status", os.waitpid(pid, 0)[1])
        os._exit(0)
    forker._jail.map_user()
    say("child", os.getpid(), threading.get_native_id(), hooks[-1], os.getppid())
    worker = threading.Thread(target=lambda: say("thread"))
    worker.start()
    worker.join()
    if (below := os.fork()) == 0:
        os.abort()
    say("below", os.WTERMSIG(os.waitpid(below, 0)[1]) == signal.SIGABRT)
    os._exit(7)
"""


@pytest.mark.parametrize("way", ["one step", "two steps"])
def test_the_fork_is_the_first_process_of_its_namespaces_and_a_whole_interpreter(way: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(codefit.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), way], env=environment, capture_output=True, text=True
    )
    if done.returncode == 77:
        pytest.skip(f"no fork in {way} into namespaces here")
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == [
        "below True",
        "child 1 1 child 0",
        "parent before parent True",
        f"status {7 << 8}",
        "thread",
    ]
