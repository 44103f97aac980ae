"""Does a model finish training answers word for word? Asked of rows it was trained on and of held-out ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from codefit.core.seeds import subseed
from codefit.core.types import Example
from codefit.pipeline import generate, model
from codefit.pipeline.context import START, Context

if TYPE_CHECKING:
    from codefit.generate.types import Request

GIVEN_TOKENS = 20
"""Tokens of the answer that the model is given; shorter answers are not asked about."""
_LEAST_LEFT = 10


def memorised(context: Context) -> dict[str, Any]:
    """Return, for the start model and the main arm, how many answers they finish exactly, greedily.

    The prompt and the first 20 tokens of the row's answer are given; finished exactly means that all
    tokens left come back as they stand, as far as `generate.max_new_tokens` goes. `trained` are rows of
    the main arm, `held_out` its validation rows (null without any). The start model saw neither: what it
    finishes is what anyone would write. Source of the idea: Carlini et al. 2021 (arXiv 2012.07805).
    """
    arm, rows = context.main_arm, context.recipe.analyse.memorised_rows
    training, validation = context.split(arm)
    drawn = {
        name: _drawn(found, rows, context.recipe.seed)
        for name, found in (("trained", training), ("held_out", validation))
    }
    arms = {}
    for name, who in ((START, None), (arm.name, arm)):
        weights = model.trained_weights(context, who) if who else None
        arms[name] = {
            part: _finished(context, who, weights, found, f"memorised {part}, {name}") if found else None
            for part, found in drawn.items()
        }
    return {
        "given_tokens": GIVEN_TOKENS,
        "rows": {part: len(found) for part, found in drawn.items()},
        "arms": arms,
    }


def _drawn(examples: Sequence[Example], rows: int, seed: int) -> list[Example]:
    """Return up to `rows` examples with an answer long enough, drawn by the hash of their ids."""
    fitting = [e for e in examples if len(_answer(e)) >= GIVEN_TOKENS + _LEAST_LEFT]
    return sorted(fitting, key=lambda e: subseed(seed, "memorised", e.row_id))[:rows]


def _answer(example: Example) -> tuple[int, ...]:
    return tuple(t for t, label in zip(example.token_ids, example.labels, strict=True) if label >= 0)


def _finished(
    context: Context, arm: Any, weights: Any, examples: Sequence[Example], stage: str
) -> dict[str, Any]:
    """Return [finished exactly, asked], and the ids of the rows that were."""
    requests = [_request(e) for e in examples]
    found = generate.greedy_answers(context, arm, weights, requests, stage)
    limit = context.recipe.generate.max_new_tokens
    exact = []
    for example, completion in zip(examples, found, strict=True):
        left = _answer(example)[GIVEN_TOKENS:]
        whole = left[:-1] if left[-1] == context.chat.end_id else left
        wanted = context.tokenizer.decode(whole[:limit], skip_special_tokens=True)
        got = completion.text
        if got == wanted or (len(whole) > limit and got.startswith(wanted)):
            exact.append(example.row_id)
    return {"finished": [len(exact), len(examples)], "row_ids": sorted(exact)}


def _request(example: Example) -> Request:
    from codefit.generate.types import Request

    prompt = len(example.token_ids) - len(_answer(example))
    return Request(example.row_id, example.token_ids[: prompt + GIVEN_TOKENS])
