"""Stages that make evidence of verdicts: score, analyse, report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from codefit.core.files import canonical_json, read_json, write_json
from codefit.core.recipe import Recipe
from codefit.pipeline.context import SPENT, START, Context
from codefit.pipeline.judge import arm_names

if TYPE_CHECKING:
    from codefit.score.compare import Side


def score_settings(context: Context) -> dict[str, Any]:
    """Return what decides scores and comparisons, beside the verdicts and the version."""
    return {
        "seed": context.recipe.seed,
        "guards": _guards(context),
        "seeds": seed_groups(context.recipe),
    }


def _guards(context: Context) -> list[str]:
    """Return the suites that are only watched for loss, base and plus tests alike; a variant always is."""
    names = [suite.info.name for s, suite in context.suites if s.guard or s.variant]
    return sorted({n for name in names for n in (name, name.rstrip("+"))})


def seed_groups(recipe: Recipe) -> list[list[str]]:
    """Return the groups of two arms or more that differ in nothing but the training seed."""
    groups: dict[str, list[str]] = {}
    for arm in recipe.arms:
        training = recipe.train_of(arm).decisive()
        training.pop("seed", None)
        own = arm.model_dump(mode="json", exclude={"name", "train"})
        key = canonical_json([training, own])
        groups.setdefault(key, []).append(arm.name)
    seeds = seeds_of(recipe)
    return [g for g in groups.values() if len(g) > 1 and len({seeds[name] for name in g}) == len(g)]


def seeds_of(recipe: Recipe) -> dict[str, int]:
    """Return every arm's training seed."""
    own = {arm.name: recipe.train_of(arm).seed for arm in recipe.arms}
    return {name: recipe.seed if seed is None else seed for name, seed in own.items()}


def score_stage(context: Context) -> None:
    """Collect scores and compare arms in pairs, on the same tasks, by the same harness."""
    from codefit.score.compare import named_once, read_sides
    from codefit.score.several import gate

    main = context.main_arm.name
    others = [name for name in arm_names(context)[1:] if name != main]
    pairs = [(START, main), *((START, o) for o in others), *((o, main) for o in others)]
    scores: list[dict[str, Any]] = []
    suites: list[str] = []
    sides: dict[str, list[Side]] = {arm: [] for arm in arm_names(context)}
    asked = [suite.info.name for _, suite in context.suites]
    for name in asked:
        for arm in sides:
            folder = context.out / "arms" / arm / name
            stand_in = context.recipe.stand_in
            scores += [{"arm": arm, **s, "stand_in": stand_in} for s in read_json(folder / "scores.json")]
            suites += [name] * (len(scores) - len(suites))
            sides[arm] += named_once(read_sides(folder), name, asked).values()
    families = [_family(context, (b, a), sides[b], sides[a]) for b, a in pairs]
    # suite by suite, and of each suite every pair
    comparisons = [c for of_suite in zip(*families, strict=True) for c in of_suite]
    write_json(context.out / "models.json", {"models": _models(context, suites, scores)})
    found = {"scores": scores, "comparisons": comparisons, "seeds": _seeds(context, sides)}
    write_json(context.out / "scores.json", {**found, "gate": gate(families[0])})


def _family(
    context: Context, pair: tuple[str, str], before: Sequence[Side], after: Sequence[Side]
) -> list[dict[str, Any]]:
    """Return the comparisons of two arms over all suites, corrected as one family."""
    from codefit.score.compare import compare
    from codefit.score.several import as_family

    # another model may have another template: its comparisons are made all the same, and stamped
    rivals = {rival.name for rival in context.recipe.rivals}
    found = [
        compare(b, a, seed=context.recipe.seed, allow_different_harness=bool(rivals & {*pair}))
        for b, a in zip(before, after, strict=True)
    ]
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


def _models(context: Context, suites: list[str], scores: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a line per model and suite: its pass@1, the format of its weights, memory and speed.

    `suites` names, for every score, the suite whose answers it counts. Base tests that come with a plus suite get
    a line where the base suite is not asked by itself.
    """
    lines = []
    for suite, score in zip(suites, scores, strict=True):
        if score["metric"] != "pass@1" or (score["suite"] != suite and score["suite"] in suites):
            continue
        took = read_json(context.out / "arms" / score["arm"] / suite / SPENT)
        figures = {k: score[k] for k in ("arm", "suite", "value", "passed", "n", "ci95", "limit")}
        lines.append({**figures, **{k: v for k, v in took.items() if k != "model"}})
    return lines


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
