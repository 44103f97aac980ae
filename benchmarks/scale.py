"""Measures curation over shards: a generated corpus on this machine, and local processes against Ray on real rows.

    python benchmarks/scale.py [--rows 1000000] [--jobs 2] [--data FOLDER] [--work FOLDER] [--out FILE]

The corpus (benchmarks/scale_corpus.py) goes through normalise, language, syntax, exact duplicates,
decontaminate (words, code and calls; no programs are run) and near-duplicates, against MBPP,
HumanEval and BigCodeBench where FOLDER has them, else against the embedded tasks. Memory is the
resident size of all processes together, looked at ten times a second: pages that processes share
count twice, the page cache counts not. Disk is that of the work folder, looked at every two
seconds, without the corpus and with the results. Run again after a kill, it goes on, and says so.

Real rows (Code Alpaca, TACO-schema) go through the same steps in memory, over shards on local
processes, and on Ray where it is installed: the hash of every file is compared.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import importlib.util
import json
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from codefit.core.curation import CurateSettings
from codefit.core.files import atomic_path, read_json, write_json
from codefit.core.types import Row, Task
from codefit.curate import curate, read_dropped
from codefit.curate.sharded import SHARD_ROWS, Input, curate_sharded
from codefit.micro import tasks as micro_tasks
from codefit.scale import open_executor
from codefit.sources import open_source
from codefit.suites.load import load_suite
from measure import in_proc, machine
from scale_corpus import Corpus

STEPS = ("normalise", "language", "syntax", "dedup_exact", "decontaminate", "dedup_near")
SUITES = (
    ("mbpp", "mbpp.jsonl.gz"),
    ("humaneval", "humaneval.jsonl.gz"),
    ("bigcodebench", "bigcodebench.jsonl.gz"),
)
REAL = (("code_alpaca", "code_alpaca_20k"), ("taco", "taco_schema_stdin"), ("taco", "taco_schema_function"))
FILES = ("kept.parquet", "raw.parquet", "random.parquet", "dropped.parquet", "hits.jsonl", "funnel.json")
SEED = 20_011
_MBPP_TEST = range(11, 511)


def suites_in(folder: Path | None) -> dict[str, Sequence[Task]]:
    """Return the test tasks that rows are kept apart from."""
    if folder is None:
        return {"micro": micro_tasks("test")}
    return {name: load_suite(name, folder / file, judging=False).all_tasks for name, file in SUITES}


def given_away(folder: Path | None) -> list[dict[str, Any]]:
    """Return prompt, code and asserts of the tasks that the corpus gives away."""
    if folder is None:
        tasks = [t for t in micro_tasks("test") if t.reference]
        return [{"prompt": t.prompt, "code": t.reference, "asserts": _asserts(t)} for t in tasks]
    with gzip.open(folder / "mbpp.jsonl.gz", "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    return [
        {"prompt": r.get("text") or r["prompt"], "code": r["code"], "asserts": r["test_list"]}
        for r in records
    ]


def _asserts(task: Task) -> list[str]:
    calls = zip(task.tests.inputs, task.tests.outputs, strict=True)
    return [f"assert {task.entry_point}({', '.join(map(repr, i))}) == {o!r}" for i, o in calls][:3]


def curated(work: Path, corpus: Path, data: Path | None, jobs: int) -> None:
    """Curate the corpus over shards; write seconds per phase (a child process of the benchmark)."""
    source = open_source({"kind": "jsonl", "path": corpus, "name": "generated"})
    began, phases, last = time.monotonic(), dict[str, float](), ["start", time.monotonic()]

    def on_progress(phase: str, done: int, total: int) -> None:
        if phase != last[0]:
            phases[str(last[0])] = round(time.monotonic() - float(last[1]), 2)
            last[:] = [phase, time.monotonic()]
            print(f"{time.monotonic() - began:.0f} s: {phase}", flush=True)

    executor = open_executor("local", jobs=jobs)
    suites = suites_in(data)
    chosen = CurateSettings(steps=STEPS, decontaminate={"execution_match": "off", "against": list(suites)})
    began_wall = time.time()
    try:
        curate_sharded(
            Input(f"{corpus.name} {corpus.stat().st_size}", source.rows, lambda: [source.describe()]),
            chosen, work / "run", tasks=suites, executor=executor, code="benchmark", seed=SEED, on_progress=on_progress,
        )  # fmt: skip
    finally:
        executor.close()
    on_progress("end", 0, 0)
    write_json(work / "phases.json", {"seconds": phases, "began": began_wall})


def recall(corpus: Corpus, run: Path) -> dict[str, Any]:
    """Return how many of the planted copies and leaks are still in pairs, or in, among the kept rows."""
    step = {int(d.row_id.rpartition("/g")[2]): d.step for d in read_dropped(run / "data" / "dropped.parquet")}
    planted, left = Counter[str](), Counter[str]()
    for number in range(corpus.rows):
        plan = corpus.plan(number)
        if plan.base >= 0:
            planted[plan.kind] += 1
            left[plan.kind] += number not in step and plan.base not in step
        elif plan.kind == "leak":
            planted[f"leak by {plan.way}"] += 1
            left[f"leak by {plan.way}"] += number not in step
    return {
        kind: {
            "planted": planted[kind],
            "left": left[kind],
            "recall": round(1 - left[kind] / planted[kind], 4),
        }
        for kind in sorted(planted)
    }


def generated(work: Path, rows: int, jobs: int, data: Path | None) -> dict[str, Any]:
    """Generate, curate in a process of its own under measurement, and check what was planted."""
    corpus, path = Corpus(rows, SEED, given_away(data)), work / f"corpus-{rows}.jsonl"
    if not path.exists():
        with atomic_path(path) as temp, temp.open("w", encoding="utf-8") as f:
            f.writelines(corpus.lines())
    resumed = (work / "run").exists()
    child = [
        sys.executable,
        __file__,
        "--child",
        "--work",
        str(work),
        "--rows",
        str(rows),
        "--jobs",
        str(jobs),
    ]
    child += ["--data", str(data)] if data else []
    with Disk(work / "run") as disk:
        usage = in_proc(child, 24 * 3600, {})
    if usage.code:
        raise SystemExit(usage.output)
    funnel = read_json(work / "run" / "data" / "funnel.json")
    return {
        "rows": rows,
        "bytes": path.stat().st_size,
        "jobs": jobs,
        "shard_rows": SHARD_ROWS,
        "resumed": resumed,
        "wall_s": round(usage.wall_s, 1),
        "cpu_s": round(usage.cpu_s, 1),
        "rows_per_s": round(rows / usage.wall_s, 1),
        "cpu_us_per_row": round(1e6 * usage.cpu_s / rows, 1),
        "peak_mb": round(usage.peak_mb or 0, 1),
        "disk_mb": disk.peak_mb,
        "phases_s": read_json(work / "phases.json")["seconds"],
        "kept": funnel["kept"],
        "steps": [{k: s[k] for k in ("step", "in", "kept", "dropped", "reasons")} for s in funnel["steps"]],
        "suites": funnel["suites"],
        "planted": recall(corpus, work / "run"),
    }


class Disk:
    """Watches how much a folder holds."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.peak_mb = folder, 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._stop.wait(2):
            held = 0
            for path in self.folder.rglob("*"):
                try:
                    held += path.stat().st_size
                except OSError:
                    continue
            self.peak_mb = max(self.peak_mb, round(held / 2**20, 1))

    def __enter__(self) -> Disk:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()


