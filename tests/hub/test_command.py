"""The command line with everything from a hub on loopback: a whole run, its pins, offline, the bundled recipe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from codefit.cli.doctor import _hub
from codefit.cli.evaluate import generate
from codefit.cli.export import export
from codefit.cli.recipe import resolve_recipe
from codefit.cli.run import run
from codefit.models.check import check_weights
from tests.cli.conftest import Cli, one_line
from tests.cli.conftest import cache as cache
from tests.cli.conftest import cli as cli
from tests.hub.worlds import MODEL, environment, mbpp_repo, whole_hub
from tests.hub_server import Server, serving

RECIPE = f"""\
name: all-from-the-hub
stand_in: true
model: {{name: {MODEL}}}
sources:
  - {{kind: code_alpaca, limit: 20}}
  - {{kind: taco, limit: 20}}
curate: {{steps: [normalise, language, syntax, dedup_exact, select]}}
format: {{fence: false, max_length: 256}}
train: {{method: lora, lora_rank: 2, epochs: 0.2, batch_size: 4, device: cpu}}
generate: {{max_new_tokens: 8}}
evaluate:
  - {{name: mbpp, limit: 2}}
  - {{name: mbpp+, limit: 2}}
"""


def test_a_whole_run_from_the_hub_is_pinned_and_needs_no_network_the_second_time(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "r.yaml").write_text(RECIPE)
    with serving(whole_hub()) as server:
        env = environment(server.url, tmp_path / "hf")
        done = cli("run", "r.yaml", "--out", "run", "--json", **env)
        assert done.returncode == 0, done.stderr
        heads = {name: repo.head for name, repo in server.repos.items()}
        server.repos["datasets/google-research-datasets/mbpp"].push({"README.md": b"all gone"})
        server.log.clear()
        for name, value in {**env, "CODEFIT_CACHE": str(tmp_path / "cache")}.items():
            monkeypatch.setenv(name, value)
        again = CliRunner().invoke(run, [str(tmp_path / "r.yaml"), "--out", str(tmp_path / "run"), "--json"])
        assert again.exit_code == 0, again.output
        assert server.log == []  # the run stays with what it began with, and has it all
    assert json.loads(again.stdout)["ran"] == []
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    asked = [f"models/{MODEL}", "datasets/sahil2801/CodeAlpaca-20k", "datasets/BAAI/TACO",
             "datasets/google-research-datasets/mbpp", "datasets/evalplus/mbppplus"]  # fmt: skip
    assert manifest["hub"] == {f"{name}@main": heads[name] for name in asked}
    resolved = yaml.safe_load((tmp_path / "run" / "recipe.resolved.yaml").read_text())
    pins = [resolved["model"], *resolved["sources"], *resolved["evaluate"]]
    assert [p["revision"] for p in pins] == [heads[name] for name in asked]
    scores = json.loads(done.stdout)["scores"]
    assert {(s["arm"], s["suite"], s["n"]) for s in scores} >= {("start", "mbpp", 2), ("curated", "mbpp+", 2)}
    models = [(m["arm"], m["suite"]) for m in json.loads(done.stdout)["models"]]
    assert sorted(models) == [(a, s) for a in ("curated", "start") for s in ("mbpp", "mbpp+")]
    data = {s["details"]["data"] for s in scores}
    assert f"google-research-datasets/mbpp@{heads[asked[3]]}" in data
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    _offline(tmp_path)


def _offline(folder: Path) -> None:
    """Let the model answer, and merge the adapter into it, with what the run left in the cache."""
    options = ["--device", "cpu", "--max-new-tokens", "4", "--limit", "1", "--out", str(folder / "a.jsonl")]
    answered = CliRunner().invoke(generate, ["mbpp+", "--model", MODEL, *options])
    assert answered.exit_code == 0, answered.output
    assert len((folder / "a.jsonl").read_text().splitlines()) == 1
    adapter, out = folder / "run" / "train" / "adapter", folder / "merged"
    options = ["--model", MODEL, "--adapter", str(adapter), "--out", str(out)]
    merged = CliRunner().invoke(export, ["merge", *options])
    assert merged.exit_code == 0, merged.output
    check_weights(out)


def test_a_hub_that_is_gone_is_one_line_and_leaves_nothing_half_done(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(RECIPE)
    env = environment("http://127.0.0.1:9", tmp_path / "hf")
    gone = cli("run", "r.yaml", "--out", "run", **env)
    assert gone.returncode == 3
    assert f"{MODEL}: cannot reach http://127.0.0.1:9" in one_line(gone)
    with serving({"datasets/google-research-datasets/mbpp": mbpp_repo()}) as server:
        env["HF_ENDPOINT"] = server.url
        missing = cli("run", "r.yaml", "--out", "run", **env)
    assert missing.returncode == 2
    assert "no such repository" in one_line(missing)


def test_doctor_says_honestly_what_the_hub_is(world: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    found = _hub()
    assert found.ok is True
    assert f"{world.url} answers in" in found.detail
    assert "no token; 0 models and 0 datasets in" in found.detail
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert "a token is set" in _hub().detail
    assert "hf_secret" not in str(_hub())
    for name, value, said in (
        ("HF_ENDPOINT", "http://127.0.0.1:9", "http://127.0.0.1:9: cannot be reached"),
        ("HF_ENDPOINT", "hf-mirror.com", "is no web address"),
        ("HF_HUB_OFFLINE", "1", "switched off by HF_HUB_OFFLINE"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert (_hub().ok, said in _hub().detail) == (None, True)


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ("qwen2.5-coder-1.5b-8gb", {"choose:curated", "execute:4:bigcodebench"}),
        ("compare-quantised", {"train:curated", "execute:2:humaneval"}),
    ],
)
def test_the_bundled_recipes_resolve_against_the_hub(
    cli: Cli, tmp_path: Path, recipe: str, expected: set[str]
) -> None:
    checked = cli("recipe", "check", recipe)
    assert checked.returncode == 0, checked.stderr
    shown = yaml.safe_load(resolve_recipe(recipe).read_text(encoding="utf-8"))
    repos = whole_hub()
    names = {"mbpp": "google-research-datasets/mbpp", "mbpp+": "evalplus/mbppplus",
             "humaneval": "openai/openai_humaneval", "humaneval+": "evalplus/humanevalplus",
             "bigcodebench": "bigcode/bigcodebench"}  # fmt: skip
    pins = {f"models/{MODEL}": shown["model"]["revision"]}
    pins |= {f"datasets/{names[s['name']]}": s["revision"] for s in shown["evaluate"]}
    homes = ("sahil2801/CodeAlpaca-20k", "BAAI/TACO")
    pins |= {f"datasets/{home}": s["revision"] for home, s in zip(homes, shown["sources"], strict=True)}
    for name, commit in pins.items():  # the stand-ins answer for the commits that the recipe names
        repos[name].commits[commit] = repos[name].commits[repos[name].head]
    environments = [
        f"evaluate.{i}.environment=current" for i, s in enumerate(shown["evaluate"]) if "big" in s["name"]
    ]
    with serving(repos) as server:
        env = environment(server.url, tmp_path / "hf")
        options = [o for e in environments for o in ("--set", e)]
        done = cli("run", recipe, "--dry-run", "--json", *options, **env)
        assert done.returncode == 0, done.stderr
        assert not any("/storage/" in r.path and "safetensors" in r.path for r in server.log)
        assert not server.asked("ALL/train-")
    stages = [s["name"] for s in json.loads(done.stdout)["stages"]]
    assert stages[0] == "curate"
    assert expected <= set(stages)
