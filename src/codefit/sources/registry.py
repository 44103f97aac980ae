"""Sources by kind, as a recipe names them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from codefit.core.errors import InputError, InputErrors, did_you_mean
from codefit.core.progress import Listener, silent
from codefit.core.types import Row
from codefit.sources import code_alpaca, local, taco
from codefit.sources.base import RecordSource, Source
from codefit.sources.code_alpaca import open_code_alpaca
from codefit.sources.hub import HOMES, find_split, split_source
from codefit.sources.local import open_local, renamed
from codefit.sources.micro import TABLES, open_micro
from codefit.sources.taco import open_taco

KINDS = ("code_alpaca", "taco", "jsonl", "parquet", "hub", "micro")
_OF_THE_HUB = ("repo", "revision", "config", "split")


class SourceSpec(BaseModel):
    """One source of a recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str = Field(description=f"What the source is: {', '.join(KINDS)}.")
    path: Path | None = Field(
        None, description="The data file, or a folder of them; not for `micro` and `hub`."
    )
    repo: str | None = Field(None, description="The dataset on the hub, owner/name.")
    revision: str | None = Field(None, description="Its branch, tag or commit; default its main branch.")
    config: str | None = Field(None, description="Its config, as its card names it; default the card's.")
    split: str | None = Field(
        None, description="Its split; default `train`, or the only one. Of `micro`: one of its two tables."
    )
    columns: dict[str, str] | None = Field(None, description="Our column names, each with the data's own.")
    name: str | None = Field(None, description="The name that rows carry as their source; default: the kind.")
    licence: str | None = Field(
        None, description="The licence of the rows, where it differs from the source's own."
    )
    limit: int | None = Field(None, gt=0, description="Read only this many rows.")
    seed: int = Field(0, description="The seed of the `micro` rows; no other kind uses it.")


def open_source(
    spec: SourceSpec | Mapping[str, Any], *, base: Path | None = None, listen: Listener = silent
) -> Source:
    """Return the source that a spec names; relative paths count from `base`.

    A dataset of the hub is looked up now and downloaded when its rows are asked for, which `listen` hears of.
    Raises `InputError` for an unknown kind (with the nearest known one), an unknown key, a missing path or a
    missing file, and what `hub.look` raises.
    """
    spec = spec if isinstance(spec, SourceSpec) else _parse(spec)
    if fault := spec_fault(spec):
        raise InputError(fault[0], where="sources", todo=fault[1])
    if spec.kind == "micro":
        return open_micro(
            name=spec.name or "micro",
            licence=spec.licence,
            limit=spec.limit,
            seed=spec.seed,
            table=spec.split,
        )
    if spec.path is None:
        return _open_hub(spec, listen)
    return _open_file(spec, (base / spec.path) if base else spec.path)


def spec_fault(spec: Any) -> tuple[str, str] | None:
    """Return (what is wrong, what to do) of a source's settings, None where they fit together."""
    kind = spec.kind
    if kind not in KINDS:
        hint = did_you_mean(kind, KINDS) or f"known: {', '.join(KINDS)}"
        return f"unknown kind of source '{kind}'", hint
    if kind == "micro" and (spec.path is not None or spec.repo is not None):
        what = "path" if spec.path is not None else "repo"
        return f"kind 'micro' is built in and takes no {what}", f"remove '{what}'"
    if kind == "hub" and spec.path is not None:
        return "kind 'hub' takes no path", "set 'repo', or kind jsonl or parquet for local files"
    if kind == "hub" and spec.repo is None:
        return "kind 'hub' needs a repo", "set 'repo' to owner/name of the dataset"
    if kind in ("jsonl", "parquet") and spec.path is None:
        return f"kind '{kind}' needs a path", "set 'path' to the data file"
    if kind == "micro" and spec.split is not None and spec.split not in TABLES:
        return f"kind 'micro' has no split '{spec.split}'", f"known: {', '.join(TABLES)}"
    given = _OF_THE_HUB if kind != "micro" else tuple(key for key in _OF_THE_HUB if key != "split")
    named = [key for key in given if getattr(spec, key) is not None]
    if named and (kind in ("jsonl", "parquet", "micro") or spec.path is not None):
        return f"'{named[0]}' is for a dataset of the hub", f"remove '{named[0]}', or the path"
    if spec.columns is not None and kind not in ("jsonl", "parquet", "hub"):
        return f"kind '{kind}' knows its columns", "remove 'columns'"
    return None


def home_of(spec: Any) -> str | None:
    """Return the dataset of the hub that a source asks for, None where it reads local files."""
    if spec.path is not None or spec.kind in ("micro", "jsonl", "parquet"):
        return None
    repo: str | None = spec.repo or HOMES.get(spec.kind)
    return repo


def _open_file(spec: SourceSpec, path: Path) -> RecordSource:
    if spec.kind == "code_alpaca":
        return open_code_alpaca(path, name=spec.name or "code_alpaca", licence=spec.licence, limit=spec.limit)
    if spec.kind == "taco":
        return open_taco(path, name=spec.name or "taco", licence=spec.licence, limit=spec.limit)
    return open_local(
        path, kind=spec.kind, name=spec.name, licence=spec.licence, limit=spec.limit, columns=spec.columns
    )


def _open_hub(spec: SourceSpec, listen: Listener) -> RecordSource:
    repo = home_of(spec) or ""
    found = find_split(repo, spec.revision, spec.config, spec.split, listen)
    make = partial(split_source, found, kind=spec.kind, limit=spec.limit)
    if spec.kind == "code_alpaca":
        licence = spec.licence or code_alpaca.LICENCE
        return make(
            name=spec.name or spec.kind, licence=licence, about=code_alpaca.ABOUT, convert=code_alpaca.to_row
        )
    if spec.kind == "taco":
        licence = spec.licence or taco.LICENCE
        return make(name=spec.name or spec.kind, licence=licence, about=taco.ABOUT, convert=taco.to_row)

    def convert(record: dict[str, Any]) -> Row:
        return local.to_row(renamed(record, spec.columns))

    name = spec.name or repo.rpartition("/")[2].lower()
    return make(name=name, licence=spec.licence, about="a dataset of the hub", convert=convert)


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
