"""What the funnel had after its slow steps, kept so that the same rows and settings need not be worked again.

Execution has ledgers of its own; this is for the rest: hours of a large corpus' comparing, and a
recipe of which only the selection changed. A state belongs to an identity of all that decided it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from codefit.core.curation import CurateSettings
from codefit.core.errors import InputError
from codefit.core.files import canonical_json, digest, write_text
from codefit.core.types import Dropped, Row
from codefit.core.values import dump, load
from codefit.curate.decontaminate import Hit
from codefit.curate.rows_io import read_rows, write_rows

_LATE = ("quality", "select")
_LATE_SETTINGS = {"weights", "model_view", "view_samples", "select"}
_WORTH_S = 5.0


@dataclass
class State:
    """The funnel after some of its steps: rows left, everything told of the others, facts for later steps."""

    kept: list[Row]
    steps: int = 0
    dropped: list[Dropped] = field(default_factory=list)
    hits: list[Hit] = field(default_factory=list)
    counts: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)


class Finished:
    """States of one funnel in a folder; without an identity nothing is kept."""

    def __init__(
        self, folder: Path, identity: str | None, settings: CurateSettings, read: Sequence[Row]
    ) -> None:
        self._folder, self._identity, self._settings = folder, identity, settings
        self._read = {row.id: row for row in read}
        self._since = time.monotonic()

    def latest(self, start: State) -> State:
        """Return the state after the most steps that is at hand, `start` where there is none."""
        for steps in range(len(self._settings.steps), 0, -1):
            path = self._path(steps)
            if path is not None and path.exists():
                try:
                    return self._load(path, steps)
                except (InputError, OSError, ValueError, KeyError, TypeError):
                    continue  # damaged: it is made again
        return start

    def keep(self, state: State) -> None:
        """Write a state if it took long enough since the last one to be worth its bytes."""
        path = self._path(state.steps)
        if path is None or time.monotonic() - self._since < _WORTH_S:
            return
        changed = [row for row in state.kept if row is not self._read.get(row.id)]
        write_rows(path.with_suffix(".parquet"), changed)
        told = {
            "kept": [row.id for row in state.kept],
            "dropped": [[d.row_id, d.step, d.reason] for d in state.dropped],
            "hits": [asdict(hit) for hit in state.hits],
            "counts": state.counts,
            "facts": state.facts,
        }
        write_text(path, dump(told))
        for other in self._folder.glob(f"{_label(self._settings, state.steps)}-*"):
            if other.stem != path.stem:  # of former settings
                other.unlink(missing_ok=True)
        self._since = time.monotonic()

    def _load(self, path: Path, steps: int) -> State:
        told = load(path.read_text(encoding="utf-8"))
        rows = self._read | {row.id: row for row in read_rows(path.with_suffix(".parquet"))}
        return State(
            [rows[row_id] for row_id in told["kept"]],
            steps,
            [Dropped(*d) for d in told["dropped"]],
            [Hit(**hit) for hit in told["hits"]],
            told["counts"],
            told["facts"],
        )

    def _path(self, steps: int) -> Path | None:
        """Return the file of the state after so many steps; its name holds what decided it."""
        if self._identity is None:
            return None
        done = self._settings.steps[:steps]
        settings = self._settings.model_dump(mode="json", exclude={"steps"})
        if not any(name in _LATE for name in done):
            settings = {k: v for k, v in settings.items() if k not in _LATE_SETTINGS}
        key = digest(self._identity, canonical_json([list(done), settings]))
        return self._folder / f"{_label(self._settings, steps)}-{key}.json"


def _label(settings: CurateSettings, steps: int) -> str:
    return f"{steps:02}-{settings.steps[steps - 1]}"
