"""Generation: the answer does not depend on the batch, stops where it should, and resumes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from codefit.core.progress import silent
from codefit.generate.cache import complete
from codefit.generate.engine import TransformersEngine
from codefit.generate.types import Answer, Decoding, Request
from codefit.models.load import load_model
from tests.format.words import byte_tokenizer
from tests.train.tiny import tiny_model

PROMPTS = [[5, 6, 7], [9], [3, 3, 3, 3, 3, 3, 3, 3], [11, 12], [40, 41, 42, 43, 44]]
REQUESTS = [Request(f"t{i}", tuple(ids)) for i, ids in enumerate(PROMPTS)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> object:
    return load_model(
        tiny_model(tmp_path_factory.mktemp("m") / "m", seed=3, vocab=260), dtype="float32", device="cpu"
    )


def engine(model: object, batch_size: int, end_id: int = 258) -> TransformersEngine:
    return TransformersEngine(
        model, byte_tokenizer(), end_id=end_id, decoding=Decoding(12), batch_size=batch_size
    )


def answers(model: object, batch_size: int, end_id: int = 258) -> list[Answer]:
    found = [a for batch in engine(model, batch_size, end_id).complete(REQUESTS) for a in batch]
    return sorted(found, key=lambda a: a.index)


def test_greedy_answers_do_not_depend_on_the_batch(model: object) -> None:
    alone = answers(model, 1)
    for size in (2, 3, 5):
        found = answers(model, size)
        assert [a.text for a in found] == [a.text for a in alone]
        assert [a.mean_logprob for a in found] == pytest.approx([a.mean_logprob for a in alone], abs=1e-4)


def test_log_probabilities_are_those_of_the_model_itself(model: object) -> None:
    tokenizer = byte_tokenizer()
    for prompt, answer in zip(PROMPTS, answers(model, 2), strict=True):
        new = tokenizer.encode(answer.text, add_special_tokens=False)
        if answer.finish_reason == "stop" or len(new) != answer.tokens:
            continue
        with torch.no_grad():
            logits = model(torch.tensor([prompt + new])).logits[0]  # type: ignore[operator]
        rows = F.log_softmax(logits[len(prompt) - 1 : -1], -1)
        mean = rows.gather(1, torch.tensor(new)[:, None]).mean().item()
        assert answer.mean_logprob == pytest.approx(mean, abs=1e-4)


def test_generation_stops_at_the_models_end_token_and_says_so(model: object) -> None:
    ids = torch.tensor([PROMPTS[0]])
    with torch.no_grad():
        free = model.generate(ids, max_new_tokens=8, do_sample=False)[0, 3:].tolist()  # type: ignore[attr-defined]
    end = free[-1]
    config = model.generation_config  # type: ignore[attr-defined]
    before = config.eos_token_id
    config.eos_token_id = [end]
    try:
        found = answers(model, 5)[0]
    finally:
        config.eos_token_id = before
    assert found.finish_reason == "stop"
    assert found.tokens == free.index(end)


def test_generation_stops_where_training_teaches_answers_to_end(model: object) -> None:
    with torch.no_grad():
        free = model.generate(torch.tensor([PROMPTS[0]]), max_new_tokens=8, do_sample=False)[0, 3:]  # type: ignore[attr-defined]
    end = free.tolist()[-1]
    found = answers(model, 5, end_id=end)[0]
    assert (found.finish_reason, found.tokens) == ("stop", free.tolist().index(end))


class Counting:
    """An engine that fails after some batches, as a kill would."""

    def __init__(self, batches: int) -> None:
        self.left, self.asked = batches, 0

    def complete(self, requests: Sequence[Request]) -> Iterator[list[Answer]]:
        for i in reversed(range(len(requests))):
            if self.left == 0:
                raise RuntimeError("killed")
            self.left -= 1
            self.asked += 1
            yield [Answer(i, f"answer to {requests[i].ids}", 3, -0.5, -0.9, "stop")]


def test_a_killed_generation_asks_only_for_what_is_missing(tmp_path: Path) -> None:
    requests = [Request(f"t{i}", (i, i + 1)) for i in range(6)]
    ledger = tmp_path / "c.jsonl"
    with pytest.raises(RuntimeError):
        complete(requests, lambda: Counting(4), ledger, setting="s", stage="g", listen=silent)
    second = Counting(100)
    found = complete(requests, lambda: second, ledger, setting="s", stage="g", listen=silent)
    assert second.asked == 2
    assert [(c.task_id, c.text) for c in found] == [(f"t{i}", f"answer to ({i}, {i + 1})") for i in range(6)]
    third = Counting(100)
    complete(requests, lambda: third, ledger, setting="s", stage="g", listen=silent)
    assert third.asked == 0
    complete(requests, lambda: third, ledger, setting="other weights", stage="g", listen=silent)
    assert third.asked == 6
