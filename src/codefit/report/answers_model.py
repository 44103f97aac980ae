"""Answers on the choice of model and method, on training, and on what the result means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codefit.report.answers_data import Answer
from codefit.report.arms import family, varied
from codefit.report.limits import limits
from codefit.report.lookup import (
    Evidence,
    benchmarks,
    is_guard,
    main_comparisons,
    main_looks,
    main_training,
    main_traits,
    opponents,
    suites,
)
from codefit.report.messages import Message, code, msg, term
from codefit.report.numbers import mib, percent, score_text, share_text
from codefit.report.page_comparison import counts
from codefit.report.page_robustness import compared
from codefit.report.page_traits import summary
from codefit.report.verdict import line_arguments, not_alike

SMALL_B, LARGER_B = 3.0, (6.0, 9.0)
"""Sizes, in thousand million parameters, of the models to start from and of those that 24 GB can tune."""
_NAMED = 3
_WHOLE = ("float32", "float16", "bfloat16", "F32", "F16", "BF16", "FP32", "FP16")


def _scores_of_main(evidence: Evidence) -> list[Message]:
    main = evidence["main"][1]
    return [
        msg("answer.score", arm=code(s["arm"]), suite=code(s["suite"]), figure=s["figure"])
        for s in evidence["scores"]
        if s.get("arm") == main and s.get("figure")
    ]


def _memory(evidence: Evidence) -> list[Message]:
    plan, peak = evidence["plan"] or {}, main_training(evidence).get("peak_mb")
    if plan.get("peak_mb") is None:
        return []
    fits = term("fits", bool(plan.get("fits")))
    said = [msg("answer.plan", peak=mib(plan["peak_mb"]), budget=mib(plan.get("budget_mb")), fits=fits)]
    if peak is not None:
        said.append(msg("answer.peak", peak=mib(peak)))
    return said


def q1(evidence: Evidence) -> Answer:
    """Why tune small rather than quantise large: needs the larger model's row."""
    said = []
    for m in evidence["models"]:
        held, peak = m.get("weights_mb"), m.get("peak_mb")
        if m["weights"] in (None, *_WHOLE) or m["tokens_per_s"] is None or (held is None and peak is None):
            continue
        said.append(
            msg("answer.quantised" if held is not None else "answer.quantised_served", arm=code(m["arm"]),
                weights=m["weights"], suite=code(m["suite"]), figure=m["figure"],
                memory=mib(peak if held is None else held), speed=round(m["tokens_per_s"]))
        )  # fmt: skip
    found = _scores_of_main(evidence) + _memory(evidence) + said
    return found, [] if said else ["larger_quantised"]


def q2(evidence: Evidence) -> Answer:
    """What quantisation costs, and the ceiling of a tuned model: needs pass@k and a sweep."""
    said = sampled(evidence)
    return said, ["quantised_self", *([] if said else ["pass_at_k"])]


def sampled(evidence: Evidence) -> list[Message]:
    """Return pass@k of start and main arm, where several answers were asked."""
    return [
        msg(
            "answer.several",
            arm=code(s["arm"]),
            suite=code(s["suite"]),
            metric=s["metric"],
            figure=s["figure"],
        )
        for s in evidence["pass_at_k"]
        if s.get("arm") in evidence["main"] and s.get("figure")
    ]


def q3(evidence: Evidence) -> Answer:
    """Why this model: needs the candidate table."""
    start = [s for s in evidence["scores"] if s.get("arm") == evidence["main"][0] and s.get("figure")]
    said = [
        msg("answer.score", arm=code(s["arm"]), suite=code(s["suite"]), figure=s["figure"]) for s in start
    ]
    if evidence["run"]["stand_in"]:
        said.append(msg("answer.stand_in"))
    published = [rivals_of_size(entry, 0, SMALL_B, entry["start"]) for entry in opponents(evidence)]
    found = [m for m in published if m]
    return said + found, [] if found else ["reference_scores"]


