"""What the model will see, as data: rendered rows and evaluation prompts, token by token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from codefit.core.types import Example, Row
from codefit.format.chat import IGNORED, ChatFormat

Preview = dict[str, Any]


def row_preview(chat: ChatFormat, row: Row) -> Preview:
    """Return a training row as it is rendered: `kind`, `source`, `id`, counts, `pieces`, `tokens`."""
    return {"kind": "row", "source": row.source, "id": row.id, **_rendered(chat, chat.example(row))}


def task_preview(chat: ChatFormat, suite: str, task_id: str, prompt: str) -> Preview:
    """Return a task's prompt as evaluation sends it, in the same shape as a row; nothing is trained."""
    prefix = chat.prefix(prompt)
    example = Example(tuple(prefix), (IGNORED,) * len(prefix), task_id)
    return {"kind": "evaluation", "suite": suite, "id": task_id, **_rendered(chat, example)}


def _rendered(chat: ChatFormat, example: Example) -> Preview:
    trained = example.trained_tokens
    return {
        "prefix_tokens": len(example.token_ids) - trained,
        "trained_tokens": trained,
        "pieces": [{"text": p.text, "trained": p.trained} for p in chat.pieces(example)],
        "tokens": [
            {"text": s.text, "ids": list(s.ids), "trained": s.trained, "special": s.special}
            for s in chat.spans(example)
        ],
    }


def shared_frame(row: Preview, prompt: Preview) -> tuple[int, int]:
    """Return how many tokens a row's prompt and an evaluation prompt share at their start and end.

    This is the frame that the template puts around a request (system prompt, turn markers).
    """
    a, b = _prefix_ids(row), _prefix_ids(prompt)
    start = _common(a, b)
    return start, min(_common(a[::-1], b[::-1]), min(len(a), len(b)) - start)


def _prefix_ids(preview: Preview) -> list[int]:
    return [i for token in preview["tokens"] if not token["trained"] for i in token["ids"]]


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    for n, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return n
    return min(len(a), len(b))


def visible(text: str) -> str:
    """Return the text with its control characters written out, so that none acts on a terminal or page.

    Line ends and tabs stay. Control sequences of a terminal, and marks that turn the direction of
    writing (which can make code read otherwise than it runs), become `\\x1b` or `\\u202e`.
    """
    return "".join(
        c if c in "\n\t" or c not in _HIDDEN else c.encode("unicode_escape").decode() for c in text
    )


_HIDDEN = frozenset(
    chr(c)
    for first, last in (
        (0x00, 0x1F),
        (0x7F, 0x9F),
        (0x200B, 0x200F),
        (0x2028, 0x202E),
        (0x2060, 0x2069),
        (0xFEFF,) * 2,
    )
    for c in range(first, last + 1)
)
