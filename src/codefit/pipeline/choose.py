"""The stage that chooses an arm's weights by its development set."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codefit.core.errors import InputError
from codefit.core.files import Ledger, canonical_json, digest, file_digest, write_json
from codefit.core.progress import Event
from codefit.core.recipe import ArmSettings
from codefit.pipeline.context import Context
from codefit.pipeline.develop import Development, development, judged
from codefit.pipeline.generate import greedy_answers
from codefit.pipeline.judge import SandboxFailures
from codefit.pipeline.model import job_of, raw_weights

RULE = (
    "the most development tasks passed; of equal ones the weights as trained, then the scale nearest to 1 (the "
    "larger of two), then the average"
)
NOTE = (
    "the chosen figure is the highest of several and so too high by itself; only the test suites, which no choice "
    "has seen, say how good the weights are"
)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """Weights to choose from: `write` makes their folder; as trained they are there already."""

    name: str
    scale: float
    steps: tuple[int, ...]
    key: str
    write: Callable[[Path], None] | None

    @property
    def rank(self) -> tuple[bool, float, float]:
        """The order among equal ones."""
        return (len(self.steps) > 0, abs(1 - self.scale), -self.scale)


def choose_settings(context: Context, arm: ArmSettings) -> dict[str, Any]:
    """Return what decides the choice, beside the trained weights."""
    settings = context.recipe.train_of(arm)
    found = development(context, arm)
    return {
        "choose": settings.choose.model_dump(mode="json") if settings.choose else None,
        "scales": settings.scales,
        "development": found.settings() if found else None,
        "max_new_tokens": context.recipe.generate.max_new_tokens,
        "format": context.recipe.format.model_dump(mode="json", exclude={"max_length"}),
        "model": context.start_digest,
        "sandbox": context.recipe.sandbox.level,
    }


def choose_stage(context: Context, arm: ArmSettings) -> None:
    """Let every candidate answer the development set, and write the best one as `chosen/`.

    Goes on with the candidate at which a killed run stood. `choice.json`, written last, holds them all.
    """
    found = development(context, arm)
    if found is None:
        raise InputError("choose needs a development set", where="train.choose")
    folder = context.arm_folder(arm.name)
    candidates = _candidates(context, arm, digest(canonical_json(choose_settings(context, arm))))
    results: dict[str, dict[str, Any]] = {}
    with Ledger(folder / "choose" / "candidates.jsonl") as ledger:
        done = {entry["key"]: entry for entry in ledger.entries}
        for number, candidate in enumerate(candidates):
            context.listen(Event(f"choose {arm.name}", candidate.name, number, len(candidates), "candidates"))
            if candidate.key not in done:
                result = _answered(context, arm, found, candidate)
                entry = {"key": candidate.key, "name": candidate.name, **result}
                ledger.append(entry)
                done[candidate.key] = entry
            results[candidate.name] = done[candidate.key]
    best = min(candidates, key=lambda c: (-results[c.name]["passed"], c.rank))
    _write(best, raw_weights(context, arm), folder / "chosen")
    choice = _choice(arm, found, candidates, results, best)
    write_json(folder / "choice.json", choice)
    context.listen(Event(f"choose {arm.name}", _line(choice), finished=True))


def _candidates(context: Context, arm: ArmSettings, settings: str) -> list[_Candidate]:
    from codefit.train import checkpoint
    from codefit.train.candidates import write_average, write_scaled

    recipe, weights = context.recipe.train_of(arm), raw_weights(context, arm)
    trained = file_digest(weights)

    def scaled(scale: float) -> _Candidate:
        name = "as trained" if scale == 1 else f"scale {scale:g}"
        write = None if scale == 1 else (lambda out: write_scaled(weights, out, scale))
        return _Candidate(name, scale, (), digest(settings, trained, repr(scale)), write)

    found = [scaled(scale) for scale in recipe.scales]
    last = (recipe.choose.average_last or 0) if recipe.choose else 0
    files = checkpoint.files(context.arm_folder(arm.name) / "checkpoints")[-last:] if last else []
    if len(files) > 1:
        steps = tuple(checkpoint.step_of(file) for file in files)
        job = job_of(context, arm)
        found.append(
            _Candidate(
                f"average of {len(files)}", 1.0, steps, digest(settings, trained, repr(steps)),
                lambda out: write_average(job, files, out),
            )
        )  # fmt: skip
    elif last:
        raise InputError(
            f"{len(files)} checkpoint is no average",
            where="train.choose.average_last",
            todo="lower save_every",
        )
    return found


def _write(candidate: _Candidate, trained: Path, out: Path) -> None:
    """Write a candidate's weights as a folder of their own."""
    from codefit.train.candidates import copy_weights

    if candidate.write:
        candidate.write(out)
    else:
        copy_weights(trained, out)


def _answered(
    context: Context, arm: ArmSettings, found: Development, candidate: _Candidate
) -> dict[str, Any]:
    from codefit.generate.ask import requests_of

    place = context.arm_folder(arm.name) / "choose" / candidate.name.replace(" ", "-")
    weights = place / "weights" if candidate.write else raw_weights(context, arm)
    if candidate.write:
        candidate.write(weights)
    stage = f"choose {arm.name}, {candidate.name}"
    completions = greedy_answers(context, arm, weights, requests_of(context.chat, found.tasks), stage)
    result = judged(context, found, completions, place, stage)
    if result["passed"] is None:
        raise SandboxFailures(
            "programs could not be judged (sandbox_failed)",
            where=str(place),
            todo="run the same command again",
        )
    if candidate.write:
        shutil.rmtree(weights)
    return result


def _choice(
    arm: ArmSettings, found: Development, candidates: list[_Candidate], results: dict[str, dict[str, Any]],
    best: _Candidate,
) -> dict[str, Any]:  # fmt: skip
    from codefit.score.paired import mcnemar_exact

    trained = set(results["as trained"]["passes"])
    lines = []
    for c in candidates:
        result, passes = results[c.name], set(results[c.name]["passes"])
        fixed, broken = len(passes - trained), len(trained - passes)
        lines.append(
            {
                "name": c.name,
                "scale": c.scale,
                "steps": list(c.steps) or None,
                **{k: result[k] for k in ("passed", "n", "value", "ci95")},
                "against_trained": {
                    "fixed": fixed,
                    "broken": broken,
                    "p_value": mcnemar_exact(fixed, broken),
                },
            }
        )
    info = found.suite.info
    return {
        "arm": arm.name,
        "suite": info.name,
        "revision": info.revision,
        "harness": info.harness,
        "metric": "pass@1",
        "interval": "Wilson, 95 %",
        "rule": RULE,
        "note": NOTE,
        "chosen": best.name,
        "weights": "chosen",
        "candidates": lines,
    }


def _line(choice: dict[str, Any]) -> str:
    def figure(c: dict[str, Any]) -> str:
        low, high = c["ci95"]
        return f"{c['name']} {100 * c['value']:.1f} % ({c['passed']}/{c['n']}) [{100 * low:.1f}, {100 * high:.1f}]"

    shown = "; ".join(figure(c) for c in choice["candidates"])
    return f"{choice['chosen']} is chosen on {choice['suite']}: {shown}"
