"""`codefit data preview` and `data card` through the command line, from a run and from a recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli, one_line
from tests.shared_data import shared_data

FEW = ("--set", "sources.0.limit=200", "--set", "evaluate.0.limit=5")


@pytest.fixture(scope="module")
def recipe_preview(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the preview of the demo's recipe as data."""
    from codefit.core.recipe import load_recipe
    from codefit.pipeline.preview import preview_recipe

    recipe = load_recipe(
        Path("src/codefit/recipes/micro-demo.yaml"), ("sources.0.limit=200", "evaluate.0.limit=5")
    )
    return preview_recipe(recipe, tmp_path_factory.mktemp("cache"), lambda event: None)


def test_a_recipe_is_previewed_before_any_run(cli: Cli, tmp_path: Path) -> None:
    result = cli("data", "preview", "micro-demo", *FEW, "--html", "page.html")
    assert result.returncode == 0, result.stderr
    assert "alike, token by token, on 5 tasks of micro" in result.stdout
    assert "before" not in result.stderr
    assert "curation may still drop or change them" in result.stdout
    assert "⟦" in result.stdout
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]


def test_the_same_recipe_gives_the_same_page(
    recipe_preview: dict[str, Any], cli: Cli, tmp_path: Path
) -> None:
    for name in ("a.html", "b.html"):
        assert cli("data", "preview", "micro-demo", *FEW, "--html", name, "--json").returncode == 0
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert {p["kind"] for p in recipe_preview["previews"]} == {"row", "evaluation"}


def test_a_run_folder_is_previewed_with_hostile_text_made_visible(
    recipe_preview: dict[str, Any], cli: Cli, tmp_path: Path
) -> None:
    found = json.loads(json.dumps(recipe_preview))
    found["previews"][0]["tokens"][0]["text"] = "\x1b[2J[red]<script>"
    found["previews"][0]["id"] = "evil\x1b[31m"
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "format.json").write_text(json.dumps(found))
    result = cli("data", "preview", "run", "--html", "page.html")
    assert result.returncode == 0, result.stderr
    assert "\x1b" not in result.stdout
    assert "\\x1b[2J[red]<script>" in result.stdout
    assert "<script" not in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_faults_are_one_line(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    empty = cli("data", "preview", "empty")
    assert (empty.returncode, "no formatted rows there" in one_line(empty)) == (2, True)
    run = cli("data", "preview", "empty", "--set", "seed=1")
    assert (run.returncode, "a run is shown as it is" in one_line(run)) == (2, True)
    unknown = cli("data", "preview", "micro-demi")
    assert (unknown.returncode, "micro-demo" in one_line(unknown)) == (2, True)


def test_real_sources_are_previewed_beside_a_real_prompt(cli: Cli) -> None:
    folder = shared_data("code_alpaca_20k.jsonl.gz").parent
    result = cli("data", "preview", "codealpaca-taco-smoke", "--set", f"data_dir={folder}", "--json")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert [(p["kind"], p.get("source") or p["suite"]) for p in found["previews"]] == [
        ("row", "code_alpaca"), ("row", "taco-function"), ("row", "taco-stdin"), ("evaluation", "mbpp+"),
    ]  # fmt: skip
    assert all(p["trained_tokens"] > 0 for p in found["previews"][:3])
    assert set(found["parity"]["rows"]) == {"code_alpaca", "taco-function", "taco-stdin"}
