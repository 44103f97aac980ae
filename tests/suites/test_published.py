"""Suites without --data: the hub's datasets as the layouts that are judged."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from codefit.core.errors import InputError, MissingPrerequisite
from codefit.suites.load import load_suite
from codefit.suites.published import plus_row
from codefit.suites.rebuild import mbpp_arguments
from tests.hub.conftest import world as world
from tests.hub.worlds import TASKS, check_of, parquet, plus_test
from tests.hub_server import Repo, Server
from tests.shared_data import shared_data


def test_every_benchmark_comes_from_its_dataset(world: Server) -> None:
    found = {n: load_suite(n) for n in ("mbpp", "mbpp-dev", "mbpp+", "humaneval", "humaneval+")}
    found |= {n: load_suite(n, judging=False) for n in ("bigcodebench", "bigcodebench-hard")}
    numbers = {"mbpp": 3, "mbpp-dev": 2, "mbpp+": 3, "humaneval": 1, "humaneval+": 1}
    assert {n: len(s.tasks) for n, s in found.items()} == numbers | {
        "bigcodebench": 1,
        "bigcodebench-hard": 1,
    }
    assert len(found["mbpp"].all_tasks) == 7  # train and prompt too: no training row may give them away
    assert found["bigcodebench"].tasks[0].prompt == "Double."
    head = world.repos["datasets/evalplus/mbppplus"].head
    assert found["mbpp+"].info.data == f"evalplus/mbppplus@{head}"
    assert found["mbpp+"].info.oracle == "0.3"


def test_the_same_rows_have_the_same_revision_from_hub_and_file(world: Server, tmp_path: Path) -> None:
    path = tmp_path / "mbpp.jsonl"
    path.write_text("".join(json.dumps(t) + "\n" for t in TASKS))
    assert load_suite("mbpp", path).info.revision == load_suite("mbpp").info.revision


def test_a_revision_keeps_what_it_was(world: Server) -> None:
    repo = world.repos["datasets/google-research-datasets/mbpp"]
    old, first = load_suite("mbpp").info, repo.head
    fewer = {**repo.commits[first], "full/test-00000-of-00001.parquet": parquet(TASKS[:1])}
    repo.push(fewer)
    assert load_suite("mbpp").info.tasks == 1
    assert load_suite("mbpp", revision=first).info == old


def test_a_dataset_that_lost_a_column_is_refused_by_row(world: Server) -> None:
    row = {"task_id": 11, "code": "x", "prompt": "x", "test_list": ["assert 1"], "test": "inputs = unknown"}
    files = {"data/test-0.parquet": parquet([row])}
    world.repos["datasets/evalplus/mbppplus"] = Repo.of(files)
    with pytest.raises(InputError, match="uses 'unknown' in its inputs"):
        load_suite("mbpp+")


def test_without_network_the_way_out_is_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with pytest.raises(
        MissingPrerequisite, match=r"suite mbpp\+: evalplus/mbppplus: cannot reach .*--data FILE"
    ):
        load_suite("mbpp+")


def arguments_of(task: dict[str, Any]) -> list[Any]:
    """Return the arguments of all tests of a task of evalplus' layout, as programs get them, each once."""
    raw = [*task["base_input"], *task["plus_input"]]
    return list({str(a): a for a in (list(mbpp_arguments(task["task_id"], i)) for i in raw)}.values())


def hub_row(task: dict[str, Any], source: dict[str, Any]) -> dict[str, Any]:
    """Return a task of evalplus' release as its maker writes it into the dataset on the hub."""
    test = plus_test(arguments_of(task), None, atol=task["atol"])
    return {"task_id": source["task_id"], "code": task["canonical_solution"], "prompt": source["prompt"],
            "source_file": "", "test_imports": [], "test_list": source["test_list"], "test": test}  # fmt: skip


def test_mbpp_plus_is_made_again_from_its_text() -> None:
    def lines(name: str) -> list[dict[str, Any]]:
        with gzip.open(shared_data(name), "rt", encoding="utf-8") as f:
            return [json.loads(line) for line in f]

    clean = {r["task_id"]: r for r in lines("mbpp_sanitized.jsonl.gz")}
    differ = {"base": 0, "arguments": 0, "prompt": 0, "atol": 0, "entry_point": 0}
    for task in lines("mbpp_plus_v0.2.0.jsonl.gz"):
        if len(str(task["plus_input"])) > 20_000:
            continue  # six tasks, most of the time
        source = clean[int(task["task_id"].split("/")[1])]
        made = json.loads(json.dumps(plus_row(hub_row(task, source))))
        differ["base"] += len(made["base_input"]) != len(task["base_input"])
        differ["arguments"] += arguments_of(made) != arguments_of(task)
        differ["prompt"] += made["prompt"].split() != task["prompt"].split()
        differ["atol"] += made["atol"] != task["atol"]
        differ["entry_point"] += made["entry_point"] != task["entry_point"]
    assert differ == {"base": 5, "arguments": 0, "prompt": 0, "atol": 0, "entry_point": 0}


def test_humaneval_plus_is_made_again_from_its_text() -> None:
    row = {
        "task_id": "HumanEval/0",
        "prompt": "def f(x):\n",
        "entry_point": "f",
        "canonical_solution": "    return x",
    }
    made = plus_row(
        {**row, "test": check_of(plus_test([[1], [(2, {"a": 1.5})], [float("inf")]], [1, 2, 3], atol=1e-6))}
    )
    assert made == {
        **row,
        "base_input": [[1], [[2, {"a": 1.5}]], [float("inf")]],
        "plus_input": [],
        "atol": 1e-6,
    }
    poly = check_of(
        "def _poly(xs, x):\n    return 0\n\ninputs = [[[1, 2]]]\nassert _poly(*candidate(*inp), inp) <= 0.0001"
    )
    assert plus_row({**row, "test": poly})["atol"] == 0.0001
