"""Completions on disk: append-only while running, so that nothing is asked twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from codefit.core.files import Ledger, digest
from codefit.core.progress import Event, Listener
from codefit.core.types import Completion
from codefit.generate.types import Engine, Request


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

    `setting` is a hash over model, adapter and decoding; with the prompt's and the sample's number it
    names a completion. The engine is not loaded when everything is there.
    """
    keys = [digest(setting, repr(r.ids), repr(r.messages), str(r.sample)) for r in requests]
    with Ledger(ledger_path) as ledger:
        found = {e["key"]: e for e in ledger.entries}
        todo = {key: r for key, r in zip(keys, requests, strict=True) if key not in found}
        done = sum(key in found for key in keys)
        if todo:
            listen(Event(stage, "loading the model", done, len(requests), "tasks"))
            names = list(todo)
            for answers in load().complete(list(todo.values())):
                for a in answers:
                    key = names[a.index]
                    entry = {"key": key, "text": a.text, "tokens": a.tokens, "mean_logprob": a.mean_logprob,
                             "min_logprob": a.min_logprob, "finish_reason": a.finish_reason}  # fmt: skip
                    ledger.append(entry)
                    found[key] = entry
                done += len(answers)
                listen(Event(stage, "", done, len(requests), "tasks"))
    return [
        Completion(
            r.task_id, r.sample, e["text"], e["tokens"], e["mean_logprob"], e["finish_reason"],
            e["min_logprob"],
        )
        for r, e in zip(requests, (found[k] for k in keys), strict=True)
    ]  # fmt: skip
