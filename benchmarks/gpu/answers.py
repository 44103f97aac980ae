"""Answers of a model of this shape under an 8 GB card: as many prompts as MBPP+ has, tokens a second.

Prints one line of JSON. The weights are random and no token ends an answer, so each one is as long as
`answer` says: a fixed amount of work. Prompts are the rows' own, cut to `prompt` tokens. With `peer` it is
transformers' `generate` in fixed batches of `batch`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import common
import torch

from codefit.core.units import CONTEXT, MIB
from codefit.generate.engine import TransformersEngine
from codefit.generate.types import Decoding, Request
from codefit.plan.memory import WORKSPACES

_TASKS = 378


class Nothing:
    """A tokenizer that knows the pad token and writes no text."""

    pad_token_id, eos_token_id, name_or_path = common.PAD, None, "none"

    def decode(self, ids: Sequence[int], **_: Any) -> str:
        """Return no text."""
        return ""


def ours(model: Any, prompts: list[tuple[int, ...]], answer: int, memory: int) -> tuple[int, dict[str, Any]]:
    """Return the tokens written, and the plan."""
    engine = TransformersEngine(model, Nothing(), end_id=-1, decoding=Decoding(answer), memory=memory)
    requests = [Request(str(i), ids) for i, ids in enumerate(prompts)]
    plan = engine.plan(requests).to_json()
    return sum(a.tokens or 0 for part in engine.complete(requests) for a in part), plan


def naive(model: Any, prompts: list[tuple[int, ...]], answer: int, batch: int) -> int:
    """Return the tokens that `generate` wrote."""
    written = 0
    for at in range(0, len(prompts), batch):
        part = prompts[at : at + batch]
        width = max(map(len, part))
        ids = torch.tensor([[common.PAD] * (width - len(p)) + list(p) for p in part], device=model.device)
        out = model.generate(
            input_ids=ids, attention_mask=(ids != common.PAD).long(), max_new_tokens=answer, do_sample=False,
            pad_token_id=common.PAD,
        )  # fmt: skip
        written += (out.shape[1] - width) * len(part)
    return written


def main() -> None:
    """Measure what the argument asks for."""
    want = json.loads(sys.argv[1])
    common.wait_for_turn()
    device, answer = want["device"], want["answer"]
    found = common.become_an_8gb_card(device)
    quantised = want.get("weights") == "nf4"
    model = (common.random_quantised_model if quantised else common.random_model)(
        want["shape"], device
    ).eval()
    model.generation_config.eos_token_id = None
    common.release(device)
    rows = common.examples(Path(want["rows"]))
    prompts = [row.token_ids[: want["prompt"]] for row in rows[: want.get("tasks", _TASKS)]]
    plan: dict[str, Any] = {}
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    common.synchronize(device)
    began = time.perf_counter()
    with torch.no_grad():
        if want.get("peer"):
            tokens = naive(model, prompts, answer, want["batch"])
        else:
            # The plan counts its own context; what it leaves is what the allocator is capped at.
            memory = found.get("cap_mib", common.CARD_MIB) * MIB + CONTEXT + WORKSPACES
            tokens, plan = ours(model, prompts, answer, round(memory))
    common.synchronize(device)
    seconds = time.perf_counter() - began
    print(json.dumps({
        **want, **found, **common.memory(device), "plan": plan, "answers": len(prompts), "written": tokens,
        "seconds": round(seconds, 2), "written_per_s": round(tokens / seconds, 1),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
