"""Our loop and TRL's SFTTrainer take the same steps: same rows, order, rates and first weights, in float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from codefit.core.progress import silent
from codefit.train.loop import Job, train
from codefit.train.model import prepare
from codefit.train.trl.layout import Layout
from codefit.train.trl.trainer import BinTrainer, Course, arguments
from codefit.train.trl.worker import all_steps
from tests.format.words import byte_tokenizer
from tests.train.test_trajectory import losses, make_job, weights
from tests.train.tiny import random_examples, tiny_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "start", vocab=260)


class Watched(SFTTrainer):
    """TRL as it comes: its own collator, padded rows; notes the loss of every step."""

    losses: list[float]

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Keep the loss."""
        if "grad_norm" in logs:
            self.losses.append(logs["loss"])
        super().log(logs, start_time)


def padded(job: Job, folder: Path) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Train by TRL's own way with rows; return the losses and the trained weights."""
    steps = all_steps(job)
    course = Course(job, steps, Layout.of(job.settings.batch_size, 1, 2), "")
    outer = prepare(job.model, job.settings, job.seed).outer
    rows = [job.examples[i] for step in steps for (i,) in step.bins]
    data = Dataset.from_list([
        {"input_ids": list(e.token_ids), "completion_mask": [int(x != -100) for x in e.labels]} for e in rows
    ])  # fmt: skip
    args = SFTConfig(
        output_dir=str(folder), max_steps=len(steps), per_device_train_batch_size=2, gradient_accumulation_steps=2,
        train_sampling_strategy="sequential", logging_steps=1, bf16=False, use_cpu=True, report_to="none",
        gradient_checkpointing=False, max_length=64, save_strategy="no", disable_tqdm=True,
        completion_only_loss=True,  # without it TRL passes over the masks of rows that are token ids
    )  # fmt: skip
    adam = torch.optim.AdamW([p for p in outer.parameters() if p.requires_grad], lr=1.0, weight_decay=0.0)
    rates = torch.optim.lr_scheduler.LambdaLR(adam, course.rate)
    worker = Watched(
        model=outer,
        args=args,
        train_dataset=data,
        processing_class=byte_tokenizer(),
        optimizers=(adam, rates),
    )
    worker.losses = []
    worker.train()
    return worker.losses, {n: p.detach() for n, p in outer.named_parameters() if p.requires_grad}


def packed(job: Job, folder: Path) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Train by TRL on our bins; return the losses and the trained weights."""
    steps = all_steps(job)
    course = Course(job, steps, Layout.of(job.settings.batch_size, 1, job.settings.micro_batch), "")
    outer = prepare(job.model, job.settings, job.seed).outer
    entries: list[float] = []
    args = arguments(job.settings, course, folder, cpu=True, half=False)
    BinTrainer(outer, args, course, byte_tokenizer(), lambda _, e: entries.append(e["loss"])).train()
    return entries, {n: p.detach() for n, p in outer.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("way", [padded, packed])
def test_our_loop_and_trl_follow_the_same_trajectory(
    model: Path, tmp_path: Path, method: str, way: Any
) -> None:
    shortest = 25 if way is padded else 4  # two rows of 25 do not fit a bin of 48
    examples = random_examples(24, shortest=shortest, longest=44)
    job = make_job(model, method=method, micro_batch=2, examples=examples, budget=1500)
    train(job, tmp_path / "ours", "x", silent)
    theirs, trained = way(job, tmp_path / "theirs")
    ours = losses(tmp_path / "ours")
    assert len(theirs) == len(ours) > 8
    assert theirs == pytest.approx(ours, rel=2e-6)
    found = {n.replace(".default", ""): p for n, p in trained.items()}
    for name, tensor in weights(tmp_path / "ours").items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-3, atol=2e-5)
