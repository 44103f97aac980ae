"""Measures what the sandbox costs: a program end to end, many programs, the end of a hung one.

    python benchmarks/sandbox.py [--programs 200] [--out FILE]

Every level that works here is measured, and a bare fork of an interpreter with the same modules that
runs the same program, as the floor. Times are medians in milliseconds with the tenth percentile, which
a machine that does other things distorts less.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import codefit
from codefit.core.types import Outcome
from codefit.sandbox import Limits, Program, Sandbox, probe

SOURCE = "def f(x):\n    return x + 1\n"
HANGS = "def f(x):\n    while True: pass\n"
SLEEPS = "import time\ndef f(x):\n    time.sleep(60)\n"
WARM_UP = 20
BARE = """
import bisect, collections, copy, ctypes, datetime, functools, gc, heapq, itertools, json, math, mmap, operator
import os, random, re, site, socket, string, sys, threading, time, typing
source, programs, warm_up = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
gc.collect()
gc.freeze()
for n in range(programs + warm_up):
    began = time.perf_counter()
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        namespace = {}
        exec(compile(source, "solution.py", "exec"), namespace)
        os.write(write_end, str(namespace["f"](n)).encode())
        os._exit(0)
    os.close(write_end)
    assert os.read(read_end, 100) == str(n + 1).encode()
    os.close(read_end)
    os.waitpid(pid, 0)
    if n >= warm_up:
        print(time.perf_counter() - began)
"""


def calls(source: str, tests: int, **limits: Any) -> Program:
    """Return a program with so many tests."""
    return Program(source, "calls", tuple((i,) for i in range(tests)), "f", limits=Limits(**limits))


def summary(seconds: list[float]) -> dict[str, float]:
    """Return median and tenth percentile in milliseconds."""
    p10 = sorted(seconds)[len(seconds) // 10]
    return {"median_ms": round(statistics.median(seconds) * 1e3, 2), "p10_ms": round(p10 * 1e3, 2)}


def timed(action: Callable[[], None], times: int) -> list[float]:
    """Return how long each of so many calls took, in seconds."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        action()
        found.append(time.perf_counter() - began)
    return found


def bare_fork(programs: int) -> dict[str, float]:
    """Time a fork that runs the program and writes its value, with no isolation at all."""
    command = [sys.executable, "-c", BARE, SOURCE, str(programs), str(WARM_UP)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return summary([float(line) for line in done.stdout.split()])


def end_to_end(box: Sandbox, tests: int, programs: int) -> dict[str, float]:
    """Time programs of so many tests, one after the other."""
    program = calls(SOURCE, tests)

    def one() -> None:
        if box.run(program).outcome is not Outcome.PASSED:
            raise SystemExit("a program that must pass did not")

    timed(one, WARM_UP)
    return summary(timed(one, programs))


def hung(box: Sandbox, source: str, **limits: float) -> dict[str, float]:
    """Time the end of a program that hangs, beyond its limit."""
    program = calls(source, 1, **limits)
    over = [s - sum(limits.values()) for s in timed(lambda: _times_out(box, program), 5)]
    return {"over_limit_ms": round(statistics.median(over) * 1e3, 1), "worst_ms": round(max(over) * 1e3, 1)}


def _times_out(box: Sandbox, program: Program) -> None:
    if box.run(program).outcome is not Outcome.TIMEOUT:
        raise SystemExit("a program that must time out did not")


def measure_level(level: str, programs: int) -> dict[str, Any]:
    """Return every figure of one level."""
    with Sandbox(level=level, jobs=1) as box:
        figures: dict[str, Any] = {
            "description": box.description,
            "tests_1": end_to_end(box, 1, programs),
            "tests_5": end_to_end(box, 5, programs),
            "tests_105": end_to_end(box, 105, programs),
            "hung_cpu": hung(box, HANGS, cpu_s=0.2),
            "hung_wall": hung(box, SLEEPS, test_wall_s=0.3),
        }
    with Sandbox(level=level, jobs=2) as box:
        list(box.map([(calls(SOURCE, 5), None)] * WARM_UP))
        began = time.perf_counter()
        list(box.map([(calls(SOURCE, 5), None)] * (2 * programs)))
        figures["throughput_2_jobs_per_s"] = round(2 * programs / (time.perf_counter() - began), 1)
    return figures


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if os.path.exists("/proc/cpuinfo") else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": names[0] if names else platform.machine(),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "codefit": codefit.__version__,
    }


def main() -> None:
    """Measure, print a table, and write JSON where asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--programs", type=int, default=200, help="programs for each figure")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    options = parser.parse_args()
    found: dict[str, Any] = {"machine": machine(), "programs": options.programs}
    print(", ".join(f"{k} {v}" for k, v in found["machine"].items()))
    found["bare_fork"] = bare_fork(options.programs)
    print(f"bare fork: {found['bare_fork']['median_ms']} ms (p10 {found['bare_fork']['p10_ms']})")
    found["levels"] = {}
    for level in [p.name for p in probe() if p.ok]:
        figures = found["levels"][level] = measure_level(level, options.programs)
        for tests in (1, 5, 105):
            f = figures[f"tests_{tests}"]
            print(f"{level}, {tests} tests: {f['median_ms']} ms a program (p10 {f['p10_ms']})")
        print(f"{level}, 5 tests, 2 jobs: {figures['throughput_2_jobs_per_s']} programs/s")
        for name in ("hung_cpu", "hung_wall"):
            print(f"{level}, {name}: limit + {figures[name]['over_limit_ms']} ms")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
