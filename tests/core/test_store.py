"""The run folder: stages run once, survive a kill, and belong to one recipe and one process."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codefit.core.errors import InputError
from codefit.core.files import (
    Ledger,
    atomic_path,
    canonical_json,
    digest,
    read_jsonl,
    write_json,
    write_jsonl,
)
from codefit.core.seeds import rng, subseed
from codefit.core.store import Store


def stage(store: Store, runs: list[str], **settings: object) -> bool:
    def work() -> None:
        runs.append("ran")
        (store.path / "out.txt").write_text(f"{settings}")

    return store.stage("make", settings, ["in.txt"], ["out.txt"], work)


def test_a_finished_stage_is_not_run_again(tmp_path: Path) -> None:
    runs: list[str] = []
    Store(tmp_path, version="1").close()
    (tmp_path / "in.txt").write_text("1")
    with Store(tmp_path, version="1") as store:
        assert stage(store, runs, a=1)
    with Store(tmp_path, version="1") as store:
        assert not stage(store, runs, a=1)
    assert runs == ["ran"]


def test_new_settings_inputs_or_a_lost_output_run_it_again(tmp_path: Path) -> None:
    runs: list[str] = []
    Store(tmp_path, version="1").close()
    (tmp_path / "in.txt").write_text("1")
    with Store(tmp_path, version="1") as store:
        stage(store, runs, a=1)
        assert stage(store, runs, a=2)
        (tmp_path / "in.txt").write_text("2")
        assert stage(store, runs, a=2)
        (tmp_path / "out.txt").unlink()
        assert stage(store, runs, a=2)
        (tmp_path / "out.txt").write_text("cut")
        assert stage(store, runs, a=2)
    assert len(runs) == 5


def test_a_stage_that_fails_is_not_complete(tmp_path: Path) -> None:
    Store(tmp_path, version="1").close()
    (tmp_path / "in.txt").write_text("1")

    def fail() -> None:
        raise RuntimeError("disk")

    with Store(tmp_path, version="1") as store:
        with pytest.raises(RuntimeError):
            store.stage("make", {}, ["in.txt"], ["out.txt"], fail)
    with Store(tmp_path, version="1") as store:
        assert "make" not in store.manifest["stages"]


def done_stage(store: Store, name: str = "make") -> None:
    (store.path / "data").mkdir(exist_ok=True)
    store.stage(name, {}, [], ["data/out.txt"], lambda: write_json(store.path / "data" / "out.txt", 1))


def test_a_folder_of_another_recipe_is_refused_and_fresh_empties_it(tmp_path: Path) -> None:
    with Store(tmp_path, version="1") as store:
        store.adopt_recipe("one", "name: one\n", "one")
        done_stage(store)
        store.event(stage="x")
    with Store(tmp_path, version="1") as store, pytest.raises(InputError, match=r"another recipe.*--fresh"):
        store.adopt_recipe("two", "name: two\n", "two")
    (tmp_path / "mine.txt").write_text("keep")
    with Store(tmp_path, version="1", fresh=True) as store:
        store.adopt_recipe("two", "name: two\n", "two")
    assert (tmp_path / "mine.txt").exists()
    assert not (tmp_path / "events.jsonl").exists()
    assert not (tmp_path / "data").exists()


def test_a_run_that_did_nothing_yet_takes_a_corrected_recipe(tmp_path: Path) -> None:
    for text in ("name: tyop\n", "name: typo\n"):
        with Store(tmp_path, version="1") as store:
            store.adopt_recipe("r", text, text)
    assert (tmp_path / "recipe.resolved.yaml").read_text() == "name: typo\n"


def test_settings_that_change_no_result_are_taken(tmp_path: Path) -> None:
    with Store(tmp_path, version="1") as store:
        store.adopt_recipe("r", "jobs: 1\n", "same")
        done_stage(store)
    with Store(tmp_path, version="1") as store:
        store.adopt_recipe("r", "jobs: 2\n", "same")
    assert (tmp_path / "recipe.resolved.yaml").read_text() == "jobs: 2\n"


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("manifest", [None, '{"manifest_version": 3, "name": "an extension"}', "[]"])
def test_a_folder_that_is_no_run_is_never_touched(tmp_path: Path, manifest: str | None, fresh: bool) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("precious")
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(InputError, match="no codefit run"):
        Store(tmp_path, version="1", fresh=fresh)
    assert (tmp_path / "data" / "thesis.txt").read_text() == "precious"


def test_a_kill_while_emptying_leaves_a_folder_that_can_be_emptied(tmp_path: Path) -> None:
    with Store(tmp_path, version="1") as store:
        store.adopt_recipe("one", "name: one\n", "one")
        done_stage(store)
    (tmp_path / "recipe.resolved.yaml").unlink()
    with Store(tmp_path, version="1", fresh=True) as store:
        assert store.manifest["stages"] == {}
    assert not (tmp_path / "data").exists()


def test_a_stage_that_wrote_less_than_it_promised_is_not_complete(tmp_path: Path) -> None:
    with Store(tmp_path, version="1") as store:
        with pytest.raises(RuntimeError, match="did not write"):
            store.stage("make", {}, [], ["out.txt"], lambda: None)
        assert "make" not in store.manifest["stages"]


def test_another_version_of_codefit_does_its_stages_again(tmp_path: Path) -> None:
    with Store(tmp_path, version="1") as store:
        done_stage(store)
    with Store(tmp_path, version="2") as store:
        assert store.stage("make", {}, [], ["data/out.txt"], lambda: None)


def test_two_processes_cannot_write_one_run(tmp_path: Path) -> None:
    code = "import sys,time;from pathlib import Path;from codefit.core.store import Store\n"
    code += "s=Store(Path(sys.argv[1]),version='1');print('in',flush=True);time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(InputError, match="in use"):
            Store(tmp_path, version="1")
    finally:
        other.kill()
        other.wait()
    Store(tmp_path, version="1").close()


def test_a_folder_that_cannot_be_written_is_one_line() -> None:
    with pytest.raises(InputError, match="cannot write here"):
        Store(Path("/proc/codefit-run"), version="1")


def test_a_ledger_forgets_only_a_half_written_last_line(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    with Ledger(path) as ledger:
        ledger.append({"n": 1})
        ledger.append({"n": 2})
    path.write_bytes(path.read_bytes() + b'{"n": 3, "tex')
    with Ledger(path) as ledger:
        assert [e["n"] for e in ledger.entries] == [1, 2]
        ledger.append({"n": 4})
    assert [json.loads(x)["n"] for x in path.read_text().splitlines()] == [1, 2, 4]


_WRITER = """
import sys
from pathlib import Path
from codefit.core.files import Ledger
with Ledger(Path(sys.argv[1])) as ledger:
    print("go", flush=True)
    for i in range(len(ledger.entries), 10**9):
        ledger.append({"i": i, "text": "x" * (i % 997)})
