"""Measures how many answers to BigCodeBench's tasks are found as leaks, with and without running its tests.

    python benchmarks/unittest_leaks.py --data FOLDER --work FOLDER [--env DIR] [--every N] [--out FILE]

The rows are a tuned model's published answers to BigCodeBench-Instruct, one for every N-th task, the function
renamed; the request is the first sentence of the task. So the code is another than the reference, and its words
are a part of the task's. An answer that passes by the published verdict is a leak, the others are not. FOLDER of
the data holds `bigcodebench.jsonl.gz` and `outputs/tuned-1.5b-half/`. Verdicts are kept in the folder of the work.
"""

from __future__ import annotations

import argparse
import datetime
import gzip
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from codefit.cli.show import cache_folder
from codefit.core.types import Row
from codefit.curate import decontaminate
from codefit.curate.decontaminate import Separation
from codefit.curate.step import UnittestJudges
from codefit.sandbox import Sandbox
from codefit.suites.base import Suite
from codefit.suites.bigcodebench import Options
from codefit.suites.load import load_suite
from codefit.suites.machine import machine_now

ROOT = Path(__file__).parents[1]
ANSWERS = "outputs/tuned-1.5b-half/bigcodebench_instruct_full"


def answers(folder: Path, suite: Suite, every: int) -> tuple[list[Row], set[str]]:
    """Return the rows, and the ids of those that pass by the published verdict."""
    with gzip.open(folder / f"{ANSWERS}.completions.jsonl.gz", "rt") as lines:
        programs = {r["task_id"]: r["solution"] for r in map(json.loads, lines)}
    with gzip.open(folder / f"{ANSWERS}.verdicts.json.gz", "rt") as file:
        verdicts = {task_id: found[0]["status"] for task_id, found in json.load(file)["eval"].items()}
    rows = []
    for task in suite.all_tasks[::every]:
        first = re.split(r"(?<=\.)\s", task.prompt.strip())[0]
        program = re.sub(r"\btask_func\b", "do_it", programs[task.task_id])
        rows.append(Row(task.task_id, "answers", first, program, "python"))
    return rows, {row.id for row in rows if verdicts[row.id] == "pass"}


def counted(found: Separation, leaks: set[str], rows: int) -> dict[str, Any]:
    """Return leaks found, and other rows dropped."""
    gone = {d.row_id for d in found.dropped}
    return {
        "leaks_found": len(gone & leaks),
        "leaks": len(leaks),
        "others_dropped": len(gone - leaks),
        "others": rows - len(leaks),
    }


def executed(hits: Iterable[Any], leaks: set[str]) -> dict[str, Any]:
    """Return what running the tests found: a row's own task, or another one that it passes too."""
    pairs = sorted({(h.row_id, h.task_id) for h in hits if h.method == "execution" and h.action == "removed"})
    return {
        "own_task_of_a_leak": sum(row == task and row in leaks for row, task in pairs),
        "own_task_of_others": [row for row, task in pairs if row == task and row not in leaks],
        "another_task": [[row, task] for row, task in pairs if row != task],
    }


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--env", help="folder of BigCodeBench's libraries; default the usual place")
    parser.add_argument("--every", type=int, default=4)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "unittest_leaks.json")
    given = parser.parse_args()
    options = Options(environment=given.env, cache=cache_folder())
    suite = load_suite("bigcodebench", given.data / "bigcodebench.jsonl.gz", options=options)
    rows, leaks = answers(given.data, suite, given.every)
    tasks = {"bigcodebench": suite.all_tasks}
    result: dict[str, Any] = {"date": datetime.date.today().isoformat(), "machine": machine_now()}
    with Sandbox(jobs=2, runtime=suite.runtime) as box, Sandbox(jobs=2) as plain:
        judges = UnittestJudges({"bigcodebench": suite}, lambda _: box, cache_folder())
        for name, judging in (("without", None), ("with", judges)):
            found = decontaminate(rows, tasks, sandbox=plain, cache=given.work, judges=judging)
            result[name] = counted(found, leaks, len(rows))
        result["execution"] = executed(found.hits, leaks)
        missed = sorted(leaks - {d.row_id for d in found.dropped})
        result["missed"] = [[row_id, suite.excluded.get(row_id, "")] for row_id in missed]
    given.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
