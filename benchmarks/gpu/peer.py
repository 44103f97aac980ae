"""One configuration of a peer on the same rows and shape, in a process of its own; prints one line of JSON.

`trainer` is transformers' Trainer with PEFT, rows padded; `trl` is TRL's SFTTrainer with packing.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import common
import torch
from transformers import Trainer, TrainerCallback, TrainingArguments

from codefit.models.load import load_tokenizer


class Clock(TrainerCallback):
    """Times the steps after the warm ones."""

    def __init__(self, device: str, warm: int, count: int) -> None:
        self.device, self.warm, self.count = device, warm, count
        self.began = self.seconds = 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Start and stop the clock."""
        if state.global_step in (self.warm, self.warm + self.count):
            common.synchronize(self.device)
            now = time.perf_counter()
            if state.global_step == self.warm:
                self.began = now
            else:
                self.seconds = now - self.began
        return control


class Counting:
    """A collator that counts what it hands out, padding apart."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.tokens: list[int] = []
        self.padded: list[int] = []
        self.lengths: list[list[int]] = []

    def __call__(self, rows: list[dict[str, Any]]) -> Any:
        batch = self.inner(rows)
        mask = batch.get("attention_mask")
        self.tokens.append(int(mask.sum()) if mask is not None else int(batch["input_ids"].numel()))
        self.padded.append(int(batch["input_ids"].numel()))
        self.lengths.append([n for r in rows for n in r.get("seq_lengths", [len(r["input_ids"])])])
        return batch


def pad(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Pad at the right to the longest row."""
    width = max(len(r["input_ids"]) for r in rows)
    fill = {"input_ids": common.PAD, "labels": -100, "attention_mask": 0}
    return {k: torch.tensor([r[k] + [v] * (width - len(r[k])) for r in rows]) for k, v in fill.items()}


def settings(want: dict[str, Any], folder: str, steps: int) -> dict[str, Any]:
    """Return the training arguments that both peers take."""
    return {
        "output_dir": folder, "max_steps": steps, "per_device_train_batch_size": want["batch"],
        "bf16": want["device"] == "cuda", "use_cpu": want["device"] != "cuda",
        "gradient_checkpointing": want["checkpointing"],
        "gradient_checkpointing_kwargs": {"use_reentrant": False} if want["checkpointing"] else None,
        "learning_rate": common.RATE, "lr_scheduler_type": "constant", "report_to": "none",
        "save_strategy": "no", "logging_steps": 1000, "disable_tqdm": True, "optim": "adamw_torch_fused",
        "dataloader_num_workers": 0, "seed": 0,
    }  # fmt: skip


def main() -> None:
    """Measure what the argument asks for."""
    want = json.loads(sys.argv[1])
    device = want["device"]
    if want["peer"] == "trl":
        import_module("trl.trainer.sft_trainer")
    common.wait_for_turn()
    found = common.become_an_8gb_card(device)
    model = common.random_model(want["shape"], device)
    warm, count = want.get("warm", common.WARM_STEPS), want.get("count", common.TIMED_STEPS)
    rows = common.examples(Path(want["rows"]))
    clock = Clock(device, warm, count)
    with tempfile.TemporaryDirectory() as folder:
        build = trl if want["peer"] == "trl" else trainer
        worker, counting = build(want, model, rows, settings(want, folder, warm + count))
        worker.add_callback(clock)
        if device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        worker.train()
    part = slice(warm, warm + count)
    tokens = sum(counting.tokens[part])
    lengths = [n for step in counting.lengths[part] for n in step]
    shape = common.shape(want["shape"])
    print(json.dumps({
        **want, **found, **common.memory(device),
        "tokens_per_s": round(tokens / clock.seconds, 1),
        "padded_per_step": sum(counting.padded[part]) / count, "tokens_per_step": tokens / count,
        "seconds_per_step": round(clock.seconds / count, 4),
        "tflops": round(common.flops(shape, lengths, "lora") / clock.seconds / 1e12, 2),
    }))  # fmt: skip


def trainer(want: dict[str, Any], model: Any, rows: list[Any], given: dict[str, Any]) -> tuple[Any, Counting]:
    """Return transformers' Trainer with PEFT; rows of a batch are of like length."""
    data = [{"input_ids": list(e.token_ids), "labels": list(e.labels),
             "attention_mask": [1] * len(e.token_ids)} for e in rows]  # fmt: skip
    data.sort(key=lambda r: -len(r["input_ids"]))
    counting = Counting(pad)
    args = TrainingArguments(**given, remove_unused_columns=False)
    peft = common.with_adapters(model)
    if want["checkpointing"]:
        peft.enable_input_require_grads()
    worker = _InOrder(
        model=peft, args=args, train_dataset=_spread(data, want["batch"]), data_collator=counting
    )
    return worker, counting


def _spread(rows: list[dict[str, Any]], batch: int) -> list[dict[str, Any]]:
    """Return batches of like length in random order, the longest first: it decides the memory."""
    batches = [rows[i : i + batch] for i in range(0, len(rows) - batch + 1, batch)]
    first, rest = batches[0], batches[1:]
    order = torch.randperm(len(rest), generator=torch.Generator().manual_seed(0)).tolist()
    return [row for b in (first, *(rest[i] for i in order)) for row in b]


class _InOrder(Trainer):
    """Takes the rows as they lie."""

    def _get_train_sampler(self, *args: Any) -> Any:
        return torch.utils.data.SequentialSampler(self.train_dataset)


def trl(want: dict[str, Any], model: Any, rows: list[Any], given: dict[str, Any]) -> tuple[Any, Counting]:
    """Return TRL's SFTTrainer on packed rows, loss on the completions."""
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    data = Dataset.from_list([
        {"input_ids": list(e.token_ids), "completion_mask": [int(x != -100) for x in e.labels]} for e in rows
    ])  # fmt: skip
    args = SFTConfig(
        **given, packing=True, max_length=want["tokens"], shuffle_dataset=False,
        eos_token=None, pad_token=None, completion_only_loss=True,
    )  # fmt: skip
    config = LoraConfig(
        r=common.RANK, lora_alpha=common.ALPHA, lora_dropout=0.0, target_modules="all-linear",
        task_type="CAUSAL_LM",
    )  # fmt: skip
    words = load_tokenizer(Path(want["tokenizer"]))
    worker = SFTTrainer(
        model=model, args=args, train_dataset=data, peft_config=config, processing_class=words
    )
    counting = Counting(worker.data_collator)
    worker.data_collator = counting
    return worker, counting


if __name__ == "__main__":
    main()
