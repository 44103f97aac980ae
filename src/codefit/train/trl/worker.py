"""One process of the second engine: `torchrun … -m codefit.train.trl.worker ORDER`."""

from __future__ import annotations

import math
import os
import sys
from contextlib import ExitStack
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch

from codefit.core.errors import CodefitError
from codefit.core.files import telling_full_disk
from codefit.core.units import mib
from codefit.models.card import hold_to
from codefit.models.load import load_tokenizer, quiet_libraries, resolve_device, resolve_dtype
from codefit.train import diverged, schedule
from codefit.train.checkpoint import Cursor
from codefit.train.device import one_line_for_memory
from codefit.train.loop import Job, reopen_log, weights_name, write_summary
from codefit.train.model import Trainee, prepare
from codefit.train.trl import saved
from codefit.train.trl.job_file import Order, read_order
from codefit.train.trl.layout import Layout
from codefit.train.trl.messages import say, say_error
from codefit.train.trl.parent import end_with_parent
from codefit.train.watch import unwatched


def work(order: Order) -> None:
    """Do this process's part of an order; the first process writes what is kept."""
    job, settings = order.job, order.job.settings
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    device = resolve_device(settings.device)
    if device != "cpu":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    hold_to(job.memory, device)
    with one_line_for_memory(job.memory, order.folder):
        # Recomputing is left to TRL, which has to know of it.
        own = settings.model_copy(update={"device": device, "recompute": False})
        _train(order, prepare(job.model, own, job.seed), device)


def _train(order: Order, trainee: Trainee, device: str) -> None:
    from codefit.train.trl.trainer import BinTrainer, Course, arguments

    job, settings, folder = order.job, order.job.settings, order.folder
    sizes = {
        "parameters": sum(p.numel() for p in trainee.outer.parameters()),
        "trainable_parameters": sum(p.numel() for p in trainee.trainable.values()),
    }
    layout = Layout.of(settings.batch_size, settings.processes, settings.micro_batch)
    course = Course(job, all_steps(job), layout, order.key)
    half = resolve_dtype(settings.dtype, device, settings.method, settings.bits) == "bfloat16"
    args = arguments(settings, course, folder, cpu=device == "cpu", half=half)
    newest, step = saved.newest(folder / "checkpoints", order.key)
    with ExitStack() as closing:
        first = args.process_index == 0
        log = closing.enter_context(reopen_log(folder / "log.jsonl", step)) if first else None

        def report(number: int, entry: dict[str, Any]) -> None:
            figures = {k: entry[k] for k in ("loss", "grad_norm")}
            if not all(map(math.isfinite, figures.values())):
                bins = [[job.examples[i] for i in b] for b in course.steps[number - 1].bins]
                what = "gradient norm" if math.isfinite(figures["loss"]) else "loss"
                raise diverged.stop(folder, number, what, figures, bins)
            if device != "cpu":
                entry["peak_mb"] = mib(torch.cuda.max_memory_reserved(device))
            if log:
                log.append(entry)
                text = f"step {number}, loss {entry['loss']:.3f}, {entry['tokens_per_s']:,.0f} tokens/s"
                say(text=text, trained_tokens=entry["trained_tokens"])

        kept = deepcopy((trainee.model.config, trainee.model.generation_config))
        trainer = BinTrainer(trainee.outer, args, course, load_tokenizer(job.model), report)
        trainer.train(resume_from_checkpoint=str(newest) if newest else None)
        # transformers turned the cache off in the config, and wrote the tokenizer's markers into it.
        trainee.model.config, trainee.model.generation_config = kept
        _save(trainer, folder / weights_name(settings))
        if log:
            last = course.steps[-1].after
            watched = unwatched(log.entries, last.step)
            write_summary(job, folder, order.arm, log.entries, last, sizes, watched)
    trainer.accelerator.end_training()


def all_steps(job: Job) -> list[schedule.Step]:
    """Return every optimizer step of a job, as `train.loop` takes them."""
    return list(schedule.steps(
        job.examples, capacity=job.capacity, per_step=job.settings.batch_size, budget=job.budget,
        seed=job.seed, start=Cursor(),
    ))  # fmt: skip


def _save(trainer: Any, where: Path) -> None:
    """Save the trained weights as `train.loop` does; shards are gathered first."""
    model = trainer.accelerator.unwrap_model(trainer.model_wrapped)
    # A tied head is listed once here; gathered from shards it would be a second, equal tensor.
    own = {n for n, _ in (*model.named_parameters(), *model.named_buffers())}
    whole = {n: t for n, t in trainer.accelerator.get_state_dict(trainer.model_wrapped).items() if n in own}
    if trainer.accelerator.is_main_process:
        with telling_full_disk(where.parent):
            model.save_pretrained(str(where), state_dict=whole)
    trainer.accelerator.wait_for_everyone()


def main() -> None:
    """Work; an error that a user can act on becomes a message."""
    end_with_parent()
    quiet_libraries()
    try:
        work(read_order(Path(sys.argv[1])))
    except CodefitError as e:
        say_error(e)
        sys.exit(int(e.exit_code))


if __name__ == "__main__":
    main()
