"""Sources by kind, as a recipe names them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from codefit.core.errors import InputError, InputErrors, did_you_mean
from codefit.sources.base import RecordSource, Source
from codefit.sources.code_alpaca import open_code_alpaca
from codefit.sources.local import open_local
from codefit.sources.micro import open_micro
from codefit.sources.taco import open_taco

KINDS = ("code_alpaca", "taco", "jsonl", "parquet", "micro")


class SourceSpec(BaseModel):
    """One source of a recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str = Field(description=f"What the source is: {', '.join(KINDS)}.")
    path: Path | None = Field(None, description="The data file, or a folder of them; not for `micro`.")
    name: str | None = Field(None, description="The name that rows carry as their source; default: the kind.")
    licence: str | None = Field(
        None, description="The licence of the rows, where it differs from the source's own."
    )
    limit: int | None = Field(None, gt=0, description="Read only this many rows.")
    seed: int = Field(0, description="The seed of the `micro` rows; no other kind uses it.")


def open_source(spec: SourceSpec | Mapping[str, Any], *, base: Path | None = None) -> Source:
    """Return the source that a spec names; relative paths count from `base`.

    Raises `InputError` for an unknown kind (with the nearest known one), an unknown key, a missing
    path or a missing file.
    """
    spec = spec if isinstance(spec, SourceSpec) else _parse(spec)
    if spec.kind not in KINDS:
        hint = did_you_mean(spec.kind, KINDS) or f"known: {', '.join(KINDS)}"
        raise InputError(f"unknown kind of source '{spec.kind}'", where="sources", todo=hint)
    if spec.kind == "micro":
        if spec.path is not None:
            raise InputError(
                "kind 'micro' is built in and takes no path", where="sources", todo="remove 'path'"
            )
        return open_micro(name=spec.name or "micro", licence=spec.licence, limit=spec.limit, seed=spec.seed)
    if spec.path is None:
        raise InputError(
            f"kind '{spec.kind}' needs a path", where="sources", todo="set 'path' to the data file"
        )
    return _open_file(spec, (base / spec.path) if base else spec.path)


def _open_file(spec: SourceSpec, path: Path) -> RecordSource:
    if spec.kind == "code_alpaca":
        return open_code_alpaca(path, name=spec.name or "code_alpaca", licence=spec.licence, limit=spec.limit)
    if spec.kind == "taco":
        return open_taco(path, name=spec.name or "taco", licence=spec.licence, limit=spec.limit)
    return open_local(path, kind=spec.kind, name=spec.name, licence=spec.licence, limit=spec.limit)


def _parse(spec: Mapping[str, Any]) -> SourceSpec:
    try:
        return SourceSpec.model_validate(dict(spec))
    except ValidationError as e:
        raise InputErrors(_fault(f["loc"], f["type"], f["msg"]) for f in e.errors()) from e


def _fault(loc: tuple[int | str, ...], kind: str, message: str) -> InputError:
    key = str(loc[0]) if loc else ""
    if kind == "extra_forbidden":
        return InputError(
            f"unknown key '{key}'", where="sources", todo=did_you_mean(key, SourceSpec.model_fields)
        )
    return InputError(f"{key}: {message.lower()}", where="sources")
