"""Arms of single sources and of shares of the rows: which rows are theirs, and how long they are trained."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codefit.core.errors import InputError, InputErrors
from codefit.core.files import read_json
from codefit.core.progress import silent
from codefit.core.recipe import load_recipe
from codefit.core.types import Row
from codefit.curate.pairs import function_id, program_id
from codefit.curate.rows_io import write_rows
from codefit.pipeline import data, model
from codefit.pipeline.context import Context
from codefit.pipeline.evidence import seed_groups
from codefit.sources.registry import open_source

RECIPE = Path(__file__).parents[2] / "src" / "codefit" / "recipes" / "micro-sweep.yaml"
ROWS = [
    Row(f"{source}/{i}", source, f"Add {i} to {source}.", f"def f({source}):\n    return {source} + {i}")
    for i in range(20)
    for source in ("alpaca", "taco")
]


def context(out: Path, arms: str | None = None, *more: str) -> Context:
    recipe = load_recipe(RECIPE, (*([f"arms={arms}"] if arms else ()), *more))
    return Context(recipe, out, out / "cache", silent, frozenset())


def ids(rows: Any) -> list[str]:
    return [row.id for row in rows]


@settings(max_examples=30)
@given(st.floats(0.01, 1), st.floats(0.01, 1), st.integers(0, 9), st.permutations(ROWS))
def test_a_larger_share_holds_every_smaller_one_in_whatever_order_rows_come(
    one: float, other: float, seed: int, rows: list[Row]
) -> None:
    small, large = sorted((one, other))
    arms = f"[{{name: a, share: {small!r}}}, {{name: b, share: {large!r}}}]"
    c = context(Path("nowhere"), arms, f"seed={seed}")
    a, b = (ids(c.part_of(arm, rows)) for arm in c.recipe.arms)
    assert len(a) == max(1, round(small * len(rows)))
    assert set(a) <= set(b)
    assert a == [row.id for row in rows if row.id in set(a)]
    assert set(a) == set(ids(c.part_of(c.recipe.arms[0], ROWS)))


def test_a_share_is_drawn_by_the_recipes_seed_and_not_by_the_arms() -> None:
    arms = "[{name: a, share: 0.5, train: {seed: 1}}, {name: b, share: 0.5, train: {seed: 2}}]"
    drawn = []
    for seed in (0, 1):
        c = context(Path("nowhere"), arms, f"seed={seed}")
        one, other = (ids(c.part_of(arm, ROWS)) for arm in c.recipe.arms)
        assert one == other
        drawn.append(one)
    assert drawn[0] != drawn[1]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_rows(tmp_path / "data" / "kept.parquet", ROWS)
    write_rows(
        tmp_path / "data" / "raw.parquet", [*ROWS, Row("taco/x", "taco", "Add.", "def f(x):\n    return x")]
    )
    write_rows(tmp_path / "data" / "random.parquet", ROWS[5:15])
    return tmp_path


ARMS = (
    "[{name: main}, {name: raw, rows: raw, sources: [taco]}, {name: random, rows: random, sources: [alpaca]}, "
    "{name: half, share: 0.5}, {name: half-epochs, share: 0.5, budget: epochs}, "
    "{name: longer, share: 0.5, budget: epochs, train: {epochs: 8}}]"
)


def test_arms_are_tokenised_counted_and_trained_by_their_own_rows(run: Path) -> None:
    c = context(run, ARMS, "evaluate.0.limit=5")
    data.format_stage(c)
    found = read_json(run / "format.json")["arms"]
    half = Counter(row.source for row in c.part_of(c.recipe.arms[3], ROWS))
    assert {
        name: Counter({s: n["in"] for s, n in arm["sources"].items()}) for name, arm in found.items()
    } == {
        "main": Counter(alpaca=20, taco=20),
        "raw": Counter(taco=21),
        "random": Counter(alpaca=5),
        **{name: half for name in ("half", "half-epochs", "longer")},
    }
    assert (found["half"]["rows"], found["raw"]["rows"]) == (20, 21)
    budgets = {arm.name: c.trained_budget(arm) for arm in c.recipe.arms}
    whole, own = 2 * found["main"]["trained_tokens"], found["half"]["trained_tokens"]
    assert budgets == {
        **dict.fromkeys(("main", "raw", "random", "half"), whole),
        "half-epochs": 2 * own,
        "longer": 8 * own,
    }


def test_every_share_holds_out_the_same_rows(run: Path) -> None:
    arms = "[{name: all}, {name: half, share: 0.5}, {name: fifth, share: 0.2}]"
    c = context(run, arms, "train.validation_rows=5", "train.validate_every=1")
    splits = [c.split(arm) for arm in c.recipe.arms]
    held = [sorted(e.row_id for e in validation) for _, validation in splits]
    assert held[0] == held[1] == held[2]
    assert len(held[0]) == 5
    assert [len(training) for training, _ in splits] == [35, 15, 3]


def test_no_program_is_trained_on_whose_function_is_held_out(run: Path) -> None:
    functions = [replace(row, id=function_id(row.id), instruction=f"{row.instruction} f") for row in ROWS]
    write_rows(run / "data" / "kept.parquet", [*ROWS, *functions])
    c = context(run, "[{name: all}]", "train.validation_rows=9", "train.validate_every=1")
    training, validation = c.split(c.recipe.arms[0])
    assert len(validation) == 9
    forms = [{program_id(e.row_id) or e.row_id for e in part} for part in (training, validation)]
    assert not forms[0] & forms[1]
    assert len(training) == 2 * (len(ROWS) - len(forms[1]))


def test_what_decides_an_arms_rows_decides_whether_it_is_made_again(run: Path) -> None:
    def keys(arms: str) -> tuple[Any, Any, Any]:
        c = context(run, arms)
        return data.format_settings(c), model.plan_settings(c), model.train_settings(c, c.recipe.arms[1])

    base = keys("[{name: a}, {name: b}]")
    for changed in ("share: 0.5", "sources: [taco]", "rows: raw"):
        assert all(
            one != other
            for one, other in zip(base, keys(f"[{{name: a}}, {{name: b, {changed}}}]"), strict=True)
        )
    train = keys("[{name: a, share: 0.5}, {name: b}]")[2]
    assert train != base[2]  # the first arm's tokens are the other's budget


def test_an_arm_without_rows_is_named(run: Path) -> None:
    write_rows(run / "data" / "random.parquet", [r for r in ROWS if r.source == "taco"])
    c = context(run, "[{name: main}, {name: none, rows: random, sources: [alpaca]}]")
    with pytest.raises(InputError, match="no row is left for arm 'none'"):
        c.examples(c.recipe.arms[1])


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ("sources: [alpacca]", "arms.1.sources: no source 'alpacca' (did you mean 'alpaca'?)"),
        ("sources: [zzz]", "no source 'zzz' (known: alpaca, taco)"),
        ("sources: []", "arms.1.sources"),
        ("sources: [taco, taco]", "names a source twice"),
        ("share: 0", "arms.1.share"),
        ("share: 1.5", "arms.1.share"),
        ("rows: sampled, share: 0.5", "share is for rows curated, raw or random"),
        ("rows: curated+sampled, sources: [taco]", "sources is for rows curated, raw or random"),
        ("objective: grpo, share: 0.5, train: {method: lora}", "share is for arms that learn answers"),
    ],
)
def test_senseless_parts_are_refused_in_one_line(arm: str, message: str) -> None:
    with pytest.raises(InputErrors) as caught:
        load_recipe(RECIPE, (f"arms=[{{name: a}}, {{name: b, {arm}}}]",))
    (line,) = caught.value.lines()
    assert message in line


def test_a_local_file_needs_a_name_for_its_rows_to_be_chosen() -> None:
    sources = "sources=[{kind: jsonl, path: my/rows.jsonl}, {kind: hub, repo: owner/Some-Rows}]"
    arms = "arms=[{name: a}, {name: b, sources: [rows]}]"
    with pytest.raises(InputErrors, match=r"did you mean 'some-rows'\?\); a local file needs a `name`"):
        load_recipe(RECIPE, (sources, arms))
    assert load_recipe(RECIPE, (sources, arms.replace("[rows]", "[some-rows]"))).arms[1].sources == (
        "some-rows",
    )


def test_arms_that_differ_in_their_part_are_no_seeds_of_one_another() -> None:
    arms = "[{name: a, sources: [taco, alpaca]}, {name: b, share: 0.5, train: {seed: 1}}, "
    arms += "{name: c, sources: [alpaca, taco], train: {seed: 2}}]"
    assert seed_groups(load_recipe(RECIPE, (f"arms={arms}",))) == [["a", "c"]]


def test_the_micro_world_comes_in_two_tables() -> None:
    whole = open_source({"kind": "micro"})
    tables = [open_source({"kind": "micro", "split": name, "name": name}) for name in ("code_alpaca", "taco")]
    texts = [Counter((r.instruction, r.response) for r in source.rows()) for source in (whole, *tables)]
    assert texts[0] == texts[1] + texts[2]
    assert len({source.revision for source in (whole, *tables)}) == 3
    with pytest.raises(InputError, match="kind 'micro' has no split 'train'"):
        open_source({"kind": "micro", "split": "train"})


def test_faults_are_counted_for_the_tables_that_are_read(tmp_path: Path) -> None:
    named = []
    for sources in ("[{kind: micro}]", "[{kind: micro, split: taco}]"):
        found = data._planted(context(tmp_path, "[{name: a}]", f"sources={sources}"))
        named.append((found["rows"], {f["of"] for f in found["faults"]}))
    assert named == [(7100, {"taco rows", "code_alpaca rows"}), (4000, {"taco rows"})]
