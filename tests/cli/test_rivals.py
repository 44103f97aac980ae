"""A run with rivals behind an endpoint and a server that it starts, asked in a published flavour."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from codefit.cli.main import main
from codefit.core.errors import InputError, MissingPrerequisite
from codefit.core.progress import silent
from codefit.core.recipe import load_recipe
from codefit.micro import model_path
from codefit.pipeline.context import Context
from codefit.pipeline.rivals import require_rivals
from tests.generate.endpoint import Asked, completion, endpoint
from tests.generate.test_server import STAND_IN, gguf
from tests.suites.test_flavours import mbpp_file

RECIPE = """
name: remote-rivals
model: {{name: micro}}
sources: [{{kind: micro, limit: 30}}]
curate: {{must_define: true}}
format: {{fence: false, max_length: 256}}
train: {{method: lora, batch_size: 8, device: cpu}}
generate: {{max_new_tokens: 24}}
data_dir: {folder}
evaluate: [{{name: mbpp, data: mbpp.jsonl, flavour: mbpp-3-shot}}]
rivals:
  - {{name: hosted, engine: openai, endpoint: {{base_url: {url}, model: big, attempts: 2}}, stated_weights: FP8}}
  - {{name: quantised, engine: llama.cpp, gguf: tiny.gguf}}
"""


def write(folder: Path, url: str) -> Path:
    path = folder / "r.yaml"
    path.write_text(RECIPE.format(folder=folder, url=url), encoding="utf-8")
    return path


def solve(asked: Asked) -> bytes:
    """Answer as the examples do, with what the task's first assert shows."""
    number = re.findall(r"add_(\d+)\(0\)", asked.text)[-1]
    return completion(f"[BEGIN]\ndef add_{number}(x):\n    return x + {number}\n[DONE]", tokens=12)


def test_rivals_over_http_stand_in_the_runs_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mbpp_file(tmp_path / "mbpp.jsonl")
    gguf(tmp_path / "tiny.gguf")
    monkeypatch.setenv("CODEFIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CODEFIT_LLAMA_SERVER", shlex.join([sys.executable, str(STAND_IN), "llama-server"]))
    monkeypatch.setenv("STAND_IN", str(tmp_path / "notes"))
    with endpoint(solve) as e:
        words = ["run", str(write(tmp_path, e.url)), "--out", str(tmp_path / "run"), "--json"]
        result = CliRunner().invoke(main, words, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        assert len(e.asked) == 2
        assert [m["role"] for m in e.asked[0].body["messages"]] == ["user", "assistant"] * 3 + ["user"]
    found = {m["arm"]: m for m in json.loads((tmp_path / "run" / "models.json").read_text())["models"]}
    assert [(n, found[n]["engine"], found[n]["weights"], found[n]["form"]) for n in found] == [
        ("start", "transformers", "float32", "begun"),
        ("curated", "transformers", "float32", "begun"),
        ("hosted", "openai", "FP8", "chat"),
        ("quantised", "llama.cpp", "Q4_K_M", "begun"),
    ]
    assert found["hosted"]["peak_mb"] is None
    assert found["quantised"]["peak_mb"] > 20  # a server and its worker, both Python
    assert (found["hosted"]["passed"], found["hosted"]["n"], found["quantised"]["passed"]) == (2, 2, 0)
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())["scores"]
    assert {s["flavour"] for s in scores} == {"mbpp-3-shot"}
    report = (tmp_path / "run" / "report" / "report.md").read_text()
    assert "FP8" in report
    assert re.search(
        r"`quantised` with Q4_K_M weights on `mbpp`: .* MiB at the peak, [\d,]+ tokens/s", report
    )
    assert "quantised: [BEGIN]" not in report  # what the stand-in echoes is no program


def test_a_rival_that_cannot_be_is_refused_in_one_line_without_its_key(tmp_path: Path) -> None:
    path = write(tmp_path, "http://127.0.0.1:1")
    for override, message in (
        ("rivals.1.engine=openai", "rivals.1: engine openai needs 'endpoint'"),
        ("rivals.0.weights=nf4", "'weights' changes nothing with engine openai"),
        (
            "rivals.1.endpoint={base_url: 'http://h', model: m}",
            "'endpoint' changes nothing with engine llama.cpp",
        ),
        ("rivals.0.endpoint.base_url='http://u:sk-1@h'", "base_url: holds a user or key"),
        ("rivals.0.endpoint.api_key_env=sk-12345", "api_key_env: String should match pattern"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            load_recipe(path, (override,))
        assert "sk-1" not in caught.value.line()
    same = (
        "rivals.0.endpoint.concurrency=9",
        "rivals.1.patience.attempts=2",
        "rivals.0.endpoint.api_key_env=K",
    )
    assert load_recipe(path, same).identity() == load_recipe(path).identity()
    for other in ("rivals.0.endpoint.model=b", "rivals.1.context=99", "evaluate.0.flavour=plain"):
        assert load_recipe(path, (other,)).identity() != load_recipe(path).identity()


def test_a_rival_that_could_not_answer_ends_a_run_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mbpp_file(tmp_path / "mbpp.jsonl")
    gguf(tmp_path / "tiny.gguf")
    (tmp_path / "broken.gguf").write_text("no model")
    shutil.copytree(model_path(), tmp_path / "silent")
    (tmp_path / "silent" / "chat_template.jinja").unlink()
    path = write(tmp_path, "http://127.0.0.1:1")
    monkeypatch.setenv("CODEFIT_LLAMA_SERVER", "no-such-server")
    for rival, kind, message in (
        ("{name: a, engine: llama.cpp, gguf: tiny.gguf}", MissingPrerequisite, "no-such-server: llama.cpp's"),
        ("{name: a, engine: llama.cpp, gguf: broken.gguf}", InputError, "not a usable GGUF file"),
        ("{name: a, model: {name: SILENT}}".replace("SILENT", str(tmp_path / "silent")), InputError,
         "no chat template"),
    ):  # fmt: skip
        recipe = load_recipe(path, (f"rivals=[{rival}]",))
        with pytest.raises(kind, match=message):
            require_rivals(Context(recipe, tmp_path, tmp_path / "cache", silent, frozenset()))
    monkeypatch.setenv("CODEFIT_CACHE", str(tmp_path / "cache"))
    key = ("--set", "rivals.0.endpoint.api_key_env=NO_SUCH_KEY", "--set", "rivals.1.name=b")
    result = CliRunner().invoke(main, ["run", str(path), "--out", str(tmp_path / "run"), *key])
    assert isinstance(result.exception, MissingPrerequisite)
    assert "NO_SUCH_KEY holds no key" in str(result.exception)
    assert (tmp_path / "run" / "format.json").exists()
    assert not (tmp_path / "run" / "train").exists()
