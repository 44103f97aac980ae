"""Flavours: published prompts from the suite's own data, named in the score, never compared with another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from codefit.core.errors import InputError
from codefit.score.compare import Side, compare
from codefit.suites.bigcodebench import Options
from codefit.suites.flavours import NAMES, flavour_of
from codefit.suites.load import load_suite
from tests.shared_data import shared_data


def mbpp_row(number: int, name: str) -> dict[str, Any]:
    return {"task_id": number, "text": f"Write a function to {name}.", "test_setup_code": "",
            "code": f"def {name}(x):\r\n    return x + {number}",
            "test_list": [f"assert {name}({n}) == {n + number}" for n in range(3)]}  # fmt: skip


def mbpp_file(path: Path, numbers: tuple[int, ...] = (1, 2, 3, 4, 11, 12)) -> Path:
    rows = [json.dumps(mbpp_row(n, f"add_{n}")) for n in numbers]
    path.write_text("\n".join(rows) + "\n")
    return path


def test_three_examples_come_from_the_suites_own_file(tmp_path: Path) -> None:
    suite = load_suite("mbpp", mbpp_file(tmp_path / "mbpp.jsonl"))
    flavour = flavour_of(suite, "mbpp-3-shot")
    assert [t.task_id for t in suite.tasks] == ["Mbpp/11", "Mbpp/12"]  # no example is judged
    prompt = flavour.prompt(suite.tasks[0])
    head = (
        "You are an expert Python programmer, and here is your task: Write a function to add_{}. Your code "
    )
    asked = (
        head
        + "should pass these tests:\n\nassert add_{}(0) == {}\nassert add_{}(1) == {}\nassert add_{}(2) == {}\n"
    )
    shown = [asked.format(n, n, n, n, n + 1, n, n + 2) for n in (2, 3, 4, 11)]
    answers = [f"[BEGIN]\ndef add_{n}(x):\r\n    return x + {n}\n[DONE]" for n in (2, 3, 4)]
    assert (
        prompt.text
        == "\n\n".join(s + a for s, a in zip(shown, answers, strict=False)) + "\n\n" + shown[3] + "[BEGIN]\n"
    )
    pairs = [turn for s, a in zip(shown, answers, strict=False) for turn in (("user", s), ("assistant", a))]
    assert prompt.turns == (*pairs, ("user", shown[3]))
    assert prompt.begin == "[BEGIN]\n"
    assert suite.info.flavour == "mbpp-3-shot"


@pytest.mark.parametrize(
    ("form", "written", "judged"),
    [
        ("begun", "def f():\n    pass\n[DONE]\n\nYou are an expert", "def f():\n    pass\n"),
        ("chat", "Sure!\n[BEGIN]\ndef f():\n    pass\n[DONE]", "def f():\n    pass\n"),
        ("chat", "```python\ndef f():\n    pass\n```", "```python\ndef f():\n    pass\n```"),
        ("text", "def f():\n    pass\n[DONE]\n[BEGIN]", "def f():\n    pass\n"),
    ],
)
def test_delimiters_are_cut_off_an_answer(tmp_path: Path, form: Any, written: str, judged: str) -> None:
    flavour = flavour_of(load_suite("mbpp", mbpp_file(tmp_path / "mbpp.jsonl")), "mbpp-3-shot")
    assert flavour.answer(written, form) == judged


def test_a_flavour_of_another_suite_or_without_its_examples_is_refused(tmp_path: Path) -> None:
    data = mbpp_file(tmp_path / "mbpp.jsonl")
    cases = {
        "mbpp3-shot": "unknown flavour 'mbpp3-shot'; did you mean 'mbpp-3-shot'",
        "bigcodebench": "'bigcodebench' is not one of this suite; use one of plain, evalplus-0-shot, mbpp-3-shot",
    }
    for name, message in cases.items():
        with pytest.raises(InputError, match=message):
            flavour_of(load_suite("mbpp", data), name)
    with pytest.raises(
        InputError, match="no Mbpp/4: the examples of mbpp-3-shot are MBPP's tasks 2, 3 and 4"
    ):
        flavour_of(load_suite("mbpp", mbpp_file(data, (2, 3, 11))), "mbpp-3-shot")
    with pytest.raises(InputError, match=r"use one of plain$"):
        flavour_of(load_suite("micro", limit=1), "evalplus-0-shot")


def test_evalplus_asks_with_a_fence_and_begins_the_answer(tmp_path: Path) -> None:
    suite = load_suite("mbpp", mbpp_file(tmp_path / "mbpp.jsonl"))
    flavour, task = flavour_of(suite, "evalplus-0-shot"), suite.tasks[0]
    prompt = flavour.prompt(task)
    ((role, asked),) = prompt.turns
    assert role == "user"
    assert asked.endswith(f":\n```\n{task.prompt.strip()}\n```\n")
    assert prompt.begin.endswith(":\n```python\n")
    code = "def add_11(x):\n    return x + 11"
    assert flavour.answer(f"{code}\n```\n\nThis adds.", "begun") == code
    assert flavour.answer(f"```python\n{code}\n```\n", "chat") == f"```python\n{code}\n```\n"
    assert flavour.answer(f'{code}\n"""\nNext task', "text") == code
    assert flavour.answer(f"{code}\nprint(add_11(1))", "begun") == code
    assert suite.program(task, flavour.answer(f"{code}\n```\n", "begun"), "text").program == code


def test_every_prompt_of_the_published_sets_is_put_in_each_of_its_flavours() -> None:
    data = shared_data("bigcodebench_hard.jsonl.gz")
    for split in ("complete", "instruct"):
        suite = load_suite("bigcodebench-hard", data, options=Options(split), judging=False)
        flavour = flavour_of(suite, "bigcodebench")
        for task in suite.tasks:
            ((_, asked),) = flavour.prompt(task).turns
            fenced = (
                f":\n```\n{task.prompt.strip()}\n```\n"
                if split == "complete"
                else f":\n{task.prompt.strip()}\n"
            )
            assert asked.endswith(fenced)
    mbpp = load_suite("mbpp", shared_data("mbpp.jsonl.gz"))
    flavour = flavour_of(mbpp, "mbpp-3-shot")
    assert len({flavour.prompt(t).text for t in mbpp.tasks}) == 500
    assert [s.task_id for s in flavour.shots] == ["Mbpp/2", "Mbpp/3", "Mbpp/4"]


def test_two_flavours_are_not_compared() -> None:
    sides = [Side("mbpp", "r", "h", {"t": [True]}, flavour=f) for f in ("plain", "mbpp-3-shot", None)]
    with pytest.raises(InputError, match="differ in flavour: 'plain' and 'mbpp-3-shot'"):
        compare(sides[0], sides[1])
    assert compare(sides[0], sides[2])["points"] == 0  # nobody said how the other was asked


def test_the_command_line_and_recipes_know_the_same_flavours() -> None:
    from codefit.cli.evaluate import FLAVOURS
    from codefit.core.recipe import SuiteSettings

    assert FLAVOURS == NAMES
    assert SuiteSettings.model_json_schema()["properties"]["flavour"]["enum"] == list(NAMES)
