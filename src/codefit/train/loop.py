"""The training loop: data order, forward, loss, backward, step, log, checkpoint.

One device, one file that reads in one sitting. Everything that decides the result is in
`Job`; the same job, killed at any instant and started again, ends with the same weights.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from codefit.core.errors import CodefitError
from codefit.core.files import (
    Ledger,
    canonical_json,
    digest,
    file_digest,
    telling_full_disk,
    write_json,
    write_jsonl,
)
from codefit.core.progress import Event, Listener
from codefit.core.recipe import TrainSettings
from codefit.core.types import Example
from codefit.models.load import resolve_device, resolve_dtype
from codefit.train import checkpoint, schedule
from codefit.train.checkpoint import Cursor
from codefit.train.device import hold_to, one_line_for_memory
from codefit.train.model import prepare
from codefit.train.steps import Steps, make_steps


@dataclass(frozen=True, slots=True)
class Job:
    """All that decides the outcome of one training; `memory` is the device's budget in bytes."""

    model: Path
    examples: Sequence[Example]
    validation: Sequence[Example]
    settings: TrainSettings
    capacity: int
    budget: int
    seed: int
    pad_id: int
    memory: int | None = None

    def key(self) -> str:
        """Hash over model, rows and settings; a checkpoint belongs to one key."""
        kept = self.settings.model_dump(exclude={"save_every"})
        rows = digest(*(repr((e.token_ids, e.labels)) for e in (*self.examples, *self.validation)))
        device = resolve_device(self.settings.device)
        precision = resolve_dtype(self.settings.dtype, device, self.settings.method, self.settings.bits)
        numbers = (
            f"{self.capacity} {self.budget} {self.seed} {self.pad_id} {device.split(':')[0]} {precision}"
        )
        return digest(file_digest(self.model), canonical_json(kept), rows, numbers)


class LossDiverged(CodefitError):
    """The loss is not a finite number any more."""


def train(job: Job, folder: Path, arm: str, listen: Listener) -> dict[str, Any]:
    """Train or resume in `folder`; return the summary that is written to `summary.json`.

    Writes `log.jsonl` (a line per step), `checkpoints/` and the trained weights: `adapter/` in
    PEFT's format for LoRA, `model/` for full-parameter tuning.
    """
    if job.settings.threads:
        torch.set_num_threads(job.settings.threads)
    hold_to(job.memory, resolve_device(job.settings.device))
    with one_line_for_memory(job.memory, folder):
        return _train(job, folder, arm, listen)


def _train(job: Job, folder: Path, arm: str, listen: Listener) -> dict[str, Any]:
    trainee = prepare(job.model, job.settings, job.seed)
    steps = make_steps(trainee, job.settings, job.examples, job.pad_id, job.seed)
    key, saved = job.key(), folder / "checkpoints"
    newest = checkpoint.latest(saved)
    cursor = checkpoint.restore(newest, key, steps.trainable, steps.optimizer) if newest else Cursor()
    steps.refresh()
    log = reopen_log(folder / "log.jsonl", cursor.step)
    plan = schedule.steps(
        job.examples, capacity=job.capacity, per_step=job.settings.batch_size, budget=job.budget,
        seed=job.seed, start=cursor,
    )  # fmt: skip
    with log:
        for step in plan:
            began = time.perf_counter()
            rate = schedule.learning_rate(
                job.settings.learning_rate, (cursor.trained_tokens + step.trained_tokens / 2) / job.budget,
                job.settings.warmup,
            )  # fmt: skip
            loss, norm = steps.step(step, rate)
            cursor = step.after
            if not math.isfinite(loss) or not math.isfinite(norm):
                raise diverged(folder, job, step)
            tokens = sum(len(job.examples[i].token_ids) for b in step.bins for i in b)
            speed = tokens / (time.perf_counter() - began)
            entry = {"step": cursor.step, "trained_tokens": cursor.trained_tokens, "loss": loss, "lr": rate,
                     "grad_norm": norm, "tokens_per_s": round(speed, 1)}  # fmt: skip
            ends = cursor.trained_tokens >= job.budget
            if ends and job.validation:
                entry["val_loss"] = evaluate_loss(steps, job)
            log.append(entry)
            message = f"step {cursor.step}, loss {loss:.3f}, {speed:,.0f} tokens/s"
            listen(
                Event(f"train {arm}", message, min(cursor.trained_tokens, job.budget), job.budget, "tokens")
            )
            if ends or cursor.step % job.settings.save_every == 0:
                checkpoint.save(saved, cursor, key, steps.trainable, steps.optimizer)
    return _finish(steps, job, folder, arm, log.entries, cursor)


