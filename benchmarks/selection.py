"""Measures selection: time against the number of rows, and what the selected rows cover.

    python benchmarks/selection.py [--data FOLDER] [--rows N ...] [--out FILE]

Time: CPU seconds of one thread of the `select` step alone, a quarter of the rows taken, the quality step
done before. More rows than there are come from the real ones, each copy with a word of its own in the
request and a call of its own in the answer.

Coverage: how well the selected rows stand for all of them, by the measure of facility location: the mean,
over a sample of rows, of the similarity to the nearest selected row. Similarity is the cosine of TF-IDF
vectors over character 4-grams of request and answer, which the selector does not see. The same number of
rows is taken at random (five seeds), by quality alone, by novelty alone, and as the recipe does.
"""

from __future__ import annotations

import argparse
import datetime
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from codefit.core.curation import CurateSettings
from codefit.core.files import digest
from codefit.core.types import Row
from codefit.curate.language import Language
from codefit.curate.normalise import Normalise
from codefit.curate.quality import Quality
from codefit.curate.select import Select
from codefit.curate.step import Context
from codefit.curate.syntax import Syntax
from codefit.sources import open_source
from codefit.suites.machine import machine_now

ROOT = Path(__file__).parents[1]
SOURCES = (
    ("code_alpaca", "code_alpaca_20k"),
    ("taco", "taco_schema_function"),
    ("taco", "taco_schema_stdin"),
)
BUCKETS = 1 << 14
SHARE = 0.25
SAMPLE = 1_500


def real_rows(folder: Path) -> tuple[list[Row], Context]:
    """Return the Python rows of the real sources with their quality noted."""
    rows: list[Row] = []
    for kind, name in SOURCES:
        rows += open_source({"kind": kind, "name": name, "path": folder / f"{name}.jsonl.gz"}).rows()
    ctx = context({})
    for step in (Normalise(), Language(), Syntax(), Quality()):
        rows = step.run(rows, ctx).kept
    return rows, ctx


def context(select: dict[str, Any]) -> Context:
    """Return a context of the default recipe with these settings of selection."""
    return Context(CurateSettings.model_validate({"select": select}), {}, None, 0)


def grown(
    rows: Sequence[Row], facts: dict[str, dict[str, Any]], count: int
) -> tuple[list[Row], dict[str, Any]]:
    """Return `count` rows made of the real ones, and their facts."""
    out: list[Row] = []
    noted: dict[str, Any] = {}
    for i in range(count):
        row, turn = rows[i % len(rows)], i // len(rows)
        if turn:
            mark = f"v{turn}x{i}"
            row = replace(row, id=f"{row.id}~{turn}", instruction=f"{row.instruction} {mark}",
                          response=f"{row.response}\n{mark}.{mark}()")  # fmt: skip
        out.append(row)
        noted[row.id] = facts[rows[i % len(rows)].id]
    return out, noted


def timed(rows: Sequence[Row], facts: dict[str, Any], select: dict[str, Any]) -> tuple[float, list[Row]]:
    """Return (CPU seconds, kept rows) of one selection."""
    ctx = context(select)
    ctx.facts.update(facts)
    began = time.process_time()
    kept = Select().run(list(rows), ctx).kept
    return time.process_time() - began, kept


def vectors(rows: Sequence[Row], weights: np.ndarray[Any, Any] | None = None) -> tuple[Any, Any]:
    """Return (unit TF-IDF vectors over hashed character 4-grams, the IDF weights)."""
    counts = np.zeros((len(rows), BUCKETS), dtype=np.float32)
    for i, row in enumerate(rows):
        text = f"{row.instruction}\n{row.response}".lower()[:4_000].encode()
        hashed = [crc32(text[at : at + 4]) % BUCKETS for at in range(max(1, len(text) - 3))]
        found, times = np.unique(hashed, return_counts=True)
        counts[i, found] = 1 + np.log(times)
    if weights is None:
        weights = np.log((1 + len(rows)) / (1 + (counts > 0).sum(0))).astype(np.float32) + 1
    counts *= weights
    counts /= np.linalg.norm(counts, axis=1, keepdims=True)
    return counts, weights


def coverage(sample: Any, chosen: Sequence[Row], weights: Any) -> float:
    """Return the mean similarity of sample rows to the nearest chosen row."""
    best = np.zeros(len(sample), dtype=np.float32)
    for at in range(0, len(chosen), 1_000):
        part, _ = vectors(chosen[at : at + 1_000], weights)
        best = np.maximum(best, (sample @ part.T).max(1))
    return round(float(best.mean()), 4)


def covered(rows: list[Row], facts: dict[str, Any], take: int) -> dict[str, Any]:
    """Return coverage and mean quality of every way to take so many rows."""
    drawn = sorted(rows, key=lambda r: digest("coverage", r.id))[:SAMPLE]
    sample, weights = vectors(drawn)

    def judged(chosen: Sequence[Row]) -> dict[str, float]:
        quality = float(np.mean([facts[r.id]["quality"] for r in chosen]))
        return {"coverage": coverage(sample, chosen, weights), "quality": round(quality, 4)}

    out: dict[str, Any] = {}
    for name, diversity in (
        ("quality alone", 0.0),
        ("diversity 0.5", 0.5),
        ("diversity 0.9", 0.9),
        ("novelty alone", 1.0),
    ):
        out[name] = judged(timed(rows, facts, {"rows": take, "diversity": diversity})[1])
    seeds = [judged(sorted(rows, key=lambda r, s=s: digest(str(s), r.id))[:take]) for s in range(5)]
    out["random, five seeds"] = {
        name: round(float(np.mean([s[name] for s in seeds])), 4) for name in ("coverage", "quality")
    } | {"coverage_min": min(s["coverage"] for s in seeds), "coverage_max": max(s["coverage"] for s in seeds)}
    return out


def main() -> None:
    """Measure and write one JSON file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 20_000, 40_000, 100_000])
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "selection.json")
    args = parser.parse_args()
    rows, ctx = real_rows(args.data)
    times = []
    for count in args.rows:
        many, facts = grown(rows, ctx.facts, count)
        seconds, kept = timed(many, facts, {"rows": int(count * SHARE)})
        line = {
            "rows": count,
            "taken": len(kept),
            "cpu_s": round(seconds, 2),
            "us_per_row": round(1e6 * seconds / count),
        }
        times.append(line)
        print(json.dumps(line), flush=True)
    takes = {str(n): covered(rows, ctx.facts, n) for n in (len(rows) // 20, len(rows) // 4)}
    for n, found in takes.items():
        print(n, json.dumps(found, indent=1), flush=True)
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    result = {"machine": {"date": date, **machine_now()}, "real_rows": len(rows), "time": times,
              "coverage": {"sample": min(SAMPLE, len(rows)), "taken": takes}}  # fmt: skip
    args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
