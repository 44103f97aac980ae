"""Quality features, lint, wording, difficulty, and the report on what each feature does."""

from __future__ import annotations

import ast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codefit.core.types import Row
from codefit.curate.difficulty import cyclomatic, difficulty, estimate, level_of
from codefit.curate.lint import faults
from codefit.curate.quality import Quality, features, spearman
from codefit.curate.wording import clarity, completeness
from codefit.sources import open_source
from tests.curate.conftest import asserts, context, row
from tests.shared_data import shared_data


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("try:\n    f()\nexcept:\n    pass", ["bare-except", "silent-except"]),
        ("def f(a=[]):\n    return a", ["mutable-default"]),
        ("def f(list):\n    return list", ["shadowed-builtin"]),
        ("sum = 3\nprint(sum)", ["shadowed-builtin"]),
        ("import os, sys\nprint(sys.path)", ["unused-import"]),
        ("import os\n__all__ = ['os']", []),
        ("def f():\n    x = 1\n    return 2", ["unused-variable"]),
        ("def f():\n    for i in g():\n        print(1)\n    a, b = h()\n    return a", []),
        ("x == None\ny != True", ["bool-comparison", "none-comparison"]),
        ("from os import *", ["star-import"]),
        ("eval('1')", ["eval"]),
        ("def f():\n    return 1\n    print(2)", ["unreachable"]),
        ("x = x", ["self-assignment"]),
        ("def f(a, b=None):\n    '''Doc.'''\n    return a is b", []),
    ],
)
def test_lint_names_the_fault(source: str, found: list[str]) -> None:
    assert faults(ast.parse(source)) == found


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("Write a function that returns the sum of a list of numbers.", "Sum."),
        (
            "Write a function that reverses a string given as input.",
            "Rewrite the following code to be faster please.",
        ),
        (
            "Rewrite the following code.\n\nInput:\nx = [i for i in y]\nprint(x)",
            "Rewrite the following code please now.",
        ),
        (
            "Write a function that greets [a name] by printing it.",
            "Write a function that greets [insert name] by printing it.",
        ),
        (
            "Create a function which takes two numbers and returns the larger.",
            "the larger of numbers, two of them, in code",
        ),
    ],
)
def test_clear_requests_score_higher(better: str, worse: str) -> None:
    assert 0 <= clarity(worse) < clarity(better) <= 1


@pytest.mark.parametrize(
    ("request_", "answer", "score"),
    [
        ("Add.", "def f(a, b):\n    return a + b", 1.0),
        ("Add.", "def f(a, b):\n    pass", 0.25),
        ("Add.", "def f(a, b):\n    '''Add.'''\n    ...", 0.25),
        ("Add.", "def f(a, b):\n    raise NotImplementedError('later')", 0.25),
        ("Add.", "def f(a, b):\n    # TODO\n    return a", 0.25),
        ("Add.", "def f(a, b):\n    c = a + b", 0.5),
        ("Write a function called add_up for it.", "def f(a, b):\n    return a + b", 0.5),
        ("Write a function called add_up for it.", "def add_up(a, b):\n    return a + b", 1.0),
        (
            "Make a class.",
            "class A:\n    def __init__(self):\n        pass\n    def f(self):\n        self.x = 1",
            1.0,
        ),
        ("Show it.", "print(1)", 1.0),
        ("Show it.", "print(", 0.0),
    ],
)
def test_completeness(request_: str, answer: str, score: float) -> None:
    found = row("a", request_, answer)
    tree = ast.parse(answer) if score else None
    assert completeness(found, tree) == score


def test_a_missing_entry_point_is_incomplete() -> None:
    answer = "def g(a):\n    return a"
    assert completeness(row("a", "Do.", answer, tests=asserts("assert f(1) == 1")), ast.parse(answer)) == 0.25


def test_quality_features_tell_good_from_poor() -> None:
    ctx = context()
    code = "def total(values):\n    '''Sum.'''\n    found = 0\n    for value in values:\n"
    code += "        if value % 2 == 0:\n            found += value\n    return found"
    good = row("a", "Write a function that returns the sum of all even numbers in a list.", code)
    poor = row("b", "Do it", "def f(l=[]):\n    try: x = eval(l)\n    except: pass;")
    ctx.note("a", verdict="passed")
    better, worse = features(good, ctx), features(poor, ctx)
    assert all(better[name] >= worse[name] for name in better)
    assert all(0 <= v <= 1 for v in (*better.values(), *worse.values()))
    assert better["lint"] == 1.0
    assert worse["lint"] <= 0.25
    assert (better["evidence"], worse["evidence"]) == (1.0, 0.0)


@given(st.text(max_size=120), st.text(max_size=120))
def test_any_text_has_features_between_0_and_1(request_: str, answer: str) -> None:
    for language in ("python", "sql", None):
        found = features(row("a", request_, answer, language=language), context())
        assert all(0 <= value <= 1 for value in found.values())


