"""The engine of OpenAI-compatible endpoints: Ollama, LM Studio, vLLM, llama.cpp's server, hosted models.

Requests are asked several at a time by threads. An answer is on disk (see `replay`) before anything else
happens to it, so a fault, Ctrl-C or kill -9 costs what is under way and nothing more.
"""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from pydantic import ValidationError

from codefit.core.engines import EndpointSettings
from codefit.core.errors import InputError, MissingPrerequisite
from codefit.core.files import digest
from codefit.core.seeds import subseed
from codefit.generate.openai_client import Client
from codefit.generate.patience import Patience, Stopped
from codefit.generate.replay import Replay
from codefit.generate.types import Answer, Decoding, Request

_Result = tuple[Answer, dict[str, float | None]] | BaseException | None
STOPS_SENT = 4  # the most that OpenAI takes; whoever set them cuts the text by all of them


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint ready to be asked; the key never leaves memory.

    `shown` is what errors call it, `peak_mb` tells the memory that it holds where that can be seen.
    """

    settings: EndpointSettings
    key: str | None = field(default=None, repr=False)
    shown: str | None = None
    peak_mb: Callable[[], float | None] = lambda: None


def endpoint_of(settings: EndpointSettings, environ: Mapping[str, str]) -> Endpoint:
    """Return an endpoint with its key from the environment; raises `MissingPrerequisite` where there is none."""
    name = settings.api_key_env
    key = environ.get(name, "").strip() if name else None
    if name and not key:
        raise MissingPrerequisite(
            f"the environment variable {name} holds no key", where=settings.base_url, todo=f"export {name}=…"
        )
    if key and not (key.isascii() and key.isprintable()):
        raise InputError(f"the key in {name} is no plain text", where=settings.base_url)
    return Endpoint(settings, key)


def listed_models(base_url: str, api_key_env: str | None, environ: Mapping[str, str]) -> list[str]:
    """Return the models that an endpoint lists; raises `InputError` and `MissingPrerequisite`."""
    try:
        settings = EndpointSettings(base_url=base_url, model="any", api_key_env=api_key_env)
    except ValidationError as e:
        fault = e.errors()[0]
        where = f"--{str(fault['loc'][0]).replace('_', '-')}"
        raise InputError(fault["msg"].removeprefix("Value error, "), where=where) from None
    endpoint = endpoint_of(settings, environ)
    return Client(settings, endpoint.key, Patience(backoff_s=0, requests_per_minute=None)).listed()


class OpenAIEngine:
    """Answers requests by their messages; see `EndpointSettings` for concurrency, limits and patience.

    `identity` names what answers, and with a request names its answer. `connect` is called where there is
    something new to ask. `stops` end an answer; `replay_only` forbids new requests; `notice` hears, once
    each, of settings that the endpoint does not take.
    """

    def __init__(
        self,
        identity: str,
        api: Literal["chat", "completions"],
        connect: Callable[[], Endpoint],
        decoding: Decoding,
        store: Replay,
        *,
        stops: Sequence[str] = (),
        replay_only: bool = False,
        notice: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._identity, self._api, self._connect = identity, api, connect
        self._decoding, self._store, self._stops = decoding, store, tuple(stops)
        self._replay_only, self._notice = replay_only, notice
        self._spent: dict[str, float | None] = {}

    def complete(self, requests: Sequence[Request]) -> Iterator[list[Answer]]:
        """Yield known answers first, then each new one as it comes.

        Where a request fails for good, those under way are waited for and yielded before the error is
        raised. Raises `InputError`, and `MissingPrerequisite` where the endpoint is not there or stays in trouble.
        """
        keys = [self._key(r) for r in requests]
        known = [found for i, key in enumerate(keys) if (found := self._store.get(key, i)) is not None]
        for answer, self._spent in known:
            yield [answer]
        have = {answer.index for answer, _ in known}
        todo = [i for i in range(len(requests)) if i not in have]
        if todo and self._replay_only:
            raise InputError(
                f"{len(todo)} of {len(requests)} answers are not in the replay store, and new requests are "
                "forbidden",
                where=str(self._store.path), todo="leave out --replay-only, or unset CODEFIT_REPLAY_ONLY",
            )  # fmt: skip
        if todo:
            yield from self._ask([(i, requests[i], keys[i]) for i in todo])

    def usage(self) -> dict[str, float | None]:
        """Return what the answer yielded last took when it was asked for, replayed or not.

        `seconds`: of requests at the same time each has its share, so that the sum is the time the endpoint
        worked; waiting between tries is not in it. `peak_mb`: None where it cannot be seen.
        """
        return dict(self._spent)

    def _key(self, request: Request) -> str:
        return digest(
            self._identity, self._api, repr(request.messages), self._decoding.key(), repr(self._stops),
            str(request.sample),
        )  # fmt: skip

    def _ask(self, todo: list[tuple[int, Request, str]]) -> Iterator[list[Answer]]:
        endpoint = self._connect()
        s = endpoint.settings
        patience = Patience(
            backoff_s=s.backoff_s, requests_per_minute=s.requests_per_minute, seed=self._decoding.seed
        )
        client = Client(s, endpoint.key, patience, self._notice, endpoint.shown)
        waiting: queue.SimpleQueue[tuple[int, Request, str]] = queue.SimpleQueue()
        for item in todo:
            waiting.put(item)
        results: queue.SimpleQueue[_Result] = queue.SimpleQueue()
        threads = min(s.concurrency, len(todo))
        ask = partial(self._one, client, endpoint.peak_mb, threads)
        for n in range(threads):
            # Daemons: Ctrl-C must not wait for answers that take minutes.
            threading.Thread(
                target=self._work, args=(ask, waiting, results, patience), name=f"ask-{n}", daemon=True
            ).start()
        fault: BaseException | None = None
        try:
            while threads:
                found = results.get()
                if found is None:
                    threads -= 1
                elif isinstance(found, tuple):
                    answer, self._spent = found
                    yield [answer]
                else:
                    fault = fault or found
                    patience.stop()
        finally:
            patience.stop()
        if fault is not None:
            raise fault

    @staticmethod
    def _work(
        ask: Callable[[int, Request, str], tuple[Answer, dict[str, float | None]]],
        waiting: queue.SimpleQueue[tuple[int, Request, str]],
        results: queue.SimpleQueue[_Result],
        patience: Patience,
    ) -> None:
        try:
            while not patience.stopped:
                try:
                    index, request, key = waiting.get_nowait()
                except queue.Empty:
                    return
                results.put(ask(index, request, key))
        except Stopped:
            return
        except BaseException as e:  # the thread that waits raises it
            results.put(e)
        finally:
            results.put(None)

    def _one(
        self,
        client: Client,
        peak_mb: Callable[[], float | None],
        at_once: int,
        index: int,
        request: Request,
        key: str,
    ) -> tuple[Answer, dict[str, float | None]]:
        asked = self._asked(request)
        said, seconds = client.completion(asked, request.task_id, request.sample)
        answer = Answer(
            index, said.text, said.tokens, said.mean_logprob, said.min_logprob, said.finish_reason
        )
        spent = {"seconds": round(seconds / at_once, 6), "peak_mb": peak_mb()}
        told = {"model": said.model, "asked_without": client.without}
        self._store.put(key, answer, spent, {**asked, "sample": request.sample}, told)
        return answer, spent

    def _asked(self, request: Request) -> dict[str, Any]:
        """Return what is sent beside the model's name, with everything that an answer depends on."""
        d = self._decoding
        body: dict[str, Any] = {"temperature": d.temperature, "max_tokens": d.max_new_tokens}
        if self._api == "chat":
            body["messages"] = [{"role": role, "content": text} for role, text in request.messages]
            if request.messages[-1][0] == "assistant":  # the answer's first words: go on with them (vLLM)
                body |= {"add_generation_prompt": False, "continue_final_message": True}
        else:
            body["prompt"] = "".join(text for _, text in request.messages)
        if not d.greedy:
            body["top_p"] = d.top_p
            # One seed for all would give every sample of a prompt the same text.
            body["seed"] = subseed(d.seed, json.dumps(request.messages), request.sample) % 2**31
        if self._stops:
            body["stop"] = list(self._stops[:STOPS_SENT])
        return body
