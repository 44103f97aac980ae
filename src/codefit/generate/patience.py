"""How patiently an endpoint is asked: back-off with jitter, what the server says to wait, a rate limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from codefit.core.seeds import rng

LONGEST_BACKOFF_S = 60.0
LONGEST_WAIT_S = 300.0


class Stopped(Exception):
    """The run is ending; a request that waits gives up."""


class Patience:
    """Shared by all threads that ask one endpoint.

    A wait that the server names holds for all of them: it speaks of the account, not of one request.
    """

    def __init__(self, *, backoff_s: float, requests_per_minute: int | None, seed: int = 0) -> None:
        self._backoff_s, self._seed = backoff_s, seed
        self._gap_s = 60.0 / requests_per_minute if requests_per_minute else 0.0
        self._next = 0.0
        self._paused_until = 0.0
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def stop(self) -> None:
        """End every wait, now and later."""
        self._stop.set()

    @property
    def stopped(self) -> bool:
        """Whether the run is ending."""
        return self._stop.is_set()

    def turn(self) -> None:
        """Wait until the next request may start; raises `Stopped`."""
        while not self._stop.is_set():
            with self._lock:
                now = time.monotonic()
                at = max(self._next, self._paused_until)
                if at <= now:
                    self._next = now + self._gap_s
                    return
            self._sleep(at - now)
        raise Stopped

    def again(self, key: str, tries: int, asked_s: float | None) -> None:
        """Wait after a failed try: as long as the server asks, else exponentially with equal jitter.

        Jitter is drawn by `key` and number of tries, so it does not depend on how threads are scheduled.
        Raises `Stopped`.
        """
        if asked_s:
            with self._lock:
                self._paused_until = max(self._paused_until, time.monotonic() + asked_s)
            return
        longest = min(LONGEST_BACKOFF_S, self._backoff_s * 2 ** (tries - 1))
        self._sleep(longest * rng(self._seed, "backoff", key, tries).uniform(0.5, 1.0))

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Stopped


def asked_wait_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that an answer's headers ask to wait; None where they don't, or not sensibly."""
    exact = headers.get("retry-after-ms")
    text = headers.get("retry-after", "").strip()
    try:
        if exact is not None:
            seconds = float(exact) / 1000
        elif text:
            seconds = float(text) if text[:1].isdigit() else _until(text)
        else:
            return None
    except (ValueError, TypeError, OverflowError):
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _until(date: str) -> float:
    at = parsedate_to_datetime(date)
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
