"""Programs with a function row beside them: every row counted, one of a pair selected, leaks take both."""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codefit.core import types
from codefit.core.types import STDIN_CONTRACT, Row
from codefit.curate import CurateSettings, curate, finished
from codefit.curate.decontaminate import Decontaminate
from codefit.curate.dedup_near import DedupNear
from codefit.curate.pairs import function_id, is_pair, program_id
from codefit.curate.select import Select
from codefit.curate.sharded import Input, curate_sharded
from codefit.curate.verify import Verify
from codefit.sandbox import Sandbox
from codefit.scale import LocalExecutor
from tests.curate.conftest import context, row, task

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
WHAT = ("the sum", "the product", "the larger", "the distance", "the remainder", "the pair's mean")
HOW = ("a + b", "a * b", "max(a, b)", "abs(a - b)", "a % b", "(a + b) // 2")
PRINTED = (("10", "11"), ("21", "18"), ("7", "9"), ("4", "7"), ("1", "2"), ("5", "5"))


def program(number: int, row_id: str = "", answer: str = "") -> Row:
    """Return a row whose program reads two numbers; those of one number modulo 6 ask for the same."""
    how = HOW[number % 6]
    source = f"a, b = map(int, input().split())\nprint({answer or how})"
    tests = types.Tests("stdin", inputs=("7 3\n", "2 9\n"), outputs=PRINTED[number % 6])
    ask = (
        f"Given two numbers, number {number // 6} of this kind, print {WHAT[number % 6]}.\n\n{STDIN_CONTRACT}"
    )
    return row(row_id or f"p{number}", ask, source, tests=tests)


def both(sandbox: Sandbox, *rows: Row, **more: Any) -> tuple[list[Row], Any]:
    ctx = context(sandbox, verify={"convert": "add", "convert_share": 1.0} | more)
    return Verify().run(list(rows), ctx).kept, ctx


def test_a_program_stays_and_its_function_is_a_row_of_its_own(sandbox: Sandbox) -> None:
    asked = program(0)
    (stays, function), ctx = both(sandbox, asked)
    assert stays == asked
    assert function.id == function_id("p0") != "p0"
    assert (program_id(function.id), program_id("p0")) == ("p0", None)
    assert is_pair("p0", function.id)
    assert not is_pair("p1", function.id)
    assert function.extra["converted_from"] == "p0"
    assert function.tests == types.Tests("calls", "solve", inputs=((7, 3), (2, 9)), outputs=(10, 11))
    assert "def solve(a: int, b: int) -> int:" in function.instruction
    assert "input(" not in function.response
    assert (ctx.fact(function.id, "verdict"), ctx.fact("p0", "verdict")) == ("passed", "passed")
    assert (ctx.fact(function.id, "converted"), ctx.fact("p0", "converted")) == ("stdin to function", None)


def test_the_share_bounds_the_rows_added_and_the_order_says_nothing(sandbox: Sandbox) -> None:
    rows = [program(n) for n in range(10)]
    found = []
    for order in (rows, rows[::-1]):
        ctx = context(sandbox, verify={"convert": "add"})
        result = Verify().run(order, ctx)
        assert {r.id for r in result.kept} == {r.id for r in rows} | set(result.added)
        found.append(sorted(result.added))
    assert found[0] == found[1]
    assert len(found[0]) == 3
    replaced = Verify().run(rows, context(sandbox, verify={"convert": "replace"})).kept
    assert found[0] == sorted(function_id(r.id) for r in replaced if r.tests and r.tests.kind == "calls")


# Answers that are right (""), wrong, and no program.
DRAWN = st.lists(
    st.tuples(st.integers(0, 7), st.sampled_from(["", "", "", "a - b", "a +"])), min_size=1, max_size=9
)
FEW = ("syntax", "dedup_exact", "verify", "dedup_near", "quality", "select")


