"""Traits of programs: what is measured, that nothing is run outside the sandbox, and how rows are read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from codefit.analyse.traits import efficiency, measure, readability, security
from codefit.analyse.traits.figures import Trait, trait_rows, worse_first
from codefit.core import types
from codefit.sandbox import Sandbox

TIDY = '''def mean(values: list[float]) -> float:
    """Return the mean."""
    return sum(values) / len(values)  # no empty list
'''
UNTIDY = """import os, sys
def Mean(v, l=[]):
    if v == None:
        if l: return 1
        else: return 2
    for x in v:
        while x: x -= 1
    return eval("1")
"""


def test_the_tree_tells_lines_docstrings_types_and_comments():
    found = readability.structure(TIDY)
    assert found == {"lines": 2, "hundred_lines": 0.02, "docstrings": 1, "definitions": 1, "type_hints": 2,
                     "typeable": 2, "comments": 1}  # fmt: skip
    assert readability.structure('"""the prompt\nagain"""\nx = 1\n')["lines"] == 1


def test_tools_find_more_in_an_untidy_program_and_run_neither(tmp_path):
    planted = tmp_path / "ran"
    hostile = f"open({str(planted)!r}, 'w').close()\n# ruff: noqa\n{UNTIDY}"
    folder = tmp_path / "programs"
    folder.mkdir()
    programs = {"tidy": TIDY, "untidy": UNTIDY, "hostile": hostile}
    found = readability.readability(programs, folder)
    assert found["tidy"]["lint"] == 0
    assert found["untidy"]["lint"] >= 5
    assert found["hostile"]["lint"] >= found["untidy"]["lint"]  # what it says of `noqa` does not count
    assert (found["tidy"]["complexity"], found["untidy"]["complexity"]) == (1, 5)
    assert found["tidy"]["maintainability"] > found["untidy"]["maintainability"]
    risks = security.security(programs, folder)
    assert risks["tidy"] == {"unknown_imports": 0, "bandit_high": 0, "bandit_medium": 0, "bandit_low": 0}
    assert risks["untidy"]["bandit_medium"] == 1
    assert not planted.exists()


def test_a_shell_is_high_and_a_comment_does_not_hide_it(tmp_path):
    source = "import subprocess\nsubprocess.run(cmd, shell=True)  # nosec\n"
    assert security.bandit({"p": source}, tmp_path)["p"]["bandit_high"] == 1


@pytest.mark.parametrize(
    ("source", "unknown"),
    [
        ("import numpy as np, os.path", []),
        ("import nunpy", ["nunpy"]),
        ("from math import sqroot, pi", ["math.sqroot"]),
        ("from sklearn.metrics import f1_score", []),
        ("from fastsort.core import sort", ["fastsort.core"]),
        ("from . import helper", []),
    ],
)
def test_imports_that_are_not_known_are_named(source, unknown):
    assert security.unknown_imports(source) == unknown


def test_without_the_tools_the_rest_is_measured_and_the_gap_has_a_command(tmp_path, monkeypatch):
    from codefit.analyse.traits import files

    monkeypatch.setattr(files, "find_spec", lambda name: None)
    assert "lint" not in readability.readability({"p": TIDY}, tmp_path)["p"]
    assert security.security({"p": TIDY}, tmp_path) == {"p": {"unknown_imports": 0}}
    from codefit.core.progress import silent
    from tests.report.fixture_run import write_run

    (first, *_) = measure.measure_traits(write_run(tmp_path / "run"), ["readability"], silent)
    gaps = {(m["why"], m["command"]) for m in first["not_measured"]}
    assert ("ruff is not installed", "pip install 'codefit[analyse]'") in gaps
    assert ("not asked for", "codefit analyse RUN --traits efficiency") in gaps
    assert {r["trait"] for r in first["rows"]} == {"lines", "docstrings", "type_hints", "comments"}


LOWER, NEITHER = Trait("a", "g", "u", "lower"), Trait("b", "g", "u", None)


def test_what_got_worse_comes_first_and_size_alone_is_only_changed():
    before = {f"t{i}": {"a": 1.0 + i % 3, "b": 5.0 + i % 2} for i in range(40)}
    after = {t: {"a": v["a"] + 1, "b": v["b"] + 1} for t, v in before.items()}
    rows = worse_first(trait_rows([NEITHER, LOWER], before, after, both_pass={"t1", "t2"}, seed=0))
    assert [(r["trait"], r["on"], r["n"], r["reading"]) for r in rows] == [
        ("a", "all", 40, "worse"),
        ("b", "both_pass", 2, "not_shown"),  # two tasks show nothing
        ("a", "both_pass", 2, "not_shown"),
        ("b", "all", 40, "changed"),
    ]
    back = trait_rows([LOWER], after, before, both_pass=set(), seed=0)
    assert [(r["reading"], r["difference"], r["ci95"]) for r in back] == [("better", -1, [-1, -1])]


def test_a_trait_without_a_measured_task_has_no_row():
    assert trait_rows([LOWER], {"t": {}}, {"t": {"a": 1.0}}, both_pass=set(), seed=0) == []


@pytest.mark.parametrize(
    ("value", "larger"),
    [
        (3, 30),
        ("ab", "ab" * 10),
        ([1], [1] * 10),
        ((1,), (1,) * 10),
        (True, True),
        (1.5, 1.5),
        ({1: 2}, {1: 2}),
    ],
)
def test_arguments_are_grown_by_kind(value, larger):
    assert efficiency.grown(value, 10) == larger


def test_values_are_the_same_but_for_the_rounding_of_floats():
    assert efficiency.same([0.1 + 0.2, (1, "a")], [0.3, (1, "a")])
    assert efficiency.same(float("nan"), float("nan"))
    assert not efficiency.same([1, 2], (1, 2))
    assert not efficiency.same(1.0, 1.1)


TASK = types.Task(
    "t/1",
    "Return the sum of squares of a list.",
    "squares",
    types.Tests("calls", "squares", inputs=(([3, 1, 2] * 60,),)),
    reference="def squares(v):\n    return sum(x * x for x in v)",
)
SLOW = "def squares(v):\n    for _ in range(8):\n        s = sum(x * x for x in v)\n    return s"
OTHER = "def squares(v):\n    return sum(x * x for x in v[:100])"
CHEAT = "import os\ndef squares(v):\n    os._exit(0)"


def test_a_program_is_timed_against_the_reference_on_larger_inputs(tmp_path):
    programs = {"start": {"t/1": TASK.reference}, "tuned": {"t/1": SLOW}}
    ledger, said = tmp_path / "efficiency.jsonl", []

    def heard(done, total):
        said.append((done, total))

    with Sandbox(jobs=1) as sandbox:
        assert max(len(load.calls[0][0]) for load in efficiency.loads_of(TASK, sandbox)) == 180_000
        found = efficiency.efficiency({"t/1": TASK}, programs, sandbox, ledger, heard)
    assert found["tuned"]["t/1"]["cpu_log2"] > found["start"]["t/1"]["cpu_log2"] + 1  # 3 in theory
    assert found["start"]["t/1"]["peak_mb"] > 0
    assert said == [(1, 1)]
    # what is in the ledger is not measured again: the sandbox is closed
    assert efficiency.efficiency({"t/1": TASK}, programs, sandbox, ledger, heard) == found


class Busy:
    """A sandbox on a machine that is busy during some of its runs: their calls seem to take longer."""

    def __init__(self, sandbox, runs, stretched):
        self.sandbox, self.busy, self.stretched, self.runs = sandbox, runs, stretched, 0

    def run(self, program):
        self.runs += 1
        run = self.sandbox.run(program)
        if self.runs not in self.busy:
            return run
        frames = tuple(replace(f, cpu_s=self.stretched(i, f.cpu_s)) for i, f in enumerate(run.frames))
        more = sum(f.cpu_s for f in frames) - sum(f.cpu_s for f in run.frames)
        return replace(
            run, frames=frames, cpu_s=run.cpu_s + max(0.0, more)
        )  # the watcher's clock sees it too


def test_a_reference_that_was_stretched_by_a_busy_machine_is_measured_again(tmp_path):
    programs = {"start": {"t/1": TASK.reference}, "tuned": {"t/1": SLOW}}
    with Sandbox(jobs=1) as sandbox:
        busy = Busy(sandbox, {1}, lambda i, _: 0.01 + 0.2 * i)
        (load,) = efficiency.loads_of(TASK, busy)
        assert len(load.calls[0][0]) == 180  # too few to tell anything later
        busy.runs = 0
        found = efficiency.efficiency({"t/1": TASK}, programs, busy, tmp_path / "l", lambda *_: None)
    assert found["tuned"]["t/1"]["cpu_log2"] > found["start"]["t/1"]["cpu_log2"] + 1


def test_a_machine_that_was_busy_for_the_first_programs_only_is_waited_for(tmp_path):
    programs = {"start": {"t/1": TASK.reference}, "tuned": {"t/1": SLOW}}
    with Sandbox(jobs=1) as sandbox:
        busy = Busy(sandbox, {2, 3, 4}, lambda _, cpu_s: cpu_s + 0.5)
        found = efficiency.efficiency({"t/1": TASK}, programs, busy, tmp_path / "l", lambda *_: None)
    assert found["tuned"]["t/1"]["cpu_log2"] > found["start"]["t/1"]["cpu_log2"] + 1


def test_a_machine_that_was_busy_for_one_program_only_is_waited_for(tmp_path):
    programs = {"start": {"t/1": TASK.reference}, "tuned": {"t/1": SLOW}}
    with Sandbox(jobs=1) as sandbox:
        busy = Busy(sandbox, {3}, lambda _, cpu_s: cpu_s + 0.5)
        found = efficiency.efficiency({"t/1": TASK}, programs, busy, tmp_path / "l", lambda *_: None)
    assert found["tuned"]["t/1"]["cpu_log2"] > found["start"]["t/1"]["cpu_log2"] + 1


def test_a_program_that_never_ends_on_the_largest_inputs_is_measured_on_smaller_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(efficiency, "_PROGRAM", replace(efficiency._PROGRAM, test_cpu_s=1.0))
    reference = "def squares(v):\n    return sum(x * x for x in v for _ in range(5))"
    quadratic = "def squares(v):\n    return 5 * sum(x * x for i, x in enumerate(v) if len(v[i:]) > 0)"
    task = replace(TASK, reference=reference)
    programs = {"start": {"t/1": reference}, "tuned": {"t/1": quadratic}}
    with Sandbox(jobs=1) as sandbox:
        found = efficiency.efficiency({"t/1": task}, programs, sandbox, tmp_path / "l", lambda *_: None)
    assert found["tuned"]["t/1"]["cpu_log2"] > 2


@pytest.mark.parametrize("source", [OTHER, CHEAT])
def test_a_program_that_gives_other_values_on_larger_inputs_is_left_out(tmp_path, source):
    programs = {"start": {"t/1": TASK.reference}, "tuned": {"t/1": source}}
    with Sandbox(jobs=1) as sandbox:
        found = efficiency.efficiency({"t/1": TASK}, programs, sandbox, tmp_path / "l", lambda *_: None)
    assert found == {"start": {}, "tuned": {}}
