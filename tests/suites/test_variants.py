"""Variants: the same tasks asked differently, judged as they were, and honest about what cannot be made."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codefit.core import types
from codefit.core.errors import InputError
from codefit.core.recipe import load_recipe
from codefit.core.seeds import rng
from codefit.core.types import Task
from codefit.pipeline.run import plan_of
from codefit.sandbox import Sandbox
from codefit.score.tally import pass_figures
from codefit.suites.execute import ExecuteResult, execute
from codefit.suites.flavours import flavour_of
from codefit.suites.load import load_suite
from codefit.suites.renamed import renamed
from codefit.suites.variants import VARIANTS, plain_name, variant_of
from codefit.suites.wording import rendered
from tests.shared_data import shared_data


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def judged(suite: Any, programs: dict[str, str], out: Path, sandbox: Sandbox) -> ExecuteResult:
    rows = [{"task_id": t, "solution": p} for t, p in programs.items()]
    samples = written(out.with_suffix(".jsonl"), rows)
    return execute(suite, samples, out, sandbox, pass_figures, only=list(programs))


REAL = [
    ("mbpp", "mbpp.jsonl.gz", 8, "renamed"),
    ("mbpp", "mbpp.jsonl.gz", 4, "chinese"),
    ("mbpp", "mbpp.jsonl.gz", 4, "reworded"),
    ("mbpp+", "mbpp_plus_v0.2.0.jsonl.gz", 3, "renamed"),
    *(("humaneval", "humaneval.jsonl.gz", 6, v) for v in VARIANTS),
]


@pytest.mark.parametrize(
    ("name", "file", "n", "variant"), [*(("micro", None, 6, v) for v in VARIANTS), *REAL]
)
def test_references_still_pass_in_every_variant(
    tmp_path: Path, sandbox: Sandbox, name: str, file: str | None, n: int, variant: str
) -> None:
    data = shared_data(file) if file else None
    suite = load_suite(name, data, variant=variant)
    drawn = rng(7, name).sample(suite.tasks, n)
    found = judged(suite, {t.task_id: str(t.reference) for t in drawn}, tmp_path / "out", sandbox)
    assert found.outcomes == {"passed": n}
    assert (suite.info.family, plain_name(suite.info.name)) == (name.rstrip("+"), name)
    assert {s["variant"] for s in found.scores} == {variant_of(suite.info.name)} == {variant}
    plain = {t.task_id: t for t in load_suite(name, data).tasks}
    assert {*plain} == {t.task_id for t in suite.tasks} | {*suite.info.left_out}
    assert all(t.prompt != plain[t.task_id].prompt for t in suite.tasks)
    if variant != "renamed":
        assert all(t.tests == plain[t.task_id].tests for t in suite.tasks)
        assert all(t.entry_point == plain[t.task_id].entry_point for t in suite.tasks)


def test_a_renamed_task_wants_its_new_name_and_keeps_its_judge(tmp_path: Path, sandbox: Sandbox) -> None:
    code = "def Diff(first, second):\n    return [x for x in first if x not in second]\n"
    row = {"task_id": "Mbpp/769", "entry_point": "Diff", "canonical_solution": code, "atol": 0,
           "prompt": '"""\nWrite a function for the Diff of lists.\nassert Diff([1, 2, 3], [3]) == [1, 2]\n"""\n',
           "base_input": [[[1, 2, 3], [3]]], "plus_input": [[[4, 5], []]]}  # fmt: skip
    data = written(tmp_path / "tasks.jsonl", [row])
    suite = load_suite("mbpp+", data, variant="renamed")
    (task,) = suite.tasks
    new = str(task.entry_point)
    assert (suite.info.name, suite.info.base_name) == ("mbpp~renamed+", "mbpp~renamed")
    assert task.prompt == str(row["prompt"]).replace("Diff", new)
    backwards = code.replace("Diff", new).replace("return [", "return [*reversed([").replace("]\n", "])]\n")
    for program, outcome in ((backwards, "passed"), (code, "runtime_error")):
        found = judged(suite, {"Mbpp/769": program}, tmp_path / outcome, sandbox)
        assert found.outcomes == {outcome: 1}  # the order is free by a rule that knows the task as `Diff`
    assert flavour_of(suite, "evalplus-0-shot").prompt(task).text == f"{task.prompt.strip()}\n"


def task_of(prompt: str, reference: str, name: str, *asserts: str) -> Task:
    return Task(
        "t",
        prompt,
        name,
        types.Tests("asserts", name, asserts or (f"assert {name}(1) == 1",)),
        None,
        reference,
    )


@pytest.mark.parametrize(
    ("task", "why"),
    [
        (task_of("Write a function.", "def f(x):\n    return x", "f"), "doesn't name the entry point"),
        (task_of("Write f(x).", "def f(x):\n    return globals()['f'] and x", "f"), "in a text of its code"),
        (task_of("Write f(x).", "class f:\n    pass", "f"), "as one function"),
        (
            task_of("Write f(x).", "from math import floor as f\ndef f(x):\n    return x", "f"),
            "another meaning",
        ),
        (
            task_of("Write f(x).", "def f(x):\n    return x", "f", "assert f(1) == 'f'"),
            "in a text of its code",
        ),
        (Task("t", "Echo f.", None, types.Tests("stdin", inputs=("1",), outputs=("1",))), "name no function"),
    ],
)
def test_what_cannot_be_renamed_safely_is_left_out(task: Task, why: str) -> None:
    assert why in str(renamed(task, rng(0)))


def test_words_of_the_request_and_attributes_are_no_names() -> None:
    code = "def count(text, n):\n    return text.count('a') + n"
    prompt = 'def count(text, n):\n    """ Count n and the text: text.count is fine.\n'
    prompt += '    >>> count("n", 1)\n    1\n    """\n'
    made = renamed(
        task_of(prompt, prompt + code.partition("\n")[2], "count", "assert count('aa', 1) == 3"), rng(0)
    )
    assert isinstance(made, Task)
    assert "text.count is fine" in made.prompt  # an attribute
    assert '("n", 1)' in made.prompt  # data, wherefore the parameter n kept its name too
    assert made.prompt.count(str(made.entry_point)) == 2
    assert ".count('a')" in str(made.reference)
    made = renamed(
        task_of(
            "Write the function eat(food) to eat. The function eat is pure.",
            "def eat(food):\n    pass",
            "eat",
        ),
        rng(0),
    )
    assert isinstance(made, Task)
    assert made.prompt.count("eat") == 1


