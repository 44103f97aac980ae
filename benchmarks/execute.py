"""Measures the judge against its bars, beside evalplus and bigcodebench, and prints the table.

    python benchmarks/execute.py --data DIR --evalplus PYTHON --bigcodebench PYTHON [--only SECTION]…

DIR holds the published files (MBPP+, HumanEval, BigCodeBench, real outputs with official verdicts); the two
interpreters are those of environments in which the peers are installed. Each section writes its figures into
`benchmarks/results/execute.json` as soon as it has them. Peer and codefit are measured in turn, in one run;
read ratios, not seconds. BigCodeBench needs `codefit env create bigcodebench`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peers
from codefit.cli.show import cache_folder
from codefit.sandbox import Limits, Program, Sandbox
from codefit.suites.environment import find
from execute_table import table
from measure import Usage, busy, machine, measured, peer_version, python_version
from sandbox import bare_fork, calls, end_to_end

RESULTS = Path(__file__).parent / "results" / "execute.json"
BASE = "outputs/qwen2.5-coder-1.5b-base"
TUNED = "outputs/tuned-1.5b-half"
MBPP_OLD, MBPP_NEW = "mbpp_plus_v0.1.0.jsonl.gz", "mbpp_plus_v0.2.0.jsonl.gz"
ORDINARY_S = 0.050
SCIENCE = re.compile(r"\b(numpy|pandas|matplotlib|sklearn|scipy|seaborn)\b")
HUNG = "def f(x):\n    while True: pass\n"


@dataclass
class Options:
    data: Path
    work: Path
    evalplus: str | None
    bigcodebench: str | None
    jobs: int
    runs: int


def used(usage: Usage) -> dict[str, Any]:
    """Return what goes into the results of one measured command."""
    peak = round(usage.peak_mb, 1) if usage.peak_mb is not None else None
    return {"wall_s": round(usage.wall_s, 2), "cpu_s": round(usage.cpu_s, 2), "peak_mb": peak, "left": usage.left,
            "by": usage.by}  # fmt: skip


def mbpp(o: Options, out: str, *more: str, samples: str = f"{BASE}/mbpp.completions.jsonl.gz") -> Any:
    """Judge real outputs for MBPP+."""
    data = MBPP_OLD if samples.startswith(BASE) else MBPP_NEW
    return peers.codefit("mbpp+", o.data / data, o.data / samples, o.work / out, o.jobs, *more)


def need(python: str | None, name: str) -> str:
    """Return the interpreter of a peer; ends where none was given."""
    if python is None:
        raise SystemExit(f"this section needs --{name}")
    return python


def agreement(o: Options) -> dict[str, Any]:
    """Compare verdicts on real outputs with evalplus run beside us, and with the published ones."""
    evalplus = need(o.evalplus, "evalplus")
    found: dict[str, Any] = {"evalplus": peer_version(evalplus, "evalplus")}
    for name, folder, data in (("base_model", BASE, MBPP_OLD), ("tuned_model", TUNED, MBPP_NEW)):
        samples = f"{folder}/mbpp.completions.jsonl.gz"
        _, ours = mbpp(o, f"agree-{name}", samples=samples)
        _, theirs = peers.evalplus(
            evalplus, o.data / data, o.data / samples, o.work / f"evalplus-{name}", o.jobs
        )
        official = peers.published(o.data / folder / "mbpp.verdicts.json.gz")
        _, older = mbpp(o, f"agree-{name}-0.2", "--oracle", "0.2", samples=samples)
        found[name] = {
            "with_evalplus_beside": peers.differences(ours, theirs),
            "oracle_0.2_with_official": peers.differences(older, official),
            "evalplus_with_official": peers.differences(theirs, official),
        }
    human = o.data / BASE
    _, ours = peers.codefit("humaneval", o.data / "humaneval.jsonl.gz", human / "humaneval.completions.jsonl.gz",
                            o.work / "humaneval", o.jobs)  # fmt: skip
    found["humaneval"] = peers.differences(ours, peers.published(human / "humaneval.verdicts.json.gz"))
    return found


def under_load(o: Options) -> dict[str, Any]:
    """Judge the same outputs again and again beside eight busy loops, from nothing each time."""
    found: dict[str, Any] = {"busy_loops": 8, "runs": o.runs}
    for name, folder in (("base_model", BASE), ("tuned_model", TUNED)):
        samples = f"{folder}/mbpp.completions.jsonl.gz"
        _, quiet = mbpp(o, f"quiet-{name}", samples=samples)
        flips: list[dict[str, Any]] = []
        for number in range(o.runs):
            with busy(8):
                usage, loaded = mbpp(o, f"loaded-{name}", samples=samples)
            differ = peers.differences(loaded, quiet)
            flips.append({"base": differ["base"]["differ"], "plus": differ["plus"]["differ"], **used(usage)})
            print(f"  {name}, run {number + 1}: {flips[-1]}", flush=True)
        found[name] = {"flips": sum(len(f["base"]) + len(f["plus"]) for f in flips), "each": flips}
    return found


def speed(o: Options) -> dict[str, Any]:
    """Judge all MBPP+ samples, caches warm, in turn with evalplus; and those of ordinary tasks alone."""
    evalplus = need(o.evalplus, "evalplus")
    samples = o.data / BASE / "mbpp.completions.jsonl.gz"
    mbpp(o, "warm-up")
    peers.evalplus(evalplus, o.data / MBPP_OLD, samples, o.work / "evalplus-base_model", o.jobs)
    found: dict[str, Any] = {"all": _turns(o, evalplus, MBPP_OLD, samples, "base_model", 3)}
    rate = len(peers.lines(samples)) / min(r["wall_s"] for r in found["all"]["evalplus"])
    found["all"]["evalplus_per_s"] = round(rate, 1)
    data, chosen = _ordinary(o)
    peers.evalplus(evalplus, data, chosen, o.work / "evalplus-ordinary", o.jobs)
    found["ordinary"] = _turns(o, evalplus, str(data), chosen, "ordinary", 2)
    n = len(peers.lines(chosen))
    ours, theirs = (min(r["wall_s"] for r in found["ordinary"][k]) for k in ("codefit", "evalplus"))
    start_s = min(one_sample(o)["wall_s"])
    found["ordinary"] |= {
        "samples": n, "codefit_per_s": round(n / ours, 1), "evalplus_per_s": round(n / theirs, 1),
        "codefit_per_s_without_start": round(n / max(0.01, ours - start_s), 1), "start_s": start_s,
    }  # fmt: skip
    return found


def _turns(o: Options, evalplus: str, data: str, samples: Path, name: str, times: int) -> dict[str, Any]:
    ours, theirs = [], []
    for _ in range(times):
        usage, _ = peers.codefit("mbpp+", o.data / data, samples, o.work / "speed", o.jobs)
        ours.append(used(usage) | {"evaluator_mb": _evaluator_mb(usage, o.work / "speed")})
        usage, verdicts = peers.evalplus(
            evalplus, o.data / data, samples, o.work / f"evalplus-{name}", o.jobs
        )
        theirs.append(used(usage) | {"plus_passed": sum(plus for _, plus in verdicts.values())})
        print(f"  {name}: codefit {ours[-1]}, evalplus {theirs[-1]}", flush=True)
    # A run in which evalplus cut a slow right answer off did less work, and is no measure.
    whole = [x for x in theirs if x["plus_passed"] == max(y["plus_passed"] for y in theirs)]
    ratios = {
        k: round(min(x[k] for x in ours) / min(x[k] for x in whole), 3)
        for k in ("wall_s", "cpu_s", "peak_mb")
    }
    return {"codefit": ours, "evalplus": theirs, "ratio": ratios}


def _evaluator_mb(usage: Usage, out: Path) -> float | None:
    """Return the peak less what the largest samples used themselves, as many as ran at once."""
    peaks = sorted((e["peak_mb"] or 0.0 for e in peers.lines(out / "judged.jsonl")), reverse=True)
    return round(usage.peak_mb - peaks[0], 1) if usage.peak_mb is not None else None


def _ordinary(o: Options) -> tuple[Path, Path]:
    """Return MBPP+ without the tasks whose reference takes long or whose sample hangs, and the other samples.

    A program that hangs costs its limit, whoever judges it.
    """
    from codefit.suites.load import load_suite

    suite = load_suite("mbpp+", o.data / MBPP_OLD)
    with Sandbox(jobs=o.jobs) as box:
        suite.prepare(box, cache_folder())
    cheap = {t.task_id for t in suite.tasks if sum(suite.cost_s(t, p) for p in ("base", "plus")) < ORDINARY_S}
    judged = peers.lines(o.work / "warm-up" / "judged.jsonl")
    cheap -= {e["task_id"] for e in judged if e["outcome"] == "timeout" or e["cpu_s"] > 4 * ORDINARY_S}
    data = [r for r in peers.lines(o.data / MBPP_OLD) if r["task_id"] in cheap]
    samples = [r for r in peers.lines(o.data / BASE / "mbpp.completions.jsonl.gz") if r["task_id"] in cheap]
    return (
        peers.write_lines(o.work / "ordinary.jsonl", data),
        peers.write_lines(o.work / "ordinary-samples.jsonl", samples),
    )


def one_sample(o: Options) -> dict[str, Any]:
    """Judge a single sample, end to end, and one that hangs."""
    row = peers.lines(o.data / BASE / "mbpp.completions.jsonl.gz")[0]
    one = peers.write_lines(o.work / "one.jsonl", [row])
    mbpp_data = o.data / MBPP_OLD
    walls = [peers.codefit("mbpp+", mbpp_data, one, o.work / "one", o.jobs)[0].wall_s for _ in range(5)]
    over = []
    with Sandbox(jobs=1) as box:
        for _ in range(5):
            began = time.perf_counter()
            box.run(Program(HUNG, "calls", ((1,),), "f", limits=Limits(cpu_s=1.0)))
            over.append(time.perf_counter() - began - 1.0)
    return {"wall_s": [round(w, 2) for w in walls], "hung_over_limit_s": [round(s, 3) for s in over]}


def isolation(o: Options) -> dict[str, Any]:
    """Time one program in the strongest level here against a bare fork of the same interpreter."""
    bare = bare_fork(300)
    with Sandbox(jobs=1) as box:
        ours = end_to_end(box, 5, 300)
        return {"level": box.description, "program": ours, "bare_fork": bare,
                "over_ms": round(ours["median_ms"] - bare["median_ms"], 2)}  # fmt: skip


def bigcodebench(o: Options) -> dict[str, Any]:
    """Judge references of 60 tasks with scientific libraries in turn with the benchmark's evaluator."""
    python = need(o.bigcodebench, "bigcodebench")
    rows = peers.lines(o.data / "bigcodebench.jsonl.gz")
    science = [r for r in rows if SCIENCE.search(r["code_prompt"])]
    chosen = sorted(science, key=lambda r: _order(r["task_id"]))[:60]
    data = peers.write_lines(o.work / "science.jsonl", chosen)
    answers = [
        {"task_id": r["task_id"], "solution": r["complete_prompt"] + r["canonical_solution"]} for r in chosen
    ]
    samples = peers.write_lines(o.work / "science-samples.jsonl", answers)
    peers.codefit("bigcodebench", data, samples, o.work / "science", o.jobs)
    ours, theirs = [], []
    for _ in range(2):
        usage, verdicts = peers.codefit("bigcodebench", data, samples, o.work / "science", o.jobs)
        ours.append(used(usage))
        usage, their = peers.bigcodebench(python, data, samples, o.work / "peer-bigcodebench", o.jobs)
        theirs.append(used(usage))
        print(f"  codefit {ours[-1]}, bigcodebench {theirs[-1]}", flush=True)
    ratio = {k: round(min(x[k] for x in ours) / min(x[k] for x in theirs), 3) for k in ("wall_s", "cpu_s")}
    return {"tasks": 60, "peer": peer_version(python, "bigcodebench"), "codefit": ours, "bigcodebench": theirs,
            "ratio": ratio, "agree": peers.differences(verdicts, their), "overhead": _overhead()}  # fmt: skip


