"""Stages that judge: execute, score, analyse, report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codefit.core.errors import CodefitError
from codefit.core.files import canonical_json, read_json, read_jsonl, write_json, write_jsonl
from codefit.core.progress import Event
from codefit.core.recipe import Recipe
from codefit.core.types import Completion
from codefit.pipeline.context import START, Context, suite_settings

if TYPE_CHECKING:
    from codefit.score.compare import Side
    from codefit.suites.base import Suite, SuiteInfo
    from codefit.suites.execute import ExecuteResult


class SandboxFailures(CodefitError):
    """Some programs could not be judged, by no fault of theirs."""


def arm_names(context: Context) -> list[str]:
    """Return `start` and the arms in recipe order."""
    return [START, *(arm.name for arm in context.recipe.arms)]


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
                       line["finish_reason"], line["min_logprob"], line.get("asked"), line.get("decoding"))
        )  # fmt: skip
    verdicts: list[dict[str, Any]] = []
    for arm, completions in by_arm.items():
        out = context.out / "arms" / arm / name
        result = executed(context, suite, completions, out, f"execute {name}, {arm}")
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
    only: Sequence[str] | None = None,
) -> ExecuteResult:  # fmt: skip
    """Judge completions as `codefit execute` does, in the run's sandbox, and write what it writes into `out`."""
    from codefit.score.tally import pass_figures
    from codefit.suites.execute import execute

    return execute(
        suite, completions, out, context.sandbox_of(suite.runtime, suite.jobs_per_core), pass_figures,
        cache=context.cache, only=only, strict=context.recipe.strict, replace=True,
        progress=_judging(context, stage),
        prepare_progress=_progress(context, f"reference {suite.info.name}", "tasks"),
    )  # fmt: skip


def _judging(context: Context, stage: str) -> Callable[[str, int, int], None]:
    return lambda phase, done, total: context.listen(Event(stage, phase, done, total, "programs"))


def _progress(context: Context, stage: str, unit: str) -> Callable[[int, int], None]:
    return lambda done, total: context.listen(Event(stage, "", done, total, unit))


def score_settings(context: Context) -> dict[str, Any]:
    """Return what decides scores and comparisons, beside the verdicts and the version."""
    return {
        "seed": context.recipe.seed,
        "guards": _guards(context),
        "seeds": seed_groups(context.recipe),
    }


def _guards(context: Context) -> list[str]:
    """Return the suites that are only watched for loss, base tests and plus tests alike."""
    names = [suite.info.name for settings, suite in context.suites if settings.guard]
    return sorted({n for name in names for n in (name, name.rstrip("+"))})


def seed_groups(recipe: Recipe) -> list[list[str]]:
    """Return the groups of two arms or more that differ in nothing but the training seed."""
    groups: dict[str, list[str]] = {}
    for arm in recipe.arms:
        training = recipe.train_of(arm).decisive()
        training.pop("seed", None)
        key = canonical_json([training, arm.rows, arm.budget])
        groups.setdefault(key, []).append(arm.name)
    seeds = seeds_of(recipe)
    return [g for g in groups.values() if len(g) > 1 and len({seeds[name] for name in g}) == len(g)]


def seeds_of(recipe: Recipe) -> dict[str, int]:
    """Return every arm's training seed."""
    own = {arm.name: recipe.train_of(arm).seed for arm in recipe.arms}
    return {name: recipe.seed if seed is None else seed for name, seed in own.items()}


def score_stage(context: Context) -> None:
    """Collect scores and compare arms in pairs, on the same tasks, by the same harness."""
    from codefit.score.compare import read_sides
    from codefit.score.several import gate

    main = context.main_arm.name
    others = [arm.name for arm in context.recipe.arms[1:]]
    pairs = [(START, main), *((START, o) for o in others), *((o, main) for o in others)]
    scores: list[dict[str, Any]] = []
    sides: dict[str, list[Side]] = {arm: [] for arm in arm_names(context)}
    for _, suite in context.suites:
        for arm in sides:
            folder = context.out / "arms" / arm / suite.info.name
            stand_in = context.recipe.stand_in
            scores += [{"arm": arm, **s, "stand_in": stand_in} for s in read_json(folder / "scores.json")]
            sides[arm] += read_sides(folder).values()
    families = [_family(context, (b, a), sides[b], sides[a]) for b, a in pairs]
    # suite by suite, and of each suite every pair
    comparisons = [c for of_suite in zip(*families, strict=True) for c in of_suite]
    found = {"scores": scores, "comparisons": comparisons, "seeds": _seeds(context, sides)}
    write_json(context.out / "scores.json", {**found, "gate": gate(families[0])})


def _family(
    context: Context, pair: tuple[str, str], before: Sequence[Side], after: Sequence[Side]
) -> list[dict[str, Any]]:
    """Return the comparisons of two arms over all suites, corrected as one family."""
    from codefit.score.compare import compare
    from codefit.score.several import as_family

    found = [compare(b, a, seed=context.recipe.seed) for b, a in zip(before, after, strict=True)]
    return as_family([{"before_arm": pair[0], "after_arm": pair[1], **c} for c in found], _guards(context))


def _seeds(context: Context, sides: Mapping[str, Sequence[Side]]) -> list[dict[str, Any]]:
    """Return the spread over training seeds of every group of arms that has several, by suite."""
    from codefit.score.seeds import seed_spread

    found = []
    for arms in seed_groups(context.recipe):
        seeds = [seeds_of(context.recipe)[arm] for arm in arms]
        for number, start in enumerate(sides[START]):
            passed = [_first(sides[arm][number]) for arm in arms]
            spread = seed_spread(_first(start), passed, seed=context.recipe.seed)
            found.append(
                {"suite": start.suite, "arms": arms, "seeds": seeds, "n": len(start.passed), **spread}
            )
    return found


def _first(side: Side) -> dict[str, bool]:
    """Return whether the first sample of each task passed."""
    return {task: passed[0] for task, passed in side.passed.items()}


def analyse_stage(context: Context) -> None:
    """Find out why programs fail, what changed and which cases show it."""
    from codefit.analyse import findings

    suites = {suite.info.name: suite for _, suite in context.suites}
    tasks = {name: suite.tasks for name, suite in suites.items()}
    seed, groups = context.recipe.seed, context.recipe.analyse.traits
    found = findings(context.out, seed=seed, tasks=tasks)
    if groups:
        from codefit.analyse.traits import measure_traits

        found["traits"] = measure_traits(
            context.out, groups, context.listen, seed=seed, tasks=tasks,
            sandbox_of=lambda name: context.sandbox_of(suites[name].runtime),
        )  # fmt: skip
    if context.recipe.analyse.memorised_rows:
        from codefit.pipeline.memorise import memorised

        found["memorised"] = memorised(context)
    write_json(context.out / "findings.json", found)


def report_stage(context: Context, verbs: frozenset[str]) -> None:
    """Write the report; `verbs` are the commands that it may send a reader to."""
    from codefit.report import write_report

    write_report(context.out, verbs)
