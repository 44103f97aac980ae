"""The report tells arms apart by what they do otherwise, and answers from them what it else names a command for."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from codefit.core.files import write_text
from codefit.core.recipe import load_recipe
from codefit.report.evidence import build
from codefit.report.html_page import render_html
from codefit.report.markdown_page import render_markdown
from codefit.report.measures import table
from tests.report.fixture_run import default_outcomes, write_run

VERBS = frozenset({"run", "plan", "models"})
SWEEP = Path(__file__).parents[2] / "src" / "codefit" / "recipes" / "micro-sweep.yaml"
ARMS = [
    {"name": "main", "rows": "curated"},
    {"name": "lot", "rows": "random"},
    {"name": "taco-only", "rows": "curated", "sources": ["taco"]},
    {"name": "half", "rows": "curated", "share": 0.5, "budget": "epochs", "train": {"seed": 3, "epochs": 4}},
    {"name": "slow", "rows": "curated", "train": {"learning_rate": 1e-4}},
    {"name": "thin", "rows": "curated", "train": {"lora_rank": 4, "lora_alpha": 8}},
    {"name": "both", "rows": "raw", "train": {"lora_rank": 4, "learning_rate": 1e-4}},
]
TRAIN = {
    "method": "lora",
    "epochs": 2,
    "lora_rank": 16,
    "lora_alpha": 32,
    "learning_rate": 5e-3,
    "seed": None,
}


def evidence(run: Path, arms: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the evidence of a run of these arms; what an arm leaves out is as in a resolved recipe."""
    write_run(run, default_outcomes({"start": 18, **{arm["name"]: 60 for arm in arms}}))
    path = run / "recipe.resolved.yaml"
    usual = {"sources": None, "share": 1.0, "budget": "tokens", "objective": "answers", "train": {}}
    recipe = {**yaml.safe_load(path.read_text()), "train": TRAIN, "arms": [{**usual, **arm} for arm in arms]}
    write_text(path, yaml.safe_dump(recipe, sort_keys=False))
    return build(run, VERBS)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return evidence(tmp_path_factory.mktemp("arms"), ARMS)


def answered(found: dict[str, Any]) -> dict[int, list[Any]]:
    """Return by question the arms that its answer sets beside the main one, with their settings."""
    return {
        q["number"]: [
            [m["args"]["before_arm"]["code"], *(s["code"] for s in m["args"]["settings"])]
            for m in q["answer"]
            if m["msg"] == "answer.varied"
        ]
        for q in found["questions"]
    }


def lacks(found: dict[str, Any], number: int) -> set[str]:
    return {m["id"] for m in found["questions"][number - 1]["missing"]}


def test_each_arm_answers_the_question_that_it_bears_on_and_no_other(found: dict[str, Any]) -> None:
    curve = ["half", "share = 0.5", "budget = epochs", "epochs = 4"]
    assert {number: arms for number, arms in answered(found).items() if arms} == {
        5: [["lot", "rows = random"]],
        6: [["taco-only", "sources = taco"]],
        8: [["slow", "learning_rate = 0.0001"]],
        9: [["thin", "lora_rank = 4", "lora_alpha = 8"]],
        17: [curve],
        18: [curve],
    }


def test_what_an_arm_answers_is_not_asked_for(found: dict[str, Any], tmp_path: Path) -> None:
    assert "random_arm" not in lacks(found, 5)
    assert lacks(found, 6) == {"source_arms"}  # one source of two has no arm
    assert not {"sweeps"} & (lacks(found, 8) | lacks(found, 9))
    assert not {"learning_curve"} & (lacks(found, 17) | lacks(found, 18))
    bare = evidence(
        tmp_path, [*ARMS[:1], {**ARMS[2], "name": "t"}, {**ARMS[2], "name": "a", "sources": ["alpaca"]}]
    )
    assert lacks(bare, 6) == set()
    for number, measure in ((5, "random_arm"), (8, "sweeps"), (9, "sweeps"), (17, "learning_curve")):
        assert measure in lacks(bare, number)


def columns(line: str) -> list[str]:
    return [cell.strip(" `") for cell in line.strip("|").split("|")]


def test_the_table_of_arms_shows_what_sets_them_apart(found: dict[str, Any]) -> None:
    text = render_markdown(found, "en")
    head = next(
        line for line in text.splitlines() if line.startswith("| Arm | pass@1 `micro` | Kind of rows")
    )
    told = ["Kind of rows", "Sources", "Share of the rows", "Same budget in", "Rank", "Learning rate", "Rows"]
    assert columns(head)[2:9] == told  # the method is the same for all: it has no column
    lines = text[text.index(head) :].splitlines()[2:10]
    cells = {columns(line)[0]: columns(line)[2:8] for line in lines}
    assert cells["main"] == ["curated", "all", "100 %", "tokens", "16", "0.005"]
    assert cells["half"] == ["curated", "all", "50 %", "epochs", "16", "0.005"]
    assert cells["taco-only"][:2] == ["curated", "taco"]
    assert cells["start"] == ["—"] * 6
    assert "not corrected for one another" in text
    assert "| 数据种类 | 来源 | 所用比例 |" in render_markdown(found, "zh")
    assert "Share of the rows" in render_html(found)


@pytest.mark.parametrize("name", ["seeds", "random_arm", "source_arms", "sweeps", "learning_curve"])
def test_a_command_that_is_named_for_arms_runs_as_it_stands(name: str) -> None:
    words = shlex.split(table()[name]["command"])
    override = words[words.index("--set") + 1].replace("OTHER_SOURCE", "taco").replace("SOURCE", "alpaca")
    assert len(load_recipe(SWEEP, (override,)).arms) > 1
