"""A hub on loopback: it speaks what huggingface_hub 2.4 and datasets 5 really ask, over real sockets.

Files of a repository come from memory. As on the real hub, large ones (weights, Parquet, Arrow) are LFS: their
`resolve` address redirects to a storage address that takes ranges, and their hash is SHA-256; the others are named
by their SHA-1 in git. `cut_after` breaks connections in the middle of a storage file, `log` keeps every request.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

LARGE = (".safetensors", ".parquet", ".arrow", ".bin", ".zst")


@dataclass
class Repo:
    """A repository: `commits` by name (branches point to one), `gated` and `private` as on the hub."""

    commits: dict[str, dict[str, bytes]]
    refs: dict[str, str]
    gated: bool = False
    private: bool = False

    @classmethod
    def of(cls, files: dict[str, bytes], **kind: bool) -> Repo:
        """Return a repository with one commit on `main`."""
        commit = commit_of(files)
        return cls({commit: files}, {"main": commit}, **kind)

    def push(self, files: dict[str, bytes]) -> str:
        """Add a commit on `main`; return its hash."""
        commit = commit_of(files)
        self.commits[commit] = files
        self.refs["main"] = commit
        return commit

    @property
    def head(self) -> str:
        """The commit of `main`."""
        return self.refs["main"]


def commit_of(files: dict[str, bytes]) -> str:
    """Return a hash that looks like a commit's."""
    h = hashlib.sha1(usedforsecurity=False)
    for path in sorted(files):
        h.update(path.encode() + b"\0" + files[path])
    return h.hexdigest()


def is_large(path: str) -> bool:
    return path.endswith(LARGE)


def oid_of(path: str, data: bytes) -> str:
    if is_large(path):
        return hashlib.sha256(data).hexdigest()
    return git_sha1(data)


def git_sha1(data: bytes) -> str:
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data, usedforsecurity=False).hexdigest()


@dataclass
class Request:
    """One request as it came."""

    method: str
    path: str
    range: str | None
    token: str | None