def test_cyclomatic_complexity_is_that_of_the_worst_function() -> None:
    assert cyclomatic(ast.parse("x = 1")) == 1
    assert (
        cyclomatic(
            ast.parse("def f(x):\n    return x\ndef g(x):\n    if x and x > 1 or x < 3:\n        return 1")
        )
        == 4
    )
    assert (
        cyclomatic(ast.parse("def f(x):\n    for i in x:\n        while i:\n            i -= 1 if i else 2"))
        == 4
    )


@pytest.mark.parametrize(
    ("tag", "value", "level"),
    [("EASY", 0.1, "EASY"), ("very_hard", 0.9, "VERY_HARD"), ("MEDIUM_HARD", 0.5, "MEDIUM_HARD")],
)
def test_difficulty_of_tagged_rows_is_their_tag(tag: str, value: float, level: str) -> None:
    assert difficulty(row("a", difficulty=tag), None) == pytest.approx(value)
    assert level_of(value) == level


def test_difficulty_grows_with_the_answer() -> None:
    line = "    for i in range(9):\n        if i % 2:\n            x.append(i * {n})\n"
    values = [
        estimate(
            "Do it.", ast.parse("def f(x):\n" + "".join(line.format(n=k) for k in range(n)) + "    return x")
        )
        for n in (0, 1, 4, 16, 64, 4_000)
    ]
    assert values == sorted(values)
    assert values[0] >= 0
    assert values[-1] == 1.0
    assert level_of(values[0]) == "EASY"
    assert level_of(1.0) == "VERY_HARD"


@pytest.mark.parametrize(("name", "least"), [("taco_schema_function", 0.58), ("taco_schema_stdin", 0.5)])
def test_the_estimate_agrees_with_real_tags(name: str, least: float) -> None:
    rows = [
        r
        for r in open_source({"kind": "taco", "name": name, "path": shared_data(f"{name}.jsonl.gz")}).rows()
        if r.difficulty and r.difficulty != "UNKNOWN_DIFFICULTY"
    ]
    estimates, tags = [], []
    for r in rows:
        try:
            tree = ast.parse(r.response)
        except SyntaxError:
            continue
        estimates.append(estimate(r.instruction, tree))
        tags.append(difficulty(r, None))
    found = spearman(np.array(estimates), np.array(tags))
    assert found is not None
    assert found > least


def _rows() -> list[Row]:
    body = "\n".join(f"    total += {i}" for i in range(3))
    return [row(f"r{i}", f"Write a function that returns {'the sum of ' * (i % 3)}all numbers given.",
                f"def f{i}(x):\n    total = 0\n" + (body + "\n") * (i % 4) + "    return total")
            for i in range(40)]  # fmt: skip


def test_report_says_what_each_feature_does() -> None:
    ctx = context(select={"rows": 10})
    result = Quality().run(_rows(), ctx)
    report = result.report["features"]
    assert result.report["best_rows"] == 10
    assert set(report) == {n for n in ctx.settings.weights if n != "model"}
    assert report["structure"]["rank_correlation"] > 0.5
    assert report["evidence"] == {
        "weight": 2.0,
        "mean": 0.0,
        "rank_correlation": None,
        "best_kept_without": 1.0,
    }
    assert report["structure"]["best_kept_without"] <= 1.0
    for name in ("quality", "difficulty", "level", "topics", "libraries", "features"):
        assert ctx.fact("r0", name) is not None


def test_a_weight_of_0_takes_a_feature_out() -> None:
    with_it, without = context(), context(weights={"length": 1.0})
    rows = _rows()
    Quality().run(rows, with_it)
    Quality().run(rows, without)
    assert set(without.fact("r0", "features")) == {"length"}
    assert without.fact("r3", "quality") == pytest.approx(without.fact("r3", "features")["length"], abs=1e-3)
    assert "structure" in with_it.fact("r0", "features")


def test_the_model_s_view_ranks_rows_and_rejects_both_ends() -> None:
    ctx = context(weights={"model": 1.0})
    ifd = {f"r{i}": i / 25 for i in range(40)}  # r25 and on: the request does not help
    del ifd["r39"]
    ctx.model_view = lambda rows: {r.id: {"ifd": ifd[r.id]} for r in rows if r.id in ifd}
    Quality().run(_rows(), ctx)
    quality = [ctx.fact(f"r{i}", "quality") for i in range(39)]
    assert quality[0] == quality[1] == 0.0
    assert quality[4:25] == sorted(quality[4:25])
    assert quality[24] > quality[10] > 0
    assert set(quality[25:]) == {0.0}
    assert ctx.fact("r39", "features") == {}
    assert ctx.fact("r7", "model_view") == {"ifd": 7 / 25}


def test_spearman_has_mean_ranks_for_ties() -> None:
    assert spearman(np.array([1, 2, 3, 4]), np.array([1, 4, 9, 16])) == 1.0
    assert spearman(np.array([1, 2, 2, 3]), np.array([3, 2, 2, 1])) == -1.0
    assert spearman(np.array([1, 1]), np.array([1, 2])) is None
