"""Suites by name and layout, and what is said about data that cannot be used."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from codefit.core.errors import InputError, InputErrors
from codefit.suites.check import Check
from codefit.suites.load import load_suite
from tests.shared_data import shared_data

PLUS: dict[str, Any] = {
    "task_id": "Mbpp/3", "prompt": '"""Double it."""\n', "entry_point": "twice", "atol": 0,
    "canonical_solution": "def twice(x):\n    return 2 * x\n", "base_input": [[1], [2]], "plus_input": [[0.5], [10]],
}  # fmt: skip
MBPP = {
    "task_id": 11, "text": "Double it.", "code": "def twice(x):\r\n  return 2 * x",
    "test_list": ["assert twice(1) == 2"], "test_setup_code": "",
}  # fmt: skip
HUMANEVAL = {
    "task_id": "HumanEval/0", "prompt": "def twice(x):\n    '''Double it.'''\n", "entry_point": "twice",
    "canonical_solution": "    return 2 * x\n",
    "test": "META = {}\n\ndef check(candidate):\n    assert candidate(1) == 2\n    assert True, 'fine'\n",
}  # fmt: skip


def written(path: Path, *rows: Any) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
    return path


def test_evalplus_layout_gives_base_and_plus(tmp_path: Path) -> None:
    data = written(tmp_path / "d.jsonl", PLUS)
    suite = load_suite("mbpp+", data)
    task = suite.tasks[0]
    assert task.tests.inputs == ((1,), (2,))
    assert task.plus is not None
    assert task.plus.inputs == ((0.5,), (10,))
    base = load_suite("mbpp", data)
    assert base.tasks[0].plus is None
    assert base.info.revision == suite.info.base_revision != suite.info.revision


def test_gzip_is_read_like_plain_text(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(PLUS).encode() + b"\n"))
    plain = load_suite("mbpp+", written(tmp_path / "d.jsonl", PLUS)).info
    packed = load_suite("mbpp+", path).info
    assert (plain.revision, plain.data_hash) == (packed.revision, packed.data_hash)


def test_mbpp_layout_keeps_the_test_split(tmp_path: Path) -> None:
    rows = [{**MBPP, "task_id": i} for i in (10, 11, 510, 511)]
    suite = load_suite("mbpp", written(tmp_path / "d.jsonl", *rows))
    assert [t.task_id for t in suite.tasks] == ["Mbpp/11", "Mbpp/510"]
    assert suite.tasks[0].entry_point == "twice"


def test_humaneval_checks_become_assertions(tmp_path: Path) -> None:
    task = load_suite("humaneval", written(tmp_path / "d.jsonl", HUMANEVAL)).tasks[0]
    assert task.tests.asserts == ("assert twice(1) == 2", "assert True")
    assert not Check("", task.tests).trusting


def test_a_check_with_a_loop_is_run_as_a_whole(tmp_path: Path) -> None:
    test = "def check(candidate):\n    for i in range(3):\n        assert candidate(i) == 2 * i\n"
    task = load_suite("humaneval", written(tmp_path / "d.jsonl", {**HUMANEVAL, "test": test})).tasks[0]
    assert task.tests.asserts == ("check(twice)",)


def test_own_layouts(tmp_path: Path) -> None:
    rows = [
        {"task_id": "a", "prompt": "p", "tests": ["assert f(1) == 1"]},
        {"task_id": "b", "prompt": "p", "test_list": ["assert g(1) == 1"], "reference": "def g(x): return x"},
        {"task_id": "c", "prompt": "p", "entry_point": "h", "inputs": [[1]], "outputs": [2], "atol": 0.5},
        {"task_id": "d", "prompt": "p", "inputs": ["1\n"], "outputs": ["1\n"]},
    ]
    suite = load_suite(str(written(tmp_path / "mine.jsonl", *rows)))
    assert suite.info.name == "mine"
    assert [t.entry_point for t in suite.tasks] == ["f", "g", "h", None]
    assert [t.tests.kind for t in suite.tasks] == ["asserts", "asserts", "calls", "stdin"]
    assert suite.tasks[2].atol == 0.5


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mbp", "did you mean 'mbpp'"),
        ("no/such/file.jsonl", "no such file"),
    ],
)
def test_names_that_cannot_be_loaded(name: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        load_suite(name)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{broken", "not JSON"),
        ({"task_id": "Mbpp/4"}, "test_list"),
        ({**PLUS, "task_id": "Mbpp/3"}, "second time"),
        ({**PLUS, "task_id": "Mbpp/4", "base_input": []}, "no test inputs"),
        ({**PLUS, "task_id": "Mbpp/4", "prompt": 5}, "'prompt' is not a text"),
        ({**PLUS, "task_id": "Mbpp/252", "base_input": [["x"]]}, "complex"),
        ({k: v for k, v in PLUS.items() if k != "entry_point"}, "'entry_point' is missing"),
    ],
)
def test_bad_lines_are_named_and_skipped_or_refused(tmp_path: Path, row: Any, said: str) -> None:
    data = written(tmp_path / "d.jsonl", PLUS, row)
    suite = load_suite("mbpp+", data)
    assert len(suite.tasks) == 1
    assert len(suite.problems) == 1
    assert f"{data}:2: " in suite.problems[0]
    assert said in suite.problems[0]
    with pytest.raises(InputErrors):
        load_suite("mbpp+", data, strict=True)


@pytest.mark.parametrize("rows", [(), ("",), ("nothing",)])
def test_data_without_a_task_are_refused(tmp_path: Path, rows: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="no usable task"):
        load_suite("mbpp+", written(tmp_path / "d.jsonl", *rows))


def test_missing_data_and_unknown_oracles_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_suite("mbpp+", tmp_path / "none.jsonl")
    with pytest.raises(InputError, match="oracle"):
        load_suite("mbpp+", written(tmp_path / "d.jsonl", PLUS), oracle="9")
    with pytest.raises(InputError, match="limit"):
        load_suite("mbpp+", written(tmp_path / "d.jsonl", PLUS), limit=0)


def test_a_limit_changes_the_revision_and_is_marked(tmp_path: Path) -> None:
    data = written(tmp_path / "d.jsonl", PLUS, {**PLUS, "task_id": "Mbpp/4"})
    whole, part = load_suite("mbpp+", data).info, load_suite("mbpp+", data, limit=1).info
    assert whole.limit is None
    assert (part.limit, part.tasks) == (1, 1)
    assert part.revision != whole.revision


def test_a_limit_keeps_all_tasks_at_hand_for_decontamination(tmp_path: Path) -> None:
    data = written(tmp_path / "d.jsonl", PLUS, {**PLUS, "task_id": "Mbpp/4"})
    part = load_suite("mbpp+", data, limit=1)
    assert [t.task_id for t in part.tasks] == ["Mbpp/3"]
    assert [t.task_id for t in part.all_tasks] == ["Mbpp/3", "Mbpp/4"]


def test_the_oracle_is_part_of_the_harness(tmp_path: Path) -> None:
    data = written(tmp_path / "d.jsonl", PLUS)
    assert load_suite("mbpp+", data).info.harness != load_suite("mbpp+", data, oracle="0.2").info.harness


def test_the_micro_world_is_a_suite() -> None:
    suite = load_suite("micro", limit=5)
    assert len(suite.tasks) == 5
    assert all(len(t.tests) for t in suite.tasks)


@pytest.mark.parametrize(
    ("name", "file", "tasks"),
    [
        ("mbpp+", "mbpp_plus_v0.1.0.jsonl.gz", 399),
        ("mbpp+", "mbpp_plus_v0.2.0.jsonl.gz", 378),
        ("mbpp", "mbpp_plus_v0.1.0.jsonl.gz", 399),
        ("mbpp", "mbpp.jsonl.gz", 500),
        ("mbpp", "mbpp_sanitized.jsonl.gz", 257),
        ("humaneval", "humaneval.jsonl.gz", 164),
    ],
)
def test_published_files_are_read_whole(name: str, file: str, tasks: int) -> None:
    suite = load_suite(name, shared_data(file), strict=True)
    assert len(suite.tasks) == suite.info.tasks == tasks
    assert all(t.entry_point for t in suite.tasks)
    assert not suite.problems


def test_mbpp_dev_is_the_validation_split_and_needs_mbpps_own_layout() -> None:
    suite = load_suite("mbpp-dev", shared_data("mbpp.jsonl.gz"))
    assert [t.task_id for t in suite.tasks] == [f"Mbpp/{n}" for n in range(511, 601)]
    assert len(suite.all_tasks) == 974
    assert suite.info.family == "mbpp"
    with pytest.raises(InputError, match="alone has the validation split"):
        load_suite("mbpp-dev", shared_data("mbpp_plus_v0.2.0.jsonl.gz"))
