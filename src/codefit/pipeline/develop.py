"""The development set of a training: which tasks it has, and how a model's answers to them are judged.

What steers a training must not be what it is measured by, so a task that a test set of the recipe asks as
well is refused, or left out where the recipe says so.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codefit.core.errors import InputError
from codefit.core.files import digest, read_jsonl
from codefit.core.progress import Event
from codefit.core.recipe import ArmSettings
from codefit.core.types import Completion, Outcome, Task
from codefit.core.units import parse_bytes
from codefit.core.watches import DevelopSettings
from codefit.pipeline.context import Context, suite_settings
from codefit.pipeline.judge import executed

if TYPE_CHECKING:
    from codefit.suites.base import Suite


@dataclass(frozen=True, slots=True)
class Development:
    """A development set: a suite, and those of its tasks that are asked."""

    suite: Suite
    tasks: tuple[Task, ...]

    def settings(self) -> dict[str, Any]:
        """Return what names it in a stage key."""
        return {**suite_settings(self.suite.info), "tasks": digest(*(t.task_id for t in self.tasks))}


def development(context: Context, arm: ArmSettings) -> Development | None:
    """Return an arm's development set, None where the recipe names none.

    Raises `InputError` where it shares a task with a test set of the recipe.
    """
    wanted = context.recipe.train_of(arm).develop
    return context.once(("development", arm.name), lambda: _read(context, wanted)) if wanted else None


def _read(context: Context, wanted: DevelopSettings) -> Development:
    from codefit.suites.load import load_suite

    data = context.located(wanted.data) if wanted.data else None
    suite = load_suite(wanted.suite, data, strict=context.recipe.strict, revision=wanted.revision)
    shared = _shared(suite, [tested for _, tested in context.suites])
    if shared and not wanted.skip_overlap:
        task, test = next(iter(shared.items()))
        raise InputError(
            f"{len(shared)} of {len(suite.tasks)} development tasks are tasks of a test set too, such as {task} of "
            f"{test}",
            where=f"train.develop: {suite.info.name}",
            todo="name another suite, or set train.develop.skip_overlap to leave them out",
        )
    left = tuple(t for t in suite.tasks if t.task_id not in shared)[: wanted.limit]
    if not left:
        raise InputError(
            "every task is a task of a test set too",
            where=f"train.develop: {suite.info.name}",
            todo="name another suite",
        )
    return Development(suite, left)


def _shared(suite: Suite, tests: Iterable[Suite]) -> dict[str, str]:
    """Return the tasks of a suite that a test set asks as well, each with the name of the test set."""
    tested = {
        mark: test.info.name
        for test in tests
        for task in test.all_tasks
        if task.extra.get("judged", True)
        for mark in _marks(test, task)
    }
    found = {}
    for task in suite.tasks:
        if test := next((tested[mark] for mark in _marks(suite, task) if mark in tested), None):
            found[task.task_id] = test
    return found


def _marks(suite: Suite, task: Task) -> list[tuple[str, str]]:
    """Return what two copies of a task have in common: its published id, its words, or its solution."""
    marks = [("words", " ".join(task.prompt.casefold().split()))]
    if suite.info.family != "own":
        marks.append((suite.info.family, task.task_id))
    if task.reference:
        try:
            marks.append(("solution", ast.dump(ast.parse(task.reference))))
        except (SyntaxError, ValueError, RecursionError):
            marks.append(("solution", task.reference))
    return marks


def judged(
    context: Context, found: Development, completions: list[Completion], out: Path, stage: str
) -> dict[str, Any]:
    """Run answers to the development set; return `suite`, `passed`, `n`, `value`, `ci95` and `passes`.

    `passes` are the ids of the passed tasks. The figures are None where a program could not be judged by
    no fault of its own. Writes what `execute` writes into `out`.
    """
    result = executed(context, found.suite, completions, out, stage, [t.task_id for t in found.tasks])
    score = result.scores[-1]
    passes = [v["task_id"] for _, v in read_jsonl(out / "verdicts.jsonl") if v["outcome"] == Outcome.PASSED]
    figures = {k: score[k] for k in ("passed", "n", "value", "ci95")}
    if result.sandbox_failed:
        figures, passes = dict.fromkeys(figures), []
    return {"suite": found.suite.info.name, **figures, "passes": passes}


def developer(context: Context, arm: ArmSettings) -> Callable[[Any], dict[str, Any]] | None:
    """Return how a model in training answers the development set, None where there is none.

    Nothing is drawn at random and no weight changes. Verdicts of the last answers stay in `develop/`.
    Raises `MissingPrerequisite` at once where there is no sandbox.
    """
    found = development(context, arm)
    if found is None:
        return None
    import torch

    from codefit.generate.ask import requests_of
    from codefit.generate.engine import TransformersEngine
    from codefit.generate.types import Decoding

    context.sandbox_of(found.suite.runtime, found.suite.jobs_per_core)
    g, stage = context.recipe.generate, f"develop {arm.name}"
    requests = requests_of(context.chat, found.tasks)

    def answer(model: Any) -> dict[str, Any]:
        engine = TransformersEngine(
            model, context.tokenizer, end_id=context.chat.end_id, decoding=Decoding(g.max_new_tokens),
            batch_size=g.batch_size, memory=parse_bytes(context.recipe.memory),
            strict=False,  # no training ends because its optimizer is in the way
        )  # fmt: skip
        texts: dict[int, Completion] = {}
        for answers in engine.complete(requests):
            for a in answers:
                task = found.tasks[a.index]
                texts[a.index] = Completion(
                    task.task_id, 0, a.text, a.tokens, a.mean_logprob, a.finish_reason, a.min_logprob
                )
            context.listen(Event(stage, "", len(texts), len(requests), "tasks"))
        if model.device.type == "cuda":
            torch.cuda.empty_cache()  # what the answers' keys and values took,
            torch.cuda.reset_peak_memory_stats(model.device)  # which is not training's peak
        out = context.arm_folder(arm.name) / "develop"
        result = judged(context, found, [texts[i] for i in sorted(texts)], out, stage)
        return {k: result[k] for k in ("suite", "passed", "n", "value", "ci95")}

    return answer


def check_watches(context: Context) -> None:
    """Refuse, before anything runs, a development set that is tested and a tracker that is not installed."""
    for arm in context.recipe.arms:
        settings = context.recipe.train_of(arm)
        if settings.report_to:
            from codefit.train.track import require_trackers

            require_trackers(settings.report_to)
        development(context, arm)
