"""Completions on disk: append-only while running, so that nothing is asked twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from codefit.core.files import Ledger, digest, read_jsonl
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
    clock: Callable[[], float] = time.monotonic,
) -> list[Completion]:
    """Return a completion per request, in order, asking the engine only for those not on disk.

    `setting` is a hash over model, adapter and decoding; with the prompt's and the sample's number it
    names a completion. The engine is not loaded when everything is there. An entry holds as well its
    share of the seconds since the entries before it, so that a killed run knows what it took.
    """
    keys = _keys(requests, setting)
    with Ledger(ledger_path) as ledger:
        found = {e["key"]: e for e in ledger.entries}
        todo = {key: r for key, r in zip(keys, requests, strict=True) if key not in found}
        done = len(requests) - len(todo)
        if todo:
            listen(Event(stage, "loading the model", done, len(requests), "answers"))
            engine, names = load(), list(todo)
            usage = getattr(engine, "usage", dict)
            pace = _Pace(len(todo), clock)
            for answers in engine.complete(list(todo.values())):
                seconds = pace.count(len(answers), sum(a.tokens or 0 for a in answers))
                for a in answers:
                    entry = {
                        "key": names[a.index], "text": a.text, "tokens": a.tokens,
                        "mean_logprob": a.mean_logprob, "min_logprob": a.min_logprob,
                        "finish_reason": a.finish_reason, "seconds": round(seconds, 6), **usage(),
                    }  # fmt: skip
                    ledger.append(entry)
                    found[entry["key"]] = entry
                done += len(answers)
                listen(Event(stage, pace.words(), done, len(requests), "answers"))
    if empty := sum(not found[k]["text"].strip() for k in keys):
        listen(Event(stage, f"{empty} of {len(keys)} answers have no text", finished=True))
    return [
        Completion(
            r.task_id, r.sample, e["text"], e["tokens"], e["mean_logprob"], e["finish_reason"],
            e["min_logprob"],
        )
        for r, e in zip(requests, (found[k] for k in keys), strict=True)
    ]  # fmt: skip


def _keys(requests: Sequence[Request], setting: str) -> list[str]:
    return [digest(setting, repr(r.ids), repr(r.messages), str(r.sample)) for r in requests]


def spent(requests: Sequence[Request], ledger_path: Path, setting: str) -> dict[str, Any]:
    """Return what the answers to requests took, over every run that worked on them, without loading.

    `seconds` is the time in which the engine answered; `peak_mb` the most memory that was held (reserved on
    a GPU, resident in the process on a CPU), `weights_mb` that of the weights alone, `sequences` how many
    were decoded at once, None where the engine does not tell.
    """
    wanted = dict.fromkeys(_keys(requests, setting))
    entries = {e["key"]: e for _, e in read_jsonl(ledger_path) if e["key"] in wanted}
    tokens = sum(e["tokens"] or 0 for e in entries.values())
    seconds = sum(e["seconds"] for e in entries.values())

    def most(name: str) -> Any:
        return max((e[name] for e in entries.values() if e.get(name) is not None), default=None)

    tasks = len({r.task_id for r in requests})
    return {
        "tasks": tasks,
        "tokens": tokens,
        "seconds": round(seconds, 3),
        "tokens_per_s": round(tokens / seconds, 1) if seconds else None,
        "seconds_per_task": round(seconds / tasks, 3) if tasks else None,
        "peak_mb": most("peak_mb"),
        "weights_mb": most("weights_mb"),
        "sequences": most("sequences"),
    }


class _Pace:
    """How fast answers come, and how long the rest will take at that pace."""

    def __init__(self, wanted: int, clock: Callable[[], float]) -> None:
        self._wanted, self._clock = wanted, clock
        self._begin = self._last = clock()
        self._answers = self._tokens = 0

    def count(self, answers: int, tokens: int) -> float:
        """Count answers; return the seconds since the last ones, per answer."""
        now = self._clock()
        seconds, self._last = now - self._last, now
        self._answers += answers
        self._tokens += tokens
        return seconds / answers if answers else 0.0

    def words(self) -> str:
        """Return tokens a second and the time left."""
        elapsed = max(self._last - self._begin, 1e-9)
        left = elapsed / max(self._answers, 1) * (self._wanted - self._answers)
        return f"{self._tokens / elapsed:,.0f} tokens/s, {_duration(left)} left"


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    if minutes >= 100:
        return f"{minutes / 60:.1f} h"
    return f"{minutes:.0f} min" if minutes >= 2 else f"{seconds:.0f} s"
