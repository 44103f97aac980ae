"""What was not measured, and the command that would measure it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

VERBS_NOW = frozenset({"demo", "run", "plan", "execute", "report"})
"""Verbs that exist where the caller does not say; the command line passes its own list."""

Record = dict[str, Any]


@cache
def table() -> Mapping[str, Mapping[str, Any]]:
    """Return the table of measurements: id to verb and command."""
    text = (Path(__file__).parent / "measures.yaml").read_text(encoding="utf-8")
    loaded: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return loaded


def missing(names: Iterable[str], verbs: frozenset[str]) -> list[Record]:
    """Return the measurements of these names, each with its command and whether it exists yet."""
    rows = []
    for name in names:
        entry = table()[name]
        rows.append({"id": name, "command": entry["command"], "exists": entry["verb"] in verbs})
    return rows


def not_measured(questions: Iterable[Record]) -> list[Record]:
    """Return every missing measurement once, with the numbers of the questions that want it.

    Most wanted first.
    """
    found: dict[str, Record] = {}
    for question in questions:
        for measure in question["missing"]:
            found.setdefault(measure["id"], {**measure, "questions": []})["questions"].append(
                question["number"]
            )
    return sorted(found.values(), key=lambda m: (-len(m["questions"]), m["questions"][0], m["id"]))
