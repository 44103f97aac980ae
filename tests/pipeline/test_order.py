"""The order in which arms are made: nobody learns from answers that are not there yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from codefit.core.errors import InputErrors
from codefit.core.recipe import Recipe, load_recipe
from codefit.pipeline.run import making

BASE = """\
name: mine
model: {name: micro}
sources: [{kind: micro}]
evaluate: [{name: micro}]
"""


def recipe(folder: Path, arms: str) -> Recipe:
    path = folder / "recipe.yaml"
    path.write_text(f"{BASE}arms: {arms}\n", encoding="utf-8")
    return load_recipe(path)


def order(folder: Path, arms: str) -> list[str]:
    return [f"{kind}:{arm.name}" for kind, arm in making(recipe(folder, arms))]


def test_rounds_follow_the_models_that_they_sample_from(tmp_path: Path) -> None:
    one = "{name: one, rows: curated+sampled, sampled_from: c}"
    arms = f"[{{name: c}}, {{name: two, rows: sampled, sampled_from: one}}, {one}]"
    assert order(tmp_path, arms) == ["train:c", "sample:one", "train:one", "sample:two", "train:two"]
    loaded = recipe(tmp_path, arms)
    assert [loaded.round_of(arm) for arm in loaded.arms] == [0, 2, 1]


def test_a_first_arm_that_samples_sets_the_budget_before_another_is_trained(tmp_path: Path) -> None:
    arms = "[{name: own, rows: sampled}, {name: raw, rows: raw}]"
    assert order(tmp_path, arms) == ["sample:own", "train:own", "train:raw"]
    arms = "[{name: raw-first, rows: raw}, {name: own, rows: sampled}]"
    assert order(tmp_path, arms) == ["train:raw-first", "sample:own", "train:own"]


def test_a_chosen_model_is_chosen_before_it_answers(tmp_path: Path) -> None:
    train = "train: {choose: {}, develop: {suite: micro-dev}}"
    arms = f"[{{name: c, {train}}}, {{name: own, rows: sampled, sampled_from: c}}]"
    assert order(tmp_path, arms) == ["train:c", "choose:c", "sample:own", "train:own"]
    assert order(tmp_path, f"[{{name: a, {train}}}, {{name: b}}]") == ["train:a", "train:b", "choose:a"]


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        ("[{name: a, sampled_from: a}]", "sampled_from is for rows sampled"),
        ("[{name: a}, {name: b, rows: sampled, sampled_from: x}]", "no arm 'x'"),
        ("[{name: a, rows: sampled, sampled_from: a}]", "would sample from itself"),
        (
            "[{name: z}, {name: a, rows: sampled, sampled_from: b}, {name: b, rows: sampled, sampled_from: a}]",
            "would sample from itself",
        ),
        ("[{name: a, rows: sampled, sampled_from: b}, {name: b}]", "set its budget to 'epochs'"),
        ("[{name: a, objective: grpo, rows: raw}]", "objective grpo asks curated rows"),
        ("[{name: a, objective: grpo, train: {method: full}}]", "set train.method: lora"),
        ("[{name: a, objective: grpo, train: {validation_rows: 3}}]", "does not take train.validation_rows"),
    ],
)
def test_rounds_that_cannot_be_are_refused_in_one_line(tmp_path: Path, arms: str, message: str) -> None:
    with pytest.raises(InputErrors) as caught:
        recipe(tmp_path, arms)
    (line,) = caught.value.lines()
    assert message in line


def test_more_hours_are_no_other_run(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(BASE, encoding="utf-8")
    plain = load_recipe(path).identity()
    assert load_recipe(path, ("sample.hours=3",)).identity() == plain
    assert load_recipe(path, ("sample.samples=3",)).identity() != plain
