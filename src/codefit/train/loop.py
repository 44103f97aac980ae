"""The training loop: data order, forward, loss, backward, step, log, checkpoint.

One device, one file that reads in one sitting. Everything that decides the result is in
`Job`; the same job, killed at any instant and started again, ends with the same weights, on a GPU but for the
order of its sums.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

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
from codefit.models.card import hold_to, release
from codefit.models.load import resolve_device, resolve_dtype
from codefit.train import checkpoint, diverged, overfit, schedule, speed
from codefit.train.checkpoint import Cursor
from codefit.train.device import one_line_for_memory
from codefit.train.diverged import LossDiverged as LossDiverged
from codefit.train.model import prepare
from codefit.train.speed import Meter
from codefit.train.steps import Steps, make_steps
from codefit.train.track import Trackers, require_trackers
from codefit.train.watch import Develop, NotFinite, Watch


@dataclass(frozen=True, slots=True)
class Job:
    """All that decides the outcome of one training.

    `memory` is the device's budget in bytes, `planned_mb` the MiB that the plan lets torch's allocator take.
    """

    model: Path
    examples: Sequence[Example]
    validation: Sequence[Example]
    settings: TrainSettings
    capacity: int
    budget: int
    seed: int
    pad_id: int
    memory: int | None = None
    planned_mb: float | None = None

    def key(self) -> str:
        """Hash over model, rows and settings; a checkpoint belongs to one key."""
        kept = self.settings.decisive()
        rows = digest(*(repr((e.token_ids, e.labels)) for e in (*self.examples, *self.validation)))
        device = resolve_device(self.settings.device)
        precision = resolve_dtype(self.settings.dtype, device, self.settings.method, self.settings.bits)
        numbers = (
            f"{self.capacity} {self.budget} {self.seed} {self.pad_id} {device.split(':')[0]} {precision}"
        )
        return digest(file_digest(self.model), canonical_json(kept), rows, numbers)


def train(
    job: Job, folder: Path, arm: str, listen: Listener, develop: Develop | None = None
) -> dict[str, Any]:
    """Train or resume in `folder`; return the summary that is written to `summary.json`.

    Writes `log.jsonl` (a line per step), `checkpoints/` and the trained weights: `adapter/` in
    PEFT's format for LoRA, `model/` for full-parameter tuning. `develop` lets the model as it stands answer
    the development set. Raises `LossDiverged` where a figure is no number, with the batch in `diverged.json`.
    """
    if job.settings.threads:
        torch.set_num_threads(job.settings.threads)
    device = resolve_device(job.settings.device)
    release(device)
    hold_to(job.memory, device)
    with one_line_for_memory(job.memory, folder):
        return _train(job, folder, arm, listen, develop)


def _train(job: Job, folder: Path, arm: str, listen: Listener, develop: Develop | None) -> dict[str, Any]:
    require_trackers(job.settings.report_to)
    trainee = prepare(job.model, job.settings, job.seed)
    steps = make_steps(trainee, job.settings, job.examples, job.pad_id, job.seed, job.capacity)
    watch = Watch(job.settings, job.validation, develop)
    meter = Meter(job.model, job.settings, trainee.head_VD)
    key, saved = job.key(), folder / "checkpoints"
    newest, cursor = checkpoint.latest(saved), Cursor()
    if newest:
        cursor, watched = checkpoint.restore(newest, key, steps.trainable, steps.optimizer)
        watch.restore(watched)
    steps.refresh()
    (folder / diverged.FILE).unlink(missing_ok=True)
    log = reopen_log(folder / "log.jsonl", cursor.step)
    plan = schedule.steps(
        job.examples, capacity=job.capacity, per_step=job.settings.batch_size, budget=job.budget,
        seed=job.seed, start=cursor,
    )  # fmt: skip
    trackers = Trackers(job.settings.report_to, folder, arm, job.settings.model_dump(), cursor.step)
    with log, trackers:
        for step in () if watch.stopped else plan:
            began = time.perf_counter()
            rate = schedule.learning_rate(
                job.settings.learning_rate, (cursor.trained_tokens + step.trained_tokens / 2) / job.budget,
                job.settings.warmup,
            )  # fmt: skip
            loss, norm = steps.step(step, rate)
            seconds = time.perf_counter() - began
            cursor = step.after
            _check_finite(job, folder, step, rate, loss, norm)
            lengths = [len(job.examples[i].token_ids) for b in step.bins for i in b]
            entry = {"step": cursor.step, "trained_tokens": cursor.trained_tokens, "loss": loss, "lr": rate,
                     "grad_norm": norm, **meter.step(lengths, seconds)}  # fmt: skip
            ends = cursor.trained_tokens >= job.budget
            entry |= _look(watch, steps, job, folder, cursor.step, ends)
            log.append(entry)
            trackers.log(entry)
            listen(_progress(arm, entry, job.budget, watch.line()))
            ends = ends or watch.stopped
            if ends or cursor.step % job.settings.save_every == 0 or watch.kept_step == cursor.step:
                checkpoint.save(
                    saved, cursor, key, steps.trainable, steps.optimizer, watch.state(),
                    keep=job.settings.kept_checkpoints, best=watch.kept_step,
                )  # fmt: skip
            if ends:
                break
    _keep(steps, saved, watch.kept_step, cursor.step)
    return _finish(steps, job, folder, arm, log.entries, cursor, watch, listen)


def _check_finite(job: Job, folder: Path, step: schedule.Step, rate: float, loss: float, norm: float) -> None:
    if math.isfinite(loss) and math.isfinite(norm):
        return
    bins = [[job.examples[i] for i in b] for b in step.bins]
    what = "gradient norm" if math.isfinite(loss) else "loss"
    raise diverged.stop(
        folder, step.after.step, what, {"loss": loss, "grad_norm": norm, "learning_rate": rate}, bins
    )


def _look(watch: Watch, steps: Steps, job: Job, folder: Path, step: int, ends: bool) -> dict[str, Any]:
    try:
        return watch.look(steps, step, ends)
    except NotFinite as e:
        bins = [[row] for row in job.validation]
        raise diverged.stop(folder, step, "validation loss", e.figures, bins) from e


def _progress(arm: str, entry: dict[str, Any], budget: int, looks: str) -> Event:
    message = f"step {entry['step']}, loss {entry['loss']:.3f}, {entry['tokens_per_s']:,.0f} tokens/s"
    if entry["mfu"] is not None:
        message += f", MFU {100 * entry['mfu']:.0f} %"
    return Event(f"train {arm}", message + looks, min(entry["trained_tokens"], budget), budget, "tokens")


def _keep(steps: Steps, saved: Path, kept: int | None, last: int) -> None:
    """Go back to the weights of the step that is kept, where that is not the last one."""
    if kept is not None and kept != last:
        checkpoint.load_weights(steps.trainable, checkpoint.weights_of(checkpoint.of_step(saved, kept)))
        steps.refresh()


def reopen_log(path: Path, step: int) -> Ledger:
    """Open the log, cut back to the checkpoint that training goes on from."""
    if path.exists():
        with Ledger(path) as old:
            kept = [e for e in old.entries if e["step"] <= step]
        write_jsonl(path, kept)
    return Ledger(path)


def _finish(
    steps: Steps, job: Job, folder: Path, arm: str, log: list[dict[str, Any]], cursor: Cursor, watch: Watch,
    listen: Listener,
) -> dict[str, Any]:  # fmt: skip
    with telling_full_disk(folder):
        steps.outer.save_pretrained(str(folder / weights_name(job.settings)))
    found = overfit.verdict(watch.validations, overfit.training_loss(log, watch.validations))
    sizes = {
        "parameters": sum(p.numel() for p in steps.outer.parameters()),
        "trainable_parameters": sum(p.numel() for p in steps.trainable.values()),
    }
    watched = {**watch.summary(cursor.step), "overfit": found}
    summary = write_summary(job, folder, arm, log, cursor, sizes, watched)
    if watch.validations:
        listen(Event(f"train {arm}", overfit.line(found), finished=True))
    return summary


def weights_name(settings: TrainSettings) -> str:
    """Return the name of the folder that trained weights are saved in."""
    return "model" if settings.method == "full" else "adapter"


def write_summary(
    job: Job, folder: Path, arm: str, log: list[dict[str, Any]], cursor: Cursor, sizes: dict[str, int],
    watched: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Write `summary.json`; `sizes` counts parameters, `watched` is what the held-out rows say."""
    summary = {
        "arm": arm,
        "engine": job.settings.engine,
        "processes": job.settings.processes,
        "method": job.settings.method,
        "optimizer": job.settings.optimizers[0],
        "rows": len(job.examples),
        "validation_rows": len(job.validation),
        "steps": cursor.step,
        "epochs": round(cursor.trained_tokens / max(1, sum(e.trained_tokens for e in job.examples)), 3),
        "trained_tokens": cursor.trained_tokens,
        **sizes,
        "first_loss": log[0]["loss"] if log else None,
        "last_loss": log[-1]["loss"] if log else None,
        **watched,
        "seed": job.seed,
        **speed.summary(log, job.planned_mb),
        "weights": weights_name(job.settings),
    }
    write_json(folder / "summary.json", summary)
    return summary
