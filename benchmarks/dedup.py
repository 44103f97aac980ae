"""Measures near-duplicate removal beside other tools on the same rows, and prints the table.

    python benchmarks/dedup.py --peers DIR [--data DATA] [--rows N]… [--jobs N] [--limit-s S]

DIR/NAME holds the environment of a peer: `datasketch`, `rensa`, `text-dedup`, `datatrove` (each made
with `python -m venv DIR/NAME` and `DIR/NAME/bin/pip install NAME pyarrow`; datatrove as
`datatrove[io,processing]` with spacy). Missing ones are named in the results. The rows are generated
(dedup_corpus.py); with --data, folder of the published files, there is a section of 20,000 real rows
too. What each tool does, and with which settings, is in dedup_runs.py.

Each size is one run: every tool in turn, as a command of its own. wall_s, cpu_s and peak_mb are
those of the whole command (the tree of its processes, text included); work_s and work_cpu_s leave
out imports and reading, where a tool lets one tell them apart. A planted copy counts as found if it
and the row that it was made from are not both kept. A tool is left out of a size if it would take
more than --limit-s by its time on the size before. Figures go into `benchmarks/results/dedup.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from codefit.curate.near import Rule
from dedup_corpus import Corpus, generated, real
from dedup_runs import NGRAM, PERMUTATIONS, THRESHOLD
from measure import machine, measured, peer_version

RESULTS = Path(__file__).parent / "results" / "dedup.json"
RUNNER = Path(__file__).parent / "dedup_runs.py"
PEERS = {
    "rensa": "rensa",
    "rensa_grams": "rensa",
    "rensa_rho": "rensa",
    "datasketch": "datasketch",
    "text_dedup": "text-dedup",
    "datatrove": "datatrove",
}
LENGTHS = ((0, 100), (100, 200), (200, 500), (500, 1_000_000))
SEED = 20_260


def run(tool: str, python: str, rows: Path, corpus: Corpus, jobs: int, timeout_s: float) -> dict[str, Any]:
    """Run one tool and return what it used and found."""
    kept_file = rows.with_suffix(".kept")
    kept_file.unlink(missing_ok=True)
    environment = {**os.environ, "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true"}
    usage = measured(
        [python, str(RUNNER), tool, str(rows), str(kept_file), str(jobs)],
        timeout_s=timeout_s,
        env=environment,
    )
    if usage.code or not kept_file.exists():
        late = "stopped: over the time limit" if usage.wall_s >= timeout_s else usage.output[-400:]
        return {"failed": late, "wall_s": round(usage.wall_s, 2)}
    own = json.loads(usage.output.strip().splitlines()[-1])
    used = {
        "wall_s": round(usage.wall_s, 2),
        "cpu_s": round(usage.cpu_s, 2),
        "peak_mb": round(usage.peak_mb or 0),
    }
    return {**used, **own, "jobs": jobs, "by": usage.by, **found(kept_file.read_bytes(), corpus)}


def found(kept: bytes, corpus: Corpus) -> dict[str, Any]:
    """Return the recall of planted copies, and what else was dropped."""
    planted = {place for pairs in (corpus.exact, corpus.near) for pair in pairs.items() for place in pair}
    hit = {copy: not (kept[copy] and kept[source]) for copy, source in (corpus.exact | corpus.near).items()}
    by_length = {}
    for low, high in LENGTHS:
        some = [hit[c] for c, source in corpus.near.items() if low <= len(corpus.texts[source]) < high]
        if some:
            by_length[f"{low}-{high}" if high < 1_000_000 else f"{low}+"] = {
                "planted": len(some),
                "recall": round(sum(some) / len(some), 4),
            }
    return {
        "recall_near": round(sum(hit[c] for c in corpus.near) / len(corpus.near), 4),
        "recall_exact": round(sum(hit[c] for c in corpus.exact) / len(corpus.exact), 4),
        "dropped": len(kept) - sum(kept),
        "others_dropped": sum(not flag for place, flag in enumerate(kept) if place not in planted),
        "recall_near_by_characters": by_length,
    }


def section(o: argparse.Namespace, corpus: Corpus, before: dict[str, Any]) -> dict[str, Any]:
    """Run every tool on one collection of rows; `before` is the section of the size before."""
    count = len(corpus.texts)
    tools: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.parquet"
        table = pa.table({"id": range(count), "text": pa.array(corpus.texts, pa.large_string())})
        pq.write_table(table, rows, compression="zstd", row_group_size=50_000)
        del table
        for tool, peer in {"codefit": None, "codefit_one_core": None, **PEERS}.items():
            python = str(Path(o.peers, peer, "bin", "python")) if peer else sys.executable
            last = before.get("tools", {}).get(tool, {})
            expected_s = last.get("wall_s", 0) * count / before.get("rows", count)
            if not Path(python).exists():
                tools[tool] = {"left_out": "not installed"}
            elif "left_out" in last or "failed" in last or expected_s > o.limit_s:
                tools[tool] = {
                    "left_out": f"about {expected_s:.0f} s expected" if expected_s else "as before"
                }
            else:
                jobs = 1 if tool == "codefit_one_core" else o.jobs
                tools[tool] = run(tool.removesuffix("_one_core"), python, rows, corpus, jobs, o.limit_s * 4)
            print(f"  {tool}: {tools[tool]}", flush=True)
    characters = sum(map(len, corpus.texts))
    size = {"rows": count, "megabytes": round(sum(len(t.encode()) for t in corpus.texts) / 1e6, 1),
            "characters_mean": round(characters / count, 1)}  # fmt: skip
    return {**size, "planted_exact": len(corpus.exact), "planted_near": len(corpus.near), "tools": tools,
            "times_of_codefit": ratios(tools)}  # fmt: skip


def ratios(tools: dict[str, Any]) -> dict[str, Any]:
    """Return how many times codefit's wall time, CPU time and memory each peer took."""
    own = tools["codefit"]
    return {
        tool: {k: round(used[k] / own[k], 2) for k in ("wall_s", "cpu_s", "work_s", "work_cpu_s", "peak_mb")}
        for tool, used in tools.items()
        if tool in PEERS and "wall_s" in used and "failed" not in used
    }


