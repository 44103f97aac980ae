"""Drift of outputs between arms: length, format, how they end, and how near they are to training rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean, median_low
from typing import Any

from codefit.analyse.published import parses

COPY_FROM = 0.8


def output_drift(completions: Sequence[Mapping[str, Any]], passed: Sequence[bool]) -> dict[str, Any]:
    """Return length and format figures of one arm's completions; `passed` runs parallel to them.

    A program is well formed where it is there, parses, and was not cut off at the length limit.
    """
    texts = [str(c.get("text") or "") for c in completions]
    programs = [str(c.get("program") or "") for c in completions]
    complete = [
        bool(p.strip()) and c.get("finish_reason") != "length" and parses(p)
        for p, c in zip(programs, completions, strict=True)
    ]
    return {
        "n": len(completions),
        "tokens": spread([c["tokens"] for c in completions if c.get("tokens") is not None]),
        "program_lines": spread([len(p.strip().splitlines()) for p in programs if p.strip()]),
        "fenced": sum("```" in t for t in texts),
        "with_comment": sum(_has_line(p, "#") for p in programs),
        "with_docstring": sum('"""' in p or "'''" in p for p in programs),
        "with_import": sum(_has_line(p, "import ") or _has_line(p, "from ") for p in programs),
        "extraction": shares(c.get("extraction") for c in completions),
        "finish_reason": shares(c.get("finish_reason") for c in completions),
        "well_formed": sum(complete),
        "well_formed_passed": sum(c and p for c, p in zip(complete, passed, strict=True)),
        "mean_logprob": _mean([c["mean_logprob"] for c in completions if c.get("mean_logprob") is not None]),
    }


def _has_line(program: str, start: str) -> bool:
    return any(line.lstrip().startswith(start) for line in program.splitlines())


def shares(values: Any) -> dict[str, int]:
    """Count values (None as `unknown`), most frequent first, ties by name."""
    counts = Counter("unknown" if v is None else str(v) for v in values)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def spread(values: Sequence[float]) -> dict[str, float] | None:
    """Return n, mean and the 10th, 50th, 90th percentile (the value at or below the rank); None if empty."""
    if not values:
        return None
    ordered = sorted(values)
    tenth, ninetieth = (ordered[int(q * (len(ordered) - 1))] for q in (0.1, 0.9))
    middle = median_low(ordered)
    return {
        "n": len(ordered),
        "mean": round(fmean(ordered), 2),
        "p10": tenth,
        "p50": middle,
        "p90": ninetieth,
    }


def _mean(values: Sequence[float]) -> float | None:
    return round(fmean(values), 4) if values else None


def similarity_summary(similarities: Sequence[float], passed: Sequence[bool]) -> dict[str, Any]:
    """Return how near an arm's programs are to training answers, and the pass count by quartile of it.

    Quartile 1 holds the programs least like any training answer.
    """
    order = sorted(range(len(similarities)), key=lambda i: (similarities[i], i))
    quarters = []
    for q in range(4):
        members = order[q * len(order) // 4 : (q + 1) * len(order) // 4]
        if members:
            values = [similarities[i] for i in members]
            quarters.append(
                {
                    "from": round(min(values), 3),
                    "to": round(max(values), 3),
                    "n": len(members),
                    "passed": sum(passed[i] for i in members),
                }
            )
    return {
        "n": len(similarities),
        "median": round(median_low(similarities), 3) if similarities else None,
        "copies": sum(s >= COPY_FROM for s in similarities),
        "copy_from": COPY_FROM,
        "quartiles": quarters,
    }