def rivals_of_size(
    entry: Mapping[str, Any], least: float, most: float, ours: Mapping[str, Mapping[str, float]]
) -> Message | None:
    """Return how many published models of a size (thousand million parameters) score above ours, and the best."""
    suite = entry["suites"][-1]
    value = ours[suite]["value"]
    sized = [r for r in entry["rows"] if r["params_b"] and least <= r["params_b"] <= most]
    if not sized:
        return None
    above = sorted((r for r in sized if r["scores"][suite] > value), key=lambda r: -r["scores"][suite])
    named = [
        msg(
            "answer.rival",
            model=r["model"],
            kind=term("model_kind", r["kind"]),
            score=f"{r['scores'][suite]:.1f}",
        )
        for r in above[:_NAMED]
    ]
    facts = {
        "models": len(sized),
        "above": len(above),
        "ours": f"{value:.1f}",
        "named": named or msg("no_model"),
    }
    sizes = {"least": f"{least:g}", "most": f"{most:g}"}
    return msg("answer.rivals", suite=code(suite), flavour=code(entry["flavour"]), **sizes, **facts)


def q4(evidence: Evidence) -> Answer:
    """Does the model only write in the training style: likeness to training answers by arm."""
    said: list[Message] = []
    for suite, found in suites(evidence).items():
        for arm, s in found.get("similarity", {}).items():
            copies = share_text(s["copies"], s["n"])
            if arm in evidence["main"] and copies:
                said.append(
                    msg(
                        "answer.likeness",
                        suite=code(suite),
                        arm=code(arm),
                        median=f"{s['median']:.2f}",
                        copies=copies,
                    )
                )
    lacks = [] if said else ["similarity"]
    if len(benchmarks(evidence)) < 2:
        lacks.append("guard_suite")
    said += [msg("answer.line", **line_arguments(c)) for c in main_comparisons(evidence) if is_guard(c)]
    robust = compared(evidence)
    return said + robust, [*lacks, *([] if robust else ["robustness"])]


def q8(evidence: Evidence) -> Answer:
    """Batch size and learning rate inside the memory budget."""
    settings = (evidence["plan"] or {}).get("settings") or {}
    said = (
        [msg("answer.settings", settings=[code(f"{k} = {v}") for k, v in settings.items() if v is not None])]
        if settings
        else []
    )
    said += _memory(evidence)
    lacks = ["plan"] if not evidence["plan"] else []
    if said and main_training(evidence).get("peak_mb") is None:
        lacks.append("measured_peak")
    rates = varied(evidence, family(evidence, "rates"))
    return [*said, *rates], [*lacks, *([] if rates else ["sweeps"])]


def q9(evidence: Evidence) -> Answer:
    """LoRA, QLoRA or full tuning, and the rank."""
    summary = main_training(evidence)
    trained, total = summary.get("trainable_parameters"), summary.get("parameters")
    said = []
    if trained and total:
        said.append(
            msg(
                "answer.method",
                method=code(summary.get("method")),
                trained=trained,
                total=total,
                share=percent(trained / total, 2),
            )
        )
    ranks = varied(evidence, family(evidence, "ranks"))
    lacks = [*([] if said else ["training"]), "plan_full", *([] if ranks else ["sweeps"])]
    return [*said, *ranks], lacks


def q10(evidence: Evidence) -> Answer:
    """Loss curves and over-fitting."""
    summary = main_training(evidence)
    said = []
    if summary.get("first_loss") is not None:
        said.append(
            msg(
                "answer.loss",
                first=f"{summary['first_loss']:.3f}",
                last=f"{summary['last_loss']:.3f}",
                steps=summary.get("steps"),
            )
        )
    lacks = ["training"] if not said else []
    said += _overfit(summary.get("overfit") or {})
    developed = _developed(main_looks(evidence))
    copied = _copied(evidence)
    lacks += [] if developed else ["dev_curve"]
    finished = _finished(evidence)
    return [*said, *developed, *finished, *copied], [*lacks, *([] if finished else ["memorisation"])]


def _finished(evidence: Evidence) -> list[Message]:
    """Return by model how many answers of training rows, and of held-out ones, it finishes exactly."""
    found = (evidence["findings"] or {}).get("memorised") or {"arms": {}}
    return [
        msg(
            "answer.finished",
            arm=code(arm),
            tokens=found["given_tokens"],
            trained=share_text(*by["trained"]["finished"]),
            held_out=share_text(*by["held_out"]["finished"]) if by["held_out"] else None,
        )
        for arm, by in found["arms"].items()
        if by["trained"]
    ]


