"""Asking a model many times: every answer is on disk when it is there, and the clock is too.

The order of requests is fixed, and an answer does not depend on what else is in its batch, so a killed
sampling goes on with the same answers. A budget of hours counts the time of all runs together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codefit.core.files import Ledger, digest
from codefit.core.progress import Event, Listener
from codefit.generate.types import Answer, Engine, Request

_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of the model: what it wrote, how long, how likely, and why it ended."""

    text: str
    tokens: int | None
    mean_logprob: float | None
    min_logprob: float | None
    finish_reason: str


class Replies:
    """Answers by model, prompt and sample, in an append-only file; the engine is loaded when first needed.

    `setting` is a hash over model, decoding and end of turn.
    """

    def __init__(self, path: Path, setting: str, load: Callable[[], Engine]) -> None:
        self._ledger = Ledger(path)
        self._setting, self._load = setting, load
        self._engine: Engine | None = None
        self._known = {e["key"]: _reply(e) for e in self._ledger.entries}

    def key(self, request: Request) -> str:
        """Return what names the answer to a request."""
        return digest(self._setting, repr(request.ids), repr(request.messages), str(request.sample))

    def missing(self, requests: Sequence[Request]) -> list[Request]:
        """Return the requests that have no answer yet."""
        return [r for r in requests if self.key(r) not in self._known]

    def ask(
        self,
        requests: Sequence[Request],
        ready: Callable[[], None],
        heard: Callable[[Sequence[Answer]], None],
    ) -> None:
        """Ask for the answers that are missing.

        `ready` is told when the engine is loaded, `heard` of each batch, when it is written down.
        """
        todo = list({self.key(r): r for r in self.missing(requests)}.values())
        if not todo:
            return
        self._engine = self._engine or self._load()
        ready()
        for batch in self._engine.complete(todo):
            for a in batch:
                entry = {
                    "key": self.key(todo[a.index]), "row_id": todo[a.index].task_id, "sample": todo[a.index].sample,
                    "text": a.text, "tokens": a.tokens, "mean_logprob": a.mean_logprob,
                    "min_logprob": a.min_logprob, "finish_reason": a.finish_reason,
                }  # fmt: skip
                self._ledger.append(entry)
                self._known[entry["key"]] = _reply(entry)
            heard(batch)

    def get(self, request: Request) -> Reply:
        """Return the answer to a request that was asked."""
        return self._known[self.key(request)]

    def close(self) -> None:
        """Close the file."""
        self._ledger.close()


def _reply(entry: dict[str, Any]) -> Reply:
    return Reply(
        entry["text"], entry["tokens"], entry["mean_logprob"], entry["min_logprob"], entry["finish_reason"]
    )


class Clock:
    """Seconds and tokens of a sampling, all its runs together, in an append-only file.

    Loading the model is not in it: `start` sets the watch to now.
    """

    def __init__(self, path: Path, key: str) -> None:
        self._ledger, self._key = Ledger(path), key
        mine = [e for e in self._ledger.entries if e["key"] == key]
        self.seconds = sum(e["seconds"] for e in mine)
        self.asking = sum(e["asking"] for e in mine)
        self.answers, self.tokens = sum(e["answers"] for e in mine), sum(e["tokens"] for e in mine)
        self._began = time.monotonic()

    def start(self) -> None:
        """Begin a lap; what went before it is not counted."""
        self._began = time.monotonic()

    def lap(self, *, answers: int = 0, tokens: int = 0) -> None:
        """Write down the time since the last lap; with answers it was the model's time."""
        now = time.monotonic()
        seconds, self._began = now - self._began, now
        asking = seconds if answers else 0.0
        self.seconds += seconds
        self.asking += asking
        self.answers += answers
        self.tokens += tokens
        entry = {"key": self._key, "seconds": round(seconds, 3), "asking": round(asking, 3)}
        self._ledger.append(entry | {"answers": answers, "tokens": tokens})

    @property
    def tokens_per_s(self) -> float | None:
        """Tokens that the model wrote a second, None where it wrote none."""
        return self.tokens / self.asking if self.asking and self.tokens else None

    def hours_for(self, answers: int) -> float | None:
        """Return the hours that so many more answers will take, judged as those so far."""
        return answers * self.seconds / self.answers / _HOUR if self.answers else None

    def over(self, hours: float | None) -> bool:
        """Return True if the budget is used up."""
        return hours is not None and self.seconds >= hours * _HOUR

    def close(self) -> None:
        """Close the file."""
        self._ledger.close()


def forecast(clock: Clock, left: int, hours: float | None) -> str:
    """Say how long the rest of a sampling will take, and what a budget reaches of it."""
    more = clock.hours_for(left)
    if more is None:
        return f"{left:,} answers to go"
    speed = f", {clock.tokens_per_s:,.0f} tokens/s" if clock.tokens_per_s else ""
    text = f"about {_span(more)} for {left:,} more answers (measured on the first {clock.answers:,}{speed})"
    if hours is not None and clock.seconds / _HOUR + more > hours:
        share = max(0.0, hours - clock.seconds / _HOUR) / more
        text += f"; the budget of {hours:g} h reaches about {share:.0%} of them"
    return text


def _span(hours: float) -> str:
    if hours >= 1:
        return f"{hours:.1f} h"
    return f"{60 * hours:.0f} min" if hours >= 1 / 60 else f"{3600 * hours:.0f} s"


def told(listen: Listener, stage: str, done: int, total: int, note: str = "") -> None:
    """Report progress in answers."""
    listen(Event(stage, note, done, total, "answers"))
