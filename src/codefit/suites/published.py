"""Benchmarks as they are published on the hub: which dataset, and its columns in the layouts that suites read.

MBPP, HumanEval and BigCodeBench have the columns of their own files. The datasets of MBPP+ and HumanEval+ hold
their tests as the text of a program (evalplus' `to_original_fmt`) instead of inputs; the inputs stand in it as a
literal, so evalplus' layout is made again from them and judged by its rules, the text is never run. What that
loses is in `plus_row`.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from codefit.core.errors import InputError, InputErrors, MissingPrerequisite
from codefit.hub import Hub, Snapshot, fetch, look
from codefit.hub.dataset import split_files
from codefit.hub.repo import derived
from codefit.suites.layouts import entry_point_of, text_field
from codefit.suites.lines import parsed_lines

Adapter = Callable[[dict[str, Any]], dict[str, Any]]
_VERSION = 1  # of the files that are made here
_ADDRESS = re.compile(r"https?://\S+")
_NAMES = {"inf": float("inf"), "nan": float("nan")}


@dataclass(frozen=True, slots=True)
class Published:
    """A benchmark's dataset: the config and splits of its tasks, and what turns a record into a layout we read."""

    repo: str
    config: str | None
    splits: tuple[str, ...]
    adapter: Adapter | None = None


def plus_row(row: dict[str, Any]) -> dict[str, Any]:
    """Return a record of evalplus/mbppplus or evalplus/humanevalplus in evalplus' own layout.

    Lost against its release files: inputs that occur twice, and which tests are base tests. MBPP+ has one base
    test per assertion of `test_list` (so 373 of 378 tasks get exactly those of release 0.2.0, five one more or
    less); HumanEval+ counts all as base tests.
    """
    test = ast.parse(text_field(row, "test"))
    inputs = [_plain(i) for i in _inputs(test)]
    if "test_list" not in row:
        kept = {k: text_field(row, k) for k in ("task_id", "prompt", "entry_point", "canonical_solution")}
        return {**kept, "base_input": inputs, "plus_input": [], "atol": _tolerance(test)}
    asserts, code = [str(a) for a in row["test_list"]], text_field(row, "code")
    request = _ADDRESS.sub("", text_field(row, "prompt"))
    base = len(dict.fromkeys(asserts))
    return {
        "task_id": f"Mbpp/{int(row['task_id'])}",
        "prompt": f'"""\n{request}\n{asserts[0]}\n"""\n',
        "entry_point": entry_point_of(tuple(asserts), code),
        "canonical_solution": "\n" + code,
        "base_input": inputs[:base],
        "plus_input": inputs[base:],
        "atol": _tolerance(test),
    }


def _inputs(test: ast.Module) -> list[Any]:
    """Return the value that the test's program gives to `inputs`; raises `ValueError` where that is no literal."""
    for node in ast.walk(test):
        if isinstance(node, ast.Assign) and [ast.unparse(t) for t in node.targets] == ["inputs"]:
            value = ast.literal_eval(_Constants().visit(node.value))
            if isinstance(value, list) and value:
                return value
    raise ValueError("field 'test' gives no list to 'inputs'")


class _Constants(ast.NodeTransformer):
    """Writes out the names that stand for numbers in a literal."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id not in _NAMES:
            raise ValueError(f"field 'test' uses '{node.id}' in its inputs")
        return ast.copy_location(ast.Constant(_NAMES[node.id]), node)


def _tolerance(test: ast.Module) -> float:
    """Return the tolerance that the test hands to `assertion`, or compares with; 0 where there is none."""
    for node in ast.walk(test):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "assertion" and len(node.args) == 3:
            return float(ast.literal_eval(node.args[2]))
    for node in ast.walk(test):
        if (
            isinstance(node, ast.Compare)
            and isinstance(node.ops[0], ast.LtE)
            and "_poly" in ast.unparse(node.left)
        ):
            return float(ast.literal_eval(node.comparators[0]))
    return 0.0


def _plain(value: Any) -> Any:
    """Return a value as evalplus' files hold it: what JSON lacks as a list or a text."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, (set, frozenset)):
        return [_plain(v) for v in sorted(value, key=repr)]
    return str(value) if isinstance(value, complex) else value


_MBPP = Published("google-research-datasets/mbpp", "full", ("prompt", "test", "validation", "train"))
HOMES: Mapping[str, Published] = {
    "mbpp": _MBPP,
    "mbpp-dev": _MBPP,
    "mbpp+": Published("evalplus/mbppplus", None, ("test",), plus_row),
    "humaneval": Published("openai/openai_humaneval", "openai_humaneval", ("test",)),
    "humaneval+": Published("evalplus/humanevalplus", None, ("test",), plus_row),
    "bigcodebench": Published("bigcode/bigcodebench", None, ("v0.1.4",)),
    "bigcodebench-hard": Published("bigcode/bigcodebench-hard", None, ("v0.1.4",)),
}


def published_data(name: str, revision: str | None = None) -> tuple[Path, str]:
    """Return a benchmark's tasks from the hub as one JSON Lines file, and its name as `owner/name@commit`.

    The file is made once a commit. Raises `InputError` and `MissingPrerequisite` as `hub.look` does, each with
    the way out: a local file.
    """
    home = HOMES[name]
    try:
        hub = Hub.from_environment()
        snapshot = look(hub, home.repo, revision, "dataset")
        paths = [p for split in home.splits for p in split_files(hub, snapshot, home.config, split)]
        made = f"{name.removesuffix('-dev')}.{_VERSION}.jsonl"
        path = derived(hub, snapshot, made, partial(_write, hub, snapshot, paths, home.adapter))
    except InputErrors:
        raise
    except (InputError, MissingPrerequisite) as e:
        todo = f"{e.todo}; or give --data FILE (in a recipe: data), the benchmark as published"
        raise type(e)(e.what, where=f"suite {name}: {e.where}", todo=todo) from e
    return path, f"{home.repo}@{snapshot.commit}"


def _write(hub: Hub, snapshot: Snapshot, paths: list[str], adapter: Adapter | None, out: Path) -> None:
    folder = fetch(hub, snapshot, paths)
    with out.open("w", encoding="utf-8") as f:
        for row in _rows([folder / p for p in paths], adapter):
            # Infinity and NaN are inputs of some tasks, and evalplus' own files spell them so.
            f.write(json.dumps(row, ensure_ascii=False, allow_nan=True) + "\n")


def _rows(files: list[Path], adapter: Adapter | None) -> Iterator[dict[str, Any]]:
    """Yield the records of all files; a task that cannot be read is an error here: none may go missing unseen."""
    for file in files:
        for _, row in parsed_lines(file, adapter or dict, strict=True, problems=[]):
            yield row
