"""Catalogues and rendering of messages."""

from __future__ import annotations

import re
import string
from pathlib import Path

import click

import codefit.report
from codefit.analyse.taxonomy import CLASSES
from codefit.cli.main import VERBS, main
from codefit.report.measures import table
from codefit.report.messages import LANGUAGES, catalogue, code, html, msg, plain
from codefit.report.numbers import p_text, rate_text, score_text, signed
from codefit.report.questions import GROUPS

FOLDER = Path(codefit.report.__file__).parent


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_have_the_same_messages_with_the_same_arguments():
    english, chinese = (catalogue(lang) for lang in LANGUAGES)
    assert set(english) == set(chinese)
    assert {k for k in english if placeholders(english[k]) != placeholders(chinese[k])} == set()


def test_chinese_messages_are_chinese():
    def foreign(text: str) -> bool:
        words = re.sub(r"\{\w+\}|`[^`]*`|pass@1", "", text)
        return bool(re.search("[A-Za-z]", words)) and not re.search(r"[\u4e00-\u9fff]", words)

    assert {k for k, v in catalogue("zh").items() if foreign(v)} == {"measure.bigcodebench"}


def test_every_message_that_the_code_names_exists():
    sources = [
        p.read_text(encoding="utf-8") for p in sorted(FOLDER.rglob("*.py")) + sorted(FOLDER.rglob("*.j2"))
    ]
    named = {key for text in sources for key in re.findall(r'msg\(\s*"([\w.]*\w)"\s*[,)]', text)}
    assert named
    assert named - set(catalogue("en")) == set()


def test_every_class_question_and_measurement_has_a_name():
    keys = set(catalogue("en"))
    assert {f"class.{c}" for c in CLASSES} <= keys
    assert {f"question.q{n}" for n in range(1, 20)} <= keys
    assert {f"measure.{m}" for m in table()} <= keys
    assert {f"group.{g}" for g in GROUPS} <= keys


def test_hostile_arguments_are_escaped_and_not_formatted_again():
    hostile = "<img src=x>{suite}`"
    text = html("en").render(msg("heading.suite", suite=code(hostile)))
    assert text == "Suite <code>&lt;img src=x&gt;{suite}`</code>"


def test_nothing_known_is_said_to_be_not_measured():
    assert plain("en").render(None) == "not measured"
    assert plain("zh").render(None) == "未测量"


def test_figures_are_never_alone():
    score = {"value": 254 / 378, "passed": 254, "n": 378, "ci95": [0.6231, 0.7174]}
    assert score_text(score) == "67.2 % (254/378) [62.3, 71.7]"
    assert score_text({"value": None}) is None
    assert rate_text(254, 378) == "67.2 % (254/378) [62.3, 71.7]"


def test_signs_and_p_values_are_printed_in_full():
    assert (signed(-0.04), signed(2.96), signed(-3.0)) == ("+0.0", "+3.0", "-3.0")
    assert (p_text(0.00004), p_text(0.0341), p_text(None)) == ("p < 0.001", "p = 0.034", None)


def test_every_command_that_measures_something_has_the_options_it_names():
    named = [m for m in table().values() if m["verb"] in VERBS]
    assert len(named) > 15
    for measure in named:
        words = measure["command"].split()
        assert words[:2] == ["codefit", measure["verb"]], measure
        command = main.get_command(None, measure["verb"])
        if isinstance(command, click.Group):
            command = command.get_command(None, words[2])
        options = {name for p in command.params for name in (*p.opts, *p.secondary_opts)}
        assert {w for w in words if w.startswith("--")} <= options, measure
