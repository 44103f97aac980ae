"""Recipes: every fault at once, by line, with a hint; every field is used."""

from __future__ import annotations

import ast
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from codefit.core.errors import InputError, InputErrors
from codefit.core.recipe import Recipe, load_recipe, to_yaml
from codefit.core.units import parse_bytes

GOOD = """\
name: mine
model: {name: micro}
sources:
  - {kind: micro}
evaluate:
  - {name: micro}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def lines_of(folder: Path, text: str) -> list[str]:
    with pytest.raises(InputErrors) as caught:
        load_recipe(write(folder, text))
    return caught.value.lines()


def test_all_errors_are_reported_at_once_with_file_and_line(tmp_path: Path) -> None:
    text = GOOD + "train:\n  learning_rat: 1e-4\n  epochs: none\nmemory: 7000\n"
    found = lines_of(tmp_path, text)
    assert len(found) == 3
    assert any(
        "recipe.yaml:8: unknown key 'train.learning_rat'; did you mean 'learning_rate'?" in f for f in found
    )
    assert any("recipe.yaml:9:" in f and "train.epochs" in f for f in found)
    assert any("recipe.yaml:10:" in f and "MiB" in f for f in found)


def test_a_wrong_key_in_a_list_is_found_by_line(tmp_path: Path) -> None:
    found = lines_of(tmp_path, GOOD.replace("{kind: micro}", "{kind: micro, limt: 3}"))
    assert found == [f"{tmp_path}/recipe.yaml:4: unknown key 'sources.0.limt'; did you mean 'limit'?"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not YAML"),
        ("- 1\n- 2\n", "not a mapping"),
        (GOOD + "seed: 1\nseed: 2\n", "given twice"),
        (GOOD + "train: {learning_rate: 1e999}\n", "finite"),
        ("", "not a mapping"),
        (GOOD + "title: 2024-99-99\n", r"recipe.yaml:7: .*no valid timestamp"),
        (GOOD + "seed: !!int abc\n", r"recipe.yaml:7: .*no valid int"),
        (GOOD + "seed: " + "9" * 5000 + "\n", "no valid int"),
        (GOOD + "title: !!bool perhaps\n", "no valid bool"),
        (GOOD + "title: !!python/name:os.system x\n", "could not determine a constructor"),
        (GOOD + "? [a]\n: 1\n", r"recipe.yaml:7: .*a key must be one word"),
        (GOOD + "train: &t {threads: *t}\n", "an alias to itself"),
        (GOOD + "<<: {seed: 1}\n", "no merge keys"),
        (GOOD + "train: {max_grad_norm: .inf}\n", "finite"),
        ("a: " + "[" * 5000 + "]" * 5000, "not YAML"),
        ("# " + "x" * 2**20, "longer than"),
    ],
)
def test_broken_documents_give_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_recipe(write(tmp_path, text))


def test_nested_aliases_that_make_a_huge_document_are_refused_at_once(tmp_path: Path) -> None:
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    began = time.monotonic()
    with pytest.raises(InputError, match="more than 20,000 values"):
        load_recipe(write(tmp_path, "\n".join(["a0: &a0 [1, 1]", *levels])))
    assert time.monotonic() - began < 5


def test_a_plain_alias_is_read(tmp_path: Path) -> None:
    loaded = load_recipe(write(tmp_path, GOOD + "title: &t hello\nnote: *t\n"))
    assert loaded.note == "hello"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.yaml: cannot read"):
        load_recipe(tmp_path / "nowhere.yaml")


def test_an_exponent_without_a_dot_is_a_number(tmp_path: Path) -> None:
    loaded = load_recipe(write(tmp_path, GOOD + "train: {learning_rate: 3e-3}\n"))
    assert loaded.train.learning_rate == 0.003


def test_a_commit_hash_that_begins_like_a_number_is_a_text(tmp_path: Path) -> None:
    commit = "2e1fd397ee46e1388853d2af2c993145b0f1098a"
    path = write(tmp_path, GOOD.replace("{name: micro}", f"{{name: a/b, revision: {commit}}}", 1))
    assert load_recipe(path).model.revision == commit
    assert load_recipe(path, (f"model.revision={commit}",)).model.revision == commit


def test_overrides_reach_nested_values_and_lists(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    loaded = load_recipe(path, ("train.epochs=2", "sources.0.limit=5", "format.system='Hello: you'"))
    assert loaded.train.epochs == 2
    assert loaded.sources[0].limit == 5
    with pytest.raises(InputErrors, match=r"unknown key 'train\.epoch'"):
        load_recipe(path, ("train.epoch=2",))
    with pytest.raises(InputError, match="KEY=VALUE"):
        load_recipe(path, ("train",))
    for index in ("4", "²", "-1", "9" * 5000):
        with pytest.raises(InputError, match=f"no '{index}' there"):
            load_recipe(path, (f"sources.{index}.limit=1",))


def test_the_resolved_recipe_reads_back_as_itself(tmp_path: Path) -> None:
    loaded = load_recipe(write(tmp_path, GOOD))
    again = load_recipe(write(tmp_path, to_yaml(loaded)))
    assert again == loaded


@pytest.mark.parametrize(
    "arms",
    [
        "[{name: a}, {name: a}]",
        "[{name: start}]",
        "[]",
        "[{name: a, train: {rank: 3}}]",
        "[{name: a, budget: epochs}]",
        "[{name: a}, {name: b, train: {epochs: 3}}]",
        "[{name: a, train: {method: full, dtype: bfloat16, optimizer: adamw}}]",
    ],
)
def test_unsound_arms_are_refused(tmp_path: Path, arms: str) -> None:
    assert lines_of(tmp_path, GOOD + f"arms: {arms}\n")


def test_a_fault_in_an_arm_names_the_arm(tmp_path: Path) -> None:
    (line,) = lines_of(tmp_path, GOOD + "arms: [{name: a}, {name: b, train: {rank: 3}}]\n")
    assert "arms.1.train.rank" in line


def test_a_suite_named_twice_is_refused(tmp_path: Path) -> None:
    (line,) = lines_of(tmp_path, GOOD + "  - {name: micro, limit: 3}\n")
    assert "'micro' is named twice" in line


def test_what_changes_no_result_is_not_in_the_identity(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    same = ("sandbox.jobs=3", "train.save_every=7", "generate.batch_size=2", "data_dir=/elsewhere")
    assert load_recipe(path, same).identity() == load_recipe(path).identity()
    assert load_recipe(path, ("train.epochs=3",)).identity() != load_recipe(path).identity()


def test_the_schema_is_json_and_describes_every_top_key() -> None:
    schema = json.loads(json.dumps(Recipe.model_json_schema()))
    assert set(schema["properties"]) == set(Recipe.model_fields)


def fields(model: type[BaseModel]) -> set[str]:
    found: set[str] = set()
    for name, field in model.model_fields.items():
        found.add(name)
        for part in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(part, type) and issubclass(part, BaseModel):
                found |= fields(part)
    return found


def test_every_recipe_field_is_read_somewhere_in_the_package() -> None:
    source = Path(__file__).parents[2] / "src" / "codefit"
    read: set[str] = set()
    for path in source.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        read |= {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    report = "\n".join(p.read_text(encoding="utf-8") for p in (source / "report").rglob("*.py"))
    unread = {f for f in fields(Recipe) - read if f'"{f}"' not in report}
    assert not unread


@pytest.mark.parametrize(
    ("text", "size"),
    [("7000MiB", 7000 * 2**20), ("7000 MB", 7_000_000_000), ("8GB", 8 * 10**9), ("1.5 GiB", 3 * 2**29)],
)
def test_sizes_have_explicit_units(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["7000", "7000 mebi", "", "-3GB", "MiB", "9" * 400 + "MB"])
def test_sizes_without_a_unit_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="MiB"):
        parse_bytes(text)


@given(st.text(max_size=300))
def test_no_text_at_all_breaks_the_loader(text: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "r.yaml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(InputError):
            load_recipe(path)


HELD = "validation_rows: 5, validate_every: 2"


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ("{validate_every: 5}", "set validation_rows"),
        ("{validation_rows: 5, early_stop: 2}", "set validate_every"),
        ("{choose: {}}", "set develop.suite"),
        ("{choose: {scales: []}, develop: {suite: micro-dev}}", "at least one"),
        ("{choose: {scales: [1, 1.0]}, develop: {suite: micro-dev}}", "different numbers"),
        ("{choose: {scales: [-1]}, develop: {suite: micro-dev}}", "greater than or equal to 0"),
        ("{choose: {average_last: 1}, develop: {suite: micro-dev}}", "greater than or equal to 2"),
        ("{method: full, choose: {scales: [1]}, develop: {suite: micro-dev}}", "are of an adapter"),
        ("{method: full, choose: {}, develop: {suite: micro-dev}}", "set choose.average_last"),
        (
            f"{{{HELD}, early_stop: 2, choose: {{average_last: 2}}, develop: {{suite: micro-dev}}}}",
            "keeps the best",
        ),
        ("{report_to: [tensorboard, tensorboard]}", "names a tracker twice"),
        ("{report_to: [excel]}", "'tensorboard', 'wandb', 'mlflow' or 'trackio'"),
        ("{develop: {suite: micro}}", "'micro' is evaluated"),
    ],
)
def test_watches_that_cannot_be_are_refused_in_one_line(tmp_path: Path, train: str, message: str) -> None:
    (line,) = lines_of(tmp_path, GOOD + f"train: {train}\n")
    assert message in line


def test_an_arm_cannot_be_developed_on_a_test_set_either(tmp_path: Path) -> None:
    (line,) = lines_of(tmp_path, GOOD + "arms: [{name: a}, {name: b, train: {develop: {suite: micro}}}]\n")
    assert "'micro' is evaluated" in line


def test_what_chooses_weights_is_in_the_identity_and_what_watches_is_not(tmp_path: Path) -> None:
    path = write(
        tmp_path, GOOD + f"train: {{{HELD}, develop: {{suite: micro-dev, every: 3}}, choose: {{}}}}\n"
    )
    base = load_recipe(path).identity()
    for same in (
        "train.report_to=[tensorboard]",
        "train.validate_every=9",
        "train.develop.every=7",
        "train.save_every=3",
    ):
        assert load_recipe(path, (same,)).identity() == base
    for other in (
        "train.develop.limit=5",
        "train.choose.scales=[0.5]",
        "train.early_stop=3",
        "train.choose.average_last=3",
    ):
        assert load_recipe(path, (other,)).identity() != base
    stopping = load_recipe(path, ("train.early_stop=3",))
    assert (
        load_recipe(path, ("train.early_stop=3", "train.validate_every=9")).identity() != stopping.identity()
    )


def test_as_trained_is_always_among_the_scales(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + "train: {develop: {suite: micro-dev}, choose: {}}\n")
    assert load_recipe(path).train.scales == (0.0, 0.25, 0.5, 0.75, 1.0)
    assert load_recipe(path, ("train.choose.scales=[0.5]",)).train.scales == (0.5, 1.0)
    assert load_recipe(path, ("train.method=full", "train.choose.average_last=3")).train.scales == (1.0,)
