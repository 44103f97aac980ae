"""Ask one endpoint for one completion, again where that may help, and say in one line why it doesn't."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

from codefit.core.engines import EndpointSettings
from codefit.core.errors import CodefitError, InputError, MissingPrerequisite, did_you_mean
from codefit.generate import http
from codefit.generate.openai_reply import Said, Unusable, error_code, read_completion, read_models, told
from codefit.generate.patience import LONGEST_WAIT_S, Patience, asked_wait_s

_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
_FIRST_TRIES = 2  # for an endpoint that has never answered: it is more likely wrong than busy
_NO_MONEY = ("insufficient_quota", "billing")
_LIST_S = 10.0


class Client:
    """One endpoint, asked by several threads; see `EndpointSettings` for what bounds it.

    Endpoints differ in what they take. One that refuses log-probabilities or seeds by name is asked
    without them from then on, and one that wants `max_completion_tokens` gets it; `notice` hears of it.
    """

    def __init__(
        self,
        settings: EndpointSettings,
        key: str | None,
        patience: Patience,
        notice: Callable[[str], None] = lambda text: None,
        shown: str | None = None,
    ) -> None:
        self._settings, self._key, self._patience, self._notice = settings, key, patience, notice
        self._shown = shown or settings.base_url
        self._answered = False
        self._refused: set[str] = set()
        self._lock = threading.Lock()

    def completion(self, asked: dict[str, Any], task: str, sample: int) -> tuple[Said, float]:
        """Return the completion of one request for a task, and the seconds of the try that brought it.

        Raises `InputError` where the endpoint does not answer it, `MissingPrerequisite` where it is not there or
        stays in trouble, and `Stopped` where the run ends.
        """
        tries = 0
        while True:
            tries += 1
            self._patience.turn()
            refused = frozenset(self._refused)
            wait_s: float | None = None
            kind: type[CodefitError] = MissingPrerequisite
            began = time.monotonic()
            try:
                reply = self._send(asked, refused)
                self._answered = True
                if reply.status == 200:
                    return read_completion(reply.body, self._settings.api), time.monotonic() - began
                if reply.status in (400, 422) and self._adapt(reply.body, asked, refused):
                    tries -= 1
                    continue
                wait_s, reason = self._judge(reply, task), f"HTTP {reply.status}: {told(reply.body)}"
            except Unusable as e:
                reason, kind = str(e), InputError  # it answers, but not like such an endpoint
            except http.Broken as e:
                reason = str(e)
                self._answered |= e.began
            except http.Unreachable as e:
                if not e.retry:
                    raise self._error(str(e)) from e
                reason = str(e)
            if tries >= self._most():
                raise self._error(f"{reason} (tried {tries} times)", self._advice(reason), kind)
            self._patience.again(f"{task} {sample}", tries, wait_s)

    @property
    def without(self) -> list[str]:
        """The settings that the endpoint does not take."""
        return sorted(self._refused)

    def _most(self) -> int:
        return self._settings.attempts if self._answered else min(_FIRST_TRIES, self._settings.attempts)

    def _send(self, asked: dict[str, Any], refused: frozenset[str]) -> http.Reply:
        body = {"model": self._settings.model, **asked, "stream": False}
        body["logprobs"] = True if self._settings.api == "chat" else 1
        for name in refused:
            value = body.pop(name, None)
            if name == "max_tokens":
                body["max_completion_tokens"] = value
        path = "/chat/completions" if self._settings.api == "chat" else "/completions"
        data = json.dumps(body, ensure_ascii=True).encode()
        return http.send(
            "POST", self._settings.base_url + path, data, self._headers(), self._settings.timeout_s
        )

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "codefit"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        return headers

    def _adapt(self, body: bytes, asked: dict[str, Any], refused: frozenset[str]) -> bool:
        """Leave out what an error names and an answer can do without; returns whether to ask again."""
        text = told(body).lower()
        for name in ("logprobs", "seed", "max_tokens"):
            wants_other = name != "max_tokens" or "max_completion_tokens" in text
            sent = name == "logprobs" or name in asked
            if name in text and wants_other and sent and name not in refused:
                with self._lock:
                    new = name not in self._refused
                    self._refused.add(name)
                if new:
                    self._notice(f"{self._shown} does not take '{name}': asked without it")
                return True
        return False

    def _judge(self, reply: http.Reply, task: str) -> float | None:
        """Return how long a passing fault asks to wait; raises `InputError` for one that will not pass."""
        said, status = told(reply.body), reply.status
        if status in (401, 403):
            variable = self._settings.api_key_env
            hint = (
                f"check the key in {variable}" if variable else "name the key's variable with --api-key-env"
            )
            raise self._error(f"HTTP {status}, the endpoint refuses the key: {said}", hint)
        if status == 404:
            self._missing(said)
        if 300 <= status < 400:
            to = reply.headers.get("location", "nowhere")
            raise self._error(f"HTTP {status}, sent on to {to[:200]}", "use that address as the base URL")
        if status == 402 or any(word in error_code(reply.body) for word in _NO_MONEY):
            raise self._error(f"HTTP {status}, no credit left: {said}")
        if status not in _PASSING:
            raise self._error(f"HTTP {status} to the request for {task}: {said}")
        wait_s = asked_wait_s(reply.headers)
        if wait_s is not None and wait_s > LONGEST_WAIT_S:
            raise self._error(
                f"HTTP {status}, asks to wait {wait_s:,.0f} s",
                "run the same command again then; nothing is lost",
            )
        return wait_s

    def _missing(self, said: str) -> NoReturn:
        """Raise what a 404 means: no such model where the endpoint lists others, else no such address."""
        name, models = self._settings.model, self.models()
        if models and name not in models:
            near = did_you_mean(name, models)
            listed = ", ".join(models[:8]) + (", …" if len(models) > 8 else "")
            raise self._error(f"no model '{name}' there", f"{near or ''} it has: {listed}".strip())
        raise self._error(
            f"HTTP 404: {said}", "check the model's name and the base URL; most end in /v1, and end there"
        )

    def models(self) -> list[str]:
        """Return the models that the endpoint says it has, none where it doesn't say."""
        try:
            return self.listed()
        except CodefitError:
            return []

    def listed(self) -> list[str]:
        """Return the models that the endpoint has; raises `InputError` where it doesn't tell."""
        try:
            url = f"{self._settings.base_url}/models"
            reply = http.send("GET", url, None, self._headers(), min(_LIST_S, self._settings.timeout_s))
            if reply.status == 200:
                return read_models(reply.body)
        except (http.Unreachable, http.Broken, Unusable) as e:
            raise self._error(str(e)) from e
        raise self._error(f"HTTP {reply.status}: {told(reply.body)}")

    def _advice(self, reason: str) -> str:
        if not self._answered:
            return "check the base URL, and that the server runs"
        if "HTTP 429" in reason:
            return "lower --concurrency or set --requests-per-minute; the same command goes on where it was"
        return "the same command goes on where it was"

    def _error(
        self, what: str, todo: str | None = None, kind: type[CodefitError] = InputError
    ) -> CodefitError:
        text = what.replace(self._key, "[key]") if self._key else what
        return kind(text, where=self._shown, todo=todo)
