"""One prompt: the loss mask covers the response and its end, and evaluation sees the same prefix."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codefit.core.errors import InputError
from codefit.core.types import Dropped, Example, Row
from codefit.format.chat import ChatFormat
from tests.format.words import CHATML, byte_tokenizer

WORDS = byte_tokenizer()
PLAIN = ChatFormat(WORDS, system=None, fence=False)
FENCED = ChatFormat(WORDS, system="Write Python.", fence=True)


def trained_text(chat: ChatFormat, row: Row) -> str:
    example = chat.example(row)
    return str(WORDS.decode([t for t in example.labels if t != -100]))


def test_only_the_response_and_its_end_are_trained() -> None:
    assert trained_text(PLAIN, Row("r", "s", "Add one.", "def f(x):\n    return x + 1")) == (
        "def f(x):\n    return x + 1<|im_end|>"
    )


def test_a_fence_is_put_around_bare_code_once() -> None:
    row = Row("r", "s", "Add one.", "x = 1\n")
    assert trained_text(FENCED, row) == "```python\nx = 1\n```<|im_end|>"
    fenced = Row("r", "s", "Add one.", "```python\nx = 1\n```")
    assert trained_text(FENCED, fenced) == "```python\nx = 1\n```<|im_end|>"


@settings(max_examples=60, deadline=None)
@given(request=st.text(max_size=60), response=st.text(max_size=60))
def test_training_begins_with_the_tokens_that_evaluation_sends(request: str, response: str) -> None:
    for chat in (PLAIN, FENCED):
        example = chat.example(Row("r", "s", request, response))
        prefix = chat.prefix(request)
        assert list(example.token_ids[: len(prefix)]) == prefix
        assert all(label == -100 for label in example.labels[: len(prefix)])
        assert example.labels[len(prefix) :] == example.token_ids[len(prefix) :]


def test_parity_holds_for_chatml_and_counts_the_prefix() -> None:
    assert PLAIN.check_parity("Add one.", "x = 1") == len(PLAIN.prefix("Add one."))
    assert FENCED.check_parity("Add one.", "x = 1") == len(FENCED.prefix("Add one."))


def test_a_template_that_renders_prompts_otherwise_is_refused() -> None:
    broken = CHATML.replace("<|im_start|>assistant\n{% endif %}", "<|im_start|>assistant\nSure: {% endif %}")
    chat = ChatFormat(byte_tokenizer(broken), system=None, fence=False)
    with pytest.raises(InputError, match="different tokens"):
        chat.check_parity("Add one.", "x = 1")


def test_a_row_that_breaks_parity_is_named() -> None:
    trimming = CHATML.replace("{{ m['content'] }}", "{{ m['content'] | trim }}")
    chat = ChatFormat(byte_tokenizer(trimming), system=None, fence=False)
    assert chat.check_rows([Row("fine", "s", " a ", "x = 1")]) == 1
    with pytest.raises(InputError, match="different tokens") as e:
        chat.check_rows([Row("odd", "s", "a", "x = 1  ")])
    assert e.value.where == "row odd"
    fenced = ChatFormat(byte_tokenizer(trimming), system=None, fence=True)
    assert fenced.check_rows([Row("odd", "s", "a", "x = 1  "), Row("more", "s", "a", "```\nx\n```\n")]) == 2


def test_blank_lines_before_an_answer_go_and_its_indentation_stays() -> None:
    assert PLAIN.answer("\n  \n    x = 1") == "    x = 1"
    assert FENCED.answer("\n\nx = 1\n\n") == "```python\nx = 1\n```"


def test_rows_with_control_tokens_are_passed_over_by_the_parity_check() -> None:
    assert PLAIN.check_rows([Row("a", "s", "Say <|im_end|>.", "x"), Row("b", "s", "a", "x")]) == 1


def test_a_tokenizer_without_template_or_end_is_refused() -> None:
    with pytest.raises(InputError, match="no chat template"):
        ChatFormat(byte_tokenizer(None), system=None, fence=False)
    endless = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    with pytest.raises(InputError, match="end a turn"):
        ChatFormat(byte_tokenizer(endless), system=None, fence=False)


def test_long_rows_are_dropped_with_their_length_and_never_cut() -> None:
    rows = [Row("short", "s", "a", "b"), Row("long", "s", "a", "b" * 200)]
    found = list(PLAIN.examples(rows, 100))
    assert isinstance(found[0], Example)
    assert isinstance(found[1], Dropped)
    assert found[1].row_id == "long"
    assert "over 100" in found[1].reason


def test_rows_that_hold_control_tokens_as_text_are_dropped() -> None:
    rows = [
        Row("a", "s", "Say <|im_end|> twice.", "x = 1"),
        Row("b", "s", "Add.", "x = '<|im_start|>assistant'"),
    ]
    found = [d for d in PLAIN.examples(rows, 100) if isinstance(d, Dropped)]
    assert [d.row_id for d in found] == ["a", "b"]
    assert all("control token" in d.reason for d in found)


def test_the_revision_changes_with_everything_that_shapes_a_prompt() -> None:
    revisions = {
        PLAIN.revision,
        FENCED.revision,
        ChatFormat(WORDS, system="x", fence=False).revision,
        ChatFormat(WORDS, system="", fence=False).revision,
        ChatFormat(byte_tokenizer(CHATML + " "), system=None, fence=False).revision,
    }
    assert len(revisions) == 5


def test_pieces_show_prompt_and_response_apart() -> None:
    pieces = PLAIN.pieces(PLAIN.example(Row("r", "s", "Add one.", "x = 1")))
    assert [p.trained for p in pieces] == [False, True]
    assert "Add one." in pieces[0].text
    assert pieces[1].text == "x = 1<|im_end|>"
