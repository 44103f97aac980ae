"""Verbs that run a recipe, whole or in part."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from codefit.cli import show
from codefit.cli.check import missing_inputs, recipe_faults
from codefit.cli.main import VERBS
from codefit.cli.recipe import resolve_recipe
from codefit.core.errors import InputError, InputErrors
from codefit.core.files import read_json
from codefit.core.recipe import Recipe, load_recipe
from codefit.core.store import MANIFEST
from codefit.pipeline import STAGES, RunResult, Sharding, run_recipe
from codefit.pipeline.run import plan_of

_OUT = click.option("--out", type=click.Path(path_type=Path), help="Run folder; default runs/RECIPE.")
_SET = click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a recipe value.")
_FRESH = click.option("--fresh", is_flag=True, help="Empty the run folder first.")
_REUSE = click.option(
    "--reuse",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Take verdicts, answers and finished steps of another run, where rows and settings are the same.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


def _go(
    name: str, out: Path | None, overrides: tuple[str, ...], until: str | None, fresh: bool, as_json: bool,
    sharding: Sharding | None = None, reuse: Path | None = None,
) -> RunResult:  # fmt: skip
    recipe = load_recipe(resolve_recipe(name), overrides)
    folder = out or Path("runs") / recipe.name
    with show.Live() as live:
        result = run_recipe(
            recipe,
            folder,
            cache=show.cache_folder(),
            listen=live,
            verbs=frozenset(VERBS),
            until=until,
            fresh=fresh,
            sharding=sharding,
            reuse=reuse,
        )
    _tell(recipe, result, until, as_json)
    return result


def _tell(recipe: Recipe, result: RunResult, until: str | None, as_json: bool) -> None:
    scores = result.scores()
    report = result.out / "report" / "index.html"
    if as_json:
        # A verb that stops early may find a run that went to its end before.
        complete = bool(read_json(result.out / MANIFEST)["complete"])
        done: dict[str, Any] = {"run": str(result.out), "complete": complete, "until": until}
        done |= {"ran": list(result.ran), "note": recipe.note, **scores, "models": result.models()}
        show.print_json({**done, "report": str(report) if complete else None})
        return
    console = show.console()
    if result.complete:
        if any(s["stand_in"] for s in scores["scores"]):
            console.print(
                "The model is a stand-in of 0.4 M parameters: these figures show the machine at work."
            )
        console.print(show.score_table(scores["scores"]))
        if recipe.rivals:
            console.print(show.models_table(result.models()))
        for c in scores["comparisons"]:
            for line in (show.comparison_line(c), *show.stamp_lines(c)):
                console.print(line, soft_wrap=True, markup=False)
        if gate := scores.get("gate"):
            console.print(show.gate_line(gate), soft_wrap=True, markup=False)
        console.print(f"Report: {report}", soft_wrap=True, markup=False)
    else:
        console.print(f"Results: {result.out}", soft_wrap=True, markup=False)


@click.command()
@_OUT
@_SET
@_FRESH
@_JSON
def demo(out: Path | None, overrides: tuple[str, ...], fresh: bool, as_json: bool) -> None:
    """Do the whole job on the embedded stand-in model, on a CPU, in minutes.

    Curates deliberately dirty rows, tunes the model on the raw and on the curated ones, lets all
    three models answer held-out tasks, judges them in the sandbox and writes the report. Run it
    again to resume, or to see that nothing is left to do.
    """
    _go("micro-demo", out, overrides, None, fresh, as_json)


@click.command()
@click.argument("recipe")
@_OUT
@_SET
@click.option("--until", type=click.Choice(STAGES), help="Stop after this stage.")
@click.option("--dry-run", is_flag=True, help="Check the recipe and print its stages; run nothing.")
@_FRESH
@_REUSE
@_JSON
def run(
    recipe: str, out: Path | None, overrides: tuple[str, ...], until: str | None, dry_run: bool, fresh: bool,
    reuse: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Do everything RECIPE (a file, or the name of a bundled one) says; run it again to resume."""
    if not dry_run:
        _go(recipe, out, overrides, until, fresh, as_json, reuse=reuse)
        return
    path = resolve_recipe(recipe)
    loaded = load_recipe(path, overrides)
    folder = out or Path("runs") / loaded.name
    if found := recipe_faults(loaded, path) or missing_inputs(loaded):
        raise InputErrors(found)
    with show.Live(quiet=True) as live:
        stages = plan_of(loaded, folder, show.cache_folder(), live)
    if as_json:
        show.print_json({"run": str(folder), "stages": [{"name": n, "outputs": o} for n, o in stages]})
        return
    for name, outputs in stages:
        click.echo(f"{name}: {', '.join(outputs)}")


