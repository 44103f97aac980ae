"""Datasets of the hub: the files of a split by the card's rules, as the `datasets` client reads them too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from codefit.core.errors import InputError
from codefit.hub import Hub, look
from codefit.hub.dataset import split_files
from codefit.sources import open_source
from tests.hub.worlds import environment, parquet
from tests.hub_server import Repo, Server

ROWS = [
    {"q": "Write f.", "a": "def f():\n    return 1", "level": "EASY"},
    {"q": "Write g.", "a": "def g(): pass", "level": "HARD"},
]
LINES = "".join(json.dumps(r) + "\n" for r in ROWS).encode()
COLUMNS = {"instruction": "q", "output": "a", "difficulty": "level"}


def own(server: Server, **files: bytes) -> None:
    server.repos["datasets/me/mine"] = Repo.of({k.replace("__", "/"): v for k, v in files.items()})


def files_of(config: str | None = None, split: str | None = None, repo: str = "me/mine") -> list[str]:
    hub = Hub.from_environment()
    return split_files(hub, look(hub, repo, None, "dataset"), config, split)


def test_code_alpaca_and_taco_need_no_path(world: Server) -> None:
    alpaca = list(open_source({"kind": "code_alpaca", "limit": 7}).rows())
    assert (len(alpaca), alpaca[0].licence, alpaca[0].source) == (7, "CC BY-NC 4.0", "code_alpaca")
    world.log.clear()
    taco = open_source({"kind": "taco"})
    revision, about = taco.revision, taco.describe()["about"]
    assert not world.asked("/storage/")  # what decides a stage is known before anything large is downloaded
    rows = list(taco.rows())
    assert len(rows) == 60
    assert f"BAAI/TACO at {world.repos['datasets/BAAI/TACO'].head}" in about
    assert not world.asked("ALL/test-")
    assert (
        revision
        == open_source({"kind": "taco"}).revision
        != open_source({"kind": "taco", "split": "test"}).revision
    )


def test_rows_are_those_of_a_local_copy(world: Server, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    repo = world.repos["datasets/BAAI/TACO"]
    for name, data in repo.commits[repo.head].items():
        if "train" in name:
            (folder / Path(name).name).write_bytes(data)
    local = open_source({"kind": "taco", "path": folder})
    assert list(open_source({"kind": "taco"}).rows()) == list(local.rows())


@pytest.mark.parametrize(
    "files",
    [
        {"rows.jsonl": LINES},
        {
            "data__train-00000-of-00001.parquet": parquet(ROWS),
            "data__test-00000-of-00001.parquet": parquet(ROWS[:1]),
        },
        {"rows.json": json.dumps(ROWS).encode()},
        {"train.csv": b'q,a,level\nWrite f.,"def f():\n    return 1",EASY\nWrite g.,def g(): pass,HARD\n'},
    ],
)
def test_any_dataset_with_named_columns(world: Server, files: dict[str, bytes]) -> None:
    own(world, **files)
    rows = list(open_source({"kind": "hub", "repo": "me/mine", "columns": COLUMNS}).rows())
    assert [(r.instruction, r.response, r.difficulty, r.source) for r in rows] == [
        (r["q"], r["a"], r["level"], "mine") for r in ROWS
    ]


def test_a_column_that_is_not_there_is_named_with_those_that_are(world: Server) -> None:
    own(world, **{"rows.jsonl": LINES})
    source = open_source({"kind": "hub", "repo": "me/mine", "columns": {"instruction": "question"}})
    with pytest.raises(InputError, match=r"no column 'question'; columns: q, a, level"):
        list(source.rows())


def test_the_card_chooses_files(world: Server) -> None:
    card = b"""---
configs:
- config_name: small
  data_files: "part/*.jsonl"
- config_name: all
  default: true
  data_files:
  - split: train
    path: ["part/a.jsonl", "deep/**/*.parquet"]
  - split: held
    path: part/b.jsonl
---
"""
    own(world, **{"README.md": card, "part__a.jsonl": LINES, "part__b.jsonl": LINES, "part__c__d.jsonl": LINES,
                  "deep__x.parquet": b"", "deep__er__y.parquet": b""})  # fmt: skip
    assert files_of() == ["deep/er/y.parquet", "deep/x.parquet", "part/a.jsonl"]
    assert files_of(split="held") == ["part/b.jsonl"]
    assert files_of("small") == ["part/a.jsonl", "part/b.jsonl"]
    for wanted, message in (
        (("smal", None), "did you mean 'small'"),
        ((None, "test"), "no split 'test'; there: train, held"),
    ):
        with pytest.raises(InputError, match=message):
            files_of(*wanted)


def test_without_a_card_names_choose_files(world: Server) -> None:
    own(world, **{"README.md": b"no head", "py__train.jsonl": LINES, "py__test.jsonl": LINES, "js__train.jsonl": LINES,
                  "dataset_infos.json": b"{}"})  # fmt: skip
    assert files_of() == ["js/train.jsonl", "py/train.jsonl"]
    assert files_of("py", "test") == ["py/test.jsonl"]
    with pytest.raises(InputError, match="no config 'rs'; folders there: js, py"):
        files_of("rs")
    own(world, **{"contest.jsonl": LINES, "a.jsonl": LINES})
    assert files_of() == ["a.jsonl", "contest.jsonl"]
    own(world, **{"code.py": b""})
    with pytest.raises(InputError, match="has several splits"):
        files_of()


ORACLE = """
import json, sys
import datasets
datasets.disable_progress_bars()
found = [list(datasets.load_dataset(repo, config, split=split)) for repo, config, split in json.loads(sys.argv[1])]
json.dump(found, sys.stdout)
"""
PUBLISHED = [
    ["sahil2801/CodeAlpaca-20k", None, "train"], ["BAAI/TACO", "ALL", "train"], ["BAAI/TACO", None, "test"],
    ["google-research-datasets/mbpp", None, "validation"], ["google-research-datasets/mbpp", "sanitized", "test"],
    ["evalplus/mbppplus", None, "test"], ["evalplus/humanevalplus", None, "test"],
    ["openai/openai_humaneval", None, "test"], ["bigcode/bigcodebench", None, "v0.1.4"],
]  # fmt: skip


def test_the_datasets_client_sees_the_same_rows(world: Server, tmp_path: Path) -> None:
    from codefit.core.progress import silent
    from codefit.sources.hub import find_split

    env = {**os.environ, **environment(world.url, tmp_path / "other")}
    command = [sys.executable, "-c", ORACLE, json.dumps(PUBLISHED)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for (repo, config, split), theirs in zip(PUBLISHED, json.loads(done.stdout), strict=True):
        ours: list[dict[str, Any]] = [
            row for _, row in find_split(repo, None, config, split, silent).records(None)
        ]
        assert ours == theirs, repo
