"""Verbs on rows: data preview and card, decontaminate, verify."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codefit.cli import show
from codefit.core.errors import CodefitError, InputError
from codefit.core.files import write_json, write_jsonl
from codefit.core.progress import Event, Listener

if TYPE_CHECKING:
    from codefit.core.curation import DecontaminateSettings
    from codefit.core.types import Row
    from codefit.curate.step import UnittestJudges
    from codefit.suites.base import Suite

_ALL = 1_000_000  # tests or solutions of a row; the time limit of all of them must fit a C long
_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group()
def data() -> None:
    """Look at what the model will see."""


@data.command()
@click.argument("target", metavar="RUN|RECIPE")
@click.option("--html", "page", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help="Write the preview as one HTML file too.")  # fmt: skip
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a value of the recipe."
)
@_JSON
def preview(target: str, page: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Show a rendered row per source beside an evaluation prompt; trained tokens are green.

    RUN is a run folder whose rows are formatted. With a RECIPE nothing is run: the rows are drawn
    from the sources as they are read, before curation.
    """
    from codefit.cli.preview import load_preview, show_preview

    show_preview(load_preview(target, overrides), target, page, as_json)


@data.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path))
@_JSON
def card(run_folder: Path, as_json: bool) -> None:
    """Print the data card of a run."""
    path = run_folder / "data" / "card.md"
    if not path.exists():
        raise InputError("no data card there", where=str(path), todo="run codefit curate first")
    text = path.read_text(encoding="utf-8")
    if as_json:
        show.print_json({"card": text})
    else:
        click.echo(text, nl=False)


def _read_rows(path: Path, strict: bool, bad: list[str]) -> list[Row]:
    """Read rows of any layout that codefit knows."""
    from codefit.sources.registry import open_source

    source = open_source({"kind": "parquet" if path.suffix == ".parquet" else "jsonl", "path": path})
    rows = list(source.rows(None if strict else lambda error: bad.append(error.line())))
    if not rows:
        raise InputError("no usable row", where=str(path), todo=bad[0] if bad else "check the file")
    return rows


def _suites(against: tuple[str, ...], strict: bool, env: str | None, *, judging: bool) -> dict[str, Suite]:
    from codefit.suites.bigcodebench import Options
    from codefit.suites.load import load_suite

    options = Options(environment=env, cache=show.cache_folder())
    found: dict[str, Suite] = {}
    for text in against:
        name, _, file = text.partition("=")
        data = Path(file) if file else None
        suite = load_suite(name, data, strict=strict, options=options, judging=judging)
        found[suite.info.name] = suite
    return found


def _judges(suites: dict[str, Suite], stack: ExitStack, jobs: int) -> UnittestJudges:
    from codefit.curate.step import UnittestJudges
    from codefit.sandbox import Sandbox

    if not any(task.tests.kind == "unittest" for suite in suites.values() for task in suite.all_tasks):
        raise InputError(
            "no test set has unittest tests",
            where="--unittests",
            todo="leave it out, or add --against bigcodebench",
        )
    return UnittestJudges(
        suites,
        lambda suite: stack.enter_context(Sandbox(jobs=jobs, runtime=suite.runtime)),
        show.cache_folder(),
    )


def _encoder(folder: Path | None) -> Any:
    if folder is None:
        return None
    from codefit.models.embed import Encoder

    return Encoder(folder)


def _leak_settings(execution: str, doubtful: str, against: tuple[str, ...]) -> DecontaminateSettings:
    from codefit.curate import DecontaminateSettings

    if doubtful == "remove" and execution == "off":
        raise InputError(
            "only programs that run show what is in doubt",
            where="--doubtful",
            todo="leave out --execution off",
        )
    return DecontaminateSettings.model_validate(
        {"execution_match": execution, "doubtful": doubtful, "against": against}
    )


def _told(live: Listener, stage: str) -> Any:
    return lambda done, total: live(Event(stage, "", done, total, "programs"))


