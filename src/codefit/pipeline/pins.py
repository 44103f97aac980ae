"""Repositories of a hub that a recipe names, each pinned to a commit before anything is read from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from codefit.core.progress import Listener, silent
from codefit.core.recipe import Recipe
from codefit.hub import Hub, look, split_name
from codefit.hub.repo import Kind, is_commit, stale_event
from codefit.models.hub import names_hub_model
from codefit.sources.registry import home_of
from codefit.suites.published import HOMES

Commit = Callable[[str, Callable[[], str]], str]
"""(repository, how to ask for its commit) -> commit"""


def pinned(recipe: Recipe, commit_of: Commit, listen: Listener = silent) -> Recipe:
    """Return the recipe with every revision as a full commit hash; local files and pinned ones stay as they are.

    `listen` hears where the cache had to answer for a hub that could not be asked. Raises what `hub.look` raises
    for a repository or revision that cannot be had.
    """
    data = recipe.model_dump()
    for kind, repo, settings in _named(recipe, data):
        asked = settings.get("revision")
        if not is_commit(asked):
            name = f"{kind}s/{repo}@{asked or 'main'}"
            settings["revision"] = commit_of(name, partial(_ask, repo, asked, kind, listen))
    return Recipe.model_validate(data)


def _ask(repo: str, revision: str | None, kind: Kind, listen: Listener) -> str:
    snapshot = look(Hub.from_environment(), repo, revision, kind)
    if snapshot.stale:
        listen(stale_event(snapshot))
    return snapshot.commit


def _named(recipe: Recipe, data: dict[str, Any]) -> Iterator[tuple[Kind, str, dict[str, Any]]]:
    """Yield (kind, repository, settings to pin) of everything that a recipe takes from a hub."""
    model = data["model"]
    if names_hub_model(recipe.model.name):
        repo, own = split_name(recipe.model.name)
        model["name"], model["revision"] = repo, own or model["revision"]
        yield "model", repo, model
    for source, settings in zip(recipe.sources, data["sources"], strict=True):
        if repo_of := home_of(source):
            yield "dataset", repo_of, settings
    suites = [(s, s["name"]) for s in data["evaluate"]]
    develops = [data["train"].get("develop"), *(arm["train"].get("develop") for arm in data["arms"])]
    suites += [(d, d["suite"]) for d in develops if d]
    for settings, name in suites:
        if name in HOMES and settings.get("data") is None:
            yield "dataset", HOMES[name].repo, settings
