"""The preview: every token shown with its mask, hostile text shown and never acted upon."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codefit.core.types import Row
from codefit.format.chat import ChatFormat
from codefit.format.preview import row_preview, shared_frame, task_preview, visible
from codefit.format.preview_page import counts, render_preview
from codefit.models.load import load_tokenizer
from codefit.sources.taco import to_row
from tests.format.words import byte_tokenizer
from tests.shared_data import shared_data

BYTES = ChatFormat(byte_tokenizer(), system=None, fence=True)
HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(1)>\x1b[2J\u202eevil"


@pytest.fixture(scope="module")
def qwen() -> ChatFormat:
    """Return the format with the real Qwen2 vocabulary and its ChatML template."""
    tokenizer = load_tokenizer(shared_data("qwen2_tokenizer/tokenizer.json.gz"))
    return ChatFormat(tokenizer, system="You write Python.", fence=True)


def found(chat: ChatFormat, *rows: Row) -> dict[str, Any]:
    previews = [row_preview(chat, row) for row in rows]
    previews.append(task_preview(chat, "mine", "t/1", "Write f(x) that doubles x."))
    parity = {"checked": 1, "suites": ["mine"], "rows": {"s": 2}}
    return {"template_hash": "abc", "max_length": 100, "parity": parity, "previews": previews}


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, Any]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@settings(max_examples=60, deadline=None)
@given(request=st.text(max_size=40), response=st.text(max_size=40))
def test_tokens_are_the_whole_example_in_order_under_its_mask(request: str, response: str) -> None:
    row = Row("r", "s", request, response)
    example, preview = BYTES.example(row), row_preview(BYTES, row)
    tokens = preview["tokens"]
    assert tuple(i for t in tokens for i in t["ids"]) == example.token_ids
    masked = [i for t in tokens if t["trained"] for i in t["ids"]]
    assert masked == [label for label in example.labels if label != -100]
    assert preview["trained_tokens"] == len(masked)
    assert preview["prefix_tokens"] == len(BYTES.prefix(request))


def test_tokens_that_make_one_character_together_stand_together() -> None:
    preview = row_preview(BYTES, Row("r", "s", "请é", "龘😀"))
    assert [(t["text"], len(t["ids"])) for t in preview["tokens"] if not t["text"].isascii()] == [
        ("请", 3), ("é", 2), ("龘", 3), ("😀", 4),
    ]  # fmt: skip
    assert "".join(t["text"] for t in preview["tokens"]) == "".join(p["text"] for p in preview["pieces"])


def test_special_tokens_are_marked_and_the_end_of_turn_is_trained() -> None:
    tokens = row_preview(BYTES, Row("r", "s", "a", "b"))["tokens"]
    assert [t["text"] for t in tokens if t["special"]] == [
        "<|im_start|>", "<|im_end|>", "<|im_start|>", "<|im_end|>",
    ]  # fmt: skip
    assert tokens[-1]["special"]
    assert tokens[-1]["trained"]


def test_row_and_prompt_share_the_frame_of_the_template(qwen: ChatFormat) -> None:
    row = row_preview(qwen, Row("r", "s", "Add one.", "x = 1"))
    task = task_preview(qwen, "mine", "t", "写一个函数")
    start, end = shared_frame(row, task)
    assert start == len(qwen.prefix("")) - end
    assert shared_frame(row, row) == (row["prefix_tokens"], 0)


@pytest.mark.parametrize("fence", [True, False])
@pytest.mark.parametrize(
    ("request_text", "response"),
    [
        ("写一个函数，返回列表中的最大值。", "def 最大(列表):\n    return max(列表)"),
        ("Use a fence.", "```python\nx = 1\n```"),
        ("Two blocks.", "First:\n```python\nx = 1\n```\nthen\n```\ny\n```\n\n"),
        ("Trailing space. \n\n", "x = 1   \n\n"),
        ("\n\n  Leading", "\n \n    x = 1"),
        ("Emoji 😀 and é", "print('😀')\n\n\n"),
        ("", "x"),
    ],
)
def test_parity_holds_with_the_real_vocabulary(fence: bool, request_text: str, response: str) -> None:
    tokenizer = load_tokenizer(shared_data("qwen2_tokenizer/tokenizer.json.gz"))
    for system in (None, "", "你是一个程序员。"):
        chat = ChatFormat(tokenizer, system=system, fence=fence)
        assert chat.check_rows([Row("r", "s", request_text, response)]) == 1
        preview = row_preview(chat, Row("r", "s", request_text, response))
        assert "".join(t["text"] for t in preview["tokens"]) == "".join(p["text"] for p in preview["pieces"])


def test_a_task_on_standard_input_is_rendered_with_its_contract(qwen: ChatFormat) -> None:
    record = {
        "question": "Given n, print n doubled.\n\nInput\n\nOne integer.\n\nOutput\n\nOne integer.",
        "solutions": '["print(2 * int(input()))"]', "starter_code": "",
        "input_output": '{"inputs": ["3\\n"], "outputs": ["6\\n"]}',
    }  # fmt: skip
    row = to_row(record)
    assert row.tests is not None
    assert row.tests.kind == "stdin"
    shown = row_preview(qwen, row)
    prompt = "".join(t["text"] for t in shown["tokens"] if not t["trained"])
    assert row.instruction in prompt
    assert qwen.check_rows([row]) == 1


def test_hostile_text_is_shown_in_the_page_and_is_never_markup() -> None:
    row = Row(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    page = render_preview(found(BYTES, row), HOSTILE)
    parsed = Page(page)
    assert {tag for tag, _ in parsed.tags} & {"script", "img", "iframe", "link"} == set()
    assert not [a for _, a in parsed.tags if any(name.startswith("on") for name in a)]
    shown = "".join(parsed.text).replace("⏎", "")
    assert HOSTILE.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e") in shown
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_the_page_needs_no_script_and_asks_for_nothing() -> None:
    page = render_preview(found(BYTES, Row("r", "s", "a", "b")), "a run")
    parsed = Page(page)
    policy = next(a["content"] for tag, a in parsed.tags if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'")
    assert "script-src" not in policy
    assert "://" not in page
    assert not [a for _, a in parsed.tags if "src" in a or "href" in a]
    assert "prefers-color-scheme: dark" in page


def test_every_token_is_a_box_of_the_page_that_names_its_id() -> None:
    data = found(BYTES, Row("r", "s", "ab", "cd"))
    boxes = [a for tag, a in Page(render_preview(data, "x")).tags if tag == "span" and "title" in a]
    tokens = [t for p in data["previews"] for t in p["tokens"]]
    assert [a["title"].split(": ")[1] for a in boxes] == [", ".join(map(str, t["ids"])) for t in tokens]
    assert [" on" in a["class"] for a in boxes] == [t["trained"] for t in tokens]


def test_a_row_over_the_length_says_that_it_is_dropped() -> None:
    row = row_preview(BYTES, Row("r", "s", "a", "b" * 200))
    assert counts(row, 100).endswith("over 100: dropped")
    assert "too long: dropped" in render_preview(found(BYTES, Row("r", "s", "a", "b" * 200)), "x")


def test_control_characters_are_written_out() -> None:
    assert visible("a\x1b[31mb\r\x00\x9b\u202e\ufeff\n\t") == "a\\x1b[31mb\\r\\x00\\x9b\\u202e\\ufeff\n\t"