def _copied(evidence: Evidence) -> list[Message]:
    """Return how many programs of start and main arm hold a long run of a training answer."""
    return [
        msg(
            "answer.copied",
            suite=code(suite),
            arm=code(arm),
            figure=share_text(v["copied"], v["n"]),
            tokens=v["run_tokens"],
            longest=v["longest"],
        )
        for suite, found in suites(evidence).items()
        for arm, v in (found.get("verbatim") or {}).items()
        if arm in evidence["main"] and v["n"]
    ]


def _overfit(found: Mapping[str, Any]) -> list[Message]:
    kinds = {"over-fitted": "answer.overfit", "not over-fitted": "answer.no_overfit"}
    kind = kinds.get(str(found.get("verdict")))
    if kind is None:
        return []
    best, last = f"{found['best']:.3f}", f"{found['last']:.3f}"
    return [msg(kind, best=best, step=found["best_step"], last=last, last_step=found["last_step"])]


def _developed(looks: list[Mapping[str, Any]]) -> list[Message]:
    """Return the first and the last figure of a development set that was answered more than once."""
    seen = [p for p in looks if (p.get("develop") or {}).get("value") is not None]
    if len(seen) < 2:
        return []
    first, last = seen[0], seen[-1]
    figures = {"first": score_text(first["develop"]), "last": score_text(last["develop"])}
    steps = {"from_step": first["step"], "to_step": last["step"]}
    return [msg("answer.developed", suite=code(last["develop"]["suite"]), **figures, **steps)]


def q12(evidence: Evidence) -> Answer:
    """Absolute or relative: always both."""
    compared = main_comparisons(evidence)
    said = [msg("answer.line", **line_arguments(c)) for c in compared]
    return said + not_alike(compared), [] if said else ["scores"]


def q14(evidence: Evidence) -> Answer:
    """Which larger models were beaten, and is that fair."""
    ranked = [m for entry in opponents(evidence) for m in counts(entry)]
    if ranked:
        return ranked + not_alike(main_comparisons(evidence)), []
    said = [msg("answer.stand_in_rank")] if evidence["run"]["stand_in"] and evidence["scores"] else []
    return said, ["reference_scores"]


def q17(evidence: Evidence) -> Answer:
    """The biggest limitation, named with figures."""
    curve = varied(evidence, family(evidence, "learning_curve"))
    said = [*limits(evidence), *curve] if evidence["comparisons"] else []
    lacks = [*([] if evidence["seeds"] else ["seeds"]), *([] if curve else ["learning_curve"])]
    lacks += [] if evidence["pass_at_k"] else ["pass_at_k"]
    if (evidence["data"] or {}).get("leaks") is None:
        lacks.append("leaks")
    return said, lacks if said else ["scores", *lacks]


def q18(evidence: Evidence) -> Answer:
    """What 24 GB would change: whether more rows still help, and what fits."""
    curve = varied(evidence, family(evidence, "learning_curve"))
    larger = [rivals_of_size(entry, *LARGER_B, entry["tuned"]) for entry in opponents(evidence)]
    said = [*curve, *(m for m in larger if m)]
    return said, ["plan_24", *([] if curve else ["learning_curve"])]


def q19(evidence: Evidence) -> Answer:
    """What matters beyond pass@k: style of the outputs, and traits of the programs where they were measured."""
    measured = [entry for entry in main_traits(evidence) if entry["rows"]]
    said: list[Message] = [summary(entry) for entry in measured]
    missing = any(g["command"] for entry in measured for g in entry["not_measured"])
    for suite, found in suites(evidence).items():
        for arm, d in found.get("drift", {}).items():
            if arm in evidence["main"] and d["n"]:
                lines = (d.get("program_lines") or {}).get("p50")
                said.append(
                    msg(
                        "answer.style",
                        suite=code(suite),
                        arm=code(arm),
                        lines=lines,
                        comments=share_text(d["with_comment"], d["n"]),
                        docstrings=share_text(d["with_docstring"], d["n"]),
                    )
                )
    return said, ["traits"] if missing or not measured else []
