"""Models asked through the command line and a recipe: kill -9, samples, quantised weights, rivals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from codefit.cli.main import main as command
from codefit.core.errors import InputError
from codefit.core.files import read_json, read_jsonl
from codefit.core.recipe import load_recipe

RECIPE = """
name: rivals
model: {name: micro}
sources: [{kind: micro, limit: 30}]
curate: {must_define: true}
format: {fence: false, max_length: 256}
train: {method: lora, batch_size: 8, device: cpu}
generate: {max_new_tokens: 48, temperature: 0.6, samples: 2}
evaluate: [{name: micro, limit: 4}]
rivals:
  - {name: four-bits, model: {name: micro}, weights: nf4}
  - {name: eight-bits, model: {name: micro}, weights: int8}
"""


def invoke(*args: str | Path) -> dict[str, Any]:
    """Run a verb in this process, which has torch loaded already; return what it printed as JSON."""
    result = CliRunner().invoke(command, [*map(str, args), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def lines(path: Path) -> list[dict[str, Any]]:
    return [line for _, line in read_jsonl(path)]


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("CODEFIT_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def test_a_generation_killed_at_any_instant_goes_on_to_the_same_answers(tmp_path: Path) -> None:
    ask = ("generate", "micro", "--model", "micro", "--limit", "12", "--max-new-tokens", "24",
           "--temperature", "0.8", "--samples", "2", "--batch-size", "2", "--device", "cpu")  # fmt: skip
    ledger = tmp_path / "killed.jsonl.ledger"
    child = subprocess.Popen(
        [sys.executable, "-m", "codefit", *ask, "--out", str(tmp_path / "killed.jsonl")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    end = time.monotonic() + 120
    while time.monotonic() < end and not (ledger.exists() and ledger.read_bytes().count(b"\n") >= 4):
        time.sleep(0.005)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    kept = ledger.read_bytes()
    assert 4 <= kept.count(b"\n") < 24
    assert not (tmp_path / "killed.jsonl").exists()
    resumed = invoke(*ask, "--out", tmp_path / "killed.jsonl")
    assert ledger.read_bytes().startswith(kept[: kept.rindex(b"\n")])
    invoke(*ask[:-4], "--device", "cpu", "--out", tmp_path / "whole.jsonl")
    for one, other in zip(lines(tmp_path / "killed.jsonl"), lines(tmp_path / "whole.jsonl"), strict=True):
        for name in ("mean_logprob", "min_logprob"):  # sums in another order round otherwise
            assert one.pop(name) == pytest.approx(other.pop(name), abs=2e-4)
        assert one == other
    assert resumed["took"]["tasks"] == 12
    assert resumed["took"]["seconds"] == pytest.approx(sum(e["seconds"] for e in lines(ledger)), abs=1e-3)
    assert len({(line["task_id"], line["sample"]) for line in lines(tmp_path / "whole.jsonl")}) == 24


def test_only_named_tasks_are_asked_and_a_strange_name_is_refused(tmp_path: Path) -> None:
    names = [line["task_id"] for line in _asked(tmp_path, "--limit", "3")]
    assert [line["task_id"] for line in _asked(tmp_path, "--only", names[2], "--only", names[0])] == [
        names[2],
        names[0],
    ]
    with pytest.raises(InputError, match="no task 'nothing' in suite 'micro'"):
        _asked(tmp_path, "--only", "nothing")


def _asked(folder: Path, *options: str) -> list[dict[str, Any]]:
    out = folder / "some.jsonl"
    invoke("generate", "micro", "--model", "micro", "--max-new-tokens", "8", "--out", out, *options)
    return lines(out)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--samples", "3"), "samples change nothing at temperature 0"),
        (("--top-p", "0.5", "--seed", "1"), "top_p and seed change nothing at temperature 0"),
    ],
)
def test_sampling_without_a_temperature_is_refused(
    tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        _asked(tmp_path, *options)


def test_a_recipe_refuses_samples_at_temperature_0_and_rivals_with_an_arms_name(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    for override, message in (
        ("generate.temperature=0", "samples change nothing at temperature 0"),
        ("rivals.0.name=curated", "names of arms and rivals must differ"),
        ("rivals.0.weights=int4", "weights: Input should be 'plain', 'nf4' or 'int8'"),
    ):
        with pytest.raises(Exception, match=message):
            load_recipe(path, (override,))
    assert load_recipe(path, ("generate.batch_size=3",)).identity() == load_recipe(path).identity()
    assert load_recipe(path, ("generate.seed=3",)).identity() != load_recipe(path).identity()


def test_start_tuned_and_quantised_models_stand_in_one_table(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(RECIPE, encoding="utf-8")
    out = tmp_path / "run"
    result = CliRunner().invoke(
        command,
        ["run", str(tmp_path / "r.yaml"), "--out", str(out), "--until", "score"],
        catch_exceptions=False,
    )
    assert result.exit_code == 0, result.output
    models = {m["arm"]: m for m in read_json(out / "models.json")["models"]}
    assert {name: m["weights"] for name, m in models.items()} == {
        "start": "float32",
        "curated": "float32",
        "four-bits": "nf4",
        "eight-bits": "int8",
    }
    for m in models.values():
        assert m["n"] == 8
        assert m["samples"] == 2
        assert m["tokens"] > 0
        assert m["tokens_per_s"] == pytest.approx(m["tokens"] / m["seconds"], rel=0.1)
        assert m["seconds_per_task"] == pytest.approx(m["seconds"] / 4, abs=1e-3)
        assert m["peak_mb"] > m["weights_mb"]
    sizes = [models[name]["weights_mb"] for name in ("four-bits", "eight-bits", "start", "curated")]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2] / 2
    scores = read_json(out / "scores.json")
    assert {(s["arm"], s["metric"]) for s in scores["scores"]} == {
        (arm, metric) for arm in models for metric in ("pass@1", "pass@2")
    }
    assert {s["decoding"] for s in scores["scores"]} == {"temperature 0.6, top_p 1, seed 0"}
    assert {s["weights"] for s in scores["scores"] if s["arm"] == "four-bits"} == {"nf4"}
    pairs = {(c["before_arm"], c["after_arm"]) for c in scores["comparisons"]}
    assert {("start", "curated"), ("four-bits", "curated"), ("eight-bits", "curated")} <= pairs
    completions = lines(out / "completions" / "micro.jsonl")
    assert len(completions) == 4 * 4 * 2
    assert all(line["min_logprob"] <= line["mean_logprob"] <= 0 for line in completions)


def test_evaluate_names_format_and_decoding_in_the_score(tmp_path: Path) -> None:
    ask = (
        "evaluate",
        "micro",
        "--model",
        "micro",
        "--limit",
        "3",
        "--max-new-tokens",
        "32",
        "--device",
        "cpu",
    )
    found = invoke(*ask, "--quantise", "int8", "--out", tmp_path / "e")
    score = found["scores"][-1]
    assert (score["weights"], score["decoding"], score["samples"]) == ("int8", "greedy", 1)
    assert found["generation"] == read_json(tmp_path / "e" / "generation.json")
    assert invoke(*ask, "--quantise", "int8", "--out", tmp_path / "e")["generation"] == found["generation"]
    with pytest.raises(InputError, match="holds the verdicts of other completions or settings"):
        invoke(*ask, "--out", tmp_path / "e")
