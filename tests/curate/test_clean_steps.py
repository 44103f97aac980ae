"""Normalise, language, syntax and exact duplicates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codefit.curate.dedup_exact import DedupExact
from codefit.curate.language import Language, detect
from codefit.curate.normalise import Normalise, clean, clean_answer
from codefit.curate.syntax import Syntax
from tests.curate.conftest import asserts, context, row


def test_text_gets_one_form() -> None:
    assert clean("e\u0301a\u00a0b\r\nc \x00d\u200b\t\n") == "\u00e9a b\nc d\n"


@given(st.text(max_size=200))
def test_cleaning_twice_changes_nothing(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("Here you are:\n```python\nx = 1\n```\nEnjoy!", "x = 1"),
        ("```\nx = 1\n```", "x = 1"),
        ("if a:\n\tb()\n\tif c:\n\t\td()", "if a:\n    b()\n    if c:\n        d()"),
        ("\n\nx = '\t'\n", "x = '\t'"),
    ],
)
def test_answer_becomes_bare_code(answer: str, code: str) -> None:
    assert clean_answer(answer) == code


def test_answer_with_several_blocks_stays_whole() -> None:
    answer = "```python\nx = 1\n```\nor\n```python\nx = 2\n```"
    assert clean_answer(answer) == answer


def test_empty_answers_and_requests_go_with_reasons() -> None:
    rows = [row("a", response=" \n"), row("b", instruction=""), row("c"), row("d", response="```\n\n```")]
    result = Normalise().run(rows, context())
    assert [r.id for r in result.kept] == ["c", "d"]
    assert {d.row_id: d.reason for d in result.dropped} == {"a": "empty answer", "b": "empty request"}


LANGUAGES = {
    "python": "def area(r):\n    return 3.14 * r * r",
    "javascript": "const area = (r) => {\n  console.log(r);\n};",
    "java": "public class Main {\n  public static void main(String[] args) { System.out.println(1); }\n}",
    "c++": "#include <iostream>\nint main() { std::cout << 1; }",
    "sql": "SELECT name FROM users WHERE age > 3;",
    "html/css": "<html><body><p>Hi</p></body></html>",
    "php": "<?php echo $x; ?>",
    "prose": "A class is a plan for objects that share behaviour.",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_language_is_recognised(language: str) -> None:
    found, confidence = detect(LANGUAGES[language])
    assert found == language
    assert 0 < confidence <= 1


def test_language_keeps_what_the_recipe_names_and_reports_shares() -> None:
    rows = [row(name, response=text) for name, text in LANGUAGES.items()]
    result = Language().run(rows, context(languages=("python", "sql")))
    assert [(r.id, r.language) for r in result.kept] == [("python", "python"), ("sql", "sql")]
    assert result.report["languages"] == dict.fromkeys(LANGUAGES, 1)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("def f(:\n  pass", "does not parse: invalid syntax"),
        ("print 'hello'", "python 2"),
        ("x = 'a' * 5", None),
        ("x = 1\n" * 2_000, "answer too long"),
        ("(" * 5_000, "does not parse: too many nested parentheses"),
    ],
)
def test_syntax_names_the_fault(answer: str, reason: str | None) -> None:
    result = Syntax().run([row("a", response=answer, language="python")], context())
    assert [d.reason for d in result.dropped] == ([reason] if reason else [])


def test_syntax_asks_for_a_definition_where_the_recipe_does() -> None:
    result = Syntax().run([row("a"), row("b", response="def f(): pass")], context(must_define=True))
    assert [r.id for r in result.kept] == ["b"]


def test_syntax_leaves_only_solutions_that_parse() -> None:
    (kept,) = Syntax().run([row("a", response="def", solutions=("def", "y = 2"))], context()).kept
    assert (kept.response, kept.solutions) == ("y = 2", ("y = 2",))


def test_syntax_does_not_parse_other_languages() -> None:
    assert Syntax().run([row("a", response="SELECT 1;", language="sql")], context()).kept


def test_exact_duplicates_keep_the_row_with_more_tests_in_any_order() -> None:
    rows = [
        row("a", "Do  it.", "x = 1"),
        row("b", "do it.", "x = 1\n", tests=asserts("assert f(1) == 1")),
        row("c", "Do it.", "x = 2"),
    ]
    for order in (rows, rows[::-1]):
        result = DedupExact().run(order, context())
        assert sorted(r.id for r in result.kept) == ["b", "c"]
        assert [(d.row_id, d.reason) for d in result.dropped] == [("a", "duplicate of b")]
