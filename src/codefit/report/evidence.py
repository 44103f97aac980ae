"""One model of the evidence of a run, from its files alone; report.json is this model.

It holds no clock times and no durations, but for the speed of models that a recipe sets side by side, so
that equal run contents give equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from codefit.report import verdict
from codefit.report.arms import arm_settings
from codefit.report.data_evidence import data_evidence
from codefit.report.measures import VERBS_NOW, not_measured
from codefit.report.messages import LANGUAGES, plain
from codefit.report.questions import answers
from codefit.report.runfolder import Record, RunFiles, read
from codefit.report.tasks import task_lists

LAYOUT = 1
_ONE = "pass@1"
_CURVE_POINTS = 300
_CURVE_KEYS = ("step", "trained_tokens", "loss", "val_loss", "lr", "grad_norm")
_LOOK_KEYS = ("step", "trained_tokens", "val_loss", "kl_to_start", "develop")
_ENVIRONMENT = ("python", "platform", "cpus", "torch", "transformers")


def build(run: Path, verbs: frozenset[str] = VERBS_NOW) -> Record:
    """Return the evidence of a run folder as plain JSON data.

    `verbs` are the commands that exist: a measurement that needs another one is marked as
    planned. A missing file makes its part None and lists what is not measured; a damaged file
    raises `InputError`.
    """
    files = read(run)
    scores = (files.scores or {}).get("scores", [])
    comparisons = (files.scores or {}).get("comparisons", [])
    main = main_arms(scores, comparisons)
    primary = [c for c in comparisons if (c.get("before_arm"), c.get("after_arm")) == main]
    evidence: Record = {
        "layout": LAYOUT,
        "run": _about(files),
        "main": list(main),
        "arms": _arms(files, scores),
        "scores": verdict.arm_scores([s for s in scores if s.get("metric", _ONE) == _ONE]),
        "pass_at_k": verdict.arm_scores([s for s in scores if s.get("metric", _ONE) != _ONE]),
        "models": _models(files),
        "comparisons": [{**c, "reading": verdict.reading(c)} for c in comparisons],
        "gate": (files.scores or {}).get("gate"),
        "seeds": (files.scores or {}).get("seeds") or [],
        "verdict": _verdict(primary),
        "worse": verdict.got_worse(primary, files.findings, main),
        "data": data_evidence(files, main[1]),
        "format": files.format,
        "plan": _plan(files),
        "training": {arm: _training(files, arm) for arm in _trained_arms(files)},
        "findings": files.findings,
        "tasks": task_lists(files.findings, main),
        "files": list(files.present),
    }
    evidence["questions"] = answers(evidence, verbs)
    evidence["not_measured"] = not_measured(evidence["questions"])
    return evidence


def main_arms(scores: Sequence[Record], comparisons: Sequence[Record]) -> tuple[str, str]:
    """Return the two arms of the verdict: those of the first comparison from `start`, or the first two."""
    for c in comparisons:
        if c.get("before_arm") == "start":
            return "start", str(c.get("after_arm"))
    if comparisons:
        return str(comparisons[0].get("before_arm")), str(comparisons[0].get("after_arm"))
    arms = list(dict.fromkeys(str(s.get("arm")) for s in scores))
    return (arms[0], arms[1]) if len(arms) > 1 else ("start", "tuned")


def _verdict(primary: Sequence[Record]) -> Record:
    messages = verdict.sentences(primary)
    texts = {lang: " ".join(plain(lang).render(m) for m in messages) for lang in LANGUAGES}
    return {"kind": verdict.headline(primary), "sentences": messages, "text": texts, "alpha": verdict.ALPHA}


def _about(files: RunFiles) -> Record:
    recipe, manifest = files.recipe or {}, files.manifest or {}
    environment = manifest.get("environment") or {}
    return {
        "name": recipe.get("name"),
        "title": recipe.get("title"),
        "stand_in": bool(recipe.get("stand_in")),
        "note": recipe.get("note"),
        "codefit": manifest.get("codefit"),
        "recipe_hash": manifest.get("recipe_hash"),
        "environment": {k: environment[k] for k in _ENVIRONMENT if environment.get(k)},
    }


def _arms(files: RunFiles, scores: Sequence[Record]) -> list[Record]:
    """Return the arms in the order of the scores, each with what it was trained on, and how."""
    formatted: Mapping[str, Any] = (files.format or {}).get("arms") or {}
    named = [str(s.get("arm")) for s in scores]
    order = dict.fromkeys([*named, *formatted, *files.training])
    settings = arm_settings(files.recipe or {})
    return [
        {
            "arm": arm,
            "rows": formatted.get(arm),
            "training": _without_clock(files.training.get(arm)),
            "settings": settings.get(arm),
        }
        for arm in order
    ]


def _models(files: RunFiles) -> list[Record]:
    """Return what each model's answers took, where the run has rivals: there speed is what is asked."""
    if not (files.recipe or {}).get("rivals"):
        return []
    return verdict.arm_scores((files.models or {}).get("models") or [])


def _trained_arms(files: RunFiles) -> list[str]:
    return list(dict.fromkeys([*files.training, *files.curves]))


def _training(files: RunFiles, arm: str) -> Record:
    log = files.curves.get(arm) or []
    stride = max(1, -(-len(log) // _CURVE_POINTS))
    chosen = [
        p for i, p in enumerate(log) if i % stride == 0 or i == len(log) - 1 or p.get("val_loss") is not None
    ]
    curve = [{k: p[k] for k in _CURVE_KEYS if p.get(k) is not None} for p in chosen]
    return {
        "summary": _without_clock(files.training.get(arm)),
        "steps_logged": len(log),
        "curve": curve,
        "looks": [{k: p.get(k) for k in _LOOK_KEYS} for p in log if "val_loss" in p or "develop" in p],
        "choice": files.choices.get(arm),
        "kept": _kept(files.training.get(arm) or {}, files.choices.get(arm) or {}),
        "folder": files.folders.get(arm, "train"),
    }


def _kept(summary: Record, choice: Record) -> Record:
    """Return the steps whose weights were kept, and the name that the choice among candidates gave them."""
    chosen: Record = next((c for c in choice.get("candidates", []) if c["name"] == choice["chosen"]), {})
    last = summary.get("kept_step") or summary.get("steps")
    steps = chosen.get("steps") or ([last] if last else [])
    return {
        "name": None if chosen.get("scale", 1) == 1 and not chosen.get("steps") else chosen["name"],
        "steps": steps,
    }


def _without_clock(summary: Record | None) -> Record | None:
    """Return a training's summary without its speed."""
    return None if summary is None else {k: v for k, v in summary.items() if k != "speed"}


def _plan(files: RunFiles) -> Record | None:
    """Return the memory plan without its estimates of speed and time."""
    if files.plan is None:
        return None
    arms = {a: _untimed(p) for a, p in files.plan["arms"].items()} if "arms" in files.plan else {}
    return {**_untimed(files.plan), "arms": arms}


def _untimed(plan: Record) -> Record:
    return {k: v for k, v in plan.items() if k not in ("tokens_per_s", "hours")}