@click.command()
@click.argument("rows", type=click.Path(path_type=Path))
@click.option(
    "--against", multiple=True, required=True, metavar="SUITE[=FILE]", help="Test set; may be given again."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@click.option("--execution", type=click.Choice(["off", "candidates", "all"]), default="all",
              show_default=True, help="Run rows' functions on the tasks' tests.")  # fmt: skip
@click.option("--doubtful", type=click.Choice(["keep", "remove"]), default="keep", show_default=True,
              help="Rows that may behave as a task asks by accident: list them, or remove them too.")  # fmt: skip
@click.option("--embedding", type=click.Path(path_type=Path), metavar="FOLDER",
              help="Encoder for neighbours by meaning (transformers layout); default none.")  # fmt: skip
@click.option("--unittests", is_flag=True,
              help="Run rows' functions on unittest tests (BigCodeBench) too, where they look alike.")  # fmt: skip
@click.option("--env", metavar="NAME|DIR", help="BigCodeBench: folder of its libraries, or `current`.")
@click.option("--strict", is_flag=True, help="Refuse malformed rows instead of counting them.")
@click.option("--jobs", type=click.IntRange(1), help="Programs at the same time; default all cores.")
@_JSON
def decontaminate(
    rows: Path,
    against: tuple[str, ...],
    out: Path,
    execution: str,
    doubtful: str,
    embedding: Path | None,
    unittests: bool,
    env: str | None,
    strict: bool,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Find ROWS (JSONL or Parquet) that give away a test set.

    Writes hits.jsonl, kept.parquet, dropped.parquet, and review.jsonl: what a person should look at.
    """
    from codefit.curate import decontaminate as separate
    from codefit.curate import review, write_rows
    from codefit.curate.rows_io import write_dropped
    from codefit.sandbox import Sandbox

    bad: list[str] = []
    embed = _encoder(embedding)
    loaded, found_suites = _read_rows(rows, strict, bad), _suites(against, strict, env, judging=unittests)
    suites = {name: suite.all_tasks for name, suite in found_suites.items()}
    settings = _leak_settings(execution, doubtful, tuple(suites))
    if any(
        (out / name).exists() and (out / name).samefile(rows) for name in ("kept.parquet", "dropped.parquet")
    ):
        raise InputError(
            "would be overwritten by its own result", where=str(rows), todo="choose another --out"
        )
    at_once = jobs or os.cpu_count() or 1
    with show.Live() as live, ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox(jobs=at_once))
        live(Event("sandbox", sandbox.description, finished=True))
        judges = _judges(found_suites, stack, at_once) if unittests else None
        found = separate(loaded, suites, settings=settings, sandbox=sandbox, cache=out / "cache", embed=embed,
                         judges=judges, on_progress=_told(live, "decontaminate"))  # fmt: skip
    write_rows(out / "kept.parquet", found.kept)
    write_dropped(out / "dropped.parquet", found.dropped)
    write_jsonl(out / "hits.jsonl", (hit.record() for hit in found.hits))
    listed = list(review(found.kept, suites, found.hits))
    write_jsonl(out / "review.jsonl", listed)
    summary = {"read": len(loaded), "kept": len(found.kept), "dropped": len(found.dropped), "hits": len(found.hits),
               "malformed": bad, "suites": found.summary(), "out": str(out)}  # fmt: skip
    write_json(out / "summary.json", summary)
    if as_json:
        show.print_json(summary)
        return
    for line in bad:
        click.echo(f"skipped {line}", err=True)
    click.echo(
        f"{len(loaded)} rows: {len(found.dropped)} give away a task and were dropped, {len(found.kept)} kept"
    )
    click.echo(f"For a person to look at: {len(listed)} doubtful pairs in {out / 'review.jsonl'}")
    click.echo(f"Results: {out / 'hits.jsonl'}")


@click.command()
@click.argument("rows", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@click.option("--max-tests", type=click.IntRange(1, _ALL), help="Tests per solution; default all.")
@click.option("--max-solutions", type=click.IntRange(1, _ALL), help="Solutions per row; default all.")
@click.option("--runs", type=click.IntRange(1, 5), default=2, show_default=True,
              help="Times that a solution must pass; one that does not is flaky.")  # fmt: skip
@click.option("--strict", is_flag=True, help="Refuse malformed rows instead of counting them.")
@click.option("--jobs", type=click.IntRange(1), help="Programs at the same time; default all cores.")
@_JSON
def verify(
    rows: Path,
    out: Path,
    max_tests: int | None,
    max_solutions: int | None,
    runs: int,
    strict: bool,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Run every solution of every row of ROWS against the row's own tests: verdicts.jsonl."""
    from codefit.curate import VerifySettings, verify_rows
    from codefit.sandbox import Sandbox

    bad: list[str] = []
    loaded = _read_rows(rows, strict, bad)
    bounds = {"max_tests": max_tests or _ALL, "max_solutions": max_solutions or _ALL, "runs": runs}
    settings = VerifySettings.model_validate(bounds)
    with show.Live() as live, Sandbox(jobs=jobs or os.cpu_count() or 1) as sandbox:
        live(Event("sandbox", sandbox.description, finished=True))
        outcomes = verify_rows(loaded, sandbox, out, settings=settings, on_progress=_told(live, "verify"))
    if as_json:
        show.print_json({"read": len(loaded), "outcomes": outcomes, "malformed": bad, "out": str(out)})
    else:
        for line in bad:
            click.echo(f"skipped {line}", err=True)
        click.echo(f"{len(loaded)} rows: " + ", ".join(f"{name} {n}" for name, n in outcomes.items()))
        click.echo(f"Results: {out / 'verdicts.jsonl'}")
    if unjudged := outcomes.get("sandbox_failed"):
        raise CodefitError(f"{unjudged} solutions could not be judged", todo="run the same command again")
