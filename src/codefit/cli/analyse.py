"""`codefit analyse`: analysis over again, with the traits that were asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from codefit.cli import show
from codefit.core.errors import InputError
from codefit.core.files import read_json, write_json
from codefit.core.judging import AnalyseSettings

_GROUPS = ("readability", "security", "efficiency")


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--traits", metavar="NAMES", help=f"Traits of programs to measure: {', '.join(_GROUPS)}, or all."
)
@click.option("--data", multiple=True, metavar="SUITE=FILE",
              help="The benchmark's file, for efficiency of a comparison; may be given again.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def analyse(folder: Path, traits: str | None, data: tuple[str, ...], as_json: bool) -> None:
    """Analyse a run, or what `compare` wrote, again: failures, churn, cases, drift, and traits of programs.

    Traits are compared on the same tasks, and on those that both models pass, what got worse first. They need the
    extra `analyse` (ruff, radon, bandit); efficiency runs right programs on larger inputs, in the sandbox. Killed and
    run again, it goes on. A run's report is written again as well. Without --traits, those of before are measured.
    `codefit run` measures what the recipe says again: `analyse.traits` in it keeps them.
    """
    groups = _wanted(traits)
    with show.Live() as live:
        if (folder / "recipe.resolved.yaml").exists():
            if data:
                raise InputError("a run knows its own data", where="--data", todo="leave it out")
            _again(folder, groups, live)
        elif (folder / "comparison.json").exists():
            _comparison(folder, groups, data, live)
        else:
            raise InputError(
                "no run and no comparison", where=str(folder), todo="name the --out of run or compare"
            )
    found = read_json(folder / "findings.json")
    if as_json:
        show.print_json(found)
        return
    for pair in found["traits"] or ():
        for line in show.trait_lines(pair):
            click.echo(line)
    click.echo(f"Findings: {folder / 'findings.json'}")


def _wanted(traits: str | None) -> tuple[str, ...] | None:
    """Return the groups that were asked for, None where nothing was said."""
    if traits is None:
        return None
    names = tuple(dict.fromkeys(n.strip() for n in traits.split(",") if n.strip()))
    if names == ("all",):
        return _GROUPS
    unknown = [n for n in names if n not in _GROUPS]
    if unknown:
        raise InputError(
            f"no traits '{unknown[0]}'", where="--traits", todo=f"there are {', '.join(_GROUPS)}, all"
        )
    return names


def _again(folder: Path, groups: tuple[str, ...] | None, live: show.Live) -> None:
    """Run the last stages of a finished run again, with these traits in its recipe."""
    from codefit.cli.main import VERBS
    from codefit.core.recipe import load_recipe
    from codefit.pipeline import run_recipe

    manifest = read_json(folder / "manifest.json") if (folder / "manifest.json").exists() else {}
    if "score" not in manifest.get("stages", {}):
        raise InputError("has no scores yet", where=str(folder), todo="finish it first: codefit run")
    recipe = load_recipe(folder / "recipe.resolved.yaml")
    if groups is not None:
        settings = {"traits": groups, "memorised_rows": recipe.analyse.memorised_rows}
        recipe = recipe.model_copy(update={"analyse": AnalyseSettings.model_validate(settings)})
    run_recipe(recipe, folder, cache=show.cache_folder(), listen=live, verbs=frozenset(VERBS), until="report")


def _comparison(folder: Path, groups: tuple[str, ...] | None, data: tuple[str, ...], live: show.Live) -> None:
    from codefit.analyse import findings
    from codefit.analyse.traits import measure_traits
    from codefit.sandbox import Sandbox
    from codefit.suites.bigcodebench import Options
    from codefit.suites.load import load_suite
    from codefit.suites.variants import plain_name, variant_of

    suites: dict[str, Any] = {}
    for item in data:
        name, equals, path = item.partition("=")
        if not equals or not path:
            raise InputError(
                f"'{item}' is no SUITE=FILE", where="--data", todo="such as mbpp+=mbpp_plus.jsonl"
            )
        options = Options(None, True, None, show.cache_folder())
        suites[name] = load_suite(plain_name(name), Path(path), options=options, variant=variant_of(name))
    former = read_json(folder / "findings.json") if (folder / "findings.json").exists() else {}
    seed = former.get("seed", 0)
    if groups is None:
        measured = {r["group"] for pair in former.get("traits") or () for r in pair["rows"]}
        groups = tuple(g for g in _GROUPS if g in measured)
    found = findings(folder, seed=seed)
    if groups:
        tasks = {name: suite.tasks for name, suite in suites.items()}
        boxes: list[Sandbox] = []

        def sandbox_of(name: str) -> Sandbox:
            boxes.append(Sandbox(jobs=1, runtime=suites[name].runtime))
            return boxes[-1]

        try:
            found["traits"] = measure_traits(
                folder, groups, live, seed=seed, tasks=tasks, sandbox_of=sandbox_of
            )
        finally:
            for box in boxes:
                box.close()
    write_json(folder / "findings.json", found)