@settings(max_examples=5, deadline=None)
@given(DRAWN, st.sampled_from([0.3, 0.5, 1.0]), st.sampled_from(["one", "both"]))
def test_kept_and_dropped_are_what_was_read_and_added(
    sandbox: Sandbox, drawn: list[tuple[int, str]], share: float, pairs: str
) -> None:
    rows = [program(number, f"r{i}", answer) for i, (number, answer) in enumerate(drawn)]
    chosen = CurateSettings(
        steps=FEW, verify={"convert": "add", "convert_share": share}, select={"pairs": pairs, "rows": 6}
    )
    with tempfile.TemporaryDirectory() as folder:
        result = curate(rows, chosen, Path(folder), tasks={}, sandbox=sandbox, seed=0)
    ids = [r.id for r in result.kept] + [d.row_id for d in result.dropped]
    new = [row_id for row_id in ids if program_id(row_id) is not None]
    assert len(ids) == len(set(ids)) == len(rows) + len(new)
    assert set(ids) - set(new) == {r.id for r in rows}
    funnel = result.funnel
    assert (funnel["read"], funnel["added"], funnel["kept"]) == (len(rows), len(new), len(result.kept))
    assert funnel["read"] + funnel["added"] == funnel["kept"] + sum(s["dropped"] for s in funnel["steps"])
    for before, after in itertools.pairwise(funnel["steps"]):
        assert before["kept"] == after["in"]
    for step in funnel["steps"]:
        assert step["in"] + step["added"] == step["kept"] + step["dropped"]
        assert step["added"] == (len(new) if step["step"] == "verify" else 0)
        for kind in ("in", "added", "kept"):
            assert step[kind] == sum(source[kind] for source in step["sources"].values())
    if pairs == "one":
        assert not any(is_pair(a.id, b.id) for a, b in itertools.combinations(result.kept, 2))


@pytest.mark.parametrize(("convert", "most", "said"), [("add", 1_000, "5 added"), ("replace", 0, "8 kept")])
def test_any_shards_take_the_functions_that_all_rows_at_once_would(
    tmp_path: Path, sandbox: Sandbox, convert: str, most: int, said: str
) -> None:
    named = "firsts, second = map(int, input().split())\nprint(firsts + second)"
    short = "aa, bb = map(int, input().split())\nprint(aa + bb + 0)"  # of fewer letters and more tokens
    rows = [replace(program(0), solutions=(named, short)), *(program(number) for number in range(1, 10))]
    ask = "Write a function that returns the sum of two numbers."
    leak = task("1", ask, "def f(a, b): return a + b", [((1, 2), 3)])
    given_ = {"tasks": {"bench": [leak]}, "seed": 0, "sandbox": sandbox, "count_tokens": len}
    chosen = CurateSettings(
        steps=("syntax", "dedup_exact", "normalise", "verify", "decontaminate", "dedup_near"),
        verify={"convert": convert, "convert_share": 0.5},
        near_dup={"threshold": 0.95, "edits": 0},
    )
    want = curate(rows, chosen, tmp_path / "a", **given_).folder
    curate_sharded(Input("rows", lambda: iter(rows)), chosen, tmp_path / "b", executor=LocalExecutor(1), code="1",
                   shard_rows=3, in_memory_rows=most, **given_)  # fmt: skip
    for name in FILES:
        if most or not name.startswith("card"):
            assert (tmp_path / "b/data" / name).read_bytes() == (want / name).read_bytes(), name
    assert f"10 rows read, {said}" in (tmp_path / "b/data/card.md").read_text()


def test_a_killed_run_and_finished_steps_give_the_same_bytes(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finished, "_WORTH_S", 0.0)
    rows = [program(number) for number in range(8)]

    class Killed(Exception):
        pass

    def killing(where: str) -> Callable[[str, int, int], None]:
        def kill(step: str, done: int, total: int) -> None:
            if step == where and done:
                raise Killed

        return kill

    def run(name: str, report: Any = None, box: Sandbox | None = sandbox) -> dict[str, bytes]:
        chosen = CurateSettings(verify={"convert": "add", "convert_share": 0.5})
        curate(
            rows, chosen, tmp_path / name, tasks={}, sandbox=box, seed=1, on_progress=report, identity="rows"
        )
        return {file: (tmp_path / name / "data" / file).read_bytes() for file in FILES}

    unbroken = run("a")
    for where in ("verify", "dedup_code", "select"):
        with pytest.raises(Killed):
            run("b", killing(where))
    assert run("b", box=None) == unbroken
    card = json.loads(unbroken["card.json"])
    assert (card["mixture"]["added"], card["sources"]["here"]["added"]) == (4, 4)
    assert card["mixture"]["kept"]["rows"] == 8
    assert (
        "8 rows read, 4 added (functions beside the programs they are made of), 8 kept"
        in unbroken["card.md"].decode()
    )
    assert b"| verify | 8 | 4 | 12 | 0 | - |" in unbroken["card.md"]