@dataclass
class Server:
    """The hub's repositories, by `models/owner/name` and `datasets/owner/name`, and how it misbehaves."""

    repos: dict[str, Repo] = field(default_factory=dict)
    log: list[Request] = field(default_factory=list)
    cut_after: int | None = None  # bytes of a storage file after which the connection breaks
    cuts: int = 0  # how often
    gone_after_cut: bool = False  # nothing but errors from then on
    stall_after: int | None = None  # bytes of a storage file after which nothing more comes
    stalled: threading.Event = field(default_factory=threading.Event)
    damaged: bool = False  # storage files come with a flipped bit
    status: int | None = None  # answer everything with this
    storage: str = ""  # another host, as the real one has, for storage files
    elsewhere: str = ""  # a mirror: it knows the files, and sends whoever wants one there
    token: str = "hf_right"
    url: str = ""

    def asked(self, part: str) -> list[Request]:
        """Return the requests whose path holds `part`."""
        return [r for r in self.log if part in r.path]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listening

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer()

    def _answer(self) -> None:
        hub = self.server.hub
        path = unquote(urlsplit(self.path).path)
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        hub.log.append(Request(self.command, path, self.headers.get("Range"), token))
        if hub.status:
            return self._send(hub.status, b"<html>not now</html>")
        if path.startswith("/storage/"):
            return self._storage(path.split("/")[2])
        if path == "/api/models":
            return self._json([])
        if found := re.fullmatch(
            r"/api/(models|datasets)/([^/]+/[^/]+)(?:/(revision|tree|paths-info)/(.+))?", path
        ):
            return self._api(*found.groups())
        if found := re.fullmatch(r"/(?:(datasets)/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            kind, name, revision, file = found.groups()
            return self._resolve(kind or "models", name, revision, file)
        self._send(404, b"no such page")

    def _repo(self, kind: str, name: str, token: str | None) -> Repo | None:
        hub = self.server.hub
        repo = hub.repos.get(f"{kind}/{name}")
        if repo is None or (repo.private and token != hub.token):
            # The hub does not tell strangers what exists.
            self._error(401 if token is None else 404, "RepoNotFound", "Repository not found")
            return None
        return repo

    def _commit(self, repo: Repo, revision: str) -> str | None:
        commit = repo.refs.get(revision, revision)
        if commit not in repo.commits:
            self._error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return None
        return commit

    def _api(self, kind: str, name: str, what: str | None, rest: str | None) -> None:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        repo = self._repo(kind, name, token)
        if repo is None:
            return
        revision, _, folder = (rest or "main").partition("/")
        commit = self._commit(repo, revision)
        if commit is None:
            return
        files = repo.commits[commit]
        if what == "tree":
            inside = {p: d for p, d in files.items() if not folder or p.startswith(f"{folder}/")}
            if folder and not inside:
                return self._error(404, "EntryNotFound", f"{folder} does not exist on {revision!r}")
            deep = "recursive=true" in self.path.lower()
            return self._json(_tree(inside, folder, deep))
        if what == "paths-info":
            asked = json.loads(self.body)["paths"] if self.body[:1] == b"{" else _form(self.body)
            return self._json([e for e in _tree(files, "", True) if e["path"] in asked])
        siblings = [{"rfilename": p} for p in sorted(files)]
        self._json({"id": name, "sha": commit, "private": repo.private, "gated": "auto" if repo.gated else False,
                    "siblings": siblings, "tags": [], "downloads": 0, "likes": 0})  # fmt: skip

    def _resolve(self, kind: str, name: str, revision: str, file: str) -> None:
        hub = self.server.hub
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        repo = self._repo(kind, name, token)
        if repo is None:
            return
        if repo.gated and token != hub.token:
            why = "Access to this resource is restricted. You must be authenticated to access it."
            return self._error(401 if token is None else 403, "GatedRepo", why)
        commit = self._commit(repo, revision)
        if commit is None:
            return
        data = repo.commits[commit].get(file)
        if data is None:
            return self._error(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": commit})
        head = {"X-Repo-Commit": commit, "ETag": f'"{oid_of(file, data)}"', "Accept-Ranges": "bytes"}
        if not is_large(file) and not hub.elsewhere:
            return self._send(200, data, headers=head)
        linked = {"X-Linked-Size": str(len(data)), "X-Linked-ETag": head["ETag"]}
        place = f"{hub.storage}/storage/{oid_of(file, data)}?signature=x"
        self._send(
            302, headers={**head, **linked, "Location": hub.elsewhere + self.path if hub.elsewhere else place}
        )

    def _storage(self, oid: str) -> None:
        hub = self.server.hub
        commits = [files for repo in hub.repos.values() for files in repo.commits.values()]
        data = next((d for files in commits for p, d in files.items() if oid_of(p, d) == oid), b"")
        if hub.damaged:
            data = bytes([data[0] ^ 1]) + data[1:]
        status, head = 200, {"ETag": f'"{oid}"', "Accept-Ranges": "bytes"}
        if found := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or ""):
            first, last = int(found[1]), int(found[2] or len(data) - 1)
            status = 206
            head["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            data = data[first : last + 1]
        if hub.cuts and hub.cut_after is not None and self.command == "GET" and hub.cut_after < len(data):
            hub.cuts -= 1
            hub.status = 503 if hub.gone_after_cut else None
            return self._send(status, data, headers=head, only=hub.cut_after)
        if hub.stall_after is not None and self.command == "GET":
            return self._send(status, data, headers=head, only=hub.stall_after, stall=True)
        self._send(status, data, headers=head)

    def _error(self, status: int, code: str, message: str, head: dict[str, str] | None = None) -> None:
        head = {"X-Error-Code": code, "X-Error-Message": message, **(head or {})}
        self._send(status, json.dumps({"error": message}).encode(), headers=head)

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), headers={"Content-Type": "application/json"})

    def _send(
        self,
        status: int,
        data: bytes = b"",
        *,
        headers: dict[str, str] | None = None,
        only: int | None = None,
        stall: bool = False,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[:only])
        if only is not None:
            self.wfile.flush()
            if stall:
                self.server.hub.stalled.set()
                self.connection.recv(1)  # until whoever asked is gone
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)


def _tree(files: dict[str, bytes], folder: str, deep: bool) -> list[dict[str, object]]:
    """Return what the tree address lists: files, and folders where it does not go into them."""
    found: list[dict[str, object]] = []
    folders: set[str] = set()
    for path, data in sorted(files.items()):
        rest = path[len(folder) + 1 :] if folder else path
        if "/" in rest:
            top = path[: len(path) - len(rest)] + rest.split("/")[0]
            if top not in folders:
                folders.add(top)
                found.append({"type": "directory", "oid": git_sha1(top.encode()), "size": 0, "path": top})
            if not deep:
                continue
        entry: dict[str, object] = {"type": "file", "oid": git_sha1(data), "size": len(data), "path": path}
        if is_large(path):
            entry["lfs"] = {"oid": oid_of(path, data), "size": len(data), "pointerSize": 134}
        found.append(entry)
    return found


def _form(body: bytes) -> list[str]:
    from urllib.parse import parse_qs

    return parse_qs(body.decode()).get("paths", [])


class _Listening(ThreadingHTTPServer):
    daemon_threads = True
    hub: Server


@contextmanager
def serving(repos: dict[str, Repo] | None = None) -> Iterator[Server]:
    """Serve repositories on a free port of loopback."""
    listening = _Listening(("127.0.0.1", 0), _Handler)
    port = listening.server_address[1]
    hub = Server(repos or {}, url=f"http://127.0.0.1:{port}", storage=f"http://localhost:{port}")
    listening.hub = hub
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()
