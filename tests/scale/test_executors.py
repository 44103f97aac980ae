"""Executors: the same results everywhere, errors as one line, no worker left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest

from codefit.core.errors import CodefitError, InputError, MissingPrerequisite
from codefit.scale import Executor, LocalExecutor, open_executor
from tests.scale import work


def test_every_item_gives_one_result(executor: Executor) -> None:
    assert sorted(executor.map(work.square, iter(range(40)))) == [n * n for n in range(40)]
    assert list(executor.map(work.square, [])) == []


def test_an_error_of_ours_comes_back_as_its_line(executor: Executor) -> None:
    with pytest.raises(InputError, match=r"^items: 7 is no good; give another$"):
        list(executor.map(work.refuse, [7]))
    assert list(executor.map(work.square, [3])) == [9]


def test_a_bug_in_a_worker_is_raised_here(executor: Executor) -> None:
    with pytest.raises(ZeroDivisionError):
        list(executor.map(work.break_down, [1]))


def test_items_are_taken_as_they_are_needed() -> None:
    executor, taken = LocalExecutor(2), []

    def items() -> None:
        for number in range(1_000):
            taken.append(number)
            yield number

    try:
        assert len(list(islice(executor.map(work.square, items()), 3))) == 3
        assert len(taken) < 20
    finally:
        executor.close()


def test_a_killed_worker_is_one_clear_line_and_the_next_map_works() -> None:
    executor = LocalExecutor(2)
    try:
        began = time.monotonic()
        with pytest.raises(CodefitError, match="a worker process was killed or ran out of memory"):
            list(executor.map(work.die, range(10)))
        assert time.monotonic() - began < 20
        assert sorted(executor.map(work.square, range(5))) == [0, 1, 4, 9, 16]
    finally:
        executor.close()


def _gone(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_a_killed_parent(tmp_path: Path, end: signal.Signals) -> None:
    code = (
        "from codefit.scale import LocalExecutor\nfrom tests.scale.work import tell_and_sleep\n"
        f"if __name__ == '__main__':\n    list(LocalExecutor(2).map(tell_and_sleep, [{str(tmp_path / 'w')!r}] * 2))\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    path = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    process = subprocess.Popen([sys.executable, str(script)], env={**os.environ, "PYTHONPATH": path})
    try:
        deadline = time.monotonic() + 30
        while len(workers := [int(p.suffix[1:]) for p in tmp_path.glob("w.*")]) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(end)
        process.wait(10)
        while not all(map(_gone, workers)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        process.kill()


def test_closing_does_not_wait_for_the_work(tmp_path: Path) -> None:
    executor = LocalExecutor(2)
    results = executor.map(work.tell_and_sleep, [str(tmp_path / "w")] * 2)

    class Enough(Exception):
        pass

    def enough(signum: int, frame: object) -> None:
        raise Enough

    before = signal.signal(signal.SIGALRM, enough)
    signal.setitimer(signal.ITIMER_REAL, 2)
    began = time.monotonic()
    try:
        with pytest.raises(Enough):
            list(results)
        executor.close()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - began < 20


def test_ray_that_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "codefit.scale.ray_executor", raising=False)
    with pytest.raises(MissingPrerequisite, match=r"pip install 'codefit\[ray\]'"):
        open_executor("ray")


def test_unknown_executors_are_refused() -> None:
    with pytest.raises(InputError, match="known: local, ray"):
        open_executor("cluster")
