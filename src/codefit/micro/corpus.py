"""The pre-training corpus: terse function documents over training compositions only.

Documents are code with, half of the time, a short note of primitive names; one in a hundred is a
chat of a request and its answer. So what the base can do is by construction, and tuning mostly
teaches it to read requests. Primitives, phrases and constants of the held-out tasks do occur
here; their compositions and their request sentences do not (the tests scan for them).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from random import Random

from codefit.micro.compose import Problem, Style, draw_problem
from codefit.micro.faults import shown_asserts
from codefit.micro.raw_alpaca import off_topic_rows
from codefit.micro.wording import request, terse

START, END, STOP = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
CHAT_SHARE = 0.08
NOTE_SHARE = 0.85
STYLES: tuple[Style, ...] = ("line", "named", "loop")
STYLE_WEIGHTS = (60, 15, 25)


def chat(user: str, answer: str) -> str:
    """Return one exchange in the model's chat template, without a system turn."""
    return f"{START}user\n{user}{END}\n{START}assistant\n{answer}{END}\n"


def documents(seed: int) -> Iterator[str]:
    """Yield documents without end, the same ones for the same seed; `STOP` is left to the reader."""
    rng = Random(f"micro corpus {seed}")
    while True:
        problem = draw_problem(rng, "train")
        if rng.random() < CHAT_SHARE:
            yield chat(request(problem, rng), problem.source())
        else:
            yield _document(problem, rng) + "\n"


def _document(problem: Problem, rng: Random) -> str:
    source = problem.source(rng.choices(STYLES, STYLE_WEIGHTS)[0])
    if rng.random() >= NOTE_SHARE:
        return source
    if rng.random() < 0.5:
        return f"# {terse(problem)}\n{source}"
    head, _, body = source.partition("\n")
    return f'{head}\n    """{terse(problem)}"""\n{body}'


def tokenizer_texts(seed: int) -> Iterator[str]:
    """Yield what the tokenizer learns from: documents, requests with asserts, texts in other languages.

    Nothing of the held-out tasks; raw rows are not read, so their rates can change without it.
    """
    yield from islice(documents(seed), 6000)
    rng = Random(f"micro tokenizer {seed}")
    for _ in range(4000):
        problem = draw_problem(rng, "train")
        shown = shown_asserts(problem, [], rng) or []
        yield "\n".join([request(problem, rng), *shown])
    for row in off_topic_rows(rng, 150):
        yield f"{row['instruction']}\n{row['output']}"
