"""A real sandbox, and an engine that writes what a test says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from codefit.core.curation import CurateSettings
from codefit.core.progress import silent
from codefit.core.sampling import SampleSettings
from codefit.core.types import Task
from codefit.format.chat import ChatFormat
from codefit.generate.types import Answer, Request
from codefit.methods.job import Sampling
from codefit.sandbox import Sandbox
from tests.format.words import byte_tokenizer


class Scripted:
    """Writes the text that the script has for a row and sample; `|cut` at its end was cut at the limit."""

    def __init__(self, script: Mapping[str, Sequence[str]]) -> None:
        self.script = script
        self.asked: list[tuple[str, int]] = []

    def complete(self, requests: Sequence[Request]) -> Iterator[list[Answer]]:
        for i in reversed(range(len(requests))):
            r = requests[i]
            self.asked.append((r.task_id, r.sample))
            text = self.script[r.task_id][r.sample]
            reason = "length" if text.endswith("|cut") else "stop"
            yield [Answer(i, text.removesuffix("|cut"), len(text), -0.25, -1.5, reason)]


def job(
    sandbox: Sandbox,
    cache: Path,
    engine: Scripted,
    *,
    tasks: Mapping[str, Sequence[Task]] | None = None,
    curate: dict[str, Any] | None = None,
    **settings: Any,
) -> Sampling:
    return Sampling(
        stage="sample own",
        settings=SampleSettings.model_validate({"samples": 4, **settings}),
        curate=CurateSettings.model_validate(curate or {}),
        chat=ChatFormat(byte_tokenizer(), system=None, fence=True),
        load=lambda: engine,
        setting="scripted",
        model="m0",
        sampler="start",
        round=1,
        batch_size=4,
        seed=0,
        sandbox=sandbox,
        cache=cache,
        tasks=tasks or {},
        count_tokens=lambda text: len(text.split()),
        listen=silent,
    )