def _order(task_id: str) -> str:
    import hashlib

    return hashlib.sha256(task_id.encode()).hexdigest()


def _overhead() -> dict[str, float]:
    """Time tests that do nothing, in the process that has the libraries imported."""
    test = "import unittest\nclass TestCases(unittest.TestCase):\n"
    test += "    def test_a(self):\n        self.assertEqual(task_func(), 1)\n"
    program = Program("def task_func():\n    return 1\n", "unittest", (test,), "task_func")
    environment = find("bigcodebench", None, cache_folder())
    with Sandbox(jobs=1, runtime=environment.runtime()) as box:
        seconds = []
        for number in range(70):
            began = time.perf_counter()
            box.run(program)
            if number >= 10:
                seconds.append(time.perf_counter() - began)
    return {
        "median_ms": round(statistics.median(seconds) * 1e3, 1),
        "p90_ms": round(sorted(seconds)[53] * 1e3, 1),
    }


def bigcodebench_real(o: Options) -> dict[str, Any]:
    """Judge all real outputs for BigCodeBench and compare with the published verdicts."""
    found: dict[str, Any] = {}
    for name, folder, kind in (("tuned_model", TUNED, "instruct_full"), ("base_model", BASE, "full")):
        samples = o.data / folder / f"bigcodebench_{kind}.completions.jsonl.gz"
        out = o.work / f"bigcodebench-{name}"
        usage, ours = peers.codefit(
            "bigcodebench", o.data / "bigcodebench.jsonl.gz", samples, out, 2 * o.jobs
        )
        official = peers.published(o.data / folder / f"bigcodebench_{kind}.verdicts.json.gz")
        score = json.loads((out / "scores.json").read_text())[0]
        entries = peers.lines(out / "judged.jsonl")
        found[name] = {
            **used(usage), **peers.differences(ours, official), "not_judged": len(score["excluded"]),
            "passed": score["passed"], "n": score["n"], "all_tasks": score["counting_excluded"],
            "tampering": [e["task_id"] for e in entries if e["outcome"] == "tampering"],
            "largest_sample_mb": max(e["peak_mb"] or 0 for e in entries),
        }  # fmt: skip
        print(f"  {name}: {found[name]}", flush=True)
    return found


