"""Small repositories in the layouts of the real ones, made on the fly; texts and tasks are our own."""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from codefit.micro import model_path, tasks
from codefit.micro.raw_alpaca import alpaca_rows
from codefit.micro.raw_taco import taco_rows
from tests.hub_server import Repo

MODEL = "Qwen/Qwen2.5-Coder-1.5B-Instruct"
LARGER = "Qwen/Qwen2.5-Coder-7B-Instruct"
TACO_COLUMNS = (
    *(
        "question",
        "solutions",
        "starter_code",
        "input_output",
        "difficulty",
        "raw_tags",
        "name",
        "source",
        "tags",
    ),
    *("skill_types", "url", "Expected Auxiliary Space", "time_limit", "date", "picture_num", "memory_limit"),
    "Expected Time Complexity",
)


def parquet(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


@cache
def model_files() -> dict[str, bytes]:
    """Return the embedded model as a hub holds one: two shards with an index, and what must not be downloaded."""
    from safetensors.torch import load_file, save

    tensors = load_file(model_path() / "model.safetensors")
    names = sorted(tensors)
    parts = {"model-00001-of-00002.safetensors": names[: len(names) // 2]}
    parts["model-00002-of-00002.safetensors"] = names[len(names) // 2 :]
    files = {
        p: save({n: tensors[n].contiguous() for n in held}, {"format": "pt"}) for p, held in parts.items()
    }
    index = {
        "metadata": {"total_size": sum(t.nbytes for t in tensors.values())},
        "weight_map": {n: part for part, held in parts.items() for n in held},
    }
    files["model.safetensors.index.json"] = json.dumps(index).encode()
    for name in ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"):
        files[name] = (model_path() / name).read_bytes()
    files["chat_template.jinja"] = (model_path() / "chat_template.jinja").read_bytes()
    unwanted = (
        "README.md",
        "LICENSE",
        ".gitattributes",
        "pytorch_model.bin",
        "run_me.py",
        "onnx/model.safetensors",
    )
    return files | {name: b"not wanted" for name in unwanted}


def model_repo() -> Repo:
    """Return Qwen/Qwen2.5-Coder-1.5B-Instruct's layout with tiny weights."""
    return Repo.of(dict(model_files()))


@cache
def alpaca_repo(rows: int = 60) -> Repo:
    """Return sahil2801/CodeAlpaca-20k's layout: one JSON list, a card without `configs`."""
    keys = ("instruction", "input", "output")
    table = [{k: row[k] for k in keys} for row in alpaca_rows(rows, tasks("test"), Random(0))]
    card = b"---\nlicense: cc-by-4.0\ntask_categories:\n- text-generation\n---\n# Code Alpaca\n"
    return Repo.of({"code_alpaca_20k.json": json.dumps(table, indent=4).encode(), "README.md": card})


@cache
def taco_repo(rows: int = 60) -> Repo:
    """Return BAAI/TACO's layout since it is Parquet: config ALL, shards of `train` and `test`."""
    table = [{k: row.get(k) for k in TACO_COLUMNS} for row in taco_rows(rows + 5, tasks("test"), Random(0))]
    table = [{k: v if v is None else str(v) for k, v in row.items()} for row in table]
    half = rows // 2
    card = (
        "---\nconfigs:\n- config_name: ALL\n  data_files:\n  - split: train\n    path: ALL/train-*\n"
        "  - split: test\n    path: ALL/test-*\n---\n# TACO\n"
    )
    return Repo.of({
        "ALL/train-00000-of-00002.parquet": parquet(table[:half]),
        "ALL/train-00001-of-00002.parquet": parquet(table[half:rows]),
        "ALL/test-00000-of-00001.parquet": parquet(table[rows:]),
        "README.md": card.encode(),
    })  # fmt: skip


def _mbpp(number: int, name: str, body: str, asserts: list[str]) -> dict[str, Any]:
    return {
        "task_id": number, "text": f"Write a function {name}(x).", "code": f"def {name}(x):\r\n    return {body}",
        "test_list": asserts, "test_setup_code": "", "challenge_test_list": [],
    }  # fmt: skip


TASKS = [
    _mbpp(
        11, "double", "x * 2", ["assert double(2) == 4", "assert double(0) == 0", "assert double(-1) == -2"]
    ),
    _mbpp(
        12, "last", "x[-1]", ["assert last([1, 2]) == 2", "assert last('ab') == 'b'", "assert last([0]) == 0"]
    ),
    _mbpp(13, "half", "x / 2", ["assert half(4) == 2", "assert half(1) == 0.5", "assert half(0) == 0"]),
]


def _card(configs: dict[str, dict[str, str]], default: str) -> bytes:
    lines = ["---", "configs:"]
    for name, splits in configs.items():
        lines += [f"- config_name: {name}", "  data_files:"]
        lines += [line for s, p in splits.items() for line in (f"  - split: {s}", f"    path: {p}")]
        lines += ["  default: true"] if name == default else []
    return "\n".join([*lines, "---", "# card"]).encode()


def mbpp_repo() -> Repo:
    """Return google-research-datasets/mbpp's layout: configs full (the default) and sanitized, four splits each."""
    splits = {
        "prompt": [_mbpp(1, "same", "x", ["assert same(1) == 1"])],
        "test": TASKS,
        "validation": [
            _mbpp(511, "neg", "-x", ["assert neg(1) == -1"]),
            _mbpp(512, "inc", "x + 1", ["assert inc(1) == 2"]),
        ],
        "train": [_mbpp(601, "square", "x * x", ["assert square(2) == 4"])],
    }  # fmt: skip
    files = {f"full/{s}-00000-of-00001.parquet": parquet(rows) for s, rows in splits.items()}
    clean = [{"source_file": "x", "task_id": 11, "prompt": "Double it.", "code": "x", "test_imports": [],
              "test_list": ["assert 1"]}]  # fmt: skip
    files |= {f"sanitized/{s}-00000-of-00001.parquet": parquet(clean) for s in splits}
    configs = {
        c: {s: f"{c}/{s}-*" for s in ("train", "test", "validation", "prompt")} for c in ("full", "sanitized")
    }
    return Repo.of(files | {"README.md": _card(configs, "full")})


PLUS_TEST = """\
{imports}

import numpy as np

def is_floats(x) -> bool:
    return isinstance(x, float)

def assertion(out, exp, atol):
    exact_match = out == exp
    if not exact_match and atol != 0:
        np.testing.assert_allclose(out, exp, atol=atol)
    else:
        assert exact_match

{body}
"""
_LOOP = """\
inputs = {inputs}
results = {results}
for i, (inp, exp) in enumerate(zip(inputs, results)):
    assertion({call}(*inp), exp, {atol})
"""
_CROSS = """\
def ref_func(x):
    return x
inputs = {inputs}
for i, inp in enumerate(inputs):
    assertion({call}(*inp), ref_func(*inp), {atol})
"""


def plus_test(inputs: list[Any], results: list[Any] | None, call: str = "candidate", atol: float = 0) -> str:
    """Return tests as evalplus writes them into its datasets on the hub."""
    loop = _CROSS if results is None else _LOOP
    body = loop.format(inputs=inputs, results=results, call=call, atol=atol)
    return PLUS_TEST.format(imports="from math import inf" if "inf" in body else "", body=body)


def check_of(body: str) -> str:
    """Return the same as the function `check(candidate)`, which HumanEval+ has."""
    head, loop = body.split("\ninputs = ", 1)
    inside = "".join(f"    {line}\n" for line in f"inputs = {loop}".splitlines())
    return f"{head}\ndef check(candidate):\n{inside}"


def mbpp_plus_repo() -> Repo:
    """Return evalplus/mbppplus' layout: one Parquet file whose `test` is a program."""
    more = {11: [[2], [0], [-1], [10**6], [2.5]], 12: [[[1, 2]], ["ab"], [[0]], [["a"] * 50]],
            13: [[4], [1], [0], [float("inf")], [7]]}  # fmt: skip
    results = {11: [0] * 5, 12: None, 13: [0] * 5}
    rows = [
        {"task_id": t["task_id"], "code": t["code"], "prompt": f"{t['text']} https://example.org/x", "source_file": "x",
         "test_imports": [], "test_list": t["test_list"],
         "test": plus_test(more[t["task_id"]], results[t["task_id"]], atol=1e-6 if t["task_id"] == 13 else 0)}
        for t in TASKS
    ]  # fmt: skip
    files = {"data/test-00000-of-00001-d5781c9c51e02795.parquet": parquet(rows)}
    return Repo.of(files | {"README.md": _card({"default": {"test": "data/test-*"}}, "")})


HUMANEVAL = {
    "task_id": "HumanEval/0", "entry_point": "triple", "canonical_solution": "    return 3 * x\n",
    "prompt": 'def triple(x: int) -> int:\n    """ Return three times x.\n    >>> triple(1)\n    3\n    """\n',
    "test": "def check(candidate):\n    assert candidate(1) == 3\n    assert candidate(0) == 0\n",
}  # fmt: skip


def humaneval_repo() -> Repo:
    """Return openai/openai_humaneval's layout."""
    files = {"openai_humaneval/test-00000-of-00001.parquet": parquet([HUMANEVAL])}
    card = _card({"openai_humaneval": {"test": "openai_humaneval/test-*"}}, "openai_humaneval")
    return Repo.of(files | {"README.md": card})


def humaneval_plus_repo() -> Repo:
    """Return evalplus/humanevalplus' layout, with an older copy of the rows beside the Parquet file."""
    row = {**HUMANEVAL, "test": check_of(plus_test([[1], [0], [12345]], [3, 0, 37035]))}
    files = {
        "data/test-00000-of-00001-5973903632b82d40.parquet": parquet([row]),
        "test.jsonl": b'{"old": 1}\n',
    }
    return Repo.of(files | {"README.md": _card({"default": {"test": "data/test-*"}}, "")})


def bigcodebench_repo() -> Repo:
    """Return bigcode/bigcodebench's layout: a split for each version of the tasks."""
    row = {
        "task_id": "BigCodeBench/0", "complete_prompt": 'def task_func(x):\n    """Double."""\n',
        "instruct_prompt": "Double.", "canonical_solution": "    return x * 2", "code_prompt": "def task_func(x):",
        "test": "import unittest\nclass TestCases(unittest.TestCase):\n    def test_1(self):\n"
                "        self.assertEqual(task_func(2), 4)\n",
        "entry_point": "task_func", "doc_struct": "{}", "libs": "[]",
    }  # fmt: skip
    versions = ("v0.1.0_hf", "v0.1.2", "v0.1.4")
    old = {**row, "instruct_prompt": "Old."}
    files = {f"data/{v}-00000-of-00001.parquet": parquet([row if v == "v0.1.4" else old]) for v in versions}
    return Repo.of(files | {"README.md": _card({"default": {v: f"data/{v}-*" for v in versions}}, "")})


def whole_hub() -> dict[str, Repo]:
    """Return every repository that the bundled recipes ask."""
    return {
        f"models/{MODEL}": model_repo(),
        f"models/{LARGER}": model_repo(),
        "datasets/sahil2801/CodeAlpaca-20k": alpaca_repo(),
        "datasets/BAAI/TACO": taco_repo(),
        "datasets/google-research-datasets/mbpp": mbpp_repo(),
        "datasets/evalplus/mbppplus": mbpp_plus_repo(),
        "datasets/openai/openai_humaneval": humaneval_repo(),
        "datasets/evalplus/humanevalplus": humaneval_plus_repo(),
        "datasets/bigcode/bigcodebench": bigcodebench_repo(),
        "datasets/bigcode/bigcodebench-hard": bigcodebench_repo(),
    }


def environment(url: str, home: Path) -> dict[str, str]:
    """Return the environment of a user of this hub, with a cache of their own."""
    return {
        "HF_ENDPOINT": url,
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "0",
        "HF_DATASETS_CACHE": str(home / "ds"),
    }
