"""Weights to choose from after a training: the adapter's change scaled, the last checkpoints averaged."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from codefit.core.files import atomic_folder
from codefit.models.card import release
from codefit.models.load import resolve_device
from codefit.train import checkpoint
from codefit.train.loop import Job
from codefit.train.model import prepare
from codefit.train.steps import make_steps

_WEIGHTS = "adapter_model.safetensors"


def write_scaled(adapter: Path, out: Path, scale: float) -> None:
    """Write a PEFT adapter whose change of the weights is `scale` times that of `adapter`.

    The factor goes into every `lora_B`, so that PEFT and whatever merges see a usual adapter; 0 is the
    start model. `W + scale * s B A` as in WiSE-FT's interpolation (Wortsman et al. 2022, equation 1).
    """
    from safetensors.torch import load_file, save_file

    with atomic_folder(out) as temp:
        shutil.copytree(adapter, temp, dirs_exist_ok=True)
        weights = load_file(str(adapter / _WEIGHTS))
        for name, value in weights.items():
            if ".lora_B." in name:
                value.mul_(scale)
        save_file(weights, str(temp / _WEIGHTS), metadata={"format": "pt"})


def write_average(job: Job, checkpoints: Sequence[Path], out: Path) -> None:
    """Write the mean of checkpoints of a job as its training writes weights: adapter or whole model."""
    release(resolve_device(job.settings.device))
    steps = make_steps(
        prepare(job.model, job.settings, job.seed), job.settings, job.examples, job.pad_id, job.seed
    )
    checkpoint.load_weights(steps.trainable, checkpoint.average(checkpoints))
    steps.refresh()
    with atomic_folder(out) as temp:
        steps.outer.save_pretrained(str(temp))


def copy_weights(folder: Path, out: Path) -> None:
    """Write a copy of a folder of weights."""
    with atomic_folder(out) as temp:
        shutil.copytree(folder, temp, dirs_exist_ok=True)
