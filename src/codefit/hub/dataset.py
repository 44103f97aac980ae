"""Which files of a dataset repository are a config's split.

The rules are those of the hub's data cards: `configs` at the head of README.md name files by pattern; without
them folders and names of files say it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from codefit.core.errors import InputError, did_you_mean
from codefit.hub.client import Hub
from codefit.hub.repo import Snapshot, fetch

_FRONT = re.compile(r"\A---\s*\n(.*?)\n---\s*(\n|\Z)", re.DOTALL)
_DATA = (".jsonl", ".json", ".parquet", ".arrow", ".csv", ".tsv", ".txt", ".xml", ".zip")
_PACKED = (".gz", ".zst", ".bz2", ".xz", ".lz4")
_NOT_DATA = ("dataset_infos.json", "config.json", "dataset_dict.json", "state.json")
_SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
Patterns = dict[str, dict[str, list[str]]]
"""config -> split -> patterns"""


def split_files(hub: Hub, snapshot: Snapshot, config: str | None, split: str | None) -> list[str]:
    """Return the paths of the data files of a config's split.

    Without `config` the card's default, or the only one; without `split` `train`, or the only one. Raises
    `InputError` naming those that there are.
    """
    card, default = _card(hub, snapshot)
    if card:
        name = _choose(
            "config", config, card, default or ("default" if "default" in card else None), snapshot
        )
        splits = {s: _matching(snapshot, patterns) for s, patterns in card[name].items()}
    else:
        splits = _by_name(_within(snapshot, config))
    found = splits[_choose("split", split, splits, "train" if "train" in splits else None, snapshot)]
    if not found:
        raise InputError("the card names files that are not there", where=snapshot.where)
    return found


def _choose(
    what: str, wanted: str | None, known: Mapping[str, object], default: str | None, snapshot: Snapshot
) -> str:
    name = wanted or default or (next(iter(known)) if len(known) == 1 else None)
    names = ", ".join(known) or "none"
    if name is None:
        raise InputError(
            f"has several {what}s", where=snapshot.where, todo=f"set '{what}' to one of: {names}"
        )
    if name not in known:
        hint = did_you_mean(name, known) or f"there: {names}"
        raise InputError(f"no {what} '{name}'", where=snapshot.where, todo=hint)
    return name


def _card(hub: Hub, snapshot: Snapshot) -> tuple[Patterns, str | None]:
    """Return what the head of README.md says, and the config that it calls the default."""
    if all(f.path != "README.md" for f in snapshot.files):
        return {}, None
    text = (fetch(hub, snapshot, ["README.md"]) / "README.md").read_text(encoding="utf-8", errors="replace")
    front = _FRONT.match(text)
    try:
        head = yaml.safe_load(front[1]) if front else None
    except yaml.YAMLError:
        head = None
    configs = head.get("configs") if isinstance(head, dict) else None
    found: Patterns = {}
    default = None
    for entry in configs if isinstance(configs, list) else []:
        if isinstance(entry, dict) and "data_files" in entry:
            name = str(entry.get("config_name", "default"))
            found[name] = _patterns(entry["data_files"], str(entry.get("data_dir") or ""))
            default = name if entry.get("default") else default
    return found, default


def _patterns(value: Any, folder: str) -> dict[str, list[str]]:
    """Return split -> patterns of a `data_files` entry in any of the forms that cards use."""
    base = f"{folder.strip('/')}/" if folder else ""

    def texts(paths: Any) -> list[str]:
        return [base + str(p).removeprefix("./") for p in (paths if isinstance(paths, list) else [paths])]

    if isinstance(value, dict):
        return {str(split): texts(paths) for split, paths in value.items()}
    if isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
        return {str(v.get("split", "train")): texts(v.get("path")) for v in value}
    return {"train": texts(value)}


def _matching(snapshot: Snapshot, patterns: Iterable[str]) -> list[str]:
    wanted = [re.compile(_expression(p)) for p in patterns]
    return [f.path for f in snapshot.files if any(w.fullmatch(f.path) for w in wanted)]


def _expression(pattern: str) -> str:
    """Return a glob as a regular expression: `*` stays inside a folder, `**` does not."""
    rules = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]/]+\])", pattern)
    return "".join(
        rules.get(p)
        or (f"[{p[1:-1].replace('!', '^', 1)}]" if p.startswith("[") and p.endswith("]") else re.escape(p))
        for p in parts
    )


def _within(snapshot: Snapshot, config: str | None) -> list[str]:
    """Return the data files, of a config's folder where one is named."""
    found = [f.path for f in snapshot.files if _is_data(f.path)]
    if config is None:
        return found
    inside = [p for p in found if p.startswith(f"{config}/")]
    if not inside:
        folders = sorted({p.split("/")[0] for p in found if "/" in p})
        todo = f"folders there: {', '.join(folders) or 'none'}"
        raise InputError(f"no config '{config}'", where=snapshot.where, todo=todo)
    return inside


def _is_data(path: str) -> bool:
    name = Path(path).name.lower()
    for packed in _PACKED:
        name = name.removesuffix(packed)
    return name.endswith(_DATA) and name not in _NOT_DATA and not name.startswith(".")


def _by_name(paths: list[str]) -> dict[str, list[str]]:
    """Return split -> files by the words in their paths; where none names a split, all are `train`."""
    found: dict[str, list[str]] = {}
    for path in paths:
        words = re.split(r"[/._\-\s\d]+", path.lower())
        split = next((s for s, names in _SPLITS.items() if any(n in words for n in names)), None)
        if split:
            found.setdefault(split, []).append(path)
    return found or ({"train": paths} if paths else {})
