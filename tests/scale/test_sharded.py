"""Curation over shards: the files of the funnel in memory, for any shards, executor and kill."""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codefit.core.curation import DEFAULT_STEPS
from codefit.core.errors import CodefitError, InputError
from codefit.core.types import Row
from codefit.curate import CurateSettings, curate, read_dropped, read_rows
from codefit.curate.sharded import Input, curate_sharded
from codefit.micro import tasks
from codefit.sandbox import Sandbox
from codefit.scale import Executor, LocalExecutor
from codefit.sources import open_source
from codefit.suites.load import load_suite
from tests.curate.conftest import asserts, row
from tests.shared_data import shared_data

STEPS = ("normalise", "language", "syntax", "dedup_exact", "decontaminate", "dedup_near")
SETTINGS = CurateSettings(steps=STEPS, decontaminate={"execution_match": "off"})
SUITES = {"micro": tasks("test")[:40]}
FILES = ("kept.parquet", "raw.parquet", "random.parquet", "dropped.parquet", "hits.jsonl", "funnel.json")


def _files(folder: Path, names: Iterable[str] = FILES) -> dict[str, bytes]:
    return {name: (folder / "data" / name).read_bytes() for name in names}


def _in_memory(
    rows: Sequence[Row], folder: Path, chosen: CurateSettings = SETTINGS, **more: Any
) -> dict[str, bytes]:
    curate(rows, chosen, folder, **({"tasks": SUITES, "sandbox": None, "seed": 3} | more))
    return _files(folder, (*FILES, "card.md"))


def _sharded(
    rows: Sequence[Row], folder: Path, chosen: CurateSettings = SETTINGS, **more: Any
) -> dict[str, bytes]:
    given_ = {"tasks": SUITES, "executor": LocalExecutor(1), "code": "1", "seed": 3, "shard_rows": 20}
    curate_sharded(Input("rows", lambda: iter(rows)), chosen, folder, **(given_ | more))
    assert not (folder / "data" / "shards").exists()
    return _files(folder, (*FILES, "card.md"))


@pytest.fixture(scope="module")
def dirty() -> list[Row]:
    """Rows of the micro world with copies of three kinds, rows of other languages, and leaks."""
    rng = random.Random(5)
    rows = list(open_source({"kind": "micro", "limit": 90}).rows())
    for number, base in enumerate(rng.sample(rows, 30)):
        ask, answer = base.instruction, base.response
        if number % 3 == 1:
            ask = " ".join([*ask.split(), "please"])
        elif number % 3 == 2:
            answer = answer.replace("return", "# edited\n    return", 1)
        rows.append(row(f"copy{number}", ask, answer, tests=base.tests))
    rows += [row(f"leak{t.task_id}", t.prompt, t.reference or "") for t in SUITES["micro"][:5]]
    rows += [
        row("sql", "Select.", "SELECT a FROM b;"),
        row("bad", "Add.", "def f(x:\n"),
        row("none", "Say.", ""),
    ]
    rng.shuffle(rows)
    return rows


