"""Stages that judge: execute, score, analyse, report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codefit.core.errors import CodefitError
from codefit.core.files import read_json, read_jsonl, write_json, write_jsonl
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
    _, suite = context.suites[index]
    name = suite.info.name
    by_arm: dict[str, list[Completion]] = {arm: [] for arm in arm_names(context)}
    for _, line in read_jsonl(context.out / "completions" / f"{name}.jsonl"):
        by_arm[line["arm"]].append(
            Completion(line["task_id"], line["sample"], line["text"], line["tokens"], line["mean_logprob"],
                       line["finish_reason"], line["min_logprob"])
        )  # fmt: skip
    verdicts: list[dict[str, Any]] = []
    for arm, completions in by_arm.items():
        out = context.out / "arms" / arm / name
        took = read_json(out / SPENT)
        marks = {mark: took[mark] for mark in ("decoding", "weights")}
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


def score_stage(context: Context) -> None:
    """Collect scores and compare arms in pairs, on the same tasks, by the same harness."""
    from codefit.score.compare import compare, read_sides

    main = context.main_arm.name
    others = [name for name in arm_names(context)[1:] if name != main]
    pairs = [(START, main), *((START, o) for o in others), *((o, main) for o in others)]
    scores: list[dict[str, Any]] = []
    comparisons: list[dict[str, Any]] = []
    for _, suite in context.suites:
        folders = {arm: context.out / "arms" / arm / suite.info.name for arm in arm_names(context)}
        for arm, folder in folders.items():
            stand_in = context.recipe.stand_in
            scores += [{"arm": arm, **s, "stand_in": stand_in} for s in read_json(folder / "scores.json")]
        sides = {arm: read_sides(folder) for arm, folder in folders.items()}
        for before, after in pairs:
            for name in sides[before]:
                found = compare(sides[before][name], sides[after][name], seed=context.recipe.seed)
                comparisons.append({"before_arm": before, "after_arm": after, **found})
    write_json(context.out / "models.json", {"models": _models(context, scores)})
    write_json(context.out / "scores.json", {"scores": scores, "comparisons": comparisons})


def _models(context: Context, scores: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a line per model and suite: its pass@1, the format of its weights, memory and speed."""
    lines = []
    for score in scores:
        if score["metric"] != "pass@1":
            continue
        place = next(
            s.info.name for _, s in context.suites if score["suite"] in (s.info.name, s.info.base_name)
        )
        took = read_json(context.out / "arms" / score["arm"] / place / SPENT)
        figures = {k: score[k] for k in ("arm", "suite", "value", "passed", "n", "ci95", "limit")}
        lines.append({**figures, **{k: v for k, v in took.items() if k != "model"}})
    return lines


def analyse_stage(context: Context) -> None:
    """Find out why programs fail, what changed and which cases show it."""
    from codefit.analyse import findings

    tasks = {suite.info.name: suite.tasks for _, suite in context.suites}
    write_json(context.out / "findings.json", findings(context.out, seed=context.recipe.seed, tasks=tasks))


def report_stage(context: Context, verbs: frozenset[str]) -> None:
    """Write the report; `verbs` are the commands that it may send a reader to."""
    from codefit.report import write_report

    write_report(context.out, verbs)
