"""Normalise, language, syntax and exact duplicates."""

from __future__ import annotations

import ast
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codefit.curate.code import parse
from codefit.curate.dedup_exact import DedupExact
from codefit.curate.language import Language, detect
from codefit.curate.normalise import Normalise, clean, clean_answer, repaired_answer
from codefit.curate.syntax import Syntax
from codefit.sources import open_source
from tests.curate.conftest import asserts, context, row
from tests.shared_data import shared_data


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
        ("print 3 / 2", "python 2"),
        ("print 'hello'", None),
        ("x = 'a' * 5", None),
        ("x = 1\n" * 2_000, "answer too long"),
        ("(" * 3_000 + ")" * 3_000, "does not parse: too many nested parentheses"),
        ("def f(x):\n    return x +", "cut off"),
        ("x = [1, 2,\n     3", "cut off"),
        ("for i in x:", "cut off"),
        ("The answer is [1, 2].", "does not parse: invalid syntax"),
        ("def f(x):\n    return y", "undefined name: y"),
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


def test_of_several_blocks_the_only_one_that_defines_something_is_the_answer() -> None:
    answer = "```python\nx = 1\n```\nor\n```python\nx = 2\n```"
    assert clean_answer(answer) == answer
    example = "```python\ndef f():\n    pass\n```\nCall it:\n```python\nf()\n```\n```\ndef f: no\n```"
    assert clean_answer(example) == "def f():\n    pass"


@pytest.mark.parametrize(
    ("answer", "code", "repair"),
    [
        ("s = \u201chi\u201d", 's = "hi"', "quotes and dashes"),
        ("x = 3 \u2212 2", "x = 3 - 2", "quotes and dashes"),
        ("if a &lt; b:\n    c()", "if a < b:\n    c()", "entities"),
        ("x = [1]\n y = 2", "x = [1]\ny = 2", "indentation"),
        (">>> x = 1\n>>> x\n1", "x = 1\nx", "prompts"),
        ("print(f(2)) // Output: 4", "print(f(2)) # Output: 4", "comments"),
        ("x = f(2)\nprint(x)\n\nOutput:\n[1 2]\n[3 4]", "x = f(2)\nprint(x)", "output below the code"),
    ],
)
def test_repairs_that_make_an_answer_parse(answer: str, code: str, repair: str) -> None:
    assert repaired_answer(answer) == (code, (repair,))


def test_non_breaking_spaces_in_code_become_spaces() -> None:
    assert clean_answer("x\u00a0=\u00a01") == "x = 1"


@pytest.mark.parametrize(
    "answer",
    [
        "s = '\u201chi\u201d &lt; \u2212'",
        "s = 'a\u00a0b'",
        "s = 'e\u0301'",
        "s = '''a\n\tb  \n'''",
        "x = f(8) // g(2)",
        "s = '\u00c3\u00a9'",
    ],
)
def test_a_program_that_parses_keeps_its_meaning(answer: str) -> None:
    assert ast.dump(ast.parse(clean_answer(answer))) == ast.dump(ast.parse(answer))


LINES = [
    "x = 1",
    "s = 'a\u00a0\u201c'",
    "if x:",
    "\ty = '''b",
    "    z'''",
    "\t\tw = 2",
    "# c\r",
    "        v = 3",
]


@given(st.lists(st.sampled_from(LINES), max_size=8))
def test_cleaning_never_changes_a_program(lines: list[str]) -> None:
    tree = parse("\n".join(lines))
    if tree is not None:
        again = parse(clean_answer("\n".join(lines)))
        assert again is not None
        assert ast.dump(again) == ast.dump(tree)


def test_text_read_as_windows_1252_is_read_again() -> None:
    assert clean("caf\u00c3\u00a9 \u00e2\u20ac\u0153x\u00e2\u20ac\u009d") == "caf\u00e9 \u201cx\u201d"
    assert clean("\u00c3 la carte, \u00a9 \u00c2\u00a9") == "\u00c3 la carte, \u00a9 \u00a9"


def test_real_requests_that_name_a_language_agree_with_what_is_found() -> None:
    named = {
        "python": r"\bpython\b",
        "javascript": r"\bjavascript\b",
        "java": r"\bjava\b",
        "sql": r"\bsql\b",
        "c++": r"c\+\+",
        "html/css": r"\bhtml\b|\bcss\b",
        "php": r"\bphp\b",
    }
    path = shared_data("code_alpaca_20k.jsonl.gz")
    found: Counter[tuple[str, str]] = Counter()
    for r in open_source({"kind": "code_alpaca", "path": path, "limit": 2_000}).rows():
        ask = r.instruction.split("\n\nInput:")[0]
        asked = [name for name, pattern in named.items() if re.search(pattern, ask, re.IGNORECASE)]
        if len(asked) == 1:
            found[asked[0], detect(clean_answer(r.response))[0]] += 1  # the request is hidden
    python = {said: n for (asked, said), n in found.items() if asked == "python" and said != "prose"}
    others = Counter(said for (asked, said), n in found.items() for _ in range(n) if asked != "python")
    assert python["python"] / sum(python.values()) > 0.98
    assert others["python"] / others.total() < 0.04
