"""The funnel: every row accounted for, files on disk, arms, selection, resumption, real rows."""

from __future__ import annotations

import itertools
import json
import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from codefit.core.curation import DEFAULT_STEPS
from codefit.core.errors import InputError, MissingPrerequisite
from codefit.core.types import Dropped, Row
from codefit.curate import CurateSettings, curate, finished, read_dropped, read_rows
from codefit.curate.funnel import reason_group
from codefit.curate.select import Select
from codefit.micro import tasks
from codefit.sandbox import Sandbox
from codefit.sources import open_source
from codefit.suites.load import load_suite
from tests.curate.conftest import asserts, context, row
from tests.shared_data import shared_data

DRY = tuple(s for s in DEFAULT_STEPS if s not in ("verify", "decontaminate"))
FILES = (
    "kept.parquet",
    "dropped.parquet",
    "raw.parquet",
    "random.parquet",
    "hits.jsonl",
    "card.json",
    "card.md",
    "funnel.json",
)


def _accounted(rows: list[Row], result: Any) -> None:
    kept, dropped = {r.id for r in result.kept}, {d.row_id for d in result.dropped}
    assert not kept & dropped
    assert kept | dropped == {r.id for r in rows}
    assert len(result.kept) + len(result.dropped) == len(rows)
    for before, after in itertools.pairwise(result.funnel["steps"]):
        assert before["kept"] == after["in"]
    for step in result.funnel["steps"]:
        assert step["in"] == step["kept"] + step["dropped"]
        assert step["dropped"] == sum(step["reasons"].values())


ANSWERS = st.sampled_from(
    [
        "def f(x):\n    return x",
        "def f(x:\n",
        "",
        "print 'a'",
        "SELECT a FROM b;",
        "```python\ny = 2\n```",
        "\x00",
        "no code",
    ]
)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["Add.", "Sort it.", " ", "\u00e9"]), ANSWERS), min_size=1, max_size=12
    )
)
def test_no_row_vanishes_and_none_is_both_kept_and_dropped(pairs: list[tuple[str, str]]) -> None:
    rows = [row(f"r{i}", ask, answer) for i, (ask, answer) in enumerate(pairs)]
    with tempfile.TemporaryDirectory() as folder:
        chosen = CurateSettings(steps=DRY, select={"rows": 3})
        _accounted(rows, curate(rows, chosen, Path(folder), tasks={}, sandbox=None, seed=0))


def test_files_say_what_the_result_says(tmp_path: Path, sandbox: Sandbox) -> None:
    rows = [
        row(
            "a",
            "Write f that adds one.",
            "def f(x):\n    return x + 1",
            tests=asserts("assert f(1) == 2"),
            licence="CC BY-NC 4.0",
        ),
        row("b", "Write f that adds two.", "def f(x):\n    return x", tests=asserts("assert f(1) == 3")),
        row("c", "Say hi.", "", source="there"),
    ]
    sources = [{"name": "here", "revision": "abc", "about": "test rows"}]
    result = curate(rows, CurateSettings(), tmp_path, tasks={}, sandbox=sandbox, seed=0, sources=sources)
    _accounted(rows, result)
    data = tmp_path / "data"
    assert {p.name for p in data.iterdir()} == {*FILES, "cache"}
    assert list(read_rows(data / "kept.parquet")) == result.kept
    assert result.kept[0].extra["verdict"] == "passed"
    assert 0 < result.kept[0].extra["quality"] <= 1
    assert result.kept[0].extra["passed"] == list(DEFAULT_STEPS)
    assert {"features", "difficulty", "level", "topics", "libraries"} <= set(result.kept[0].extra)
    assert list(read_dropped(data / "dropped.parquet")) == result.dropped
    assert Dropped("c", "normalise", "empty answer") in result.dropped
    assert [r.id for r in read_rows(data / "raw.parquet")] == ["a", "b"]
    funnel = json.loads((data / "funnel.json").read_text())
    assert funnel == result.funnel
    verify = next(s for s in funnel["steps"] if s["step"] == "verify")
    assert verify["sample_dropped"][0]["reason"].startswith("wrong_answer")
    card = (data / "card.md").read_text()
    assert "Non-commercial rows" in card
    assert "| pass their own tests, of those run | 50.0 % (1/2) | - | 50.0 % (1/2) |" in card
    assert json.loads((data / "card.json").read_text())["mixture"]["kept"]["rows"] == 1
    assert "abc" in card


