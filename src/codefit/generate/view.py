"""The start model's view of rows: how much a request helps it to the answer, and how odd it finds the answer.

Instruction-following difficulty (Li et al. 2024, "From Quantity to Quality", arXiv 2308.12032):
IFD = loss(answer | request) / loss(answer), the mean losses per answer token in nats. Here the answer
alone stands in the same chat template with an empty request, so that the template itself counts for
neither side. Below 1 the request helps; a low value says that the model writes the answer anyway.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from codefit.core.files import Ledger, digest
from codefit.core.progress import Event, Listener
from codefit.core.types import Example, Row
from codefit.format.chat import ChatFormat

_DIGITS = 4
_EVERY = 50
_POSITIONS = 256


def model_view(
    rows: Sequence[Row],
    chat: ChatFormat,
    load: Callable[[], Any],
    ledger_path: Path,
    *,
    setting: str,
    max_length: int,
    listen: Listener,
) -> dict[str, Mapping[str, float]]:
    """Return row id -> `ifd`, `answer_loss` (nats per token), `answer_perplexity`.

    Rows over `max_length` tokens, or with control tokens in them, are missing. Every row is read
    alone, so its values do not depend on the others. `setting` names the model; with a row's tokens
    it names an entry of the append-only ledger, and what stands there is not asked again.
    """
    with_request = {e.row_id: e for e in _examples(rows, chat, max_length)}
    without = {
        e.row_id: e for e in _examples([_unasked(r) for r in rows if r.id in with_request], chat, max_length)
    }
    keys = {row_id: digest("view", setting, repr(e.token_ids)) for row_id, e in with_request.items()}
    with Ledger(ledger_path) as ledger:
        known = {e["key"]: e for e in ledger.entries}
        todo = [row_id for row_id, key in keys.items() if key not in known]
        model = load() if todo else None
        for done, row_id in enumerate(todo):
            if keys[row_id] not in known:  # two rows may be one text
                entry = {"key": keys[row_id], **_view(model, with_request[row_id], without[row_id])}
                ledger.append(entry)
                known[keys[row_id]] = entry
            if done % _EVERY == 0:
                listen(Event("curate", "the start model's view", done, len(todo), "rows"))
    return {row_id: {n: v for n, v in known[key].items() if n != "key"} for row_id, key in keys.items()}


def _examples(rows: Sequence[Row], chat: ChatFormat, max_length: int) -> list[Example]:
    return [e for e in chat.examples(rows, max_length) if isinstance(e, Example)]


def _unasked(row: Row) -> Row:
    return Row(row.id, row.source, "", row.response)


def _view(model: Any, asked: Example, alone: Example) -> dict[str, float]:
    loss, base = answer_loss(model, asked), answer_loss(model, alone)
    return {
        "ifd": round(loss / base, _DIGITS) if base else 1.0,
        "answer_loss": round(loss, _DIGITS),
        "answer_perplexity": round(math.exp(min(loss, 50.0)), _DIGITS),
    }


@torch.no_grad()
def answer_loss(model: Any, example: Example) -> float:
    """Return the mean negative log-likelihood, in nats, of an example's trained tokens."""
    ids_1T = torch.tensor([example.token_ids], device=model.device)
    trained = example.trained_tokens
    # The answer is the end of the sequence; logits for the request would only fill memory.
    logits_TV = model.eval()(input_ids=ids_1T, logits_to_keep=trained + 1, use_cache=False).logits[0, :-1]
    targets_T = ids_1T[0, -trained:]
    # In parts: a copy in float32 of a thousand positions of a large vocabulary is 600 MB.
    parts = zip(logits_TV.split(_POSITIONS), targets_T.split(_POSITIONS), strict=True)
    losses = [torch.nn.functional.cross_entropy(a.float(), b, reduction="sum").double() for a, b in parts]
    return float(torch.stack(losses).sum()) / trained
