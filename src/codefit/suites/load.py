"""Suites by name: which data they need, and which layouts of them are understood."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codefit.core.errors import InputError, did_you_mean
from codefit.core.files import DAMAGED, digest, open_bytes
from codefit.core.types import Task, Tests
from codefit.suites import bigcodebench
from codefit.suites.base import Suite, SuiteInfo, TaskSuite, harness
from codefit.suites.layouts import MBPP_VALIDATION_SPLIT, evalplus_task, humaneval_task, mbpp_task, own_task
from codefit.suites.lines import parsed_lines
from codefit.suites.oracles import ORACLES
from codefit.suites.published import published_data
from codefit.suites.variants import vary

SUPPORTED = (
    *("micro", "micro-dev", "mbpp", "mbpp-dev", "mbpp+", "humaneval", "humaneval+"),
    *bigcodebench.SUITES,
)


@dataclass
class _Found:
    """Tasks with the content that their revision hashes: (base tests only, all tests).

    `others` are tasks of the same file outside the judged split, which no training row may give away either.
    """

    others: list[Task] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    base: list[str] = field(default_factory=list)
    full: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    oracle: str | None = None


def load_suite(
    name: str,
    data: Path | None = None,
    *,
    oracle: str = "0.3",
    limit: int | None = None,
    strict: bool = False,
    options: bigcodebench.Options | None = None,
    judging: bool = True,
    revision: str | None = None,
    variant: str | None = None,
) -> Suite:
    """Return the suite `name` (or the user's own JSONL file of that path), read from `data`.

    Without `data` the benchmark's dataset on the hub is asked, at `revision` (None: as it is now).
    `oracle` chooses evalplus' rules of version 0.2 or 0.3 where its layout is read; `limit`
    takes the first tasks only; `strict` refuses malformed lines instead of counting them; `options` are
    BigCodeBench's. Without `judging` the tasks are only to be read, and no libraries are needed.
    Raises `InputError` for an unknown name, missing or unusable data, and `MissingPrerequisite` where a
    benchmark's libraries are missing. `variant` asks the same tasks differently (see `variants`).
    """
    if oracle not in ORACLES:
        raise InputError(f"unknown oracle version '{oracle}'", todo=f"use one of {', '.join(ORACLES)}")
    if limit is not None and limit < 1:
        raise InputError(f"limit {limit} leaves no task", todo="use 1 or more")
    if name in bigcodebench.SUITES:
        if variant is not None:
            raise InputError(f"BigCodeBench has no variant '{variant}'", todo="ask it as it is")
        path, label = _data_of(name, data, revision)
        chosen = options or bigcodebench.Options()
        return bigcodebench.bigcodebench_suite(
            name, path, chosen, limit=limit, strict=strict, label=label, data_hash=_md5(path), judging=judging
        )
    suite = _functions(name, data, revision, oracle, strict, limit)
    return vary(suite, variant) if variant is not None else suite


def _functions(
    name: str, data: Path | None, revision: str | None, oracle: str, strict: bool, limit: int | None
) -> TaskSuite:
    """Return a suite whose tests are calls, assertions or standard input."""
    own = _own_path(name)
    if own is not None:
        return _suite(own.stem, "own", _read_own(own, strict), own, own.name, limit)
    if name in ("micro", "micro-dev"):
        return _suite(name, "micro", _read_micro(name), None, None, limit)
    path, label = _data_of(name, data, revision)
    found = _read_benchmark(name, path, oracle, strict)
    return _suite(name, name.rstrip("+").removesuffix("-dev"), found, path, label, limit)


def _own_path(name: str) -> Path | None:
    path = Path(name)
    if name in SUPPORTED:
        return None
    if path.is_file():
        return path
    if path.suffix in (".jsonl", ".gz", ".json") or "/" in name:
        raise InputError("no such file", where=name, todo="check the path of your own suite")
    return None


def _data_of(name: str, data: Path | None, revision: str | None) -> tuple[Path, str]:
    """Return a benchmark's file and what to call it; without `data` it comes from the hub."""
    if name not in SUPPORTED:
        hint = did_you_mean(name.lower(), SUPPORTED)
        known = f"known: {', '.join(SUPPORTED)}, or a path to your own JSONL"
        raise InputError(f"unknown suite '{name}'", todo=f"{hint} {known}" if hint else known)
    if data is None:
        return published_data(name, revision)
    if not data.exists():
        raise InputError("no such file", where=str(data), todo="check --data")
    return data, data.name


def _read_benchmark(name: str, path: Path, oracle: str, strict: bool) -> _Found:
    found = _Found()
    readers: dict[str, Callable[[dict[str, Any]], Task]] = {
        "mbpp": lambda row: _mbpp_any(row, plus=False),
        "mbpp-dev": _mbpp_validation,
        "mbpp+": lambda row: _mbpp_any(row, plus=True),
        "humaneval": lambda row: _humaneval_any(row, plus=False),
        "humaneval+": lambda row: _humaneval_any(row, plus=True),
    }
    _read(found, path, readers[name], strict)
    if any("base_input" in t.extra for t in found.tasks):
        found.oracle = oracle
    return found


def _mbpp_any(row: dict[str, Any], *, plus: bool) -> Task:
    if "base_input" in row:
        return evalplus_task(row, "mbpp", plus=plus)
    if "test_list" not in row:
        raise ValueError("neither evalplus' layout (base_input) nor MBPP's (test_list)")
    if plus:
        raise ValueError("MBPP's own layout has no plus tests; mbpp+ needs evalplus' file")
    return mbpp_task(row)


def _mbpp_validation(row: dict[str, Any]) -> Task:
    """Return a task of MBPP's validation split (511 to 600), for development; its own layout alone has it."""
    if "test_list" not in row:
        raise ValueError("not MBPP's own layout (test_list), which alone has the validation split")
    return mbpp_task(row, MBPP_VALIDATION_SPLIT)


def _humaneval_any(row: dict[str, Any], *, plus: bool) -> Task:
    if "base_input" in row:
        return evalplus_task(row, "humaneval", plus=plus)
    if plus:
        raise ValueError("HumanEval's own layout has no plus tests; humaneval+ needs evalplus' file")
    return humaneval_task(row)


def _read_own(path: Path, strict: bool) -> _Found:
    found = _Found()
    _read(found, path, own_task, strict)
    return found


def _read(found: _Found, path: Path, reader: Callable[[dict[str, Any]], Task], strict: bool) -> None:
    seen: set[str] = set()

    def parse(row: dict[str, Any]) -> tuple[dict[str, Any], Task]:
        task = reader(row)
        if task.task_id in seen:
            raise ValueError(f"task '{task.task_id}' stands here a second time")
        return row, task

    for _, (row, task) in parsed_lines(path, parse, strict=strict, problems=found.problems):
        seen.add(task.task_id)
        if not task.extra.get("judged", True):
            found.others.append(task)
            continue
        found.tasks.append(task)
        found.full.append(_content(row))
        found.base.append(_content({k: v for k, v in row.items() if k != "plus_input"}))
    if not found.tasks:
        why = f": {found.problems[0]}" if found.problems else ""
        raise InputError(f"no usable task{why}", where=str(path), todo="check that this is the suite's data")


def _content(row: dict[str, Any]) -> str:
    return json.dumps(row, sort_keys=True, ensure_ascii=True)


def _read_micro(name: str) -> _Found:
    from codefit import micro

    found = _Found(tasks=list(micro.tasks("dev" if name == "micro-dev" else "test")))
    found.full = found.base = [_task_content(t) for t in found.tasks]
    return found


def _task_content(task: Task) -> str:
    def tests(t: Tests | None) -> str:
        return repr((t.kind, t.entry_point, t.asserts, t.inputs, t.outputs, t.setup)) if t else ""

    return digest(
        task.task_id, task.prompt, str(task.entry_point), tests(task.tests), tests(task.plus), str(task.atol)
    )


def _suite(
    shown: str, family: str, found: _Found, data: Path | None, label: str | None, limit: int | None
) -> TaskSuite:
    n = len(found.tasks) if limit is None else min(limit, len(found.tasks))
    has_plus = any(t.plus is not None for t in found.tasks)
    revision = digest(*sorted(found.full[:n] if has_plus else found.base[:n]))
    info = SuiteInfo(
        name=shown,
        revision=revision,
        harness=harness(found.oracle),
        oracle=found.oracle,
        tasks=n,
        family=family,
        has_plus=has_plus,
        base_name=shown.rstrip("+"),
        base_revision=digest(*sorted(found.base[:n])),
        data=label,
        data_hash=_md5(data) if data else None,
        limit=limit if n < len(found.tasks) else None,
    )
    return TaskSuite(
        info,
        tuple(found.tasks[:n]),
        found.problems,
        json_values=family == "own",
        all_tasks=tuple(found.tasks + found.others),
    )


def _md5(path: Path) -> str:
    """Return MD5 of the unpacked file: the identity evalplus writes into its results."""
    h = hashlib.md5(usedforsecurity=False)
    with open_bytes(path) as f:
        try:
            for block in _blocks(f):
                h.update(block)
        except DAMAGED as e:
            raise InputError(f"damaged: {e}", where=str(path)) from e
    return h.hexdigest()


def _blocks(f: Any) -> Iterator[bytes]:
    while block := f.read(1 << 20):
        yield block