@torch.no_grad()
def evaluate_loss(steps: Steps, job: Job) -> float:
    """Return the mean loss per trained token of the held-out rows."""
    steps.outer.eval()
    total, tokens = 0.0, 0
    size = job.settings.micro_batch or job.settings.batch_size
    for at in range(0, len(job.validation), size):
        bins = [[i] for i in range(at, min(at + size, len(job.validation)))]
        total += float(steps.loss(job.validation, bins))
        tokens += sum(job.validation[i].trained_tokens for (i,) in bins)
    steps.outer.train()
    return total / tokens


def reopen_log(path: Path, step: int) -> Ledger:
    """Open the log, cut back to the checkpoint that training goes on from."""
    if path.exists():
        with Ledger(path) as old:
            kept = [e for e in old.entries if e["step"] <= step]
        write_jsonl(path, kept)
    return Ledger(path)


def diverged(folder: Path, job: Job, step: schedule.Step) -> LossDiverged:
    """Return the error for a step whose loss or gradient is not finite; its rows go to `diverged.json`."""
    rows = [job.examples[i].row_id for b in step.bins for i in b]
    write_json(folder / "diverged.json", {"step": step.after.step, "rows": rows})
    return LossDiverged(
        f"loss is not finite at step {step.after.step}; its rows are in diverged.json",
        where=str(folder),
        todo="lower train.learning_rate",
    )


def _finish(
    steps: Steps, job: Job, folder: Path, arm: str, log: list[dict[str, Any]], cursor: Cursor
) -> dict[str, Any]:
    with telling_full_disk(folder):
        steps.outer.save_pretrained(str(folder / weights_name(job.settings)))
    sizes = {
        "parameters": sum(p.numel() for p in steps.outer.parameters()),
        "trainable_parameters": sum(p.numel() for p in steps.trainable.values()),
        "peak_mb": peak_mb(steps.device),
    }
    return write_summary(job, folder, arm, log, cursor, sizes)


def weights_name(settings: TrainSettings) -> str:
    """Return the name of the folder that trained weights are saved in."""
    return "adapter" if settings.method == "lora" else "model"


def write_summary(
    job: Job, folder: Path, arm: str, log: list[dict[str, Any]], cursor: Cursor, sizes: dict[str, Any]
) -> dict[str, Any]:
    """Write `summary.json`; `sizes` counts parameters and says what the device took at most."""
    summary = {
        "arm": arm,
        "engine": job.settings.engine,
        "processes": job.settings.processes,
        "method": job.settings.method,
        "rows": len(job.examples),
        "validation_rows": len(job.validation),
        "steps": cursor.step,
        "epochs": round(cursor.trained_tokens / max(1, sum(e.trained_tokens for e in job.examples)), 3),
        "trained_tokens": cursor.trained_tokens,
        **sizes,
        "first_loss": log[0]["loss"] if log else None,
        "last_loss": log[-1]["loss"] if log else None,
        "val_loss": log[-1].get("val_loss") if log else None,
        "seed": job.seed,
        "weights": weights_name(job.settings),
    }
    write_json(folder / "summary.json", summary)
    return summary


def peak_mb(device: str) -> float | None:
    """Return MiB that the GPU's allocator reserved at most; a CPU has no such figure."""
    if device.startswith("cuda"):
        return round(int(torch.cuda.max_memory_reserved()) / 2**20, 1)
    return None
