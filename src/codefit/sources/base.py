"""What a source is, and the reader that all file sources share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from codefit.core.errors import InputError
from codefit.core.files import BadLine, digest, file_digest
from codefit.core.types import Row
from codefit.sources.records import Record, read_records, reject

Convert = Callable[[dict[str, Any]], Row]
"""Turns a raw record into a row; raises `InputError` (no place) if it cannot.

Id and source are left empty, for the source to set, unless the record is a row of ours already.
"""


class Source(Protocol):
    """Where rows come from: a name, a revision (hash of the content), rows, a description."""

    @property
    def name(self) -> str:
        """Return the name that rows carry as `source`."""
        ...

    @property
    def revision(self) -> str:
        """Return a hash of the content; the same content has the same revision anywhere."""
        ...

    def rows(self, on_bad: BadLine | None = None) -> Iterator[Row]:
        """Yield the rows; faulty records go to `on_bad`, or raise where there is none (strict)."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return name, kind, revision, licence and a sentence on what the source is."""
        ...


@dataclass(frozen=True)
class RecordSource:
    """A source made of raw records and a function that turns one into a row.

    Every row gets a stable id, unless it has one: the record's own (`id`, `row_id`, `task_id`) behind the source's
    name, else a hash of source name, prompt and answers. Repeated ids get `#2`, `#3` in reading order.
    """

    name: str
    kind: str
    licence: str | None
    about: str
    convert: Convert
    place: str
    records: Callable[[BadLine | None], Iterable[Record]]
    content_hash: Callable[[], str]
    limit: int | None = None

    @cached_property
    def revision(self) -> str:
        """Return the hash of the content."""
        return self.content_hash()

    def rows(self, on_bad: BadLine | None = None) -> Iterator[Row]:
        """Yield rows with final ids; raises `InputError` where there is not one usable row."""
        seen: dict[str, int] = {}
        faults: list[InputError] = []
        taken = 0

        def refuse(error: InputError) -> None:
            reject(error, on_bad)
            faults.append(error)

        for where, record in self.records(refuse):
            if taken == self.limit:
                break
            try:
                row = self.convert(record)
            except InputError as e:
                refuse(InputError(e.what, where=where, todo=e.todo))
                continue
            taken += 1
            row_id = self._unique(row.id or self._id(record, row), seen)
            source, licence = row.source or self.name, self.licence or row.licence
            yield replace(row, id=row_id, source=source, licence=licence)
        if not seen:
            what = "holds no records"
            if faults:
                first = f"{faults[0].where}: {faults[0].what}"
                what = f"none of its {len(faults)} records can be used; first: {first}"
            raise InputError(what, where=self.place, todo=f"expected the columns of kind '{self.kind}'")

    def _id(self, record: dict[str, Any], row: Row) -> str:
        for key in ("id", "row_id", "task_id"):
            own = record.get(key)
            if isinstance(own, str | int) and not isinstance(own, bool) and str(own).strip():
                return f"{self.name}/{str(own).strip()[:200]}"
        return f"{self.name}/{digest(self.name, row.instruction, row.response, *row.solutions[1:])}"

    @staticmethod
    def _unique(row_id: str, seen: dict[str, int]) -> str:
        seen[row_id] = seen.get(row_id, 0) + 1
        return row_id if seen[row_id] == 1 else f"{row_id}#{seen[row_id]}"

    def describe(self) -> dict[str, Any]:
        """Return name, kind, revision, licence and what the source is."""
        return {
            "name": self.name,
            "kind": self.kind,
            "revision": self.revision,
            "licence": self.licence,
            "about": self.about,
        }


def file_source(
    *, name: str, kind: str, path: Path, licence: str | None, about: str, convert: Convert, limit: int | None
) -> RecordSource:
    """Return a source over a data file or a folder of them; raises `InputError` if it is missing."""
    if not path.exists():
        raise InputError("no such file", where=str(path), todo=f"set the path of source '{name}'")
    return RecordSource(
        name=name,
        kind=kind,
        licence=licence,
        about=about,
        convert=convert,
        place=str(path),
        records=lambda on_bad: read_records(path, on_bad),
        content_hash=lambda: file_digest(path),
        limit=limit,
    )


def text_of(record: dict[str, Any], key: str, *, required: bool = False) -> str:
    """Return a record's text column, `""` for null or absent; raises `InputError` for other types."""
    value = record.get(key)
    if value is None:
        if required:
            raise InputError(f"column '{key}' is missing or null")
        return ""
    if not isinstance(value, str):
        raise InputError(f"column '{key}' is {type(value).__name__}, not text")
    if required and not value.strip():
        raise InputError(f"column '{key}' is empty")
    return value
