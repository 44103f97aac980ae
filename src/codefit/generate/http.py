"""One JSON request over HTTP, under one deadline, with every failure named.

The standard library's client, one connection a request. It has no dependency, and what matters here no
client offers ready-made: a deadline for the whole exchange (timeouts of sockets, in every client, start
anew with each byte, so a server that drips holds a request for ever), no redirects (they would carry the
key elsewhere) and a limit on the size of an answer. Requests take seconds, so a connection costs nothing.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

LARGEST_BODY = 64 * 1024 * 1024
_CONNECT_S = 15.0
_CHUNK = 1 << 16


class Unreachable(Exception):
    """No HTTP answer came: nobody listens, no such host, TLS refused. `retry`: another try may help."""

    def __init__(self, reason: str, *, retry: bool = True) -> None:
        super().__init__(reason)
        self.retry = retry


class Broken(Exception):
    """No whole answer came. `began`: the server speaks HTTP, and what it began broke off."""

    def __init__(self, reason: str, *, began: bool = False) -> None:
        super().__init__(reason)
        self.began = began


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; header names are in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class _Timed(io.RawIOBase):
    """A socket's bytes, every read bounded by the time that is left."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline
        self._raw = sock.makefile("rb", buffering=0)  # keeps the socket open behind the connection's back

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """A response that reads through `_Timed`, its header included."""

    deadline = 0.0

    def __init__(self, sock: socket.socket, **options: Any) -> None:
        super().__init__(sock, **options)
        self.fp.close()
        self.fp = io.BufferedReader(_Timed(sock, self.deadline))


def send(method: str, url: str, body: bytes | None, headers: Mapping[str, str], timeout_s: float) -> Reply:
    """Return the answer to one request, whatever its status.

    `timeout_s` bounds the whole exchange; looking up the host's name is bounded by the system.
    Proxies are taken from the environment (`http_proxy`, `https_proxy`, `no_proxy`), never for the loopback.
    Raises `Unreachable` and `Broken`.
    """
    deadline = time.monotonic() + timeout_s
    parts = urlsplit(url)
    connection, target = _connection(parts.scheme, parts.hostname or "", parts.port, url, timeout_s)
    connection.response_class = type("_Bound", (_Response,), {"deadline": deadline})
    try:
        _connect(connection, parts.hostname or "")
        return _exchange(connection, method, target, body, headers, deadline, timeout_s)
    finally:
        connection.close()


def _connection(
    scheme: str, host: str, port: int | None, url: str, timeout_s: float
) -> tuple[http.client.HTTPConnection, str]:
    """Return the connection, through a proxy where the environment names one, and what to ask for on it."""
    path = urlsplit(url).path
    wait_s = min(_CONNECT_S, timeout_s)
    proxy = None if _is_here(host) or proxy_bypass(host) else getproxies().get(scheme)
    at = urlsplit(proxy if proxy and "://" in proxy else f"http://{proxy}") if proxy else None
    if scheme == "https":
        context = ssl.create_default_context()
        if at is None:
            return http.client.HTTPSConnection(host, port, timeout=wait_s, context=context), path
        secure = http.client.HTTPSConnection(at.hostname or "", at.port, timeout=wait_s, context=context)
        secure.set_tunnel(host, port or 443)
        return secure, path
    if at is None:
        return http.client.HTTPConnection(host, port, timeout=wait_s), path
    return http.client.HTTPConnection(at.hostname or "", at.port, timeout=wait_s), url


def _is_here(host: str) -> bool:
    """Return whether a host is this machine, which no proxy can reach."""
    return host == "localhost" or host == "::1" or host.startswith("127.")


def _connect(connection: http.client.HTTPConnection, host: str) -> None:
    try:
        connection.connect()
    except ssl.SSLCertVerificationError as e:
        raise Unreachable(f"its certificate is not trusted ({e.verify_message})", retry=False) from e
    except ssl.SSLError as e:
        raise Unreachable(f"no TLS there ({e.reason or e}); is it http://?", retry=False) from e
    except (socket.gaierror, UnicodeError) as e:
        raise Unreachable(f"no host of the name '{host}'") from e
    except ConnectionRefusedError as e:
        raise Unreachable("connection refused: nothing listens there") from e
    except TimeoutError as e:
        raise Unreachable("no connection in time") from e
    except OSError as e:  # a tunnel that the proxy refuses is one too
        raise Unreachable(f"no connection: {e.strerror or e}") from e


def _exchange(
    connection: http.client.HTTPConnection, method: str, target: str, body: bytes | None,
    headers: Mapping[str, str], deadline: float, timeout_s: float,
) -> Reply:  # fmt: skip
    try:
        connection.sock.settimeout(max(0.001, deadline - time.monotonic()))
        connection.request(method, target, body, dict(headers))
        with connection.getresponse() as response:
            found = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, _body(response), found)
    except TimeoutError as e:
        raise Broken(f"no whole answer within {timeout_s:g} s") from e
    except http.client.IncompleteRead as e:
        raise Broken("the answer broke off", began=True) from e
    except (http.client.RemoteDisconnected, ConnectionError) as e:
        raise Broken("the connection was closed without an answer") from e
    except (http.client.HTTPException, ValueError) as e:
        raise Broken(f"what came back is not HTTP ({type(e).__name__})") from e
    except OSError as e:
        raise Broken(f"the connection failed: {e.strerror or e}") from e


def _body(response: http.client.HTTPResponse) -> bytes:
    parts: list[bytes] = []
    size = 0
    while chunk := response.read(_CHUNK):
        parts.append(chunk)
        size += len(chunk)
        if size > LARGEST_BODY:
            raise Broken(f"an answer over {LARGEST_BODY >> 20} MiB", began=True)
    if response.length:  # what Content-Length promised and did not come
        raise http.client.IncompleteRead(b"", response.length)
    return b"".join(parts)
