"""Faults of a recipe that its layout cannot show: names that don't exist, inputs that are not there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from codefit.core.errors import InputError, InputErrors, did_you_mean
from codefit.core.paths import expanded
from codefit.core.recipe import Recipe
from codefit.core.settings import Location, parse_yaml
from codefit.core.watches import DevelopSettings


def recipe_faults(recipe: Recipe, path: Path) -> list[InputError]:
    """Return the faults of kinds of sources and names of suites, by line; no data file is needed."""
    from codefit.sources.registry import spec_fault

    _, lines = parse_yaml(path.read_text(encoding="utf-8"), str(path))
    faults: list[tuple[Location, tuple[str, str] | None]] = []
    faults += [(("sources", i), spec_fault(source)) for i, source in enumerate(recipe.sources)]
    faults += [(("evaluate", i), _suite_fault(s.name)) for i, s in enumerate(recipe.evaluate)]
    faults += [(at, _suite_fault(d.suite)) for at, d in _developments(recipe)]
    faults += [(("curate", "decontaminate", "against"), fault) for fault in _unread(recipe)]
    found: list[InputError] = []
    for at, fault in faults:
        if fault:
            line = lines.get(at)
            place = f"{path}:{line}" if line else str(path)
            found.append(InputError(f"{'.'.join(map(str, at))}: {fault[0]}", where=place, todo=fault[1]))
    return found


def _unread(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Yield suites that rows must be separate from and that the recipe reads nowhere."""
    from codefit.suites.load import SUPPORTED

    read = {s.name for s in recipe.evaluate} | {d.suite for _, d in _developments(recipe)}
    for name in recipe.curate.decontaminate.against:
        if name in SUPPORTED and name not in read and "decontaminate" in recipe.curate.steps:
            yield f"the tasks of suite '{name}' are read nowhere", "add it to evaluate, or remove it here"


def _developments(recipe: Recipe) -> Iterator[tuple[Location, DevelopSettings]]:
    """Yield the development sets that a recipe names, each with its place."""
    if recipe.train.develop:
        yield ("train", "develop"), recipe.train.develop
    for i, arm in enumerate(recipe.arms):
        if "develop" in arm.train and (found := recipe.train_of(arm).develop):
            yield ("arms", i, "train", "develop"), found


def _suite_fault(name: str) -> tuple[str, str] | None:
    from codefit.suites.load import SUPPORTED

    if name in SUPPORTED:
        return None
    if "/" in name or Path(name).suffix in (".jsonl", ".gz", ".json") or Path(name).is_file():
        return None
    known = f"known: {', '.join(SUPPORTED)}, or a path to your own JSONL"
    hint = did_you_mean(name.lower(), SUPPORTED)
    return f"unknown suite '{name}'", f"{hint} {known}" if hint else known


def missing_inputs(recipe: Recipe) -> list[InputError]:
    """Return what a run would not find: source files, benchmark files, the start model."""
    return [error for check in _checks(recipe) for error in _errors_of(check)]


def _errors_of(check: Callable[[], object]) -> list[InputError]:
    try:
        check()
    except InputErrors as e:
        return e.errors
    except InputError as e:
        return [e]
    return []


def _checks(recipe: Recipe) -> Iterator[Callable[[], object]]:
    from codefit.models.start import check_model
    from codefit.sources.registry import open_source

    base = expanded(recipe.data_dir, "data_dir")
    for source in recipe.sources:
        spec = {**source.model_dump(), "path": source.path and base / expanded(source.path, "sources")}
        yield partial(open_source, spec)
    for suite in recipe.evaluate:
        data = suite.data and base / expanded(suite.data, "evaluate")
        yield partial(_check_file, data)
    for _, develop in _developments(recipe):
        data = develop.data and base / expanded(develop.data, "develop")
        yield partial(_check_file, data)
    for rival in recipe.rivals:
        yield partial(_check_file, rival.gguf and base / expanded(rival.gguf, "rivals"))
    for model in (recipe.model, *(rival.model for rival in recipe.rivals if rival.model)):
        words = model.tokenizer and str(base / expanded(model.tokenizer, "model"))
        yield partial(check_model, model.model_copy(update={"tokenizer": words}))


def _check_file(path: Path | None) -> None:
    if path is not None and not path.is_file():
        raise InputError("no such file", where=str(path), todo="check 'data' and data_dir")