def equality(data: Path, jobs: int) -> dict[str, Any]:
    """Return the hashes of the files that each executor makes of the real rows, and whether they are the same."""
    suites = suites_in(data)
    chosen = CurateSettings(steps=STEPS, decontaminate={"execution_match": "off", "against": list(suites)})

    def rows() -> Iterator[Row]:
        for kind, name in REAL:
            yield from open_source({"kind": kind, "name": name, "path": data / f"{name}.jsonl.gz"}).rows()

    def in_memory(out: Path) -> None:
        curate(rows(), chosen, out, tasks=suites, sandbox=None, seed=SEED)

    def over_shards(name: str, shard_rows: int, in_memory_rows: int) -> Callable[[Path], None]:
        def run(out: Path) -> None:
            executor = open_executor(name, jobs=jobs)
            try:
                curate_sharded(Input("real", rows), chosen, out, tasks=suites, executor=executor, code="benchmark",
                               seed=SEED, shard_rows=shard_rows, in_memory_rows=in_memory_rows)  # fmt: skip
            finally:
                executor.close()

        return run

    runs = {"in memory": in_memory, "local, shards of 2,000": over_shards("local", 2_000, 0),
            "local, shards of 9,999": over_shards("local", 9_999, 10**9)}  # fmt: skip
    if importlib.util.find_spec("ray"):
        runs["ray, shards of 2,000"] = over_shards("ray", 2_000, 0)
    found: dict[str, Mapping[str, str]] = {}
    seconds: dict[str, float] = {}
    kept = 0
    for label, run in runs.items():
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            run(Path(folder))
            seconds[label] = round(time.monotonic() - began, 1)
            kept = read_json(Path(folder) / "data" / "funnel.json")["kept"]
            found[label] = {name: _hash(Path(folder) / "data" / name) for name in FILES}
    first = found["in memory"]
    return {"rows": sum(1 for _ in rows()), "kept": kept, "runs": list(runs), "wall_s": seconds, "sha256": dict(first),
            "same": all(hashes == first for hashes in found.values())}  # fmt: skip


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    """Measure and write the results."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--data", type=Path, help="folder of the real rows and test sets")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "codefit-scale")
    parser.add_argument("--out", type=Path, default=here / "results" / "scale.json")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    if asked.child:
        curated(asked.work, asked.work / f"corpus-{asked.rows}.jsonl", asked.data, asked.jobs)
        return
    result: dict[str, Any] = {"machine": machine()}
    result["generated"] = generated(asked.work, asked.rows, asked.jobs, asked.data)
    write_json(asked.out, result)
    if asked.data:
        result["real"] = equality(asked.data, asked.jobs)
        write_json(asked.out, result)
    shutil.rmtree(asked.work / "run")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
