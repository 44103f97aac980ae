"""Time of the data card on real rows: Code Alpaca and two TACO files against MBPP+, HumanEval and BigCodeBench.

Usage: python benchmarks/data_card.py DATA_FOLDER

Prints rows, wall and CPU seconds of `data_card` alone: every row counted by the real tokenizer, nothing
remembered from earlier steps, all rows as read, the first 10,000 standing for the kept ones.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from codefit.core.curation import CurateSettings
from codefit.core.types import Row
from codefit.curate.card import data_card
from codefit.curate.step import Context
from codefit.models.load import load_tokenizer
from codefit.sources import open_source
from codefit.suites.load import load_suite

SOURCES = (
    ("code_alpaca", "code_alpaca", "code_alpaca_20k.jsonl.gz"),
    ("taco", "taco-function", "taco_schema_function.jsonl.gz"),
    ("taco", "taco-stdin", "taco_schema_stdin.jsonl.gz"),
)
SUITES = (
    ("mbpp+", "mbpp_plus_v0.2.0.jsonl.gz"),
    ("humaneval", "humaneval.jsonl.gz"),
    ("bigcodebench", "bigcodebench.jsonl.gz"),
)


def main(folder: Path) -> None:
    """Make the card once and print what it cost."""
    rows: list[Row] = []
    for kind, name, file in SOURCES:
        rows += open_source({"kind": kind, "name": name, "path": folder / file}).rows(lambda error: None)
    tasks = {name: load_suite(name, folder / file, judging=False).all_tasks for name, file in SUITES}
    tokenizer = load_tokenizer(folder / "qwen2_tokenizer" / "tokenizer.json.gz")
    ctx = Context(
        CurateSettings(), tasks, None, 0,
        count_tokens=lambda text: len(tokenizer.encode(text, add_special_tokens=False)),
    )  # fmt: skip
    wall, cpu = time.perf_counter(), time.process_time()
    data_card(rows, rows[:10_000], [], {"steps": [], "sources": []}, ctx)
    spent = {"wall_s": round(time.perf_counter() - wall, 1), "cpu_s": round(time.process_time() - cpu, 1)}
    print(json.dumps({"rows": len(rows), "tasks": sum(map(len, tasks.values())), **spent}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
