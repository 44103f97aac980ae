"""Datasets of a hub: the files of one split, downloaded when rows are first asked for."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from codefit.core.errors import InputError, MissingPrerequisite
from codefit.core.files import BadLine
from codefit.core.progress import Listener
from codefit.hub import Hub, Snapshot, fetch, look
from codefit.hub.dataset import split_files
from codefit.sources.base import Convert, RecordSource
from codefit.sources.records import SUFFIXES, Record, read_records

HOMES = {"code_alpaca": "sahil2801/CodeAlpaca-20k", "taco": "BAAI/TACO"}
"""Where the sources that codefit knows by name are published."""


@dataclass(frozen=True)
class Split:
    """The files of one split of a dataset repository at one commit."""

    hub: Hub
    snapshot: Snapshot
    paths: tuple[str, ...]
    listen: Listener

    @cached_property
    def folder(self) -> Path:
        """The files, downloaded."""
        return fetch(self.hub, self.snapshot, self.paths, self.listen)

    def records(self, on_bad: BadLine | None) -> Iterator[Record]:
        """Yield the records of all files; formats of the hub that we don't read go through `datasets`."""
        if all(p.lower().endswith(SUFFIXES) for p in self.paths):
            yield from read_records(self.folder, on_bad)
        else:
            yield from _through_datasets([self.folder / p for p in self.paths], self.snapshot.where)


def find_split(
    repo: str, revision: str | None, config: str | None, split: str | None, listen: Listener
) -> Split:
    """Return a split of a dataset; asks for the list of its files, and downloads none of them but the card."""
    hub = Hub.from_environment()
    snapshot = look(hub, repo, revision, "dataset")
    return Split(hub, snapshot, tuple(split_files(hub, snapshot, config, split)), listen)


def split_source(
    found: Split,
    *,
    name: str,
    kind: str,
    licence: str | None,
    about: str,
    convert: Convert,
    limit: int | None,
) -> RecordSource:
    """Return the source over a split; its revision hashes what the files hold, wherever they come from."""
    snapshot = found.snapshot
    return RecordSource(
        name=name,
        kind=kind,
        licence=licence,
        about=f"{about} ({snapshot.repo} at {snapshot.commit})",
        convert=convert,
        place=snapshot.where,
        records=found.records,
        content_hash=lambda: snapshot.content(found.paths),
        limit=limit,
    )


def _through_datasets(paths: list[Path], where: str) -> Iterator[Record]:
    """Yield the records of local files in any format that the `datasets` client reads, such as CSV or zstd."""
    if importlib.util.find_spec("datasets") is None:
        raise MissingPrerequisite(
            f"{paths[0].name} needs the datasets client", where=where, todo="pip install 'codefit[hub]'"
        )
    import datasets

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    files = {"rows": [str(p) for p in paths]}
    try:
        table = datasets.load_dataset(str(paths[0].parent), data_files=files, split="rows")
    except Exception as e:  # each of its readers has exceptions of its own
        lines = str(e.__cause__ or e).strip().splitlines()
        what = f"the datasets client cannot read {paths[0].name}: {lines[0][:200] if lines else type(e).__name__}"
        raise InputError(
            what, where=where, todo="convert it to JSON Lines or Parquet and name the file"
        ) from e
    for number, record in enumerate(table, start=1):
        yield f"{where}:row {number}", dict(record)
