"""The run folder: which stages are complete, from what inputs, and by whom it is in use.

A stage writes its outputs atomically and is entered in `manifest.json` last, with a key over
its settings and inputs. A stage whose key stands in the manifest, and whose outputs are still
there with the size they had, is complete and is not run again.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from codefit.core.errors import InputError
from codefit.core.files import (
    atomic_path,
    canonical_json,
    digest,
    file_digest,
    read_json,
    write_json,
    write_text,
)

MANIFEST = "manifest.json"
RECIPE = "recipe.resolved.yaml"
_PARTS = ("events.jsonl", "data", "train", "arms", "tasks", "completions", "verdicts", "report", "cache", "plan.json",
          "format.json", "format_dropped.jsonl", "scores.json", "models.json", "generation_plan.json",
          "findings.json")  # fmt: skip
_CACHES = ("data/cache", "cache")
_RECORDED = (
    "torch",
    "transformers",
    "peft",
    "trl",
    "accelerate",
    "tokenizers",
    "numpy",
    "pyarrow",
    "pydantic",
)


def environment() -> dict[str, str]:
    """Return what this machine runs: Python, platform, processor, versions of the libraries used."""
    found = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": str(os.cpu_count()),
    }
    for name in _RECORDED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


class Store:
    """A run folder that one process at a time may write.

    Raises `InputError` when the folder holds another recipe's run, or is in use.
    """

    def __init__(self, path: Path, *, version: str, fresh: bool = False) -> None:
        self.path = path
        self._version = version
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = (path / ".lock").open("a")
        except OSError as e:
            raise InputError(
                f"cannot write here: {e.strerror}", where=str(path), todo="choose another --out"
            ) from e
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            self._lock.close()
            raise InputError("in use by another codefit process", where=str(path), todo="wait for it") from e
        self._refuse_foreign()
        self.manifest: dict[str, Any] = self._read_manifest()
        if fresh:
            self._clear()

    def _refuse_foreign(self) -> None:
        """Refuse a folder with something in it that no run of ours has left."""
        present = [p.name for p in self.path.iterdir() if p.name != ".lock" and not p.name.endswith(".part")]
        if present and not self._is_ours():
            self._lock.close()
            raise InputError(
                "is not empty and no codefit run", where=str(self.path), todo="choose another --out"
            )

    def _is_ours(self) -> bool:
        path = self.path / MANIFEST
        manifest = read_json(path) if path.exists() else None
        return (
            isinstance(manifest, dict) and "codefit" in manifest and isinstance(manifest.get("stages"), dict)
        )

    def _read_manifest(self) -> dict[str, Any]:
        path = self.path / MANIFEST
        if path.exists():
            manifest: dict[str, Any] = read_json(path)
            return manifest
        self.manifest = self._new_manifest()
        self._save()
        return self.manifest

    def _new_manifest(self) -> dict[str, Any]:
        return {"codefit": self._version, "recipe": None, "recipe_hash": None, "environment": environment(),
                "hub": {}, "stages": {}, "complete": False}  # fmt: skip

    def _clear(self) -> None:
        """Remove a former run; the manifest, which says that the folder is ours, changes first and stays."""
        self.manifest = self._new_manifest()
        self._save()
        for name in (*_PARTS, RECIPE):
            _remove(self.path / name)

    def check_recipe(self, identity: str) -> None:
        """Raise `InputError` where the folder's results belong to another recipe.

        `identity` is a text of all that a result may depend on; while no stage is complete, any
        recipe is taken.
        """
        key = digest(identity)
        if self.manifest["stages"] and self.manifest["recipe_hash"] != key:
            raise InputError(
                f"holds a run of another recipe or other settings ('{self.manifest.get('recipe')}')",
                where=str(self.path),
                todo="choose another --out, or --fresh to start over",
            )

    def adopt_recipe(self, name: str, resolved_yaml: str, identity: str) -> None:
        """Write the resolved recipe, once it is checked that the folder's results belong to it."""
        self.check_recipe(identity)
        key = digest(identity)
        path = self.path / RECIPE
        if not path.exists() or path.read_text(encoding="utf-8") != resolved_yaml:
            write_text(path, resolved_yaml)
        if self.manifest["recipe_hash"] != key:
            self.manifest["recipe"], self.manifest["recipe_hash"] = name, key
            self._save()

    def pinned(self, repository: str, resolve: Callable[[], str]) -> str:
        """Return the commit that this run takes of a repository, which `resolve` tells the first time only.

        A branch may move between a kill and the same command again; the run stays with what it began with.
        """
        pins = self.manifest.setdefault("hub", {})
        if repository not in pins:
            pins[repository] = resolve()
            self._save()
        return str(pins[repository])

    def stage(
        self,
        name: str,
        settings: Mapping[str, Any],
        inputs: list[str],
        outputs: list[str],
        work: Callable[[], None],
    ) -> bool:
        """Run `work` unless the stage is complete; return whether it ran.

        `inputs` and `outputs` are paths below the run folder; the key is a hash over the
        settings and the content of the inputs.
        """
        found = {i: file_digest(self.path / i) for i in inputs}
        key = digest(self._version, canonical_json(dict(settings)), canonical_json(found))
        if self._is_complete(name, key, outputs):
            return False
        if name in self.manifest["stages"]:
            del self.manifest["stages"][name]
            self.manifest["complete"] = False
            self._save()
        began = time.monotonic()
        work()
        missing = [o for o in outputs if _size(self.path / o) < 0]
        if missing:
            raise RuntimeError(f"stage {name} did not write {', '.join(missing)}")
        self.manifest["stages"][name] = {
            "key": key,
            "inputs": found,
            "outputs": {o: _size(self.path / o) for o in outputs},
            "seconds": round(time.monotonic() - began, 2),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        self._save()
        return True

    def _is_complete(self, name: str, key: str, outputs: list[str]) -> bool:
        entry = self.manifest["stages"].get(name)
        if not entry or entry["key"] != key or sorted(entry["outputs"]) != sorted(outputs):
            return False
        return all(_size(self.path / o) == entry["outputs"][o] for o in outputs)

    def finish(self) -> None:
        """Mark the whole run complete."""
        if not self.manifest["complete"]:
            self.manifest["complete"] = True
            self._save()

    def take_caches(self, other: Path) -> None:
        """Copy what another run keeps to not ask or run it again; what is here already stays.

        Entries are named by a hash over all that decides them, so those that don't belong are never read.
        """
        for folder in _CACHES:
            for path in sorted((other / folder).rglob("*")):
                target = self.path / folder / path.relative_to(other / folder)
                if path.is_file() and not path.name.startswith(".") and not target.exists():
                    with atomic_path(target) as temp:
                        shutil.copyfile(path, temp)

    def event(self, **fields: Any) -> None:
        """Append one line to `events.jsonl`."""
        line = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **fields}
        with (self.path / "events.jsonl").open("a", encoding="utf-8") as f:
            f.write(json.dumps(line, ensure_ascii=False) + "\n")

    def _save(self) -> None:
        self.manifest["environment"] = environment()
        self.manifest["codefit"] = self._version
        write_json(self.path / MANIFEST, self.manifest)

    def close(self) -> None:
        """Release the folder."""
        self._lock.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _size(path: Path) -> int:
    """Return bytes of a file, or of all files of a folder; -1 where there is nothing."""
    if path.is_dir():
        return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    return path.stat().st_size if path.exists() else -1


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