def test_curated_rows_that_are_curated_again_get_no_second_function(tmp_path: Path, sandbox: Sandbox) -> None:
    chosen = CurateSettings(steps=("verify", "dedup_near"), verify={"convert": "add", "convert_share": 1.0})
    rows = [program(number) for number in range(3)]
    first = curate(rows, chosen, tmp_path / "a", tasks={}, sandbox=sandbox, seed=0).kept
    assert len(first) == 6
    again = curate(first, chosen, tmp_path / "b", tasks={}, sandbox=sandbox, seed=0)
    assert [r.id for r in again.kept] == [r.id for r in first]
    assert again.funnel["added"] == 0
    curate_sharded(Input("rows", lambda: iter(first)), chosen, tmp_path / "c", tasks={}, executor=LocalExecutor(1),
                   code="1", seed=0, sandbox=sandbox, shard_rows=1)  # fmt: skip
    for name in FILES:
        assert (tmp_path / "c/data" / name).read_bytes() == (again.folder / name).read_bytes(), name


def test_a_pair_is_not_taken_for_near_duplicates() -> None:
    ask = "Write a program that sorts the words of a text by their length and prints them"
    alike = {"p": ask, function_id("p"): f"{ask} all"}
    found = [DedupNear().run([row(i, text) for i, text in alike.items()], context())]
    found.append(DedupNear().run([row("p", ask), row("q", f"{ask} all")], context()))
    assert [len(result.dropped) for result in found] == [0, 1]


@pytest.mark.parametrize(
    ("scores", "pairs", "stays"),
    [
        ((0.6, 0.5), "one", "p"),
        ((0.5, 0.6), "one", "f"),
        ((0.5, 0.5), "one", "f"),
        ((0.6, 0.5), "both", "pf"),
    ],
)
@pytest.mark.parametrize("budget", [{}, {"rows": 10}])
def test_of_a_pair_the_better_one_is_selected(
    scores: tuple[float, float], pairs: str, stays: str, budget: dict[str, int]
) -> None:
    ids = {"p": "p", "f": function_id("p")}
    rows = [row("p"), row(ids["f"]), row("other")]
    ctx = context(select={"pairs": pairs} | budget)
    for name, score in zip("pf", scores, strict=True):
        ctx.note(ids[name], quality=score)
    result = Select().run(rows, ctx)
    assert [r.id for r in result.kept] == [*(ids[name] for name in stays), "other"]
    for gone in result.dropped:
        assert gone.reason.startswith(f"same problem as {ids[stays]} (score ")


@pytest.mark.parametrize("leaks", ["program", "function"])
def test_what_gives_away_a_task_takes_its_other_form_along(leaks: str) -> None:
    ask = "Write a function to return the length of the longest run of equal neighbours."
    known = task("9", ask, "def longest(a):\n    return 0", [(([1],), 1)], "longest")
    ids = {"program": "p", "function": function_id("p")}
    rows = [row(i, ask if form == leaks else "Say hi.", f"print({form!r})") for form, i in ids.items()]
    ctx = context(None, {"bench": [known]}, decontaminate={"execution_match": "off"})
    ctx.note(ids["function"], function_of="p")
    found = Decontaminate()
    result = found.run([row("q", "Say hi."), *rows, row("r", "Say hi.")], ctx)
    assert [r.id for r in result.kept] == ["q", "r"]
    assert {d.row_id: d.reason for d in result.dropped} == dict.fromkeys(
        ids.values(), "leak:bench:9:exact_prompt"
    )
    told = {h.row_id: h.reason for h in found.hits if h.method == "exact_prompt"}
    assert told == {i: "" if form == leaks else "by its other form" for form, i in ids.items()}
    assert [h.row_id for h in found.hits] == sorted(
        (h.row_id for h in found.hits), key=list(ids.values()).index
    )
    assert result.report["suites"]["bench"]["rows_removed"] == 2
