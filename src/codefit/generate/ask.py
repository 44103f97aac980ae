"""Requests for tasks: the model's own chat template, as tokens and as messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from codefit.core.files import digest
from codefit.core.types import Completion, Task
from codefit.format.chat import ChatFormat
from codefit.generate.types import Decoding, Request


def requests_of(chat: ChatFormat, tasks: Iterable[Task], samples: int = 1) -> list[Request]:
    """Return the requests for tasks, those of one task one after the other."""
    found = []
    for task in tasks:
        ids, messages = tuple(chat.prefix(task.prompt)), chat.messages(task.prompt)
        found += [Request(task.task_id, ids, messages, sample) for sample in range(samples)]
    return found


def stated(found: Sequence[Completion], requests: Sequence[Request], decoding: Decoding) -> list[Completion]:
    """Return the completions with what was asked and how they were drawn, for later comparisons."""
    return [
        replace(c, asked=digest(repr(r.ids))[:16], decoding=decoding.key())
        for c, r in zip(found, requests, strict=True)
    ]
