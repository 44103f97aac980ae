"""Throughput of generation: our engine, transformers' own `generate` used naively, and its continuous batching.

    python benchmarks/generate.py [--requests N] [--rounds N]

A random model of 6.6 M parameters answers prompts of 60 to 300 tokens greedily. One token in 64 ends an
answer, so that lengths spread as real ones do (geometric, at most 256). All ways decode up to 32 sequences at
once; ours also as many as its memory plan allows. The ways take turns; each figure is the median of the rounds.
The machine's load is in the result, and CPU seconds beside the wall clock. Writes
`benchmarks/results/generate.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from codefit.core.units import MIB
from codefit.generate.engine import TransformersEngine
from codefit.generate.types import Decoding, Request
from codefit.models.load import quiet_libraries
from measure import machine

RESULT = Path(__file__).with_name("results") / "generate.json"
VOCAB, LONGEST, BATCH, ENDING = 4096, 256, 32, 64
PAD = 0
Ways = dict[str, Callable[[], list[list[int]]]]


class Ids:
    """A tokenizer whose text is the ids, so that answers can be told apart exactly."""

    pad_token_id, eos_token_id, name_or_path = PAD, None, "ids"

    def decode(self, ids: Sequence[int], **_: Any) -> str:
        """Return the ids as text."""
        return " ".join(map(str, ids))


def random_model() -> Any:
    """Return a model whose next token depends on all before it, as small random weights do not make it."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=VOCAB, hidden_size=256, intermediate_size=768, num_hidden_layers=6, num_attention_heads=8,
        num_key_value_heads=2, eos_token_id=1, pad_token_id=PAD, bos_token_id=None, initializer_range=0.2,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config).eval()
    model.generation_config.eos_token_id = list(range(1, VOCAB, ENDING))
    return model


def prompts(n: int) -> list[tuple[int, ...]]:
    """Return prompts in an order that has nothing to do with their lengths."""
    draw = random.Random(0)
    return [tuple(draw.randrange(2, VOCAB) for _ in range(draw.randint(60, 300))) for _ in range(n)]


def ours(model: Any, asked: list[tuple[int, ...]], batch: int | None) -> list[list[int]]:
    """Answer with this project's engine."""
    engine = TransformersEngine(
        model, Ids(), end_id=1, decoding=Decoding(LONGEST), batch_size=batch, memory=7000 * MIB
    )
    requests = [Request(str(i), ids) for i, ids in enumerate(asked)]
    found = sorted((a for part in engine.complete(requests) for a in part), key=lambda a: a.index)
    return [[int(word) for word in a.text.split()] for a in found]


def naive(model: Any, asked: list[tuple[int, ...]]) -> list[list[int]]:
    """Answer with `generate`: fixed batches in the given order, padded at the left."""
    found = []
    for at in range(0, len(asked), BATCH):
        part = asked[at : at + BATCH]
        width = max(map(len, part))
        ids = torch.tensor([[PAD] * (width - len(p)) + list(p) for p in part])
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in part])
        out = model.generate(
            input_ids=ids, attention_mask=mask, max_new_tokens=LONGEST, do_sample=False, pad_token_id=PAD
        )
        found += [kept(model, row) for row in out[:, width:].tolist()]
    return found


def continuous(model: Any, asked: list[tuple[int, ...]], tokens: int) -> list[list[int]]:
    """Answer with `generate_batch`, transformers' continuous batching, `tokens` in a forward pass.

    Its defaults fill the memory of a machine and took five times as long here; so it is given less.
    """
    from transformers import GenerationConfig
    from transformers.generation import ContinuousBatchingConfig

    config = GenerationConfig(
        max_new_tokens=LONGEST, do_sample=False, pad_token_id=PAD,
        eos_token_id=model.generation_config.eos_token_id,
    )  # fmt: skip
    out = model.generate_batch(
        inputs=[list(p) for p in asked], generation_config=config,
        continuous_batching_config=ContinuousBatchingConfig(max_batch_tokens=tokens, num_blocks=1024),
    )  # fmt: skip
    ordered = sorted(out.values(), key=lambda o: int(o.request_id.rsplit("_", 1)[-1]))
    return [kept(model, list(o.generated_tokens)) for o in ordered]


def kept(model: Any, ids: list[int]) -> list[int]:
    """Return an answer as far as its end."""
    ends = set(model.generation_config.eos_token_id)
    return ids[: next((i for i, token in enumerate(ids) if token in ends), len(ids))]


def timed(work: Callable[[], list[list[int]]]) -> tuple[dict[str, float], list[list[int]]]:
    """Return seconds of clock and of CPU, and the answers."""
    wall, cpu = time.perf_counter(), time.process_time()
    with torch.no_grad():
        found = work()
    return {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}, found


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=378)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    quiet_libraries()
    torch.set_num_threads(1)
    model, asked = random_model(), prompts(args.requests)
    ways: Ways = {
        "codefit, 32 at once": lambda: ours(model, asked, BATCH),
        "codefit, as the plan allows": lambda: ours(model, asked, None),
        "generate, fixed batches of 32": lambda: naive(model, asked),
        "generate_batch, continuous, 512 tokens": lambda: continuous(model, asked, 512),
        "generate_batch, continuous, 128 tokens": lambda: continuous(model, asked, 128),
    }
    rows: dict[str, dict[str, Any]] = {name: {"rounds": []} for name in ways}
    reference: list[list[int]] | None = None
    for _ in range(args.rounds):
        for name, work in ways.items():
            if "failed" in rows[name]:
                continue
            try:
                seconds, found = timed(work)
            except Exception as e:  # a peer that does not run here is a result as well
                rows[name]["failed"] = f"{type(e).__name__}: {str(e).splitlines()[0][:200]}"
                continue
            reference = reference or found
            count(rows[name], seconds, found, reference)
            print(name, rows[name], flush=True)
            write(rows, asked)


def count(
    row: dict[str, Any], seconds: dict[str, float], found: list[list[int]], first: list[list[int]]
) -> None:
    """Add a round to a way's row."""
    row["rounds"].append({k: round(v, 2) for k, v in seconds.items()})
    row["tokens"] = sum(map(len, found))
    row["answers_equal"] = sum(a == b for a, b in zip(found, first, strict=True))
    for clock in ("wall_s", "cpu_s"):
        row[f"tokens_per_{clock}"] = round(
            row["tokens"] / statistics.median(r[clock] for r in row["rounds"]), 1
        )


def write(rows: dict[str, dict[str, Any]], asked: list[tuple[int, ...]]) -> None:
    """Write what is known so far."""
    about = {
        "load": os.getloadavg(),
        "threads": 1,
        "versions": {n: version(n) for n in ("torch", "transformers")},
    }
    work = {"requests": len(asked), "prompt_tokens": sum(map(len, asked)), "ways": rows}
    RESULT.write_text(json.dumps({**machine(), **about, **work}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
