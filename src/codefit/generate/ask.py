"""Requests for tasks: the model's own chat template, as tokens and as messages."""

from __future__ import annotations

from collections.abc import Iterable

from codefit.core.types import Task
from codefit.format.chat import ChatFormat
from codefit.generate.types import Request


def requests_of(chat: ChatFormat, tasks: Iterable[Task], samples: int = 1) -> list[Request]:
    """Return the requests for tasks, those of one task one after the other."""
    found = []
    for task in tasks:
        ids, messages = tuple(chat.prefix(task.prompt)), chat.messages(task.prompt)
        found += [Request(task.task_id, ids, messages, sample) for sample in range(samples)]
    return found