@pytest.fixture(scope="module")
def wanted(dirty: list[Row], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    files = _in_memory(dirty, tmp_path_factory.mktemp("memory"))
    steps = json.loads(files["funnel.json"])["steps"]
    assert all(step["dropped"] for step in steps)  # every step has something to do
    return files


@pytest.mark.parametrize("shard_rows", [7, 1_000])
def test_any_shards_give_the_files_of_the_funnel_in_memory(
    dirty: list[Row], wanted: dict[str, bytes], tmp_path: Path, shard_rows: int
) -> None:
    assert _sharded(dirty, tmp_path / "small", shard_rows=shard_rows) == wanted
    large = _sharded(dirty, tmp_path / "large", shard_rows=shard_rows, in_memory_rows=0)
    assert {name: large[name] for name in FILES} == {name: wanted[name] for name in FILES}
    assert b"| micro | 40 |" in large["card.md"]


def test_shards_of_one_row(dirty: list[Row], tmp_path: Path) -> None:
    few = [*dirty[:9], row("again", dirty[0].instruction, dirty[0].response)]
    assert _sharded(few, tmp_path / "a", shard_rows=1) == _in_memory(few, tmp_path / "b")


def test_executors_give_the_same_files(
    dirty: list[Row], wanted: dict[str, bytes], tmp_path: Path, executor: Executor
) -> None:
    assert _sharded(dirty, tmp_path, shard_rows=60, executor=executor) == wanted


def test_the_order_of_shards_changes_no_decision(dirty: list[Row], tmp_path: Path) -> None:
    shards = [dirty[i : i + 40] for i in range(0, len(dirty), 40)]
    found = []
    for number in range(2):
        random.Random(number).shuffle(shards)
        folder = tmp_path / str(number)
        _sharded(list(itertools.chain.from_iterable(shards)), folder, shard_rows=40)
        kept = {r.id: r.extra for r in read_rows(folder / "data" / "kept.parquet")}
        dropped = {(d.row_id, d.step, d.reason) for d in read_dropped(folder / "data" / "dropped.parquet")}
        assert not kept.keys() & {row_id for row_id, _, _ in dropped}
        assert kept.keys() | {row_id for row_id, _, _ in dropped} == {r.id for r in dirty}
        assert len(kept) + len(dropped) == len(dirty)
        found.append((kept, dropped))
    assert found[0] == found[1]


WORDS = "sort the list of odd even numbers in this file and drop first last item twice".split()  # noqa: SIM905
REQUESTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=14).map(" ".join)
CODE = st.lists(
    st.sampled_from(["x = 1", "y = x + 2", "print(y)", "z = [x, y]", "del z"]), min_size=1, max_size=8
)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(REQUESTS, CODE, st.integers(0, 2)), min_size=1, max_size=14),
    st.sampled_from([3, 100]),
    st.sampled_from([0, 1_000]),
)
def test_generated_near_duplicates_are_those_of_the_funnel_in_memory(
    drawn: list[tuple[str, list[str], int]], shard_rows: int, in_memory_rows: int
) -> None:
    tests = [None, asserts("assert f(1) == 1"), asserts("assert f(1) == 2")]
    rows = [row(f"r{i:02}", ask, "\n".join(code), tests=tests[t]) for i, (ask, code, t) in enumerate(drawn)]
    chosen = CurateSettings(steps=("dedup_near", "dedup_exact"))
    with tempfile.TemporaryDirectory() as folder:
        want = _in_memory(rows, Path(folder) / "a", chosen)
        have = _sharded(
            rows, Path(folder) / "b", chosen, shard_rows=shard_rows, in_memory_rows=in_memory_rows
        )
    assert {name: have[name] for name in FILES} == {name: want[name] for name in FILES}


