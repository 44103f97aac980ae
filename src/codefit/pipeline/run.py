"""Run a recipe: every stage in order, those that are done skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import codefit
from codefit.core.errors import InputError, did_you_mean
from codefit.core.files import read_json
from codefit.core.progress import Event, Listener
from codefit.core.recipe import ArmSettings, Recipe, to_yaml
from codefit.core.store import MANIFEST, Store
from codefit.pipeline import choose, data, evidence, generate, judge, model, sample
from codefit.pipeline.context import SPENT, Context, Sharding
from codefit.pipeline.develop import check_watches
from codefit.pipeline.pins import pinned

STAGES = (
    "curate",
    "format",
    "plan",
    "sample",
    "train",
    "choose",
    "publish",
    "generate",
    "execute",
    "score",
    "analyse",
    "report",
)


@dataclass(frozen=True, slots=True)
class _Stage:
    name: str
    settings: Callable[[], dict[str, Any]]
    inputs: list[str]
    outputs: list[str]
    work: Callable[[], None]

    @property
    def group(self) -> str:
        return self.name.split(":")[0]


@dataclass(frozen=True, slots=True)
class RunResult:
    """What `run_recipe` did: the stages that ran, and the run folder."""

    out: Path
    ran: tuple[str, ...]
    complete: bool

    def scores(self) -> dict[str, Any]:
        """Return scores.json as data, empty where the run stopped before it."""
        path = self.out / "scores.json"
        return dict(read_json(path)) if path.exists() else {"scores": [], "comparisons": []}

    def models(self) -> list[dict[str, Any]]:
        """Return what each model's answers took, empty where the run stopped before it."""
        path = self.out / "models.json"
        return list(read_json(path)["models"]) if path.exists() else []


def run_recipe(
    recipe: Recipe,
    out: Path,
    *,
    cache: Path,
    listen: Listener,
    verbs: frozenset[str],
    until: str | None = None,
    fresh: bool = False,
    sharding: Sharding | None = None,
    reuse: Path | None = None,
) -> RunResult:
    """Run or resume a recipe in `out`; return what was done. `sharding` curates over shards.

    `reuse` is another run's folder, whose verdicts, answers and finished steps are taken where they fit.

    Raises `InputError` for a folder of another recipe, `MissingPrerequisite` where no sandbox or
    no torch is to be had, and whatever a stage raises; finished stages stay finished.
    """
    if until is not None and until not in STAGES:
        raise InputError(
            f"no stage '{until}'", where="--until", todo=did_you_mean(until, STAGES) or ", ".join(STAGES)
        )
    for group, none in (("choose", "has train.choose"), ("sample", "has rows sampled")):
        if until == group and all(kind != group for kind, _ in making(recipe)):
            raise InputError(f"no arm {none}", where=f"--until {group}", todo="stop at another stage")
    _check_engine(recipe, until)
    if reuse is not None and not (reuse / MANIFEST).is_file():
        raise InputError("not a run folder", where=str(reuse), todo="name the --out of another run")
    with Store(out, version=codefit.__version__, fresh=fresh) as store:
        store.check_recipe(recipe.identity())
        taken = pinned(recipe, store.pinned, listen)
        store.adopt_recipe(recipe.name, to_yaml(taken), recipe.identity())
        if reuse is not None:
            store.take_caches(reuse)
        context = Context(taken, out, cache, listen, verbs, sharding)
        ran: list[str] = []
        try:
            check_watches(context)
            for stage in _stages(context):
                if store.stage(stage.name, stage.settings(), stage.inputs, stage.outputs, stage.work):
                    ran.append(stage.name)
                    seconds = store.manifest["stages"][stage.name]["seconds"]
                    store.event(stage=stage.name, seconds=seconds)
                    listen(Event(stage.name, f"{seconds:.1f} s", finished=True))
                else:
                    listen(Event(stage.name, "already done", finished=True))
                if stage.group == until and _last_of(stage, context):
                    return RunResult(out, tuple(ran), False)
        finally:
            context.close()
        store.finish()
    return RunResult(out, tuple(ran), True)


def _check_engine(recipe: Recipe, until: str | None) -> None:
    """Raise `MissingPrerequisite` now, not after an hour of curation."""
    trains = until is None or STAGES.index(until) >= STAGES.index("train")
    if trains and any(recipe.train_of(arm).engine == "trl" for arm in recipe.arms):
        from codefit.train.extra import require_trl

        require_trl()


def plan_of(recipe: Recipe, out: Path, cache: Path, listen: Listener) -> list[tuple[str, list[str]]]:
    """Return the stages of a recipe with their outputs, running nothing."""
    taken = pinned(recipe, lambda _, ask: ask(), listen)
    context = Context(taken, out, cache, listen, frozenset())
    check_watches(context)
    return [(stage.name, stage.outputs) for stage in _stages(context)]


