"""Verbs that measure a model: generate, execute, evaluate, compare."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from codefit.cli import show
from codefit.cli.asking import model_options, wish_of
from codefit.cli.engines import engine_options, remote_of
from codefit.core.errors import CodefitError, InputError
from codefit.core.files import write_json
from codefit.core.progress import Event, Listener
from codefit.sandbox.launch import LEVELS

if TYPE_CHECKING:
    from codefit.suites.base import Suite
    from codefit.suites.execute import ExecuteResult

FLAVOURS = ("plain", "evalplus-0-shot", "mbpp-3-shot", "bigcodebench")
VARIANTS = ("renamed", "reworded", "chinese")
Split = Literal["complete", "instruct"] | None
F = TypeVar("F", bound=Callable[..., Any])
_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


def _suite_options(f: F) -> F:
    for option in (
        click.option("--env", metavar="NAME|DIR", help="BigCodeBench: folder of its libraries, or `current`."),
        click.option("--uncalibrated", is_flag=True,
                     help="BigCodeBench: don't put imports and signature before each answer."),
        click.option("--split", type=click.Choice(["complete", "instruct"]),
                     help="BigCodeBench: which prompt was, or is to be, asked."),
        click.option("--strict", is_flag=True, help="Refuse malformed lines instead of counting them."),
        click.option("--oracle", type=click.Choice(["0.2", "0.3"]), default="0.3", show_default=True,
                     help="Comparison rules of MBPP(+): evalplus 0.2 or 0.3."),
        click.option("--flavour", type=click.Choice(FLAVOURS),
                     help="How tasks were, or are to be, put; default to ask is plain: the task's prompt alone."),
        click.option("--variant", type=click.Choice(VARIANTS),
                     help="The same tasks asked differently: other names, other words, or framed in Chinese."),
        click.option("--limit", type=click.IntRange(1), help="First N tasks only; marked on every figure."),
        click.option("--data", type=click.Path(path_type=Path), help="Its file, as published; default the hub."),
        click.argument("suite"),
    ):  # fmt: skip
        f = option(f)
    return f


def _sandbox_options(f: F) -> F:
    for option in (
        click.option(
            "--unsafe-no-isolation", is_flag=True, help="Run programs unprotected; stamps the score."
        ),
        click.option(
            "--isolation",
            type=click.Choice(["auto", *LEVELS, "none"]),
            default="auto",
            show_default=True,
            help="Isolation level; see codefit doctor.",
        ),
        click.option(
            "--jobs",
            type=click.IntRange(1),
            help="Programs at the same time; default one a core (BigCodeBench two).",
        ),
    ):
        f = option(f)
    return f


def _load(
    suite: str, data: Path | None, limit: int | None, oracle: str, strict: bool,
    split: Split, uncalibrated: bool, env: str | None, variant: str | None,
) -> Suite:  # fmt: skip
    from codefit.suites.bigcodebench import Options
    from codefit.suites.load import load_suite

    options = Options(split, not uncalibrated, env, show.cache_folder())
    return load_suite(
        suite, data, oracle=oracle, limit=limit, strict=strict, options=options, variant=variant
    )


def _judge(
    suite: Suite, completions: Any, out: Path, live: Listener, *, jobs: int | None, isolation: str, unsafe: bool,
    strict: bool, only: tuple[str, ...] = (), all_tests: bool = False, fresh: bool = False,
    marks: dict[str, Any] | None = None,
) -> ExecuteResult:  # fmt: skip
    from codefit.sandbox import Sandbox
    from codefit.score.tally import pass_figures
    from codefit.suites.execute import execute as run_execute

    level = "none" if unsafe and isolation == "auto" else isolation
    at_once = jobs or suite.jobs_per_core * (os.cpu_count() or 1)
    with Sandbox(level=level, jobs=at_once, runtime=suite.runtime, unsafe_no_isolation=unsafe) as sandbox:
        live(Event("sandbox", sandbox.description, finished=True))
        return run_execute(
            suite, completions, out, sandbox, pass_figures, cache=show.cache_folder(), only=only or None,
            all_tests=all_tests, strict=strict, fresh=fresh, marks=marks,
            progress=lambda phase, done, total: live(Event("execute", phase, done, total, "programs")),
            prepare_progress=lambda done, total: live(Event("reference", "", done, total, "tasks")),
        )  # fmt: skip


def _tell(result: ExecuteResult, as_json: bool, took: dict[str, Any] | None = None) -> None:
    if as_json:
        show.print_json({"out": str(result.out), "scores": result.scores, "outcomes": result.outcomes,
                         "missing": list(result.missing), "flakes": result.flakes, "notes": result.notes,
                         "generation": took})  # fmt: skip
    else:
        console = show.console()
        console.print(show.score_table(result.scores))
        outcomes = ", ".join(f"{name} {n}" for name, n in result.outcomes.items())
        console.print(f"Outcomes: {outcomes}", soft_wrap=True, markup=False)
        for row in result.scores:
            if row["counting_excluded"] is not None:
                rate = show.percent(row["counting_excluded"])
                counted = f"{row['suite']}, {row['metric']}, tasks that cannot be judged here counted as failed: {rate}"
                console.print(counted, soft_wrap=True, markup=False)
        if took:
            console.print(show.took_line(took), soft_wrap=True, markup=False)
        for note in result.notes:
            console.print(f"Note: {note}", soft_wrap=True, markup=False)
        console.print(f"Results: {result.out}", soft_wrap=True, markup=False)
    if result.sandbox_failed:
        raise CodefitError(
            f"{result.sandbox_failed} samples could not be judged", todo="run the same command again"
        )


@click.command()
@_suite_options
@click.option("--completions", required=True, type=click.Path(path_type=Path),
              help="JSON Lines: task_id with solution, completion or text; .gz accepted.")  # fmt: skip
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@click.option("--only", multiple=True, metavar="TASK", help="Judge this task only; may be given again.")
@click.option(
    "--all-tests", is_flag=True, help="Go on behind failures and run plus tests after a failed base."
)
@click.option("--fresh", is_flag=True, help="Forget what the folder holds and judge all again.")
@click.option(
    "--prompts", metavar="TEXT", help="What the model was asked, where the file doesn't say; for compare."
)
@click.option(
    "--decoding", metavar="TEXT", help="How the answers were drawn, where the file doesn't say; for compare."
)
@_sandbox_options
@_JSON
def execute(
    suite: str, data: Path | None, limit: int | None, oracle: str, strict: bool, split: Split, uncalibrated: bool,
    env: str | None, flavour: str | None, variant: str | None, completions: Path, out: Path,
    only: tuple[str, ...], all_tests: bool, fresh: bool, prompts: str | None, decoding: str | None,
    jobs: int | None, isolation: str, unsafe_no_isolation: bool, as_json: bool,
) -> None:  # fmt: skip
    """Judge completions of SUITE in the sandbox.

    Writes verdicts.jsonl, answers.jsonl, tasks.jsonl, scores.json and eval_results.json (evalplus' layout).
    Run it again to resume; a finished folder is left as it is.
    """
    from codefit.suites.flavours import flavour_of

    marks = {k: v for k, v in (("prompts", prompts), ("decoding", decoding)) if v}
    loaded = _load(suite, data, limit, oracle, strict, split, uncalibrated, env, variant)
    if flavour:
        flavour_of(loaded, flavour)
    with show.Live() as live:
        result = _judge(loaded, completions, out, live, jobs=jobs, isolation=isolation, unsafe=unsafe_no_isolation,
                        strict=strict, only=only, all_tests=all_tests, fresh=fresh, marks=marks)  # fmt: skip
    _tell(result, as_json)


@click.command()
@_suite_options
@model_options
@engine_options
@click.option("--out", required=True, type=click.Path(path_type=Path), help="File to write.")
@_JSON
def generate(
    suite: str, data: Path | None, limit: int | None, oracle: str, strict: bool, split: Split, uncalibrated: bool,
    env: str | None, variant: str | None, model: str | None, out: Path, as_json: bool, **asked: Any,
) -> None:  # fmt: skip
    """Let a model answer SUITE, greedily unless a temperature is given. Killed runs go on where they were."""
    from codefit.pipeline.answer import answer_suite, find_model, write_completions

    if out.is_dir() or out.name in ("", ".."):
        raise InputError(
            "is a folder", where=str(out), todo="name a file to write, such as completions.jsonl"
        )
    wish = wish_of(asked)
    remote = remote_of(asked, model, out.with_name(f"{out.name}.server.log"))
    loaded = _load(suite, data, limit, oracle, strict, split, uncalibrated, env, variant)
    with show.Live() as live:
        who = remote or find_model(str(model), live)
        found, took = answer_suite(loaded, who, wish, out.with_name(f"{out.name}.ledger"), live)
    write_completions(found, out)
    if as_json:
        show.print_json({"out": str(out), "completions": len(found), "took": took})
    else:
        click.echo(show.took_line(took))
        click.echo(f"Results: {out} ({len(found)} completions)")


@click.command()
@_suite_options
@model_options
@engine_options
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@click.option("--fresh", is_flag=True, help="Forget what the folder holds and judge all again.")
@_sandbox_options
@_JSON
def evaluate(
    suite: str, data: Path | None, limit: int | None, oracle: str, strict: bool, split: Split, uncalibrated: bool,
    env: str | None, variant: str | None, model: str | None, out: Path, fresh: bool, jobs: int | None, isolation: str,
    unsafe_no_isolation: bool, as_json: bool, **asked: Any,
) -> None:  # fmt: skip
    """Let a model answer SUITE and judge the answers.

    Writes what `execute` writes, completions.jsonl, and generation.json with what the answers took:
    seconds, tokens a second, peak memory.
    """
    from codefit.pipeline.answer import answer_suite, find_model, write_completions
    from codefit.pipeline.context import SPENT
    from codefit.suites.score_rows import MARKS

    wish = wish_of(asked)
    remote = remote_of(asked, model, out / "server.log")
    loaded = _load(suite, data, limit, oracle, strict, split, uncalibrated, env, variant)
    with show.Live() as live:
        found, took = answer_suite(
            loaded, remote or find_model(str(model), live), wish, out / "completions.ledger", live
        )
        write_completions(found, out / "completions.jsonl")
        write_json(out / SPENT, took)
        marks = {name: took[name] for name in MARKS}
        result = _judge(loaded, found, out, live, jobs=jobs, isolation=isolation, unsafe=unsafe_no_isolation,
                        strict=strict, fresh=fresh, only=wish.only or (), marks=marks)  # fmt: skip
    _tell(result, as_json, took)
