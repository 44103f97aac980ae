"""TRL's SFTTrainer on our bins: its forward, loss, backward and optimizer step; our order and learning rate."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from trl import SFTConfig, SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from codefit.core.recipe import TrainSettings
from codefit.train.loop import Job
from codefit.train.schedule import Step, learning_rate
from codefit.train.trl import saved
from codefit.train.trl.layout import BinCollator, Layout

Report = Callable[[int, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Course:
    """All steps of a job, how each is cut, and the key that its checkpoints bear."""

    job: Job
    steps: Sequence[Step]
    layout: Layout
    key: str

    def rate(self, number: int) -> float:
        """Return the learning rate of a step, counted from 0: that of the middle of its trained tokens."""
        step = self.steps[min(number, len(self.steps) - 1)]
        done = (step.after.trained_tokens - step.trained_tokens / 2) / self.job.budget
        return learning_rate(self.job.settings.learning_rate, done, self.job.settings.warmup)

    def tokens(self, step: Step) -> int:
        """Return the tokens of a step, without padding."""
        return sum(len(self.job.examples[i].token_ids) for b in step.bins for i in b)


def arguments(settings: TrainSettings, course: Course, folder: Path, *, cpu: bool, half: bool) -> SFTConfig:
    """Return TRL's arguments, with every default that would change the training spelled out.

    By default TRL trains in bfloat16, recomputes all layers, cuts rows at 1,024 tokens and draws them at
    random, and transformers replaces a loss that is not finite in its log.
    """
    recompute = bool(settings.recompute)
    return SFTConfig(
        output_dir=str(folder / "checkpoints"),
        max_steps=len(course.steps),
        per_device_train_batch_size=course.layout.micro,
        gradient_accumulation_steps=course.layout.accumulation,
        average_tokens_across_devices=True,
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        packing=False,
        max_grad_norm=settings.max_grad_norm or 1.0,
        activation_checkpointing=recompute,
        gradient_checkpointing=None,
        activation_checkpointing_kwargs={"use_reentrant": False} if recompute else None,
        bf16=half,
        use_cpu=cpu,
        fsdp=True if settings.shard else None,
        ddp_find_unused_parameters=False,
        dataloader_pin_memory=not cpu,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=settings.save_every,
        save_total_limit=2,
        seed=course.job.seed,
        report_to="none",
        disable_tqdm=True,
        log_level="error",
    )


class BinTrainer(SFTTrainer):
    """Steps through a course; calls `report` in every process with each step's number and figures.

    The optimizer is AdamW over all that is trained, as in `train.plain`: transformers' own would spare
    biases and norms the weight decay.
    """

    def __init__(self, model: Any, args: SFTConfig, course: Course, words: Any, report: Report) -> None:
        self._course, self._report = course, report
        job = course.job
        inner = DataCollatorForLanguageModeling(job.pad_id, padding_free=True)
        self._held = BinCollator(job.validation, job.pad_id, inner)
        rows = [list(b) for step in course.steps for b in course.layout.rows(step.bins)]
        super().__init__(
            model=model,
            args=args,
            data_collator=BinCollator(job.examples, job.pad_id, inner),
            train_dataset=Dataset.from_dict({"members": rows}),
            processing_class=words,
        )
        self._began = time.perf_counter()

    def create_optimizer(self, model: Any = None) -> Any:
        """Return AdamW with a rate of 1, which the scheduler multiplies: so rates are ours to the last bit."""
        chosen = [p for p in (model or self.model).parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            chosen, lr=1.0, weight_decay=self._course.job.settings.weight_decay
        )
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Return the scheduler that follows the course."""
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer or self.optimizer, self._course.rate)
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Report a step; the last one with the loss of the held-out rows."""
        self._metrics["train"].clear()
        if "grad_norm" not in logs:
            return  # the totals at the end
        number = self.state.global_step
        course, step = self._course, self._course.steps[number - 1]
        speed = course.tokens(step) / (time.perf_counter() - self._began)
        entry: dict[str, Any] = {
            "step": number, "trained_tokens": step.after.trained_tokens, "loss": logs["loss"],
            "lr": logs["learning_rate"], "grad_norm": float(logs["grad_norm"]), "tokens_per_s": round(speed, 1),
        }  # fmt: skip
        finite = math.isfinite(entry["loss"]) and math.isfinite(entry["grad_norm"])
        if number == len(course.steps) and course.job.validation and finite:
            entry["val_loss"] = self._validate()
        self._report(number, entry)
        self._began = time.perf_counter()

    @torch.no_grad()
    def _validate(self) -> float:
        """Return the mean loss per trained token of the held-out rows, each process scoring its share."""
        self.model.eval()
        validation, layout = self._course.job.validation, self._course.layout
        share = layout.shares([[i] for i in range(len(validation))])[self.accelerator.process_index]
        total: Tensor = torch.zeros((), device=self.args.device)
        for rows in share:
            inputs = self._prepare_inputs(self._held([{"members": b} for b in rows]))
            with self.compute_loss_context_manager():
                one = torch.ones((), device=self.args.device)
                total += self.compute_loss(self.model_wrapped, inputs, num_items_in_batch=one)
        # compute_loss multiplies by the number of processes, as DDP averages gradients.
        summed = self.accelerator.reduce(total, "sum") / self.accelerator.num_processes
        self.model.train()
        self._metrics["eval"].clear()
        return float(summed) / sum(e.trained_tokens for e in validation)

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Write none: a checkpoint is no model to publish."""

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            number = self.state.global_step
            saved.mark(Path(self.args.output_dir) / f"checkpoint-{number}", self._course.key, number)
