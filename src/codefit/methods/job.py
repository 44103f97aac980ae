"""One sampling: all that decides it, and how its requests are put."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from codefit.core.curation import CurateSettings
from codefit.core.progress import Listener
from codefit.core.sampling import SampleSettings
from codefit.core.types import Row, Task
from codefit.format.chat import ChatFormat
from codefit.generate.types import Answer, Engine, Request
from codefit.methods.asking import Clock, Replies, told
from codefit.sandbox import Sandbox


@dataclass(frozen=True)
class Sampling:
    """One model asked on one set of rows: all that decides the kept answers, and where to run.

    `setting` hashes model, decoding and end of turn; `model` is the hash of its weights. `round` counts from 1.
    `cache` is a folder for the append-only files. `tasks` are the test sets that no answer may give away.
    """

    stage: str
    settings: SampleSettings
    curate: CurateSettings
    chat: ChatFormat
    load: Callable[[], Engine]
    setting: str
    model: str
    sampler: str
    round: int
    batch_size: int
    seed: int
    sandbox: Sandbox
    cache: Path
    tasks: Mapping[str, Sequence[Task]]
    count_tokens: Callable[[str], int]
    listen: Listener


def requests_of(row: Row, count: int, job: Sampling) -> list[Request]:
    """Return the requests for so many answers to a row: the prompt that training has in front of its answer."""
    ids, messages = tuple(job.chat.prefix(row.instruction)), job.chat.messages(row.instruction)
    return [Request(row.id, ids, messages, number) for number in range(count)]


def ask(
    requests: Sequence[Request], job: Sampling, replies: Replies, clock: Clock, done: int, total: int
) -> None:
    """Ask for what is missing, timing the model alone; `done` of `total` answers are there already."""

    def heard(batch: Sequence[Answer]) -> None:
        nonlocal done
        done += len(batch)
        clock.lap(answers=len(batch), tokens=sum(a.tokens or 0 for a in batch))
        speed = f"{clock.tokens_per_s:,.0f} tokens/s" if clock.tokens_per_s else ""
        told(job.listen, job.stage, done, total, speed)

    replies.ask(requests, clock.start, heard)
