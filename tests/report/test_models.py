"""Rivals and several answers to a task in the report."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from codefit.core.files import read_json, write_json
from codefit.report import build, render_markdown
from tests.report.fixture_run import SUITE, write_run

TOOK = {"weights_mb": 1143.0, "peak_mb": 6201.5, "tokens_per_s": 412.4, "seconds_per_task": 0.31}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture
def run(plain: Path, tmp_path: Path) -> Path:
    run = shutil.copytree(plain, tmp_path / "run")
    recipe = yaml.safe_load((run / "recipe.resolved.yaml").read_text(encoding="utf-8"))
    recipe["rivals"] = [{"name": "larger", "model": {"name": "7b"}, "weights": "nf4"}]
    (run / "recipe.resolved.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    scores = read_json(run / "scores.json")
    first: dict[str, Any] = next(s for s in scores["scores"] if s["suite"] == SUITE)
    larger = {**first, "arm": "larger", "metric": "pass@1"}
    several = {
        **first,
        "metric": "pass@8",
        "value": 0.75,
        "passed": 300,
        "n": 800,
        "decoding": "temperature 0.8",
    }
    write_json(run / "scores.json", {**scores, "scores": [*scores["scores"], larger, several]})
    models = [{**first, **TOOK, "weights": "bfloat16"}, {**larger, **TOOK, "weights": "nf4"}]
    write_json(run / "models.json", {"models": models})
    return run


def test_a_quantised_rival_stands_beside_the_start_model_with_memory_and_speed(run: Path) -> None:
    evidence = build(run)
    for lang in ("en", "zh"):
        text = render_markdown(evidence, lang)
        row = next(line for line in text.splitlines() if line.startswith("| `larger`") and "nf4" in line)
        for figure in ("1,143 MiB", "412.4", "0.31"):
            assert figure in row
    question = next(q for q in evidence["questions"] if q["number"] == 1)
    assert "larger_quantised" not in str(question["missing"])
    assert "nf4" in str(question["answer"])


def test_pass_at_k_does_not_take_the_place_of_pass_at_1(run: Path) -> None:
    evidence = build(run)
    assert {s.get("metric", "pass@1") for s in evidence["scores"]} == {"pass@1"}
    text = render_markdown(evidence, "en")
    assert "pass@8" in text
    assert "75.0 % (300/800)" in text


def test_speed_stays_out_of_a_report_without_rivals(plain: Path, tmp_path: Path) -> None:
    run = shutil.copytree(plain, tmp_path / "plain")
    score = read_json(run / "scores.json")["scores"][0]
    write_json(run / "models.json", {"models": [{**score, **TOOK, "weights": "bfloat16"}]})
    assert build(run)["models"] == []
    assert "412.4" not in render_markdown(build(run), "en")
