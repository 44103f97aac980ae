"""Models of a hub as folders: only what transformers reads, weights as safetensors and nothing that runs."""

from __future__ import annotations

import fnmatch
from pathlib import Path

from codefit.core.errors import InputError
from codefit.core.progress import Listener, silent
from codefit.hub import Hub, Snapshot, fetch, is_hub_name, look, split_name
from codefit.hub.repo import stale_event
from codefit.models.check import INDEX, check_ends, check_weights

CONFIG = "config.json"
ADAPTER = "adapter_config.json"
_WITH_IT = (
    *(CONFIG, "generation_config.json", ADAPTER),
    *("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "vocab.txt", "merges.txt"),
    *("special_tokens_map.json", "added_tokens.json", "chat_template.jinja", "chat_template.json"),
    "additional_chat_templates/*",
)


def names_hub_model(name: str) -> bool:
    """Return True for `owner/name[@revision]`, unless a folder of that name is here."""
    return is_hub_name(name) and not Path(name).expanduser().exists()


def look_at_model(name: str, revision: str | None = None) -> Snapshot:
    """Return what a model's repository holds; raises `InputError` where it isn't one that can be loaded."""
    repo, own = split_name(name)
    if own and revision and own != revision:
        raise InputError(
            f"'{name}' and revision '{revision}' are two revisions", where="model", todo="name one"
        )
    snapshot = look(Hub.from_environment(), repo, own or revision)
    paths = {f.path for f in snapshot.files}
    if not paths & {CONFIG, ADAPTER}:
        raise InputError(
            "no model: it has no config.json", where=snapshot.where, todo="name a transformers model"
        )
    if not any(p.endswith(".safetensors") and "/" not in p for p in paths):
        todo = "use a revision with safetensors, or download and name the files yourself"
        raise InputError("has no weights as safetensors", where=snapshot.where, todo=todo)
    return snapshot


def fetch_model(name: str, revision: str | None = None, listen: Listener = silent) -> Path:
    """Return the folder of a model (or adapter) of the hub, downloaded where it is not in the cache."""
    snapshot = look_at_model(name, revision)
    if snapshot.stale:
        listen(stale_event(snapshot))
    folder = fetch(Hub.from_environment(), snapshot, _wanted(snapshot), listen)
    if (folder / CONFIG).exists():
        check_weights(folder)
        check_ends(folder)
    return folder


def fetch_config(name: str, revision: str | None = None) -> Path:
    """Return a hub model's config.json, which is all that a plan needs."""
    return fetch(Hub.from_environment(), look_at_model(name, revision), [CONFIG]) / CONFIG


def _wanted(snapshot: Snapshot) -> list[str]:
    """Return the files to download: no second copy of the weights, no pickles, no code."""
    paths = [f.path for f in snapshot.files]
    weights = [p for p in paths if p.endswith(".safetensors") and "/" not in p]
    # Some repositories hold a consolidated copy beside the one that transformers reads.
    weights = [p for p in weights if p.startswith(("model", "adapter_model"))] or weights
    rest = [p for p in paths if any(fnmatch.fnmatchcase(p, wanted) for wanted in _WITH_IT)]
    return [*weights, *rest, *(p for p in paths if p == INDEX)]
