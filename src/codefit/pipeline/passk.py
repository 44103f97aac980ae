"""The stage that draws several answers a task, beside the greedy one, for pass@1 and pass@k of every arm.

Its figures stand in `pass_at_k.json`, apart from scores.json: they are of another decoding than the greedy
scores, and the two must not be taken for one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codefit.core.files import read_json, write_json, write_jsonl
from codefit.core.recipe import ArmSettings
from codefit.core.seeds import subseed
from codefit.core.types import Completion, Outcome
from codefit.pipeline.context import START, Context, suite_settings
from codefit.pipeline.judge import arm_names, pairs_of, verdicts_of
from codefit.pipeline.model import answers, trained_weights

if TYPE_CHECKING:
    from codefit.generate.types import Decoding
    from codefit.score.compare import Side
    from codefit.suites.base import Suite


def passk_settings(context: Context, index: int) -> dict[str, Any]:
    """Return what decides the drawn answers and their verdicts, beside the weights."""
    return {
        **suite_settings(context.suites[index][1].info),
        "generate": context.recipe.generate.model_dump(mode="json", exclude={"batch_size"}),
        "format": context.recipe.format.model_dump(mode="json", exclude={"max_length"}),
        "model": context.start_digest,
        "seed": context.recipe.seed,
        "sandbox": context.recipe.sandbox.level,
    }


def outputs(suite: str) -> list[str]:
    """Return what the stage writes for a suite, below the run folder."""
    return [f"completions/{suite}.sampled.jsonl", f"verdicts/{suite}.sampled.json"]


def passk_stage(context: Context, index: int) -> None:
    """Let every arm answer a suite several times, and judge the answers."""
    _, suite = context.suites[index]
    name = suite.info.name
    lines: list[dict[str, Any]] = []
    passed: dict[str, dict[str, list[bool]]] = {}
    for arm in (None, *context.recipe.arms):
        label = arm.name if arm else START
        found = _answers(context, arm, suite)
        lines += [_line(label, c) for c in found]
        passed[label] = _judged(context, suite, label, found)
    write_jsonl(context.out / "completions" / f"{name}.sampled.jsonl", lines)
    write_json(context.out / "verdicts" / f"{name}.sampled.json", passed)


def _decoding(context: Context) -> Decoding:
    from codefit.generate.types import Decoding

    g = context.recipe.generate
    return Decoding(g.max_new_tokens, g.temperature, g.top_p, subseed(context.recipe.seed, "pass@k") % 2**32)


def _answers(context: Context, arm: ArmSettings | None, suite: Suite) -> list[Completion]:
    from codefit.generate.ask import requests_of

    requests = requests_of(context.chat, suite.tasks, context.recipe.generate.samples)
    weights = trained_weights(context, arm) if arm else None
    stage = f"sample {suite.info.name}, {arm.name if arm else START}"
    return answers(context, arm, weights, requests, stage, _decoding(context))


def _line(arm: str, c: Completion) -> dict[str, Any]:
    return {
        "arm": arm,
        "task_id": c.task_id,
        "sample": c.sample,
        "text": c.text,
        "tokens": c.tokens,
        "mean_logprob": c.mean_logprob,
        "min_logprob": c.min_logprob,
        "finish_reason": c.finish_reason,
    }


def _judged(
    context: Context, suite: Suite, arm: str, completions: Sequence[Completion]
) -> dict[str, list[bool]]:
    """Return per task which of its answers passed; what was executed stays in the arm's folder."""
    out: Path = context.out / "arms" / arm / f"{suite.info.name}.sampled"
    passed: dict[str, list[bool]] = {}
    for v in verdicts_of(context, suite, completions, out, f"execute {suite.info.name} sampled, {arm}"):
        passed.setdefault(v["task_id"], []).append(v["outcome"] == Outcome.PASSED.value)
    return passed


def sampled_scores(context: Context) -> dict[str, Any]:
    """Return the pass@1 and pass@k of every arm and suite, and the paired comparisons of the arms."""
    from codefit.score.compare import compare
    from codefit.score.tally import pass_figures

    samples, decoding = context.recipe.generate.samples, _decoding(context)
    scores: list[dict[str, Any]] = []
    comparisons: list[dict[str, Any]] = []
    for _, suite in context.suites:
        info = suite.info
        passed = read_json(context.out / "verdicts" / f"{info.name}.sampled.json")
        head = {"suite": info.name, "revision": info.revision, "harness": info.harness}
        for arm in arm_names(context):
            counts = [(len(v), sum(v)) for v in passed[arm].values()]
            scores += [{"arm": arm, **head, **pass_figures(counts, k)} for k in sorted({1, samples})]
        for k in sorted({1, samples}):
            sides = {arm: _side(head, tasks, k) for arm, tasks in passed.items()}
            for before, after in pairs_of(context):
                found = compare(sides[before], sides[after], seed=context.recipe.seed)
                names = {"before_arm": before, "after_arm": after}
                comparisons.append({**names, "metric": f"pass@{k}", **found})
    return {"decoding": decoding.key(), "samples": samples, "scores": scores, "comparisons": comparisons}


def _side(head: Mapping[str, str], passed: Mapping[str, Sequence[bool]], k: int) -> Side:
    """Return a side of a comparison: each answer for pass@1, any of them for pass@k of k answers."""
    from codefit.score.compare import Side

    tasks = {t: (list(v) if k == 1 else [any(v)]) for t, v in passed.items()}
    return Side(head["suite"], head["revision"], head["harness"], tasks)


def score_sampled_stage(context: Context) -> None:
    """Write the figures of the drawn answers."""
    write_json(context.out / "pass_at_k.json", sampled_scores(context))
