"""`codefit sample` in real processes, with the embedded model: the result, kill -9 at any answer, one clear line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from codefit.core.files import read_json, read_jsonl
from codefit.curate.rows_io import read_rows
from codefit.methods.rejection import OWN
from codefit.micro import tasks
from tests.cli.conftest import Cli, one_line

FILES = ("rows.parquet", "mix.parquet", "samples.jsonl", "prompts.jsonl", "summary.json", "format.json")
ROWS = 12


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write rows of the development tasks, and a recipe whose only arm learns from the start model's answers."""
    folder = tmp_path_factory.mktemp("recipe")
    lines = []
    for task in tasks("dev")[:ROWS]:
        calls = zip(task.tests.inputs, task.tests.outputs, strict=True)
        tests = [f"assert solve({', '.join(map(repr, i))}) == {o!r}" for i, o in calls]
        lines.append(json.dumps({"instruction": task.prompt, "output": task.reference, "tests": tests}))
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    text = f"""\
name: own
stand_in: true
data_dir: {folder}
model: {{name: micro}}
sources: [{{kind: jsonl, path: rows.jsonl, licence: Apache-2.0}}]
curate: {{steps: [normalise, verify]}}
format: {{fence: false, max_length: 256}}
train: {{device: cpu}}
sample: {{samples: 6, all_pass_share: 1}}
arms: [{{name: own, rows: curated+sampled}}]
generate: {{max_new_tokens: 64, batch_size: 12}}
evaluate: [{{name: micro, limit: 2}}]
"""
    path = folder / "own.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def sampling(recipe: Path, out: Path, cache: Path, *args: str) -> subprocess.Popen[str]:
    """Start the verb in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "codefit", "sample", str(recipe), "--out", str(out), *args],
        env={**os.environ, "CODEFIT_CACHE": str(cache)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole(recipe: Path, tmp_path_factory: pytest.TempPathFactory, cache: Path) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("whole") / "run"
    child = sampling(recipe, out, cache)
    _, errors = child.communicate(timeout=300)
    assert child.returncode == 0, errors
    return out, errors


def files(out: Path) -> dict[str, bytes]:
    return {name: (out / "arms" / "own" / "sampled" / name).read_bytes() for name in FILES}


def test_the_start_models_passing_answers_stand_beside_the_unsolved_rows(whole: tuple[Path, str]) -> None:
    out, errors = whole
    sampled = out / "arms" / "own" / "sampled"
    found = read_json(sampled / "summary.json")
    assert found["sampler"] == "start"
    assert found["samples"]["n"] == found["rows"]["prompts"] * 6 == ROWS * 6
    assert 0 < found["samples"]["passed"] < found["samples"]["n"]
    own = list(read_rows(sampled / "rows.parquet"))
    assert len(own) == found["kept"]["verified"] > 0
    assert {r.source for r in own} == {OWN}
    mix = [r.id for r in read_rows(sampled / "mix.parquet")]
    assert len(mix) == ROWS - found["prompts"]["kept"] + len(own)
    assert "about" in errors
    assert "answers pass (pass@1" in errors


def test_kept_answers_pass_codefits_own_verify(whole: tuple[Path, str], cli: Cli, tmp_path: Path) -> None:
    rows = whole[0] / "arms" / "own" / "sampled" / "rows.parquet"
    assert cli("verify", rows, "--out", tmp_path / "v").returncode == 0
    found = [line["outcome"] for _, line in read_jsonl(tmp_path / "v" / "verdicts.jsonl")]
    assert found == ["passed"] * len(list(read_rows(rows)))


@pytest.mark.release
def test_kill_9_loses_no_answer_and_changes_no_byte(
    whole: tuple[Path, str], recipe: Path, tmp_path: Path, cache: Path
) -> None:
    out = tmp_path / "run"
    ledger = out / "cache" / "samples.jsonl"
    child = sampling(recipe, out, cache)
    until = time.monotonic() + 200
    while not (ledger.exists() and ledger.read_bytes().count(b"\n") >= 10):
        assert child.poll() is None, child.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.01)
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate()
    before = [line for line in ledger.read_bytes().split(b"\n")[:-1] if line]
    assert len(before) < ROWS * 6
    assert not (out / "arms" / "own" / "sampled" / "summary.json").exists()
    again = sampling(recipe, out, cache)
    _, errors = again.communicate(timeout=300)
    assert again.returncode == 0, errors
    after = [line for line in ledger.read_bytes().split(b"\n")[:-1] if line]
    assert after[: len(before)] == before
    assert len({json.loads(line)["key"] for line in after}) == len(after) == ROWS * 6
    assert files(out) == files(whole[0])


def test_a_recipe_without_sampled_rows_is_refused_in_one_line(cli: Cli) -> None:
    result = cli("sample", "micro-demo", "--out", "run")
    assert result.returncode == 2
    assert "no arm has rows sampled" in one_line(result)