def _last_of(stage: _Stage, context: Context) -> bool:
    """Return whether a stage is the last of its group."""
    made = [f"{kind}:{arm.name}" for kind, arm in making(context.recipe) if kind == stage.group]
    if made:
        return stage.name == made[-1]
    if stage.group in ("generate", "execute"):
        return stage.name.startswith(f"{stage.group}:{len(context.recipe.evaluate) - 1}:")
    return True


def making(recipe: Recipe) -> list[tuple[str, ArmSettings]]:
    """Return the stages that make the arms' models, in their order: `sample`, `train` and `choose` with the arm.

    All arms are trained, then chosen; where an arm learns from another's answers, each as soon as it can be.
    """
    chooses = {arm.name for arm in recipe.arms if recipe.train_of(arm).choose}
    if not any(arm.samples for arm in recipe.arms):
        trained = [("train", arm) for arm in recipe.arms]
        return trained + [("choose", arm) for arm in recipe.arms if arm.name in chooses]
    found: list[tuple[str, ArmSettings]] = []

    def rows(arm: ArmSettings) -> None:
        if arm.samples and ("sample", arm) not in found:
            if arm.sampled_from:
                model_of(next(a for a in recipe.arms if a.name == arm.sampled_from))
            found.append(("sample", arm))

    def model_of(arm: ArmSettings) -> None:
        if ("train", arm) in found:
            return
        rows(arm)
        if arm.budget == "tokens":
            rows(recipe.arms[0])  # whose tokens are the budget
        found.append(("train", arm))
        if arm.name in chooses:
            found.append(("choose", arm))

    for arm in recipe.arms:
        model_of(arm)
    return found


def _stages(context: Context) -> Iterator[_Stage]:
    yield _Stage(
        "curate",
        partial(data.curate_settings, context),
        [],
        [f"data/{name}" for name in data.CURATED],
        partial(data.curate_stage, context),
    )
    rows = sorted({"data/kept.parquet", *map(context.rows_file, context.given_arms)})
    yield _Stage(
        "format",
        partial(data.format_settings, context),
        rows,
        ["format.json", data.FORMAT_DROPPED],
        partial(data.format_stage, context),
    )
    yield _Stage(
        "plan",
        lambda: {**model.plan_settings(context), "answers": generate.plan_settings(context)},
        rows,
        ["plan.json", "generation_plan.json"],
        partial(_plan, context),
    )
    make = {"sample": _sample, "train": _train, "choose": _choose}
    for kind, arm in making(context.recipe):
        yield make[kind](context, arm)
    yield from _after_training(context)


def _plan(context: Context) -> None:
    model.plan_stage(context)
    generate.plan_stage(context)


def _sample(context: Context, arm: ArmSettings) -> _Stage:
    sampler = sample.sampler_of(context, arm)
    weights = _trained_files(context, sampler) if sampler else []
    return _Stage(
        f"sample:{arm.name}",
        partial(sample.sample_settings, context, arm),
        [*sample.inputs(context), *weights],
        sample.outputs(context, arm),
        partial(sample.sample_stage, context, arm),
    )


def _train(context: Context, arm: ArmSettings) -> _Stage:
    folder = context.arm_folder(arm.name).relative_to(context.out).as_posix()
    weights = model.raw_weights(context, arm).relative_to(context.out).as_posix()
    budget = context.main_arm if arm.budget == "tokens" else arm
    return _Stage(
        f"train:{arm.name}",
        partial(model.train_settings, context, arm),
        sorted({context.rows_file(arm), context.rows_file(budget), "plan.json"}),
        [f"{folder}/summary.json", f"{folder}/log.jsonl", *_weights_files(context, arm, weights)],
        partial(model.train_stage, context, arm),
    )


def _choose(context: Context, arm: ArmSettings) -> _Stage:
    folder = context.arm_folder(arm.name).relative_to(context.out).as_posix()
    raw = model.raw_weights(context, arm).relative_to(context.out).as_posix()
    return _Stage(
        f"choose:{arm.name}",
        partial(choose.choose_settings, context, arm),
        _weights_files(context, arm, raw),
        [f"{folder}/choice.json", *_weights_files(context, arm, f"{folder}/chosen")],
        partial(choose.choose_stage, context, arm),
    )


def _trained_files(context: Context, arm: ArmSettings) -> list[str]:
    """Return the files of an arm's weights as they are used."""
    return _weights_files(
        context, arm, model.trained_weights(context, arm).relative_to(context.out).as_posix()
    )


