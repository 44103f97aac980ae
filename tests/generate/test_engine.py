"""The transformers engine: what a model answers, and that neither batch, order nor memory changes it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from transformers import Qwen2Config, Qwen2ForCausalLM

from codefit.core.errors import InputError
from codefit.core.files import read_jsonl
from codefit.core.progress import Event, silent
from codefit.generate.cache import complete, spent
from codefit.generate.choose import inverse_cdf
from codefit.generate.engine import TransformersEngine
from codefit.generate.types import Answer, Decoding, Request
from codefit.models.load import load_model
from tests.format.words import byte_tokenizer
from tests.train.tiny import tiny_model

PROMPTS = [[5, 6, 7], [9], [3, 3, 3, 3, 3, 3, 3, 3], [11, 12], [40, 41, 42, 43, 44]]
REQUESTS = [Request(f"t{i}", tuple(ids)) for i, ids in enumerate(PROMPTS)]
DRAWN = Decoding(10, temperature=0.9, top_p=0.9, seed=4)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tiny_model(tmp_path_factory.mktemp("m") / "m", seed=3, vocab=260)
    return load_model(folder, dtype="float32", device="cpu")


def engine(
    model: Any, batch_size: int | None, end_id: int = 258, decoding: Decoding | None = None
) -> TransformersEngine:
    return TransformersEngine(
        model, byte_tokenizer(), end_id=end_id, decoding=decoding or Decoding(12), batch_size=batch_size
    )


def answers(model: Any, batch_size: int | None, end_id: int = 258) -> list[Answer]:
    return asked(engine(model, batch_size, end_id), REQUESTS)


def asked(engine: TransformersEngine, requests: Sequence[Request]) -> list[Answer]:
    return sorted((a for batch in engine.complete(requests) for a in batch), key=lambda a: a.index)


def ragged(n: int, seed: int = 0, samples: int = 1) -> list[Request]:
    draw = random.Random(seed)
    prompts = [tuple(draw.randrange(3, 250) for _ in range(draw.randint(1, 30))) for _ in range(n)]
    return [Request(f"t{i}", ids, (), s) for i, ids in enumerate(prompts) for s in range(samples)]


def texts(found: Sequence[Answer]) -> list[tuple[str, str]]:
    return [(a.text, a.finish_reason) for a in found]


def test_greedy_answers_do_not_depend_on_the_batch(model: Any) -> None:
    requests = ragged(24)
    alone = asked(engine(model, 1), requests)
    for size in (2, 5, 24, None):
        found = asked(engine(model, size), requests)
        assert texts(found) == texts(alone)
        assert [a.mean_logprob for a in found] == pytest.approx([a.mean_logprob for a in alone], abs=1e-4)
        assert [a.min_logprob for a in found] == pytest.approx([a.min_logprob for a in alone], abs=1e-4)


def test_greedy_answers_are_those_of_transformers_own_loop(model: Any) -> None:
    tokenizer = byte_tokenizer()
    for request, answer in zip(REQUESTS, answers(model, None), strict=True):
        with torch.no_grad():
            free = model.generate(
                torch.tensor([request.ids]), max_new_tokens=12, do_sample=False, eos_token_id=[2, 258]
            )[0, len(request.ids) :].tolist()
        kept = free[:-1] if free[-1] in (2, 258) else free
        assert (answer.text, answer.tokens) == (tokenizer.decode(kept, skip_special_tokens=True), len(kept))


def test_layers_with_a_sliding_window_see_what_transformers_shows_them() -> None:
    torch.manual_seed(5)
    config = Qwen2Config(
        vocab_size=260, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, use_sliding_window=True, sliding_window=4,
        max_window_layers=1, eos_token_id=2, pad_token_id=0, bos_token_id=None,
    )  # fmt: skip
    sliding = Qwen2ForCausalLM(config).eval()
    assert set(config.layer_types) == {"full_attention", "sliding_attention"}
    long = [Request("a", tuple(range(10, 24))), Request("b", (9, 9, 9))]
    found = asked(engine(sliding, None), long)
    tokenizer = byte_tokenizer()
    for request, answer in zip(long, found, strict=True):
        with torch.no_grad():
            free = sliding.generate(
                torch.tensor([request.ids]), max_new_tokens=12, do_sample=False, eos_token_id=[2, 258]
            )[0, len(request.ids) :].tolist()
        kept = free[:-1] if free[-1] in (2, 258) else free
        assert answer.text == tokenizer.decode(kept, skip_special_tokens=True)


def test_log_probabilities_are_those_of_the_model_itself(model: Any) -> None:
    tokenizer, checked = byte_tokenizer(), 0
    for prompt, answer in zip(PROMPTS, answers(model, 2), strict=True):
        new = tokenizer.encode(answer.text, add_special_tokens=False)
        if answer.finish_reason == "stop" or len(new) != answer.tokens:
            continue
        with torch.no_grad():
            logits = model(torch.tensor([prompt + new])).logits[0]
        rows = F.log_softmax(logits[len(prompt) - 1 : -1], -1).gather(1, torch.tensor(new)[:, None])
        assert answer.mean_logprob == pytest.approx(rows.mean().item(), abs=1e-4)
        assert answer.min_logprob == pytest.approx(rows.min().item(), abs=1e-4)
        checked += 1
    assert checked


def test_generation_stops_at_the_models_end_token_and_says_so(model: Any) -> None:
    ids = torch.tensor([PROMPTS[0]])
    with torch.no_grad():
        free = model.generate(ids, max_new_tokens=8, do_sample=False)[0, 3:].tolist()
    config = model.generation_config
    before = config.eos_token_id
    config.eos_token_id = [free[-1]]
    try:
        found = answers(model, 5)[0]
    finally:
        config.eos_token_id = before
    assert (found.finish_reason, found.tokens) == ("stop", free.index(free[-1]))


def test_generation_stops_where_training_teaches_answers_to_end(model: Any) -> None:
    with torch.no_grad():
        free = model.generate(torch.tensor([PROMPTS[0]]), max_new_tokens=8, do_sample=False)[0, 3:]
    end = free.tolist()[-1]
    found = answers(model, 5, end_id=end)[0]
    assert (found.finish_reason, found.tokens) == ("stop", free.tolist().index(end))


class Watched:
    """A model that counts the rows and tokens it is given, and may run out of memory."""

    def __init__(self, model: Any, room: int | None = None) -> None:
        self._model, self._room = model, room
        self.decoded, self.read = [], 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def eval(self) -> Watched:
        return self

    def __call__(self, **given: Any) -> Any:
        rows, tokens = given["input_ids"].shape
        if self._room is not None and rows > self._room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        if "position_ids" in given:
            self.decoded.append(rows)
        else:
            self.read += rows * tokens
        return self._model(**given)


def test_no_step_is_spent_on_an_answer_that_has_ended(model: Any) -> None:
    requests = ragged(20, seed=2)
    watched = Watched(model)
    ending = engine(watched, 6, decoding=Decoding(12, temperature=1.0))
    ending._ends = frozenset(range(40))
    found = asked(ending, requests)
    assert len({a.tokens for a in found}) > 4
    assert sum(watched.decoded) == sum(a.tokens + (a.finish_reason == "stop") for a in found)
    assert max(watched.decoded) == 6
    assert len(watched.decoded) < sum(watched.decoded) / 4


def test_a_prompt_with_several_samples_is_read_once(model: Any) -> None:
    prompt = tuple(range(10, 30))
    watched = Watched(model)
    asked(engine(watched, 3, decoding=DRAWN), [Request("t", prompt, (), s) for s in range(3)])
    assert watched.read == len(prompt) - 1


def test_running_out_of_memory_halves_the_batch_and_loses_nothing(model: Any) -> None:
    requests = ragged(12, seed=7, samples=2)
    for decoding in (Decoding(12), DRAWN):
        whole = asked(engine(model, 8, decoding=decoding), requests)
        tight = Watched(model, room=2)
        assert texts(asked(engine(tight, 8, decoding=decoding), requests)) == texts(whole)
        assert max(tight.decoded) == 2
    with pytest.raises(InputError, match="out of memory with a single sequence"):
        asked(engine(Watched(model, room=0), 8), requests)


def test_a_long_prompt_does_not_hold_its_room_for_all(model: Any) -> None:
    requests = [Request("long", tuple([7] * 80)), *ragged(30, seed=5)]
    small = TransformersEngine(
        model, byte_tokenizer(), end_id=258, decoding=Decoding(12), memory=400_000, batch_size=None
    )
    watched = Watched(model)
    small._model = watched
    few = small.plan(requests).sequences
    found = asked(small, requests)
    assert texts(found) == texts(asked(engine(model, 1), requests))
    assert max(watched.decoded) > few


def test_samples_do_not_depend_on_batch_or_order_and_differ_from_each_other(model: Any) -> None:
    requests = ragged(8, seed=1, samples=3)
    first = asked(engine(model, None, decoding=DRAWN), requests)
    shuffled = random.Random(0).sample(range(len(requests)), len(requests))
    second = asked(engine(model, 3, decoding=DRAWN), [requests[i] for i in shuffled])
    assert [texts(first)[i] for i in shuffled] == texts(second)
    assert len({a.text for a in first[:3]}) == 3
    other = asked(engine(model, None, decoding=Decoding(10, 0.9, 0.9, seed=5)), requests)
    assert texts(other) != texts(first)


@pytest.mark.parametrize("top_p", [1.0, 0.7])
def test_the_inverse_of_the_distribution_gives_every_token_its_share(top_p: float) -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 40) * 2
    probs = logits.softmax(-1).double()[0]
    if top_p < 1:
        order = probs.argsort(descending=True)
        inside = probs[order].cumsum(0) - probs[order] < top_p
        kept = torch.zeros(40, dtype=torch.bool)
        kept[order[inside]] = True
        probs = probs * kept / (probs * kept).sum()
        assert 1 < kept.sum() < 40
    n = 20_000
    u = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    counts = torch.bincount(inverse_cdf(logits.expand(n, -1), top_p, u), minlength=40)
    assert (counts - probs * n).abs().max() <= 1
    ends = torch.tensor([0.0, 1 - 2**-53], dtype=torch.float64)
    assert (probs[inverse_cdf(logits.expand(2, -1), top_p, ends)] > 0).all()


def test_sampled_answers_have_the_models_own_distribution(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    n, decoding = 1500, Decoding(1, temperature=0.7, top_p=0.8, seed=1)
    drawing = engine(model, None, decoding=decoding)
    drawing._ends = frozenset()
    monkeypatch.setattr(drawing._tokenizer, "decode", lambda ids, **_: str(ids[0]))
    found = asked(drawing, [Request("t", (40, 41, 42), (), s) for s in range(n)])
    with torch.no_grad():
        logits = model(torch.tensor([[40, 41, 42]])).logits[0, -1]
    probs, order = (logits / 0.7).softmax(-1).sort(descending=True)
    kept = order[probs.cumsum(0) - probs < 0.8].tolist()
    share = probs[: len(kept)] / probs[: len(kept)].sum()
    counts = torch.tensor([sum(a.text == str(token) for a in found) for token in kept])
    assert counts.sum() == n
    statistic = float(((counts - n * share) ** 2 / (n * share)).sum())
    freedom = len(kept) - 1
    assert abs(statistic - freedom) < 4 * (2 * freedom) ** 0.5  # mean and spread of chi-square


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
    assert found[0].min_logprob == -0.9
    third = Counting(100)
    complete(requests, lambda: third, ledger, setting="s", stage="g", listen=silent)
    assert third.asked == 0
    complete(requests, lambda: third, ledger, setting="other weights", stage="g", listen=silent)
    assert third.asked == 6


def test_equal_prompts_are_asked_once_and_samples_are_told_apart(tmp_path: Path) -> None:
    requests = [Request("a", (1, 2)), Request("b", (1, 2)), Request("a", (1, 2), (), 1)]
    counting = Counting(100)
    found = complete(requests, lambda: counting, tmp_path / "c", setting="s", stage="g", listen=silent)
    assert counting.asked == 2
    assert [(c.task_id, c.sample) for c in found] == [("a", 0), ("b", 0), ("a", 1)]


def test_what_answers_took_is_counted_over_every_run(tmp_path: Path) -> None:
    requests = [Request(f"t{i}", (i, i + 1)) for i in range(4)]
    ledger, now, said = tmp_path / "c.jsonl", iter(range(100)), list[Event]()
    given = {"setting": "s", "stage": "g", "listen": said.append, "clock": lambda: 2.0 * next(now)}
    with pytest.raises(RuntimeError):
        complete(requests, lambda: Counting(1), ledger, **given)
    complete(requests, lambda: Counting(100), ledger, **given)
    took = spent(requests, ledger, "s")
    assert (took["tasks"], took["tokens"], took["seconds"]) == (4, 12, 8.0)
    assert (took["tokens_per_s"], took["seconds_per_task"], took["peak_mb"]) == (1.5, 2.0, None)
    assert sum(e["seconds"] for _, e in read_jsonl(ledger)) == 8.0
    assert "2 tokens/s, 4 s left" in [e.message for e in said]


def test_answers_without_text_are_said_to_be_so(tmp_path: Path) -> None:
    class Mute(Counting):
        def complete(self, requests: Sequence[Request]) -> Iterator[list[Answer]]:
            yield [Answer(i, "" if i else "text", 0, None, None, "stop") for i in range(len(requests))]

    said = list[Event]()
    requests = [Request(f"t{i}", (i,)) for i in range(3)]
    complete(requests, lambda: Mute(9), tmp_path / "c", setting="s", stage="g", listen=said.append)
    assert said[-1] == Event("g", "2 of 3 answers have no text", finished=True)
