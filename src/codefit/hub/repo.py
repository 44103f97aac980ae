"""A repository at one commit: which files it has, and those that are wanted as a folder.

Everything is kept in the hub's own cache (blobs, snapshots), so other programs' downloads count and ours serve
them. Beside it, below `codefit/COMMIT`, lie the list of files, which makes a pinned commit need no network, and
folders that link to the wanted files and to nothing else: what another program adds to a snapshot must not
change what a model is.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from codefit.core.errors import InputError
from codefit.core.files import (
    atomic_folder,
    atomic_path,
    digest,
    read_json,
    telling_full_disk,
    write_json,
    write_text,
)
from codefit.core.progress import Event, Listener, silent
from codefit.hub.blobs import download, file_sha256, git_sha1
from codefit.hub.client import Hub
from codefit.hub.failures import not_cached, one_line

Kind = Literal["model", "dataset"]
_COMMIT = re.compile(r"[0-9a-f]{40}")
_OID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class File:
    """A file of a repository: `oid` is SHA-256 of its bytes where `large`, else its SHA-1 in git."""

    path: str
    size: int
    oid: str
    large: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A repository at one commit. `stale`: the commit is the cache's, since the hub could not be asked."""

    repo: str
    kind: Kind
    commit: str
    files: tuple[File, ...]
    stale: bool = False

    @property
    def where(self) -> str:
        """Name and commit, as messages show them."""
        return f"{self.repo}@{self.commit[:12]}"

    def content(self, paths: Sequence[str]) -> str:
        """Return a hash of the wanted files' content; no file is read."""
        wanted = set(paths)
        return digest(*(part for f in self.files if f.path in wanted for part in (f.path, f.oid)))


def stale_event(snapshot: Snapshot) -> Event:
    """Return what to tell of a snapshot that only the cache could answer for."""
    message = f"{snapshot.repo}: the hub cannot be asked; the cache's commit {snapshot.commit} is used"
    return Event("hub", message, finished=True)


def is_commit(revision: str | None) -> bool:
    """Return True for a full commit hash, which never means anything else."""
    return bool(revision and _COMMIT.fullmatch(revision))


def look(hub: Hub, repo: str, revision: str | None = None, kind: Kind = "model") -> Snapshot:
    """Return what a repository holds at a revision (None: its default branch), from the cache where it can be.

    A commit whose files are listed in the cache needs no network. Raises `InputError` for a repository or
    revision that isn't there, `MissingPrerequisite` where the hub cannot be asked and the cache has no answer.
    """
    storage = _storage(hub, repo, kind)
    if revision and is_commit(revision) and (files := _listed(storage, revision)):
        return Snapshot(repo, kind, revision, files)
    with hub.session() as api, one_line(hub, repo, revision, page=_page(repo, kind)):
        try:
            commit = revision if revision and is_commit(revision) else _resolve(api, repo, revision, kind)
            files = tuple(
                File(f.path, f.size, f.lfs.sha256 if f.lfs else f.blob_id, bool(f.lfs))
                for f in api.list_repo_tree(repo, recursive=True, revision=commit, repo_type=kind)
                if hasattr(f, "blob_id")
            )
            _check_names(commit, files, repo)
        except Exception as e:
            if (found := _from_cache(storage, repo, revision, kind)) and _unreachable(e):
                return found
            raise
    write_json(storage / "codefit" / commit / "files.json", [asdict(f) for f in files])
    if commit != revision:
        write_text(storage / "refs" / (revision or "main"), commit)
    return Snapshot(repo, kind, commit, files)


def _check_names(commit: str, files: Sequence[File], repo: str) -> None:
    """Raise `InputError` for names that would lead out of the cache: a mirror can be anybody's."""
    sound = is_commit(commit) and all(_OID.fullmatch(f.oid) and f.size >= 0 for f in files)
    parts = [part for f in files for part in f.path.split("/")]
    if not sound or any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
        raise InputError("lists files with impossible names", where=repo, todo="check HF_ENDPOINT")


def _resolve(api: Any, repo: str, revision: str | None, kind: Kind) -> str:
    return str(api.repo_info(repo, revision=revision, repo_type=kind).sha)


def _unreachable(error: BaseException) -> bool:
    """Return True where the hub gave no answer; a refusal is an answer."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    if isinstance(error, HfHubHTTPError):
        return bool(error.response.status_code >= 500)
    return isinstance(error, (httpx2.TransportError, OfflineModeIsEnabled))


def _page(repo: str, kind: Kind) -> str:
    return f"datasets/{repo}" if kind == "dataset" else repo


def _storage(hub: Hub, repo: str, kind: Kind) -> Path:
    return hub.cache / "--".join([f"{kind}s", *repo.split("/")])


def _listed(storage: Path, commit: str) -> tuple[File, ...]:
    path = storage / "codefit" / commit / "files.json"
    return tuple(File(**entry) for entry in read_json(path)) if path.exists() else ()


def _from_cache(storage: Path, repo: str, revision: str | None, kind: Kind) -> Snapshot | None:
    """Return what the cache knows of a revision, None where it knows nothing."""
    if is_commit(revision):
        commit = str(revision)
    else:
        ref = storage / "refs" / (revision or "main")
        if not ref.is_file():
            return None
        commit = ref.read_text(encoding="utf-8").strip()
    files = _listed(storage, commit) or _downloaded(storage / "snapshots" / commit)
    return Snapshot(repo, kind, commit, files, stale=not is_commit(revision)) if files else None


def _downloaded(folder: Path) -> tuple[File, ...]:
    """Return the files that another program left in the cache; a blob's name is its hash."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        blob = path.resolve().name
        oid = blob if path.is_symlink() else file_sha256(path)
        size = path.stat().st_size
        found.append(File(path.relative_to(folder).as_posix(), size, oid, len(oid) == 64))
    return tuple(found)


