"""Start the second engine's processes, hear what they say, and return what they made.

`torchrun` starts one process per GPU (or as many as the recipe says, on a CPU), all on this machine. What
they print that is no message goes to `trl.log` in the training's folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from codefit.core.errors import CodefitError, MissingPrerequisite
from codefit.core.files import read_json
from codefit.core.progress import Event, Listener
from codefit.core.recipe import TrainSettings
from codefit.models.card import release_for_others
from codefit.models.load import resolve_device
from codefit.train.extra import require_trl
from codefit.train.loop import Job
from codefit.train.trl import saved
from codefit.train.trl.job_file import Order, remove_order, write_order
from codefit.train.trl.messages import as_error, heard
from codefit.train.trl.parent import PARENT

_PATIENCE_S = 10.0


class EngineFailed(CodefitError):
    """The second engine ended in a way that it did not explain."""


def train(job: Job, folder: Path, arm: str, listen: Listener) -> dict[str, Any]:
    """Train or resume in `folder`; writes what `train.loop` writes, and returns the summary.

    Raises `MissingPrerequisite` without the extra or with fewer GPUs than processes, what the processes
    raised, and `EngineFailed` where they ended without a word.
    """
    require_trl()
    _check_devices(job.settings)
    key, where = job.key(), folder / "order"
    if saved.discard(folder / "checkpoints", key):
        listen(Event(f"train {arm}", "rows or settings changed: starting over"))
    release_for_others()
    write_order(where, Order(job, folder, arm, key))
    _run(where, folder, job, arm, listen)
    remove_order(where)
    summary: dict[str, Any] = read_json(folder / "summary.json")
    return summary


def _check_devices(settings: TrainSettings) -> None:
    import torch

    if resolve_device(settings.device) == "cpu":
        if settings.shard:
            raise MissingPrerequisite(
                "shard needs GPUs: accelerate has no FSDP for a CPU",
                where="train.shard", todo="set it to false",
            )  # fmt: skip
        return
    present = torch.cuda.device_count()
    if present < settings.processes:
        raise MissingPrerequisite(
            f"{settings.processes} processes need as many GPUs; torch sees {present}",
            where="train.processes", todo=f"set it to {present}",
        )  # fmt: skip


def _run(where: Path, folder: Path, job: Job, arm: str, listen: Listener) -> None:
    """Run the processes to their end; raises what they say, or that they failed."""
    last: deque[str] = deque(maxlen=1)
    error: CodefitError | None = None
    with _started(where, job.settings) as process, (folder / "trl.log").open("a", encoding="utf-8") as log:
        for line in process.stdout or ():
            message = heard(line)
            if message is None:
                log.write(line)
                last.append(line.strip() or "".join(last))
            elif "error" in message:
                error = error or as_error(message)
            else:
                done = min(message["trained_tokens"], job.budget)
                listen(Event(f"train {arm}", message["text"], done, job.budget, "tokens"))
        code = process.wait()
    if error is not None:
        raise error
    if code:
        raise EngineFailed(
            f"engine trl ended with code {code}: {''.join(last)[:200]}",
            where=str(folder / "trl.log"),
            todo="the checkpoints are kept; run the same command again to go on",
        )


@contextmanager
def _started(where: Path, settings: TrainSettings) -> Iterator[subprocess.Popen[str]]:
    command = [
        sys.executable, "-m", "codefit.train.trl.agent", "--standalone", "--local-addr", "127.0.0.1",
        "--nproc-per-node", str(settings.processes), "-m", "codefit.train.trl.worker", str(where),
    ]  # fmt: skip
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        encoding="utf-8", errors="replace", env=_environment(settings),
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()  # the launcher ends its processes
            try:
                process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def _environment(settings: TrainSettings) -> dict[str, str]:
    """Return the environment of the processes: no network, this machine's loopback, their own threads."""
    threads = settings.threads or max(1, (os.cpu_count() or 1) // settings.processes)
    own = {
        PARENT: str(os.getpid()),
        "OMP_NUM_THREADS": str(threads),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    usual = {"TOKENIZERS_PARALLELISM": "false", "PYTORCH_ALLOC_CONF": "expandable_segments:True"}
    if sys.platform == "linux":
        usual |= {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
    return {**usual, **os.environ, **own}
