"""Requests for tasks: the model's own chat template as tokens, and messages for who has a template."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from codefit.core.files import digest
from codefit.core.types import Completion, Task
from codefit.format.chat import ChatFormat
from codefit.generate.types import Decoding, Request
from codefit.suites.flavours import PLAIN, Flavour, Form


def requests_of(
    chat: ChatFormat, tasks: Iterable[Task], samples: int = 1, flavour: Flavour | None = None
) -> list[Request]:
    """Return the requests for tasks, those of one task one after the other; plain without a flavour."""
    found = []
    for task in tasks:
        if flavour is None or flavour.name == PLAIN:
            ids, messages = chat.prefix(task.prompt), chat.messages(task.prompt)
        else:
            prompt = flavour.prompt(task)
            ids = chat.begun(prompt.turns, prompt.begin)
            messages = (*prompt.turns, *_words(prompt.begin))
        found += [Request(task.task_id, tuple(ids), messages, sample) for sample in range(samples)]
    return found


def messages_of(
    tasks: Iterable[Task], flavour: Flavour, form: Form, system: str | None, samples: int = 1
) -> list[Request]:
    """Return the requests for an engine that has the model's template itself; of form `text` one message."""
    first = (("system", system),) if system is not None else ()
    found = []
    for task in tasks:
        prompt = flavour.prompt(task)
        messages = (*first, *prompt.turns, *(_words(prompt.begin) if form == "begun" else ()))
        if form == "text":
            messages = (("user", prompt.text),)
        found += [Request(task.task_id, (), messages, sample) for sample in range(samples)]
    return found


def _words(begin: str) -> tuple[tuple[str, str], ...]:
    return (("assistant", begin),) if begin else ()


def stated(found: Sequence[Completion], requests: Sequence[Request], decoding: Decoding) -> list[Completion]:
    """Return the completions with what was asked and how they were drawn, for later comparisons."""
    return [
        replace(c, asked=digest(repr(r.ids or r.messages)), decoding=decoding.words())
        for c, r in zip(found, requests, strict=True)
    ]
