"""The files of a run as plain data; a file that is not there is None, never invented."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from codefit.core.errors import InputError
from codefit.core.files import read_json, read_jsonl
from codefit.report import shapes

Record = dict[str, Any]
_LINKED = (
    *("*.json", "*.jsonl", "*.yaml", "data/*.*", "train/*.json*", "arms/*/train/*.json*"),
    *("tasks/*.jsonl", "completions/*.jsonl", "verdicts/*.jsonl"),
)


@dataclass(frozen=True)
class RunFiles:
    """What a run folder holds; `training`, `curves`, `choices` and `folders` are by arm name.

    `present` are the files that the report may send a reader to, relative to the run.
    """

    recipe: Record | None
    manifest: Record | None
    funnel: Record | None
    card: Record | None
    planted: Record | None
    hits: list[Record] | None
    format: Record | None
    plan: Record | None
    training: Mapping[str, Record]
    curves: Mapping[str, list[Record]]
    choices: Mapping[str, Record]
    scores: Record | None
    findings: Record | None
    folders: Mapping[str, str]
    present: tuple[str, ...]
    models: Record | None = None


def read(run: Path) -> RunFiles:
    """Read a run folder; raises `InputError` for a folder that is none, or a damaged file."""
    if not run.is_dir():
        raise InputError("no such run folder", where=str(run), todo="give the --out folder of `codefit run`")
    folders = _training_folders(run)
    return RunFiles(
        recipe=_yaml(run / "recipe.resolved.yaml"),
        manifest=_checked(run / "manifest.json", shapes.Manifest, "run it again"),
        funnel=_checked(run / "data" / "funnel.json", shapes.Funnel, "curate again"),
        card=_card(run / "data" / "card.json"),
        planted=_checked(run / "data" / "planted.json", shapes.Planted, "curate again"),
        hits=_lines(run / "data" / "hits.jsonl"),
        format=_format(run),
        plan=_checked(run / "plan.json", shapes.Plan, "plan again"),
        training={a: s for a, f in folders.items() if (s := _summary(f)) is not None},
        curves={a: log for a, f in folders.items() if (log := _lines(f / "log.jsonl")) is not None},
        choices={a: c for a, f in folders.items() if (c := _object(f / "choice.json")) is not None},
        scores=_checked(run / "scores.json", shapes.Scores, "score it again"),
        findings=_checked(run / "findings.json", shapes.Findings, f"codefit analyse {run}"),
        models=_object(run / "models.json"),
        folders={a: f.relative_to(run).as_posix() for a, f in folders.items()},
        present=_present(run),
    )


def _present(run: Path) -> tuple[str, ...]:
    found = {
        p.relative_to(run).as_posix() for pattern in _LINKED for p in run.glob(pattern) if p.name[0] != "."
    }
    return tuple(sorted(found | {"report/report.json"}))


def _format(run: Path) -> Record | None:
    """Return format.json with the arms whose rows were sampled after it."""
    found = _checked(run / "format.json", shapes.Format, "run it again")
    if found is None:
        return None
    sampled = {p.parent.parent.name: _object(p) for p in sorted(run.glob("arms/*/sampled/format.json"))}
    return {**found, "arms": {**(found.get("arms") or {}), **sampled}}


def _card(path: Path) -> Record | None:
    """Return the data card; None where the rows were too many for more than counts."""
    found = _object(path)
    if found is None or found.get("counts_only"):
        return None
    return _shaped(found, path, shapes.Card, "curate again")


def _summary(folder: Path) -> Record | None:
    return _checked(folder / "summary.json", shapes.Summary, "train again")


def _training_folders(run: Path) -> dict[str, Path]:
    folders = {p.parent.name: p for p in sorted(run.glob("arms/*/train"))}
    summary = _object(run / "train" / "summary.json") or {}
    return (
        {str(summary.get("arm", "main")): run / "train", **folders} if (run / "train").is_dir() else folders
    )


def _object(path: Path) -> Record | None:
    if not path.exists():
        return None
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError(f"not a JSON object but {type(value).__name__}", where=str(path))
    return value


def _checked(path: Path, shape: type[BaseModel], todo: str) -> Record | None:
    """Return an object of this shape, None without a file; raises `InputError` for another shape."""
    value = _object(path)
    return None if value is None else _shaped(value, path, shape, todo)


def _shaped(value: Record, path: Path, shape: type[BaseModel], todo: str) -> Record:
    try:
        shape.model_validate(value)
    except ValidationError as e:
        fault = e.errors()[0]
        place = ".".join(str(part) for part in fault["loc"])
        message = fault["msg"].lower().split(" or instance")[0]
        raise InputError(f"{place}: {message}", where=str(path), todo=todo) from e
    return value


def _yaml(path: Path) -> Record | None:
    if not path.exists():
        return None
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        raise InputError(f"not YAML: {e}", where=str(path)) from e
    return _shaped(value, path, shapes.Recipe, "run it again") if isinstance(value, dict) else None


def _lines(path: Path) -> list[Record] | None:
    return [line for _, line in read_jsonl(path)] if path.exists() else None
