"""A peer's step on a CPU, one configuration in a process of its own; prints one line of JSON.

`trainer` is transformers' Trainer with PEFT: rows padded by its collator, or laid end to end by its
`DataCollatorWithFlattening`. `trl` is TRL's SFTTrainer, padded, or packed by itself ("bfd").
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from train_cpu_task import (
    BINS_A_STEP,
    CAPACITY,
    IGNORED,
    PAD,
    RATE,
    ROWS_A_STEP,
    Clock,
    random_model,
    read_rows,
    with_adapters,
)


class Steps(TrainerCallback):
    """Tells the clock of every step."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Note a step."""
        self.clock.step()


class Counting:
    """A collator that tells the clock what it hands out."""

    def __init__(self, inner: Any, clock: Clock) -> None:
        self.inner, self.clock = inner, clock

    def __call__(self, rows: list[dict[str, Any]]) -> Any:
        batch = self.inner(rows)
        self.clock.batch(sum(len(r["input_ids"]) for r in rows), int(batch["input_ids"].numel()))
        return batch


def pad(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Pad at the right to the longest row."""
    width = max(len(r["input_ids"]) for r in rows)
    full = [{**r, "attention_mask": [1] * len(r["input_ids"])} for r in rows]
    fill = {"input_ids": PAD, "labels": IGNORED, "attention_mask": 0}
    return {k: torch.tensor([r[k] + [v] * (width - len(r[k])) for r in full]) for k, v in fill.items()}


def arguments(want: dict[str, Any], folder: str, per_step: int) -> dict[str, Any]:
    """Return what both peers are told."""
    return {
        "output_dir": folder, "num_train_epochs": 1, "per_device_train_batch_size": per_step, "bf16": False,
        "use_cpu": True, "activation_checkpointing": False, "learning_rate": RATE,
        "lr_scheduler_type": "constant", "report_to": "none", "save_strategy": "no", "logging_steps": 1,
        "disable_tqdm": True, "train_sampling_strategy": "sequential", "seed": 0,
    }  # fmt: skip


def trainer(want: dict[str, Any], model: Any, rows: list[dict[str, Any]], folder: str) -> Any:
    """Return transformers' Trainer. A step of `packed` has as many rows as four bins of 512 take on average."""
    from transformers import DataCollatorWithFlattening

    packed = want["layout"] == "packed"
    mean = sum(len(r["input_ids"]) for r in rows) / len(rows)
    per_step = round(BINS_A_STEP * CAPACITY / mean) if packed else ROWS_A_STEP
    args = TrainingArguments(**arguments(want, folder, per_step), remove_unused_columns=False)
    collator = DataCollatorWithFlattening() if packed else pad
    return Trainer(model=model, args=args, train_dataset=rows, data_collator=collator)  # type: ignore[arg-type]


def trl(want: dict[str, Any], model: Any, rows: list[dict[str, Any]], folder: str) -> Any:
    """Return TRL's SFTTrainer."""
    from datasets import Dataset
    from tokenizers import Tokenizer, models
    from trl import SFTConfig, SFTTrainer

    packed = want["layout"] == "packed"
    words = Tokenizer(models.WordLevel({"<pad>": 0, "<eos>": 2, "<unk>": 1}, unk_token="<unk>"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="<eos>")
    args = SFTConfig(
        **arguments(want, folder, BINS_A_STEP if packed else ROWS_A_STEP), packing=packed, max_length=CAPACITY,
        gradient_checkpointing=None,
    )  # fmt: skip
    return SFTTrainer(
        model=model, args=args, train_dataset=Dataset.from_list(rows), processing_class=tokenizer
    )


def main() -> None:
    """Measure what the argument asks for, or make the model of all runs."""
    want = json.loads(sys.argv[1])
    if "make" in want:
        random_model(Path(want["make"]))
        return
    torch.set_num_threads(want["threads"])
    rows = read_rows(Path(want["rows"]))
    model = AutoModelForCausalLM.from_pretrained(
        want["model"], dtype=torch.float32, attn_implementation="sdpa"
    )
    torch.manual_seed(0)
    if want["method"] == "lora":
        model = with_adapters(model)
    with tempfile.TemporaryDirectory() as folder:
        worker = (trl if want["who"] == "trl" else trainer)(want, model, rows, folder)
        clock = Clock()
        worker.data_collator = Counting(worker.data_collator, clock)
        worker.add_callback(Steps(clock))
        sys.stdout, real = sys.stderr, sys.stdout
        worker.train()
        sys.stdout = real
    losses = [e["loss"] for e in worker.state.log_history if "grad_norm" in e]
    found = {**want, **clock.result(), "losses": [losses[0], losses[-1]], "torch": torch.__version__}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
