"""A real HTTP endpoint on loopback that answers as a script says."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Script = Callable[["Asked"], "bytes | Say"]


@dataclass
class Say:
    """An answer: status, headers, body; `raw` is sent instead of all of it, `drip_s` lies between its bytes."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    drip_s: float = 0.0


@dataclass
class Asked:
    """One request as it came. `tries` counts those with the same messages, this one included."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    tries: int

    @property
    def text(self) -> str:
        """The last message, or the prompt."""
        return self.body["messages"][-1]["content"] if "messages" in self.body else self.body["prompt"]


@dataclass
class Endpoint:
    """A running endpoint: its address and what it was asked."""

    url: str
    asked: list[Asked] = field(default_factory=list)
    most_at_once: int = 0


def completion(
    text: str | None,
    *,
    reason: str | None = "stop",
    logprobs: list[float] | None = None,
    tokens: int | None = 5,
) -> bytes:
    """Return the body of a chat completion in OpenAI's shape."""
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"role": "assistant", "content": text, "refusal": None},
        "finish_reason": reason,
        "logprobs": None
        if logprobs is None
        else {"content": [{"token": "x", "logprob": v} for v in logprobs]},
    }
    usage = (
        None
        if tokens is None
        else {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": 9 + tokens}
    )
    reply = {"id": "c", "object": "chat.completion", "model": "tiny-q4", "choices": [choice], "usage": usage}
    return json.dumps(reply).encode()


def error(message: str, code: str | None = None) -> bytes:
    """Return the body of an error in OpenAI's shape."""
    return json.dumps({"error": {"message": message, "type": "invalid_request_error", "code": code}}).encode()


@contextmanager
def endpoint(
    script: Script, models: tuple[str, ...] = ("tiny",), tls: tuple[Path, Path] | None = None
) -> Iterator[Endpoint]:
    """Yield an endpoint whose answer to each request for a completion is what the script returns."""
    found = Endpoint("")
    lock, under_way, counts = threading.Lock(), [0], dict[str, int]()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            return

        def do_GET(self) -> None:
            listed = {"object": "list", "data": [{"id": m, "object": "model"} for m in models]}
            self._say(Say(json.dumps(listed).encode()))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                name = json.dumps(body.get("messages", body.get("prompt")))
                counts[name] = counts.get(name, 0) + 1
                headers = {k.lower(): v for k, v in self.headers.items()}
                asked = Asked(self.path, headers, body, counts[name])
                found.asked.append(asked)
                under_way[0] += 1
                found.most_at_once = max(found.most_at_once, under_way[0])
            said = script(asked)
            with lock:
                under_way[0] -= 1
            self._say(Say(said) if isinstance(said, bytes) else said)

        def _say(self, said: Say) -> None:
            headers = {
                "Content-Type": "application/json",
                "Content-Length": str(len(said.body)),
                **said.headers,
            }
            head = f"HTTP/1.1 {said.status} X\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
            data = said.raw if said.raw is not None else head.encode() + b"\r\n" + said.body
            try:
                for at in range(len(data)) if said.drip_s else ():
                    self.wfile.write(data[at : at + 1])
                    self.wfile.flush()
                    time.sleep(said.drip_s)
                if not said.drip_s:
                    self.wfile.write(data)
            except OSError:
                pass
            self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    found.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}/v1"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