def bigcodebench_whole(o: Options) -> dict[str, Any]:
    """Judge the tuned model's outputs for all tasks with the benchmark's evaluator, for its CPU time."""
    python = need(o.bigcodebench, "bigcodebench")
    samples = o.data / TUNED / "bigcodebench_instruct_full.completions.jsonl.gz"
    data = o.data / "bigcodebench.jsonl.gz"
    usage, their = peers.bigcodebench(python, data, samples, o.work / "peer-whole", o.jobs)
    mine, ours = peers.codefit("bigcodebench", data, samples, o.work / "bigcodebench-whole", 2 * o.jobs)
    return {
        "codefit": used(mine),
        "bigcodebench": used(usage),
        "agree": peers.differences(ours, their),
        "ratio": {
            "cpu_s": round(mine.cpu_s / usage.cpu_s, 3),
            "wall_s": round(mine.wall_s / usage.wall_s, 3),
        },
    }


def many(o: Options) -> dict[str, Any]:
    """Run 10,000 programs in a row and look at the judge's memory and descriptors on the way."""
    program = calls("def f(x):\n    return x + 1\n", 5)
    seen = []
    with Sandbox(jobs=o.jobs) as box:
        began = time.monotonic()
        for number, _ in enumerate(box.map((program, None) for _ in range(10_000)), 1):
            if number in (500, 2_000, 5_000, 10_000):
                seen.append(
                    {"programs": number, "rss_mb": _rss_mb(), "descriptors": len(os.listdir("/proc/self/fd"))}
                )
        wall_s = time.monotonic() - began
    return {"at": seen, "per_s": round(10_000 / wall_s, 1),
            "max_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)}  # fmt: skip


def _rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * resource.getpagesize() / 2**20, 1)


