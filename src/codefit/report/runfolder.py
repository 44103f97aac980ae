"""The files of a run as plain data; a file that is not there is None, never invented."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from codefit.core.errors import InputError
from codefit.core.files import read_json, read_jsonl

Record = dict[str, Any]
Interval = Annotated[list[FiniteFloat], Field(min_length=2, max_length=2)]


class _Score(BaseModel):
    suite: str
    arm: str
    value: FiniteFloat | None = None
    ci95: Interval | None = None


class _Comparison(BaseModel):
    suite: str
    before_arm: str
    after_arm: str
    before: FiniteFloat | _Score | None = None
    after: FiniteFloat | _Score | None = None
    points: FiniteFloat | None = None
    relative_percent: FiniteFloat | None = None
    ci95: Interval | None = None
    p_value: FiniteFloat | None = None
    fixed: int | None = None
    broken: int | None = None
    minimum_detectable_points: FiniteFloat | None = None


class _Scores(BaseModel):
    """What the report takes for granted in scores.json; more may stand there."""

    model_config = ConfigDict(strict=True)
    scores: list[_Score] = []
    comparisons: list[_Comparison] = []


@dataclass(frozen=True)
class RunFiles:
    """What a run folder holds; `training`, `curves` and `choices` are by arm name."""

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
    models: Record | None = None


def read(run: Path) -> RunFiles:
    """Read a run folder; raises `InputError` for a folder that is none, or a damaged file."""
    if not run.is_dir():
        raise InputError("no such run folder", where=str(run), todo="give the --out folder of `codefit run`")
    folders = _training_folders(run)
    return RunFiles(
        recipe=_yaml(run / "recipe.resolved.yaml"),
        manifest=_object(run / "manifest.json"),
        funnel=_object(run / "data" / "funnel.json"),
        card=_card(run / "data" / "card.json"),
        planted=_object(run / "data" / "planted.json"),
        hits=_lines(run / "data" / "hits.jsonl"),
        format=_format(run),
        plan=_object(run / "plan.json"),
        training={a: s for a, f in folders.items() if (s := _object(f / "summary.json")) is not None},
        curves={a: log for a, f in folders.items() if (log := _lines(f / "log.jsonl")) is not None},
        choices={a: c for a, f in folders.items() if (c := _object(f / "choice.json")) is not None},
        scores=_scores(run / "scores.json"),
        findings=_object(run / "findings.json"),
        models=_object(run / "models.json"),
    )


def _format(run: Path) -> Record | None:
    """Return format.json with the arms whose rows were sampled after it."""
    found = _object(run / "format.json")
    if found is None:
        return None
    sampled = {p.parent.parent.name: _object(p) for p in sorted(run.glob("arms/*/sampled/format.json"))}
    return {**found, "arms": {**(found.get("arms") or {}), **sampled}}


def _card(path: Path) -> Record | None:
    """Return the data card; None where the rows were too many for more than counts."""
    found = _object(path)
    return None if found is None or found.get("counts_only") else found


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


def _scores(path: Path) -> Record | None:
    value = _object(path)
    if value is not None:
        try:
            _Scores.model_validate(value)
        except ValidationError as e:
            fault = e.errors()[0]
            place = ".".join(str(part) for part in fault["loc"])
            message = fault["msg"].lower().split(" or instance")[0]
            raise InputError(f"{place}: {message}", where=str(path), todo="score it again") from e
    return value


def _yaml(path: Path) -> Record | None:
    if not path.exists():
        return None
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        raise InputError(f"not YAML: {e}", where=str(path)) from e
    return value if isinstance(value, dict) else None


def _lines(path: Path) -> list[Record] | None:
    return [line for _, line in read_jsonl(path)] if path.exists() else None