PROMPTS = ["Write {f}({x}) so that it doubles {x}.", "def {f}({x}):\n    ''' Twice {x}. '''\n"]
names = st.from_regex(r"[a-z][a-z_]{0,7}[a-z0-9]", fullmatch=True).filter(str.isidentifier)


@settings(max_examples=30, deadline=None)
@given(names, names, st.sampled_from(PROMPTS))
def test_whatever_the_names_a_renamed_reference_is_the_old_one_with_other_names(
    f: str, x: str, prompt: str
) -> None:
    try:
        ast.parse(
            code := f"def {f}({x}):\n    y = [{x} for _ in range(2)]\n    return sum(y) if {x} else {f}(0)\n"
        )
    except SyntaxError:
        return  # a keyword
    made = renamed(task_of(prompt.format(f=f, x=x), code, f, f"assert {f}(2) == 4"), rng(0, f))
    if isinstance(made, str):
        assert f == x or f in prompt or f in ("range", "sum", "y")
        return
    g = str(made.entry_point)
    (function,) = ast.parse(str(made.reference)).body
    assert isinstance(function, ast.FunctionDef)
    z = function.args.args[0].arg
    assert f"{g}({z})" in made.prompt
    assert g not in (f, z)
    back = re.sub(rf"\b{z}\b", x, re.sub(rf"\b{g}\b", f, str(made.reference)))
    assert back == ast.unparse(ast.parse(code))
    assert made.tests.asserts == (f"assert {g}(2) == 4",)


def test_a_name_with_a_tilde_is_no_variant_by_itself() -> None:
    assert (variant_of("mine~2"), plain_name("mine~2"), variant_of("mine~2~renamed")) == (
        None,
        "mine~2",
        "renamed",
    )
    assert (plain_name("mbpp~renamed+"), plain_name("mine~2~chinese")) == ("mbpp+", "mine~2")


def test_only_what_the_table_knows_is_rendered_in_chinese() -> None:
    assert rendered("Write a python function to find the maximum of two numbers.") == "求两个数中的最大值"
    assert rendered("Write a function to find the volume of a cone of clay.") is None
    assert rendered("Find the volume of a cone.") is None


def test_a_variant_is_the_same_for_everyone_and_unknown_ones_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown variant 'renamd'"):
        load_suite("micro", variant="renamd")
    assert load_suite("micro", limit=9, variant="renamed") == load_suite("micro", limit=9, variant="renamed")
    with pytest.raises(InputError, match="BigCodeBench has no variant"):
        load_suite("bigcodebench", variant="renamed")
    own = written(
        tmp_path / "mine.jsonl", [{"task_id": "1", "prompt": "Echo.", "inputs": ["1"], "outputs": ["1"]}]
    )
    with pytest.raises(InputError, match="can be made of none of its tasks: its tests name no function"):
        load_suite(str(own), variant="renamed")


RECIPE = "name: r\nmodel: {name: micro}\nsources: [{kind: micro}]\nevaluate:\n  - {name: micro, limit: 3}\n"


def test_a_recipe_may_evaluate_a_suite_plain_and_in_variants_each_in_its_own_folder(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(RECIPE + "".join(f"  - {{name: micro, limit: 3, variant: {v}}}\n" for v in VARIANTS))
    stages = plan_of(load_recipe(path), tmp_path / "out", tmp_path / "cache", lambda event: None)
    files = [file for stage, outputs in stages if stage.startswith("execute") for file in outputs]
    assert {"verdicts/micro.jsonl", *(f"verdicts/micro~{v}.jsonl" for v in VARIANTS)} <= {*files}
    assert len(files) == len({*files})
    for more, said in (
        ("  - {name: micro, variant: renamed}\n" * 2, "'micro~renamed' is named twice"),
        ("  - {name: micro, variant: renamed, guard: true}\n", "guard changes nothing beside variant"),
        ("  - {name: micro, variant: french}\n", "variant"),
    ):
        path.write_text(RECIPE + more)
        with pytest.raises(InputError, match=said):
            load_recipe(path)
