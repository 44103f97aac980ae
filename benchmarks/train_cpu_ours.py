"""Our loop's step on a CPU, one configuration in a process of its own; prints one line of JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from codefit.core.recipe import TrainSettings
from codefit.core.types import Example
from codefit.format.pack import epoch_bins
from codefit.train.checkpoint import Cursor
from codefit.train.model import prepare
from codefit.train.schedule import Step
from codefit.train.steps import make_steps
from train_cpu_task import ALPHA, BINS_A_STEP, CAPACITY, PAD, RANK, RATE, ROWS_A_STEP, Clock, read_rows


def main() -> None:
    """Measure what the argument asks for."""
    want = json.loads(sys.argv[1])
    torch.set_num_threads(want["threads"])
    rows = read_rows(Path(want["rows"]))
    examples = [Example(tuple(r["input_ids"]), tuple(r["labels"]), str(n)) for n, r in enumerate(rows)]
    packed = want["layout"] == "packed"
    per_step = BINS_A_STEP if packed else ROWS_A_STEP
    settings = TrainSettings(
        method=want["method"], batch_size=per_step, micro_batch=per_step, lora_rank=RANK, lora_alpha=ALPHA,
        device="cpu",
    )  # fmt: skip
    steps = make_steps(prepare(Path(want["model"]), settings, 0), settings, examples, PAD, 0)
    bins = epoch_bins(examples, CAPACITY, 0, 0) if packed else [[i] for i in range(len(examples))]
    clock = Clock()
    losses = []
    for at in range(0, len(bins), per_step):
        part = bins[at : at + per_step]
        lengths = [sum(len(examples[i].token_ids) for i in b) for b in part]
        trained = sum(examples[i].trained_tokens for b in part for i in b)
        losses.append(steps.step(Step(part, trained, Cursor()), RATE)[0])
        clock.batch(sum(lengths), max(lengths) * len(part))
        clock.step()
    print(
        json.dumps({**want, **clock.result(), "losses": [losses[0], losses[-1]], "torch": torch.__version__})
    )


if __name__ == "__main__":
    main()