def hostile(o: Options) -> dict[str, Any]:
    """Run the hostile corpora at every level and count."""
    command = [sys.executable, "-m", "pytest", "tests/hostile", "-p", "no:cacheprovider"]
    done = measured(command, cwd=Path(__file__).parents[1])
    tail = done.output.strip().splitlines()[-1]
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|skipped|error)", tail)}
    corpus = Path(__file__).parents[1] / "tests" / "hostile" / "corpus"
    programs = {p.stem: p.read_text().count("\n=== ") + 1 for p in sorted(corpus.glob("*.txt"))}
    return {"programs": programs, "tests": counts, "code": done.code, "left": done.left}


def imports(o: Options) -> dict[str, Any]:
    """Say which heavy libraries judging loads."""
    code = (
        "import sys\nfrom codefit.cli import evaluate\n"
        "import codefit.suites.execute, codefit.suites.load, codefit.sandbox, codefit.score.tally\n"
        "print([m for m in ('torch', 'transformers', 'datasets', 'numpy', 'pandas', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {"loaded": done.stdout.strip()}


SECTIONS: dict[str, Callable[[Options], dict[str, Any]]] = {
    "imports": imports,
    "isolation": isolation,
    "one_sample": one_sample,
    "agreement": agreement,
    "speed": speed,
    "under_load": under_load,
    "many": many,
    "hostile": hostile,
    "bigcodebench": bigcodebench,
    "bigcodebench_real": bigcodebench_real,
    "bigcodebench_whole": bigcodebench_whole,
}


def main() -> None:
    """Measure what is asked for, keep the rest of the results, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the published files")
    parser.add_argument("--work", type=Path, default=Path("/var/tmp/codefit-bench"), help="scratch folder")
    parser.add_argument("--evalplus", help="interpreter of evalplus' environment")
    parser.add_argument("--bigcodebench", help="interpreter of bigcodebench's environment")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--runs", type=int, default=5, help="runs under load")
    parser.add_argument(
        "--table", action="store_true", help="print what was measured before, measure nothing"
    )
    parser.add_argument("--only", action="append", choices=SECTIONS, help="section; may be given again")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    options = Options(given.data, given.work, given.evalplus, given.bigcodebench, given.jobs, given.runs)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in () if given.table else given.only or SECTIONS:
        print(f"== {name}", flush=True)
        results[name] = {"machine": machine(), **SECTIONS[name](options)}
        if given.evalplus:
            results[name]["peers_python"] = python_version(given.evalplus)
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    for what, bar, measured_ in table(results):
        print(f"{what:58} {bar:26} {measured_}")


if __name__ == "__main__":
    main()
