"""Completions on disk: append-only while running, so that nothing is asked twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from codefit.core.files import Ledger, digest
from codefit.core.progress import Event, Listener
from codefit.core.types import Completion
from codefit.generate.engine import Engine


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt, as the token ids that the model gets."""

    task_id: str
    ids: tuple[int, ...]


def complete(
    requests: Sequence[Request],
    load: Callable[[], Engine],
    ledger_path: Path,
    *,
    setting: str,
    stage: str,
    listen: Listener,
) -> list[Completion]:
    """Return a completion per request, in order, asking the engine only for those not on disk.

    `setting` is a hash over model, adapter and decoding; with the prompt's it names a completion.
    The engine is not loaded when everything is there.
    """
    keys = [digest(setting, repr(r.ids)) for r in requests]
    with Ledger(ledger_path) as ledger:
        found = {e["key"]: e for e in ledger.entries}
        todo = [i for i, key in enumerate(keys) if key not in found]
        done = len(requests) - len(todo)
        if todo:
            listen(Event(stage, "loading the model", done, len(requests), "tasks"))
            for answers in load().complete([requests[i].ids for i in todo]):
                for a in answers:
                    key = keys[todo[a.index]]
                    entry = {"key": key, "text": a.text, "tokens": a.tokens,
                             "mean_logprob": a.mean_logprob, "finish_reason": a.finish_reason}  # fmt: skip
                    ledger.append(entry)
                    found[key] = entry
                done += len(answers)
                listen(Event(stage, "", done, len(requests), "tasks"))
    return [
        Completion(r.task_id, 0, e["text"], e["tokens"], e["mean_logprob"], e["finish_reason"])
        for r, e in zip(requests, (found[k] for k in keys), strict=True)
    ]