def _weights_files(context: Context, arm: ArmSettings, weights: str) -> list[str]:
    """Return what a folder of weights must hold: the whole adapter, or the model without its tokenizer."""
    if model.is_adapter(context, arm):
        return [weights]
    return [f"{weights}/config.json", f"{weights}/model.safetensors"]


def _after_training(context: Context) -> Iterator[_Stage]:
    trained = [file for arm in context.recipe.arms for file in _trained_files(context, arm)]
    added = ("tokenizer.json", "tokenizer_config.json", "generation_config.json")
    main = context.main_arm
    folder = model.trained_weights(context, main).relative_to(context.out).as_posix()
    yield _Stage(
        "publish",
        partial(model.publish_settings, context),
        _trained_files(context, main),
        ["train/model"] if model.is_adapter(context, main) else [f"{folder}/{name}" for name in added],
        partial(model.publish_stage, context),
    )
    for index, (_, suite) in enumerate(context.suites):
        name = suite.info.name
        yield _Stage(
            f"generate:{index}:{name}",
            partial(generate.generate_settings, context, suite.info),
            trained,
            [f"completions/{name}.jsonl", f"tasks/{name}.jsonl", *_spent(context, name)],
            partial(generate.generate_stage, context, index),
        )
    for index, (_, suite) in enumerate(context.suites):
        name = suite.info.name
        yield _Stage(
            f"execute:{index}:{name}",
            partial(judge.execute_settings, context, suite.info),
            [f"completions/{name}.jsonl", *_spent(context, name)],
            [f"verdicts/{name}.jsonl", *_judged(context, name)],
            partial(judge.execute_stage, context, index),
        )
    yield from _evidence(context)


def _spent(context: Context, suite: str) -> list[str]:
    """Return the files per model that say how it answered and what that took."""
    return [f"arms/{arm}/{suite}/{SPENT}" for arm in judge.arm_names(context)]


def _with(version: dict[str, Any], more: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    return {**version, **more()}


def _judged(context: Context, suite: str) -> list[str]:
    """Return the files per arm that scores are counted from."""
    arms = judge.arm_names(context)
    return [f"arms/{arm}/{suite}/{name}" for arm in arms for name in ("verdicts.jsonl", "scores.json")]


def _evidence(context: Context) -> Iterator[_Stage]:
    verdicts = [f"verdicts/{suite.info.name}.jsonl" for _, suite in context.suites]
    completions = [f"completions/{suite.info.name}.jsonl" for _, suite in context.suites]
    version = {"codefit": codefit.__version__}
    spent = [file for _, suite in context.suites for file in _spent(context, suite.info.name)]
    judged = [file for _, suite in context.suites for file in _judged(context, suite.info.name)]
    scoring = partial(_with, version, partial(evidence.score_settings, context))
    yield _Stage(
        "score",
        scoring,
        [*judged, *spent],
        ["scores.json", "models.json"],
        partial(evidence.score_stage, context),
    )
    found = [*verdicts, *completions, "scores.json", "data/kept.parquet", "data/hits.jsonl"]
    looked_at = {**version, **context.recipe.analyse.model_dump(mode="json")}
    if context.recipe.analyse.memorised_rows:
        weights = model.trained_weights(context, context.main_arm).relative_to(context.out).as_posix()
        found += _weights_files(context, context.main_arm, weights)
    yield _Stage(
        "analyse", lambda: looked_at, found, ["findings.json"], partial(evidence.analyse_stage, context)
    )
    summaries = [
        (context.arm_folder(arm.name) / "summary.json").relative_to(context.out).as_posix()
        for arm in context.recipe.arms
    ]
    logs = [s.replace("summary.json", "log.jsonl") for s in summaries]
    chosen = [
        (context.arm_folder(arm.name) / "choice.json").relative_to(context.out).as_posix()
        for kind, arm in making(context.recipe)
        if kind == "choose"
    ]
    answered = [f"tasks/{suite.info.name}.jsonl" for _, suite in context.suites] + completions + verdicts
    inputs = ["scores.json", "findings.json", "data/funnel.json", "data/hits.jsonl", "data/planted.json"]
    inputs += ["models.json"] if context.recipe.rivals else []
    inputs += ["data/card.json", "format.json", data.FORMAT_DROPPED, "plan.json", *summaries, *logs]
    inputs += [*chosen, *answered]
    pages = [f"report/{page}" for page in ("index.html", "report.md", "report.zh.md", "report.json")]
    yield _Stage(
        "report",
        lambda: {**version, "verbs": sorted(context.verbs)},
        inputs,
        pages,
        partial(evidence.report_stage, context, context.verbs),
    )
