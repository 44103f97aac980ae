"""The stage that judges: what models wrote, in the run's sandbox."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codefit.core.errors import CodefitError
from codefit.core.files import read_json, read_jsonl, write_jsonl
from codefit.core.progress import Event
from codefit.core.types import Completion
from codefit.pipeline.context import SPENT, START, Context, suite_settings

if TYPE_CHECKING:
    from codefit.suites.base import Suite, SuiteInfo
    from codefit.suites.execute import ExecuteResult


class SandboxFailures(CodefitError):
    """Some programs could not be judged, by no fault of theirs."""


def arm_names(context: Context) -> list[str]:
    """Return `start`, the arms and the rivals in recipe order."""
    recipe = context.recipe
    return [START, *(arm.name for arm in recipe.arms), *(rival.name for rival in recipe.rivals)]


def execute_settings(context: Context, info: SuiteInfo) -> dict[str, Any]:
    """Return what decides verdicts, beside the completions."""
    return {**suite_settings(info), "sandbox": context.recipe.sandbox.level}


def execute_stage(context: Context, index: int) -> None:
    """Judge every arm's completions of one suite."""
    from codefit.suites.score_rows import MARKS

    _, suite = context.suites[index]
    name = suite.info.name
    by_arm: dict[str, list[Completion]] = {arm: [] for arm in arm_names(context)}
    for _, line in read_jsonl(context.out / "completions" / f"{name}.jsonl"):
        by_arm[line["arm"]].append(
            Completion(line["task_id"], line["sample"], line["text"], line["tokens"], line["mean_logprob"],
                       line["finish_reason"], line["min_logprob"], line.get("asked"), line.get("decoding"))
        )  # fmt: skip
    verdicts: list[dict[str, Any]] = []
    for arm, completions in by_arm.items():
        out = context.out / "arms" / arm / name
        took = read_json(out / SPENT)
        marks = {mark: took[mark] for mark in MARKS}
        result = executed(context, suite, completions, out, f"execute {name}, {arm}", marks=marks)
        if result.sandbox_failed:
            raise SandboxFailures(
                f"{result.sandbox_failed} programs could not be judged (sandbox_failed)",
                where=str(out),
                todo="run the same command again",
            )
        verdicts += [{"arm": arm, **line} for _, line in read_jsonl(out / "verdicts.jsonl")]
    write_jsonl(context.out / "verdicts" / f"{name}.jsonl", verdicts)


def executed(
    context: Context, suite: Suite, completions: Sequence[Completion], out: Path, stage: str,
    only: Sequence[str] | None = None, marks: dict[str, Any] | None = None,
) -> ExecuteResult:  # fmt: skip
    """Judge completions as `codefit execute` does, in the run's sandbox, and write what it writes into `out`."""
    from codefit.score.tally import pass_figures
    from codefit.suites.execute import execute

    return execute(
        suite, completions, out, context.sandbox_of(suite.runtime, suite.jobs_per_core), pass_figures,
        cache=context.cache, only=only, strict=context.recipe.strict, replace=True, marks=marks,
        progress=_judging(context, stage),
        prepare_progress=_progress(context, f"reference {suite.info.name}", "tasks"),
    )  # fmt: skip


def _judging(context: Context, stage: str) -> Callable[[str, int, int], None]:
    return lambda phase, done, total: context.listen(Event(stage, phase, done, total, "programs"))


def _progress(context: Context, stage: str, unit: str) -> Callable[[int, int], None]:
    return lambda done, total: context.listen(Event(stage, "", done, total, unit))
