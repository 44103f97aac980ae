"""What a sampling says of itself: every answer, every request, and the figures of the whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from codefit.core.sampling import SampleSettings
from codefit.curate.funnel import reason_group
from codefit.methods.asking import Clock
from codefit.methods.keep import KEPT, Asked
from codefit.methods.prompts import Found
from codefit.methods.verdicts import Sample
from codefit.score.tally import pass_figures


def sample_line(asked: Asked, sample: Sample) -> dict[str, Any]:
    """Return an answer as a line of samples.jsonl; `fate` says of a passing one whether it is kept, or why not."""
    judgement = sample.judgement
    return {
        "row_id": asked.prompt.row.id,
        "sample": sample.number,
        "outcome": sample.outcome,
        "fate": asked.fate.get(sample.number),
        "checker": judgement.checker,
        "error": judgement.error,
        "failed_test": judgement.failed_test,
        "text": sample.reply.text,
        "extraction": sample.extraction,
        "tokens": sample.reply.tokens,
        "mean_logprob": sample.reply.mean_logprob,
        "min_logprob": sample.reply.min_logprob,
        "finish_reason": sample.reply.finish_reason,
    }


def prompt_lines(asked: Sequence[Asked], found: Found) -> Iterator[dict[str, Any]]:
    """Yield the lines of prompts.jsonl: requests asked, requests not reached, and candidates that were none."""
    for a in asked:
        yield {
            "row_id": a.prompt.row.id,
            "status": a.kind,
            "samples": len(a.samples),
            "passed": a.passing,
            "kept": len(a.kept),
            "tests": len(a.prompt.tests),
            "made_tests": a.prompt.made,
            "proven": a.prompt.proven,
            "reason": None,
        }
    nothing = {"samples": 0, "passed": 0, "kept": 0, "tests": 0, "made_tests": 0, "proven": None}
    for prompt in found.prompts[len(asked) :]:
        yield {"row_id": prompt.row.id, "status": "not reached", **nothing, "reason": "budget of hours"}
    for dropped in found.dropped:
        yield {"row_id": dropped.row_id, "status": "not asked", **nothing, "reason": dropped.reason}


def summary(asked: Sequence[Asked], found: Found, settings: SampleSettings, replay: int) -> dict[str, Any]:
    """Return the funnel of a sampling and its pass@k on the requests, with bootstrap intervals over them."""
    samples = [s for a in asked for s in a.samples]
    counts = [(len(a.samples), a.passing) for a in asked]
    kinds = Counter(a.kind for a in asked)
    fates = Counter(f for a in asked for f in a.fate.values())
    least = min((n for n, _ in counts), default=0)
    return {
        "settings": settings.lasting(),
        "rows": {
            "candidates": len(found.prompts) + len(found.dropped),
            "not_asked": dict(sorted(Counter(reason_group(d.reason) for d in found.dropped).items())),
            "without_tests": len(found.others),
            "prompts": len(found.prompts),
            "with_made_tests": sum(bool(p.made) for p in found.prompts),
            "with_unproven_tests": sum(not p.proven for p in found.prompts),
            "reached": len(asked),
        },
        "complete": len(asked) == len(found.prompts),
        "prompts": {kind: kinds[kind] for kind in ("none pass", "some pass", "all pass")}
        | {"kept": sum(bool(a.kept) for a in asked)},
        "unproven": {
            "prompts": sum(not a.prompt.proven for a in asked),
            "solved": sum(not a.prompt.proven and bool(a.passing) for a in asked),
            "kept": sum(len(a.kept) for a in asked if not a.prompt.proven),
        },
        "samples": {
            "n": len(samples),
            "passed": sum(s.passed for s in samples),
            "outcomes": dict(sorted(Counter(s.outcome for s in samples).items())),
            "tokens": sum(s.reply.tokens or 0 for s in samples),
        },
        "passing": {fate: fates[fate] for fate in sorted(fates)},
        "pass_at_k": [pass_figures(counts, k) for k in (1, 2, 4, 8, 16, 32) if k <= least],
        "kept": {"verified": fates[KEPT], "replay": replay},
    }


def line(summary: dict[str, Any], clock: Clock) -> str:
    """Return a sampling in one line for the screen."""
    samples, prompts, kept = summary["samples"], summary["prompts"], summary["kept"]
    rates = ", ".join(f"{f['metric']} {100 * f['value']:.1f} %" for f in summary["pass_at_k"])
    text = (
        f"{samples['passed']:,} of {samples['n']:,} answers pass ({rates}); of {summary['rows']['reached']:,} requests"
        f" {prompts['none pass']:,} none, {prompts['some pass']:,} some, {prompts['all pass']:,} all;"
        f" {kept['verified']:,} answers to {prompts['kept']:,} kept"
    )
    if kept["replay"]:
        text += f", {kept['replay']:,} unverified as replay"
    return f"{text}; {clock.seconds:,.0f} s in all"