def test_killed_run_ends_with_the_same_bytes(tmp_path: Path, sandbox: Sandbox) -> None:
    rows = list(open_source({"kind": "micro", "limit": 100}).rows())
    suites = {"micro": tasks("test")}

    class Killed(Exception):
        pass

    def kill(step: str, done: int, total: int) -> None:
        if step == "decontaminate" or (step == "verify" and done > total // 2):
            raise Killed

    def run(out: Path, report: Any = None) -> dict[str, bytes]:
        curate(rows, CurateSettings(), out, tasks=suites, sandbox=sandbox, seed=1, on_progress=report)
        return {name: (out / "data" / name).read_bytes() for name in FILES}

    unbroken = run(tmp_path / "a")
    with pytest.raises(Killed):
        run(tmp_path / "b", kill)
    assert not (tmp_path / "b" / "data" / "funnel.json").exists()
    assert run(tmp_path / "b") == unbroken


def _state_files(out: Path) -> list[Path]:
    return sorted((out / "data" / "cache" / "steps").glob("*.json"))


def test_finished_steps_are_not_run_again_and_change_no_byte(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finished, "_WORTH_S", 0.0)
    rows = list(open_source({"kind": "micro", "limit": 80}).rows())
    suites = {"micro": tasks("test")}

    def run(
        out: Path, box: Sandbox | None, identity: str | None = "rows", **changed: Any
    ) -> dict[str, bytes]:
        chosen = CurateSettings(**changed)
        curate(rows, chosen, out, tasks=suites, sandbox=box, seed=1, identity=identity)
        return {name: (out / "data" / name).read_bytes() for name in FILES}

    first = run(tmp_path, sandbox)
    assert len(_state_files(tmp_path)) == len(DEFAULT_STEPS)
    # without a sandbox no step that runs programs could be worked again
    assert run(tmp_path, None) == first == run(tmp_path / "plain", sandbox, None)
    fewer = run(tmp_path, None, select={"rows": 20})
    assert fewer == run(tmp_path / "fewer", sandbox, None, select={"rows": 20})
    with pytest.raises(MissingPrerequisite):
        run(tmp_path, None, verify={"max_tests": 3})
    with pytest.raises(MissingPrerequisite):
        run(tmp_path, None, "other rows")


def test_a_damaged_state_is_made_again(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finished, "_WORTH_S", 0.0)
    rows = list(open_source({"kind": "micro", "limit": 40}).rows())

    def run() -> bytes:
        curate(rows, CurateSettings(), tmp_path, tasks={}, sandbox=sandbox, seed=1, identity="rows")
        return (tmp_path / "data" / "kept.parquet").read_bytes()

    first = run()
    for number, path in enumerate(_state_files(tmp_path)):
        path.write_text("" if number % 2 else '{"kept": ["gone"]}')
    assert run() == first


def test_random_arm_has_the_tokens_of_the_kept_rows(tmp_path: Path) -> None:
    rows = [
        row(f"r{i:03}", f"Write number {i} of the things.", f"def f{i}(x):\n    return x + {i}")
        for i in range(200)
    ]
    chosen = CurateSettings(steps=DRY, select={"rows": 40})
    drawn = {}
    for seed, order in ((0, rows), (0, rows[::-1]), (1, rows)):
        result = curate(order, chosen, tmp_path, tasks={}, sandbox=None, seed=seed)
        arms = result.funnel["arms"]
        assert 0 <= arms["random_tokens"] - result.funnel["kept_tokens"] < 40
        drawn[seed, order[0].id] = {r.id for r in read_rows(tmp_path / "data" / "random.parquet")}
    assert drawn[0, "r000"] == drawn[0, "r199"] != drawn[1, "r000"]


def test_selection_is_the_same_in_any_order_and_within_the_budget() -> None:
    rng = random.Random(0)
    rows = [row(f"r{i}", f"Task {rng.random()}", f"x = {i % 7}", source="ab"[i % 2]) for i in range(60)]
    ctx = context(select={"tokens": 300, "max_share": {"a": 0.25}})
    for r in rows:
        ctx.note(r.id, quality=rng.random())
    first = Select().run(rows, ctx)
    second = Select().run(rows[::-1], ctx)
    assert {r.id for r in first.kept} == {r.id for r in second.kept}
    tokens = {s: sum(ctx.row_tokens(r) for r in first.kept if r.source == s) for s in "ab"}
    assert tokens["a"] <= 75
    assert 250 < sum(tokens.values()) <= 300


def test_diversity_prefers_what_is_new() -> None:
    rows = [row(f"same{i}", "Sort the list of numbers", "sorted(x)") for i in range(5)]
    rows.append(row("new", "Parse dates", "import datetime"))
    kept = {}
    for weight in (0.0, 0.9):
        ctx = context(select={"rows": 2, "diversity": weight})
        for r in rows:
            ctx.note(r.id, quality=0.5 if r.id == "new" else 0.6)
        kept[weight] = {r.id for r in Select().run(rows, ctx).kept}
    assert "new" in kept[0.9]
    assert "new" not in kept[0.0]


def test_no_rows_and_repeated_ids_are_input_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no rows"):
        curate([], CurateSettings(), tmp_path, tasks={}, sandbox=None, seed=0)
    with pytest.raises(InputError, match="two rows have the id 'a'"):
        curate([row("a"), row("a")], CurateSettings(), tmp_path, tasks={}, sandbox=None, seed=0)


def test_a_model_s_view_without_a_model_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no model to ask"):
        curate([row("a")], CurateSettings(model_view="ifd"), tmp_path, tasks={}, sandbox=None, seed=0)


def test_missing_suite_stops_before_any_work(tmp_path: Path) -> None:
    chosen = CurateSettings(decontaminate={"against": ["mbpp"]})
    with pytest.raises(InputError, match="suite 'mbpp'"):
        curate([row("a")], chosen, tmp_path, tasks={}, sandbox=None, seed=0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "wrong",
    [{"stepps": []}, {"weights": {"beauty": 1.0}}, {"steps": ["select", "verify"]}, {"steps": ["verify", "verify"]},
     {"select": {"max_share": {"a": 2.0}}}, {"near_dup": {"threshold": 0.0}}],
)  # fmt: skip
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CurateSettings(**wrong)


def test_every_setting_has_a_description() -> None:
    schema = CurateSettings.model_json_schema()
    models = [schema, *schema["$defs"].values()]
    assert all("description" in field for m in models for field in m["properties"].values())


@pytest.mark.parametrize(
    ("reason", "group"),
    [
        ("leak:mbpp:Mbpp/12:code", "leak:mbpp:code"),
        ("near-duplicate of a (Jaccard 0.81)", "near-duplicate"),
        ("same code as a", "same code"),
        ("undefined name: x, y", "undefined name"),
        ("same request as a, a near-duplicate of b", "same request"),
        ("wrong_answer: input f(1); expected 2", "wrong_answer"),
        ("does not load: runtime_error: NameError: x", "does not load: runtime_error"),
        ("python 2", "python 2"),
    ],
)
def test_reasons_are_counted_without_their_particulars(reason: str, group: str) -> None:
    assert reason_group(reason) == group


def test_real_rows_go_through_the_whole_funnel(tmp_path: Path, sandbox: Sandbox) -> None:
    rows: list[Row] = []
    for kind, name, limit in (
        ("code_alpaca", "code_alpaca_20k", 300),
        ("taco", "taco_schema_stdin", 20),
        ("taco", "taco_schema_function", 40),
    ):
        path = shared_data(f"{name}.jsonl.gz")
        rows += open_source({"kind": kind, "name": name, "path": path, "limit": limit}).rows()
    suites = {
        "mbpp": load_suite("mbpp", shared_data("mbpp.jsonl.gz")).tasks,
        "humaneval": load_suite("humaneval", shared_data("humaneval.jsonl.gz")).tasks,
    }
    chosen = CurateSettings(
        decontaminate={"against": list(suites)}, verify={"max_tests": 3, "max_solutions": 2}
    )
    result = curate(rows, chosen, tmp_path, tasks=suites, sandbox=sandbox, seed=0)
    _accounted(rows, result)
    by_source = {s: sum(r.source == s for r in result.kept) for s in {r.source for r in rows}}
    assert by_source["taco_schema_function"] >= 34
    assert by_source["taco_schema_stdin"] >= 8
    assert 60 <= by_source["code_alpaca_20k"] <= 130
    assert any(h.action == "removed" for h in result.hits)
    assert {r.extra["verdict"] for r in result.kept if r.tests} == {"passed"}