"""


@pytest.mark.parametrize("text", ["my notes\nof years\n", '{"n": 1}\nnot json\n{"n": 2}\n', "no line end"])
def test_a_file_that_is_no_ledger_is_left_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(text)
    with pytest.raises(InputError):
        Ledger(path)
    assert path.read_text() == text


def test_a_ledger_survives_sigkill_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    for _ in range(3):
        child = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(0.1)
        child.kill()
        child.wait()
    with Ledger(path) as ledger:
        assert [e["i"] for e in ledger.entries] == list(range(len(ledger.entries)))
        assert len(ledger.entries) > 100


def test_an_atomic_write_leaves_the_old_file_when_it_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"v": 1})

    def fail() -> None:
        with atomic_path(path) as temp:
            temp.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert json.loads(path.read_text()) == {"v": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


_HALF = """
import sys, time
from pathlib import Path
from codefit.core.files import atomic_path
with atomic_path(Path(sys.argv[1])) as temp:
    temp.write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_writer_left_goes_with_the_next_write_and_a_living_one_keeps_its_file(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a[1].pt"
    killed, living = (
        subprocess.Popen([sys.executable, "-c", _HALF, str(path)], stdout=subprocess.PIPE) for _ in range(2)
    )
    for child in (killed, living):
        assert child.stdout is not None
        assert child.stdout.readline()
    killed.kill()
    killed.wait()
    assert len(list(tmp_path.iterdir())) == 2
    write_json(path, {"v": 1})
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".part", ".pt"]
    living.kill()
    living.wait()
    write_json(path, {"v": 2})
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_malformed_lines_are_named_and_skipped_or_raised(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n{broken\n\n[1]\n\xff\xfe\n{"a": 2}')
    bad: list[InputError] = []
    assert [v["a"] for _, v in read_jsonl(path, bad.append)] == [1, 2]
    assert [e.where for e in bad] == [f"{path}:{n}" for n in (2, 4, 5)]
    with pytest.raises(InputError, match=r"rows\.jsonl:2: not JSON"):
        list(read_jsonl(path))


def test_a_gzip_file_cut_short_is_named(tmp_path: Path) -> None:
    import gzip

    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}\n' * 20000)[:60])
    with pytest.raises(InputError, match="damaged"):
        list(read_jsonl(path))


@given(st.lists(st.dictionaries(st.text(max_size=5), st.integers() | st.text() | st.none(), max_size=4)))
def test_json_lines_read_back_as_written(rows: list[dict[str, object]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.jsonl"
        assert write_jsonl(path, rows) == len(rows)
        assert [v for _, v in read_jsonl(path)] == rows


def test_digests_do_not_confuse_neighbouring_parts() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    assert canonical_json({"b": 1, "a": [1.5, None]}) == '{"a":[1.5,null],"b":1}'


def test_named_seeds_are_stable_and_apart() -> None:
    assert subseed(0, "a") == subseed(0, "a") != subseed(0, "b") != subseed(1, "b")
    assert rng(3, "x", 1).random() == rng(3, "x", 1).random()
