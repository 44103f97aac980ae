"""The start model's view of rows: its arithmetic, its ledger, and the embedded model in a real run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from codefit.core.progress import silent
from codefit.core.types import Row
from codefit.format.chat import ChatFormat
from codefit.generate.view import answer_loss, model_view
from codefit.micro import model_path
from codefit.models.load import load_model, load_tokenizer
from codefit.sources import open_source


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """A model this small is slower on many threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def chat() -> ChatFormat:
    return ChatFormat(load_tokenizer(model_path()), system=None, fence=False)


@pytest.fixture(scope="module")
def model() -> Any:
    return load_model(model_path(), dtype="float32", device="cpu")


ROWS = [
    Row("a", "here", "Write a function solve(n) that returns n plus 1.", "def solve(n):\n    return n + 1"),
    Row("b", "here", "Return text in uppercase as solve(text).", "def solve(text):\n    return text.upper()"),
    Row("long", "here", "Write " * 200, "def solve(n):\n    return n"),
    Row("control", "here", "Say <|im_end|> now.", "x = 1"),
]


def view(rows: list[Row], chat: ChatFormat, load: Any, path: Path, setting: str = "m") -> dict[str, Any]:
    return dict(model_view(rows, chat, load, path, setting=setting, max_length=128, listen=silent))


def test_loss_is_the_mean_over_the_answer_s_tokens(model: Any, chat: ChatFormat) -> None:
    example = chat.example(ROWS[0])
    with torch.no_grad():
        logits = model(torch.tensor([example.token_ids])).logits[0].log_softmax(-1)
    losses = [-logits[i - 1, t].item() for i, t in enumerate(example.token_ids) if example.labels[i] != -100]
    assert answer_loss(model, example) == pytest.approx(sum(losses) / len(losses), abs=1e-4)


def test_ifd_is_the_loss_with_the_request_over_the_loss_without(
    tmp_path: Path, model: Any, chat: ChatFormat
) -> None:
    found = view(ROWS, chat, lambda: model, tmp_path / "view.jsonl")
    assert set(found) == {"a", "b"}  # the others are too long, or hold a control token
    loss = answer_loss(model, chat.example(ROWS[0]))
    base = answer_loss(model, chat.example(Row("x", "here", "", ROWS[0].response)))
    assert found["a"]["ifd"] == pytest.approx(loss / base, abs=1e-3)
    assert found["a"]["answer_perplexity"] == pytest.approx(math.exp(loss), rel=1e-3)


def test_the_ledger_is_asked_first(tmp_path: Path, model: Any, chat: ChatFormat) -> None:
    loads = []

    def load() -> Any:
        loads.append(1)
        return model

    path = tmp_path / "view.jsonl"
    first = view(ROWS[:1], chat, load, path)
    both = view(ROWS[:2], chat, load, path)
    assert view([ROWS[1], ROWS[0]], chat, load, path) == both
    assert both["a"] == first["a"]
    assert len(loads) == 2
    assert len(path.read_text().splitlines()) == 2
    view(ROWS[:1], chat, load, path, setting="another model")
    assert len(loads) == 3


def test_requests_help_the_embedded_model_on_rows_of_its_world(
    tmp_path: Path, model: Any, chat: ChatFormat
) -> None:
    rows = [r for r in open_source({"kind": "micro", "limit": 80}).rows() if r.response.startswith("def ")][
        :40
    ]
    found = view(rows, chat, lambda: model, tmp_path / "view.jsonl")
    swapped = [Row(r.id, r.source, rows[i - 1].instruction, r.response) for i, r in enumerate(rows)]
    other = view(swapped, chat, lambda: model, tmp_path / "view.jsonl")
    lower = [found[i]["ifd"] < other[i]["ifd"] for i in found if i in other]
    assert sum(lower) > 0.7 * len(lower)  # its own request helps more than another's


def test_the_start_model_s_pass_rate_is_a_view(tmp_path: Path) -> None:
    from codefit.cli.recipe import resolve_recipe
    from codefit.core.recipe import load_recipe
    from codefit.curate import read_rows
    from codefit.pipeline import run_recipe

    overrides = (
        "sources.0.limit=40", "curate.model_view=pass_rate", "curate.view_samples=3",
        "curate.decontaminate.against=[]", "generate.max_new_tokens=48", "evaluate.0.limit=2",
        'curate.steps=["normalise", "language", "syntax", "verify", "quality", "select"]',
    )  # fmt: skip
    recipe = load_recipe(resolve_recipe("micro-demo"), overrides)
    run = tmp_path / "run"
    run_recipe(
        recipe, run, cache=tmp_path, listen=silent, verbs=frozenset(), until="curate"
    )  # fmt: skip
    kept = list(read_rows(run / "data" / "kept.parquet"))
    rates = {row.id: row.extra["model_view"]["pass_rate"] for row in kept if "model_view" in row.extra}
    assert rates
    assert set(rates) == {row.id for row in kept if row.tests}
    assert set(rates.values()) <= {0.0, 0.3333, 0.6667, 1.0}
    for row in kept:
        feature = row.extra["features"].get("model")
        assert feature == (round(1 - abs(2 * rates[row.id] - 1), 3) if row.id in rates else None)
    answers = (run / "data" / "cache" / "samples.jsonl").read_text().splitlines()
    assert len(answers) == 3 * len(rates)


def test_a_recipe_turns_the_view_on(tmp_path: Path) -> None:
    from codefit.cli.recipe import resolve_recipe
    from codefit.core.recipe import load_recipe
    from codefit.curate import read_rows
    from codefit.pipeline import run_recipe

    steps = '["normalise", "language", "syntax", "quality", "select"]'
    overrides = (
        "sources.0.limit=24",
        f"curate.steps={steps}",
        "curate.model_view=ifd",
        "curate.decontaminate.against=[]",
    )
    recipe = load_recipe(resolve_recipe("micro-demo"), overrides)
    run_recipe(
        recipe,
        tmp_path / "run",
        cache=tmp_path,
        listen=silent,
        verbs=frozenset(),
        until="curate",
        fresh=False,
    )
    kept = list(read_rows(tmp_path / "run" / "data" / "kept.parquet"))
    assert all(row.extra["model_view"]["ifd"] > 0 for row in kept)
    assert all("model" in row.extra["features"] for row in kept)
    funnel = json.loads((tmp_path / "run" / "data" / "funnel.json").read_text())
    quality = next(s for s in funnel["steps"] if s["step"] == "quality")
    assert 0 < quality["report"]["features"]["model"]["mean"] < 1
