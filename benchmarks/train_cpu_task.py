"""What one run of `train_cpu.py` is made of, for our loop and for peers: needs torch and transformers only."""

from __future__ import annotations

import gzip
import json
import resource
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

PAD, IGNORED = 0, -100
CAPACITY, ROWS_A_STEP, BINS_A_STEP = 512, 8, 4
RANK, ALPHA, RATE = 16, 32, 1e-4
WARM_STEPS = 2
SHAPE = {
    "vocab_size": 32_000, "hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 6,
    "num_attention_heads": 8, "num_key_value_heads": 2, "max_position_embeddings": 2048,
    "tie_word_embeddings": True, "pad_token_id": PAD, "bos_token_id": None, "eos_token_id": 2,
}  # fmt: skip


def random_model(folder: Path) -> None:
    """Save the model that everybody starts from."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    Qwen2ForCausalLM(Qwen2Config(**SHAPE)).save_pretrained(str(folder))


def with_adapters(model: Any) -> Any:
    """Return the model with LoRA on every linear layer but the head."""
    from peft import LoraConfig, get_peft_model

    return get_peft_model(model, LoraConfig(
        r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM",
    ))  # fmt: skip


def read_rows(path: Path, vocab: int = SHAPE["vocab_size"]) -> list[dict[str, list[int]]]:
    """Return rows of real lengths; token ids are folded into the smaller vocabulary."""
    with gzip.open(path, "rt") as f:
        found = [json.loads(line) for line in f]
    out = []
    for row in found:
        ids = [3 + i % (vocab - 3) for i in row["ids"]]
        out.append({"input_ids": ids, "labels": [IGNORED] * row["prompt"] + ids[row["prompt"] :]})
    return out


@dataclass
class Clock:
    """Counts tokens without padding, seconds and CPU seconds of the steps after the warm ones.

    A step is one batch. A loader hands out batches ahead of the steps, so each is counted by its number.
    """

    steps: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    rss_before_mb: float = field(default_factory=lambda: rss_mb())
    _batches: list[tuple[int, int]] = field(default_factory=list)
    _began: tuple[float, float] = (0.0, 0.0)

    def batch(self, tokens: int, places: int) -> None:
        """Note the tokens of the next batch and its places, padding included."""
        self._batches.append((tokens, places))

    def step(self) -> None:
        """Note the end of a step."""
        self.steps += 1
        now = time.perf_counter(), time.process_time()
        if self.steps == WARM_STEPS:
            self._began = now
        elif self.steps > WARM_STEPS:
            self.seconds, self.cpu_seconds = (n - b for n, b in zip(now, self._began, strict=True))

    def result(self) -> dict[str, Any]:
        """Return the figures."""
        tokens, places = map(sum, zip(*self._batches[WARM_STEPS : self.steps], strict=True))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {
            "steps": self.steps - WARM_STEPS, "tokens": tokens, "places": places,
            "seconds": round(self.seconds, 3), "cpu_s": round(self.cpu_seconds, 3),
            "tokens_per_s": round(tokens / self.seconds, 1),
            "tokens_per_cpu_s": round(tokens / self.cpu_seconds, 1),
            "rss_before_mb": round(self.rss_before_mb, 1), "rss_peak_mb": round(peak, 1),
            "rss_of_training_mb": round(peak - self.rss_before_mb, 1),
        }  # fmt: skip


def rss_mb() -> float:
    """Return the resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20