@click.command()
@click.argument("recipe")
@_OUT
@_SET
@click.option(
    "--executor", type=click.Choice(["local", "ray"]), help="Curate over shards, on local processes or Ray."
)
@click.option("--jobs", type=click.IntRange(1), help="Workers of the executor; default one per core.")
@click.option("--shard-rows", type=click.IntRange(1), help="Rows in a shard; default 10,000.")
@_FRESH
@_REUSE
@_JSON
def curate(
    recipe: str, out: Path | None, overrides: tuple[str, ...], executor: str | None, jobs: int | None,
    shard_rows: int | None, fresh: bool, reuse: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Run RECIPE as far as its curated rows: OUT/data/kept.parquet, funnel.json, card.md.

    With --executor the rows are worked on in shards, for corpora that do not fit in memory; the files are
    the same. A running Ray cluster is used where RAY_ADDRESS names one, else Ray is started here.
    """
    if not executor and (jobs or shard_rows):
        raise click.UsageError("--jobs and --shard-rows are for --executor")
    address = os.environ.get("RAY_ADDRESS")
    sharding = Sharding(executor, shard_rows, jobs, address) if executor else None
    _go(recipe, out, overrides, "curate", fresh, as_json, sharding, reuse)


@click.command()
@click.argument("recipe")
@_OUT
@_SET
@_FRESH
@_JSON
def train(recipe: str, out: Path | None, overrides: tuple[str, ...], fresh: bool, as_json: bool) -> None:
    """Run RECIPE as far as its trained models, or resume at the last checkpoint.

    Where the recipe chooses weights on a development set (`train.choose`), that is done too.
    """
    loaded = load_recipe(resolve_recipe(recipe), overrides)
    chooses = any(loaded.train_of(arm).choose for arm in loaded.arms)
    _go(recipe, out, overrides, "choose" if chooses else "train", fresh, as_json)


@click.command()
@click.argument("recipe")
@_OUT
@_SET
@_FRESH
@_JSON
def sample(recipe: str, out: Path | None, overrides: tuple[str, ...], fresh: bool, as_json: bool) -> None:
    """Run RECIPE as far as its models' own answers: OUT/arms/ARM/sampled/rows.parquet, summary.json.

    A model answers curated rows that have tests, several times each; answers that pass in the sandbox become
    rows (`sample`, and arms with rows `sampled`). Models that must be tuned before they answer are trained.
    """
    _go(recipe, out, overrides, "sample", fresh, as_json)


@click.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--lang", type=click.Choice(["en", "zh"]), help="Print the Markdown report in this language.")
@_JSON
def report(run_folder: Path, lang: str | None, as_json: bool) -> None:
    """Write the report of RUN, or of what `compare` wrote, again: HTML, Markdown and JSON."""
    from codefit.report import write_report

    if not any((run_folder / name).exists() for name in ("recipe.resolved.yaml", "comparison.json")):
        raise InputError(
            "not a run folder", where=str(run_folder), todo="name the --out of a run or of compare"
        )
    page = write_report(run_folder, frozenset(VERBS))
    if as_json:
        show.print_json(read_json(page.parent / "report.json"))
    elif lang:
        name = "report.md" if lang == "en" else "report.zh.md"
        click.echo((page.parent / name).read_text(encoding="utf-8"), nl=False)
    else:
        click.echo(f"Report: {page}")