def test_all_steps_with_programs_give_the_files_of_the_funnel_in_memory(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    rows = list(open_source({"kind": "micro", "limit": 60}).rows())
    chosen = CurateSettings(steps=DEFAULT_STEPS, select={"rows": 12})
    want = _in_memory(rows, tmp_path / "a", chosen, sandbox=sandbox)
    assert _sharded(rows, tmp_path / "b", chosen, sandbox=sandbox, in_memory_rows=60) == want
    large = _sharded(rows, tmp_path / "c", chosen, sandbox=sandbox, in_memory_rows=59)
    assert {name: large[name] for name in FILES} == {name: want[name] for name in FILES}


def test_too_many_rows_for_a_step_that_needs_all_are_refused(dirty: list[Row], tmp_path: Path) -> None:
    chosen = CurateSettings(steps=("normalise", "quality"))
    with pytest.raises(InputError, match=r"quality: it needs all rows at once, at most 50; \d+ are left"):
        _sharded(dirty, tmp_path, chosen, in_memory_rows=50)


def test_repeated_ids_and_no_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two rows have the id 'a'"):
        _sharded([row("a"), row("b"), row("a")], tmp_path / "a", shard_rows=1)
    with pytest.raises(InputError, match="no rows to curate"):
        _sharded([], tmp_path / "b")


class Counting(LocalExecutor):
    """An executor that counts pieces of work, and gives out after some."""

    def __init__(self, most: int) -> None:
        super().__init__(1)
        self.done, self.most = 0, most

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        for result in super().map(function, items):
            self.done += 1
            if self.done > self.most:
                raise CodefitError("gave out")
            yield result


def test_a_second_run_does_the_rest_only(dirty: list[Row], wanted: dict[str, bytes], tmp_path: Path) -> None:
    reads = []

    def read() -> Iterator[Row]:
        reads.append(1)
        yield from dirty

    def run(executor: Executor, name: str = "a", code: str = "1") -> None:
        curate_sharded(Input("rows", read), SETTINGS, tmp_path / name, tasks=SUITES, executor=executor, code=code,
                       seed=3, shard_rows=50)  # fmt: skip

    whole = Counting(1_000)
    run(whole, "b")
    first, rest = Counting(12), Counting(1_000)
    with pytest.raises(CodefitError, match="gave out"):
        run(first)
    run(rest)
    assert _files(tmp_path / "a") == {name: wanted[name] for name in FILES}
    assert first.done + rest.done <= whole.done + 1
    assert len(reads) == 2
    with pytest.raises(CodefitError, match="gave out"):
        run(Counting(12), "c")
    other = Counting(1_000)
    run(other, "c", code="2")
    assert other.done == whole.done
    assert len(reads) == 4


SCRIPT = """
import sys
from pathlib import Path
from codefit.curate.sharded import Input, curate_sharded
from codefit.scale import LocalExecutor
from codefit.sources import open_source
from tests.scale.test_sharded import SETTINGS, SUITES

if __name__ == "__main__":
    executor = LocalExecutor(2)
    source = open_source({"kind": "micro", "limit": 160})
    curate_sharded(Input("micro", source.rows), SETTINGS, Path(sys.argv[1]), tasks=SUITES, executor=executor,
                   code="1", seed=3, shard_rows=25, in_memory_rows=0)
    executor.close()
"""


@pytest.mark.release
def test_killed_runs_end_with_the_same_bytes(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}

    def start(name: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, str(script), str(tmp_path / name)], env=env)

    began = time.monotonic()
    assert start("whole").wait(120) == 0
    took = time.monotonic() - began
    rng = random.Random(took)
    for _ in range(3):
        process = start("killed")
        time.sleep(rng.uniform(0.2, 0.9) * took)
        process.kill()
        process.wait()
    assert start("killed").wait(120) == 0
    whole, killed = (_files(tmp_path / name, (*FILES, "card.md")) for name in ("whole", "killed"))
    assert killed == whole
    rows = list(open_source({"kind": "micro", "limit": 160}).rows())
    want = _in_memory(rows, tmp_path / "memory")
    assert {name: killed[name] for name in FILES} == {name: want[name] for name in FILES}


def test_real_rows_give_the_same_files_on_every_executor(tmp_path: Path, executor: Executor) -> None:
    rows = list[Row]()
    for kind, name in (
        ("code_alpaca", "code_alpaca_20k"),
        ("taco", "taco_schema_stdin"),
        ("taco", "taco_schema_function"),
    ):
        path = shared_data(f"{name}.jsonl.gz")
        rows += open_source({"kind": kind, "name": name, "path": path, "limit": 150}).rows()
    suites = {"mbpp": load_suite("mbpp", shared_data("mbpp.jsonl.gz")).all_tasks}
    want = _in_memory(rows, tmp_path / "a", tasks=suites)
    have = _sharded(rows, tmp_path / "b", tasks=suites, executor=executor, shard_rows=200)
    assert have == want