def table(results: dict[str, Any]) -> str:
    """Return the figures as a Markdown table."""
    lines = [
        "| rows | tool | wall s | work s | CPU s | peak MB | recall of near copies | dropped | others dropped |"
    ]
    lines.append("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    for name, part in results["sections"].items():
        for tool, r in part["tools"].items():
            if "recall_near" not in r:
                lines.append(f"| {name} | {tool} | {r.get('left_out') or 'failed'} | | | | | | |")
                continue
            cells = [
                r[k]
                for k in ("wall_s", "work_s", "cpu_s", "peak_mb", "recall_near", "dropped", "others_dropped")
            ]
            lines.append(f"| {name} | {tool} | " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run the sections, write the results after each, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", type=Path, default=Path("peers"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--rows", type=int, action="append")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--limit-s", type=float, default=300)
    parser.add_argument("--out", type=Path, default=RESULTS)
    o = parser.parse_args()
    o.peers = o.peers.absolute()
    versions = {
        peer: peer_version(str(o.peers / peer / "bin" / "python"), peer)
        for peer in dict.fromkeys(PEERS.values())
        if (o.peers / peer).exists()
    }
    settings = {
        "codefit": vars(Rule()),
        "peers": {"threshold": THRESHOLD, "ngram": NGRAM, "hashes": PERMUTATIONS},
    }
    results: dict[str, Any] = {
        **machine(),
        "seed": SEED,
        "versions": versions,
        "settings": settings,
        "sections": {},
    }
    before: dict[str, Any] = {}
    if o.data:
        results["sections"]["real 20,000"] = section(o, real(o.data, 20_000, SEED), {})
    for rows in o.rows or [20_000, 100_000, 1_000_000]:
        print(f"{rows:,} rows", flush=True)
        before = results["sections"][f"{rows:,}"] = section(o, generated(rows, SEED), before)
        o.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(table(results))


if __name__ == "__main__":
    main()