def fetch(hub: Hub, snapshot: Snapshot, paths: Sequence[str], listen: Listener = silent) -> Path:
    """Return a folder with exactly these files of a snapshot, downloading those that are not in the cache.

    A file that is cut off in the cache is downloaded again. Each is compared with the hash that the hub lists
    when it arrives, and with its size later on.
    """
    known = {f.path: f for f in snapshot.files}
    wanted = [known[p] for p in sorted(paths)]
    storage = _storage(hub, snapshot.repo, snapshot.kind)
    folder = storage / "snapshots" / snapshot.commit
    missing = [f for f in wanted if not _is_whole(folder / f.path, f)]
    if missing:
        if hub.offline:
            raise not_cached(hub, snapshot.where, missing[0].path)
        with telling_full_disk(_existing(hub.cache)):
            _download(hub, snapshot, storage, missing, listen)
        for f in missing:
            _check(folder / f.path, f, snapshot.where)
    return _view(storage / "codefit" / snapshot.commit, folder, wanted)


def derived(hub: Hub, snapshot: Snapshot, name: str, make: Callable[[Path], None]) -> Path:
    """Return a file made from a snapshot, kept beside it; `make` writes it where it is not there yet."""
    path = _storage(hub, snapshot.repo, snapshot.kind) / "codefit" / snapshot.commit / name
    if not path.exists():
        with atomic_path(path) as temp:
            make(temp)
    return path


def _existing(folder: Path) -> Path:
    return folder if folder.exists() else _existing(folder.parent)


def _is_whole(path: Path, file: File) -> bool:
    return path.is_file() and path.stat().st_size == file.size


def _download(hub: Hub, snapshot: Snapshot, storage: Path, missing: Sequence[File], listen: Listener) -> None:
    for f in missing:
        _discard(storage, snapshot.commit, f)
    with (
        hub.session() as api,
        one_line(hub, snapshot.repo, snapshot.commit, page=_page(snapshot.repo, snapshot.kind)),
    ):
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils import build_hf_headers

        headers = build_hf_headers(token=hub.credentials, library_name="codefit")
        for f in (f for f in missing if f.large):
            url = hf_hub_url(
                snapshot.repo,
                f.path,
                repo_type=snapshot.kind,
                revision=snapshot.commit,
                endpoint=hub.endpoint,
            )
            target, where = storage / "blobs" / f.oid, f"{snapshot.where}: {f.path}"
            told = _Told(snapshot, f, listen)
            download(url, target, size=f.size, sha256=f.oid, headers=headers, progress=told, where=where)
        api.snapshot_download(
            snapshot.repo, repo_type=snapshot.kind, revision=snapshot.commit, cache_dir=hub.cache,
            allow_patterns=[glob.escape(f.path) for f in missing], max_workers=4, tqdm_class=None,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Told:
    """Tells of a download's progress in megabytes."""

    snapshot: Snapshot
    file: File
    listen: Listener

    def __call__(self, done: int) -> None:
        total = max(1, self.file.size // 1_000_000)
        message = f"{self.snapshot.repo} {self.file.path}"
        self.listen(Event("download", message, done // 1_000_000, total, "MB"))


def _discard(storage: Path, commit: str, file: File) -> None:
    """Remove what is cut off in the cache: the client takes any file with the right name for whole."""
    path, blob = storage / "snapshots" / commit / file.path, storage / "blobs" / file.oid
    for left in (path, blob):
        if left.is_symlink() or (left.exists() and not _is_whole(left, file)):
            left.unlink(missing_ok=True)


def _check(path: Path, file: File, where: str) -> None:
    place, again = f"{where}: {file.path}", "run the same command again"
    if not path.is_file():
        raise InputError("not downloaded", where=place, todo=again)
    if path.stat().st_size != file.size:
        raise InputError(f"cut off: {path.stat().st_size:,} of {file.size:,} bytes", where=place, todo=again)
    # A large file was compared when it arrived.
    if not file.large and len(file.oid) == 40 and git_sha1(path) != file.oid:
        path.resolve().unlink()
        raise InputError("downloaded, but its hash is not the one that is listed", where=place, todo=again)


def _view(base: Path, folder: Path, wanted: Sequence[File]) -> Path:
    """Return a folder of links to the wanted files and no others."""
    view = base / digest(*(f.path for f in wanted))
    if all(_is_whole(view / f.path, f) for f in wanted):
        return view
    with atomic_folder(view) as temp:
        for f in wanted:
            link = temp / f.path
            link.parent.mkdir(parents=True, exist_ok=True)
            # Counted from its final place, one level beside the temporary one.
            link.symlink_to(os.path.relpath(folder / f.path, (view / f.path).parent))
    return view
