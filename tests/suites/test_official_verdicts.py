"""Published outputs of real models against the verdicts published with them.

Every disagreement is named with its reason; one more is a bug of ours. The tasks left out take nearly all of the
CPU time: Mbpp/599 as much as all others, the rest over half a second each, some up to the limit.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from codefit.sandbox import Sandbox
from codefit.score.tally import pass_figures
from codefit.suites.execute import execute
from codefit.suites.load import load_suite
from tests.shared_data import shared_data

BASE_MODEL = "outputs/qwen2.5-coder-1.5b-base"
TUNED = "outputs/tuned-1.5b-half"
DEAR = frozenset(f"Mbpp/{n}" for n in (61, 126, 260, 271, 295, 389, 453, 599, 605, 739))
SET_EQUALITY = {"Mbpp/2", "Mbpp/111", "Mbpp/232", "Mbpp/249", "Mbpp/579"}  # the oracle changed in 0.3
HASH_ORDER = {"Mbpp/579"}  # tuple(set) of strings: the published verdict hangs on an unpinned hash seed
ON_THE_LIMIT = {"Mbpp/123"}  # over 1 s of CPU time; the published run allowed 4 s


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def without_the_dear_tasks(data: Path, folder: Path) -> Path:
    kept = folder / data.name
    with gzip.open(data, "rt") as source, gzip.open(kept, "wt") as f:
        f.writelines(line for line in source if json.loads(line)["task_id"] not in DEAR)
    return kept


def official(name: str) -> dict[str, tuple[bool, bool]]:
    with gzip.open(shared_data(name), "rt") as f:
        results: dict[str, list[dict[str, Any]]] = json.load(f)["eval"]
    found = {}
    for task_id, (only,) in results.items():
        base = only["base_status"] == "pass"
        found[task_id] = base, base and only["plus_status"] == "pass"
    return found


def ours(out: Path) -> dict[str, tuple[bool, bool]]:
    rows = [json.loads(line) for line in (out / "verdicts.jsonl").read_text().splitlines()]
    return {r["task_id"]: (r["base_outcome"] == "passed", r["outcome"] == "passed") for r in rows}


def differences(out: Path, verdicts: dict[str, tuple[bool, bool]]) -> tuple[set[str], set[str]]:
    found = ours(out)
    base = {t for t in found if found[t][0] != verdicts[t][0]}
    plus = {t for t in found if found[t][1] != verdicts[t][1]}
    assert len(base) <= 0.015 * len(found)
    assert len(plus) <= 0.015 * len(found)
    return base, plus


@pytest.mark.slow
@pytest.mark.parametrize(
    ("oracle", "explained"),
    [pytest.param("0.3", SET_EQUALITY, marks=pytest.mark.release), ("0.2", HASH_ORDER)],
)
def test_mbpp_plus_of_the_base_model(
    oracle: str, explained: set[str], sandbox: Sandbox, cache: Path, tmp_path: Path
) -> None:
    data = without_the_dear_tasks(shared_data("mbpp_plus_v0.1.0.jsonl.gz"), tmp_path)
    suite = load_suite("mbpp+", data, oracle=oracle)
    completions = shared_data(f"{BASE_MODEL}/mbpp.completions.jsonl.gz")
    out = tmp_path / "out"
    found = execute(suite, completions, out, sandbox, pass_figures, cache=cache)
    base, plus = differences(out, official(f"{BASE_MODEL}/mbpp.verdicts.json.gz"))
    assert base <= explained - HASH_ORDER
    assert plus <= explained
    assert len(ours(out)) == 399 - len(DEAR)
    assert found.sandbox_failed == 0
    assert sum(p.stat().st_size for p in cache.iterdir()) < 10_000_000


@pytest.mark.slow
def test_mbpp_plus_of_the_tuned_model(sandbox: Sandbox, cache: Path, tmp_path: Path) -> None:
    data = without_the_dear_tasks(shared_data("mbpp_plus_v0.2.0.jsonl.gz"), tmp_path)
    completions = shared_data(f"{TUNED}/mbpp.completions.jsonl.gz")
    out = tmp_path / "out"
    execute(load_suite("mbpp+", data), completions, out, sandbox, pass_figures, cache=cache)
    base, plus = differences(out, official(f"{TUNED}/mbpp.verdicts.json.gz"))
    assert base | plus <= ON_THE_LIMIT
    assert len(ours(out)) == 378 - len(DEAR) + 1  # 0.2.0 has no Mbpp/295


def test_humaneval_of_the_base_model(sandbox: Sandbox, tmp_path: Path) -> None:
    suite = load_suite("humaneval", shared_data("humaneval.jsonl.gz"))
    completions = shared_data(f"{BASE_MODEL}/humaneval.completions.jsonl.gz")
    execute(suite, completions, tmp_path / "out", sandbox, pass_figures)
    verdicts = official(f"{BASE_MODEL}/humaneval.verdicts.json.gz")
    found = ours(tmp_path / "out")
    assert len(found) == 164
    assert {t for t in found if found[t][0] != verdicts[t][0]} == set()


def test_raw_outputs_are_extracted_at_least_as_well_as_they_were_sanitised(
    sandbox: Sandbox, cache: Path, tmp_path: Path
) -> None:
    suite = load_suite("mbpp", without_the_dear_tasks(shared_data("mbpp_plus_v0.2.0.jsonl.gz"), tmp_path))
    out = tmp_path / "out"
    execute(suite, shared_data(f"{TUNED}/mbpp.raw.jsonl.gz"), out, sandbox, pass_figures, cache=cache)
    verdicts = official(f"{TUNED}/mbpp.verdicts.json.gz")
    found = ours(out)
    lost = {t for t in found if verdicts[t][0] and not found[t][0]}
    gained = {t for t in found if found[t][0] and not verdicts[t][0]}
    assert lost <= ON_THE_LIMIT
    assert gained == {"Mbpp/635"}, "the sanitised file lost a helper function"
