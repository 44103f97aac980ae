"""Measures the code extractor: on our shapes, on raw outputs of a model, and in time.

    python benchmarks/extraction.py --evalplus-python PYTHON [--data FOLDER] [--verdicts] [--out FILE]

The other side is `sanitize` of evalplus, run by the interpreter of the environment that has it. Every
difference between two programs is put into a class by their syntax trees; those that may change what
the program does are listed by task, and with --verdicts judged by `codefit execute mbpp+`. Programs run
in our sandbox only. Times are CPU seconds of one thread, the best of three; a family is a kind of text
at several lengths, most of them made to be bad for one rule or another.
"""

from __future__ import annotations

import argparse
import ast
import datetime
import gzip
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import codefit
from codefit.core.types import Outcome
from codefit.sandbox import Program, Sandbox
from codefit.suites.extract import Extraction, extract

ROOT = Path(__file__).parents[1]
TUNED = "outputs/tuned-1.5b-half"
LIMIT_S = 20
THEIRS = """
import json, signal, sys, time
from evalplus.sanitize import sanitize

def stop(*_):
    raise TimeoutError

signal.signal(signal.SIGALRM, stop)
for line in sys.stdin:
    text, entry, limit = json.loads(line)
    began, program, error = time.process_time(), None, None
    signal.alarm(limit)
    try:
        program = sanitize(text, entry)
    except Exception as e:
        error = type(e).__name__
    signal.alarm(0)
    print(json.dumps([program, error, time.process_time() - began]), flush=True)
"""
HARMLESS = {
    "same text",
    "comments, blank lines or formatting",
    "theirs dropped a docstring or bare value",
    "theirs dropped a main guard",
    "theirs dropped a function that is never read",
    "theirs dropped a function without return that is never read",
    "theirs dropped a class that is never read",
    "theirs dropped a constant that is never read",
    "theirs moved imports up",
    "neither parses",
}


@dataclass(frozen=True)
class Case:
    """One text, its entry point, and what both extractors made of it."""

    name: str
    text: str
    entry: str
    ours: Extraction
    theirs: str | None
    error: str | None
    ours_s: float
    theirs_s: float


def compared(python: str, texts: Iterable[tuple[str, str, str]]) -> list[Case]:
    """Extract from texts (name, text, entry point) by both; theirs may take LIMIT_S for each."""
    rows = list(texts)
    lines = "".join(json.dumps([text, entry.partition(".")[0], LIMIT_S]) + "\n" for _, text, entry in rows)
    done = subprocess.run([python, "-c", THEIRS], input=lines, capture_output=True, text=True, check=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    cases = []
    for (name, text, entry), (theirs, error, seconds) in zip(rows, found, strict=True):
        began = time.process_time()
        ours = extract(text, entry)
        cases.append(Case(name, text, entry, ours, theirs, error, time.process_time() - began, seconds))
    return cases


def parsed(source: str | None) -> ast.Module | None:
    """Return the tree of a program, or None."""
    try:
        return ast.parse(source or "")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def classes(case: Case) -> list[str]:
    """Return the classes into which the difference of two programs falls."""
    ours, theirs = case.ours.program, case.theirs
    if case.error:
        return [
            f"theirs took over {LIMIT_S} s" if case.error == "TimeoutError" else f"theirs raised {case.error}"
        ]
    if ours == theirs:
        return ["same text"]
    if ours is None or not theirs:
        return ["ours found no code" if ours is None else "theirs found no code"]
    a, b = parsed(ours), parsed(theirs)
    if a is None or b is None:
        one = "ours is a syntax error that theirs cut" if b else "theirs is a syntax error"
        return ["neither parses" if a is None and b is None else one]
    if ast.dump(a) == ast.dump(b):
        return ["comments, blank lines or formatting"]
    return by_statements(a, b, case.entry.partition(".")[0])


def by_statements(a: ast.Module, b: ast.Module, entry: str) -> list[str]:
    """Compare two modules by their top-level statements."""
    mine, other = Counter(map(ast.dump, a.body)), Counter(map(ast.dump, b.body))
    dropped = [n for n in a.body if ast.dump(n) in mine - other]
    added = [n for n in b.body if ast.dump(n) in other - mine]
    if not dropped and not added:
        return ["theirs moved imports up"]
    if added and {name(n) for n in dropped} & {name(n) for n in added} - {None}:
        return ["theirs took another definition of the same name"]
    if added:
        return ["theirs took another part of the text"]
    read = reachable(a, entry)
    return sorted({f"theirs dropped {kind(n, a, read, entry)}" for n in dropped})


def name(node: ast.stmt) -> str | None:
    """Return the name that a statement defines, if it is one name."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return node.name
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return node.target.id if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) else None


def reachable(module: ast.Module, entry: str) -> set[str]:
    """Return the names that the entry point's definitions read, and theirs in turn."""
    todo, seen = [entry], set()
    while todo:
        wanted = todo.pop()
        if wanted not in seen:
            seen.add(wanted)
            for node in (n for n in module.body if name(n) == wanted):
                todo += [n.id for n in ast.walk(node) if isinstance(n, ast.Name)]
    return seen


def kind(node: ast.stmt, module: ast.Module, read: set[str], entry: str) -> str:
    """Say what a top-level statement is."""
    if isinstance(node, ast.If) and "__name__" in ast.dump(node.test):
        return "a main guard"
    if isinstance(node, ast.Expr):
        return "a docstring or bare value" if isinstance(node.value, ast.Constant) else "a call at top level"
    if isinstance(node, ast.Assert):
        return "an assertion"
    own = name(node)
    if own is None:
        return (
            "an import"
            if isinstance(node, (ast.Import, ast.ImportFrom))
            else "a loop, try, condition or other"
        )
    if sum(name(n) == own for n in module.body) > 1:
        return "a redefinition"
    if getattr(node, "decorator_list", ()):
        return "a decorated definition"
    inside = list(ast.walk(node))
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        what = "an assigned call" if any(isinstance(n, ast.Call) for n in inside) else "a constant"
    elif isinstance(node, ast.ClassDef):
        what = "a class"
    else:
        what = "a function" if any(isinstance(n, ast.Return) for n in inside) else "a function without return"
    if own == entry:
        return f"the entry point, {what}"
    return f"{what} that is {'read' if own in read else 'never read'}"


def report(cases: list[Case]) -> dict[str, Any]:
    """Count the classes, and list what may behave otherwise."""
    found = {c.name: classes(c) for c in cases}
    telling = {n: kinds for n, kinds in found.items() if not set(kinds) <= HARMLESS}
    return {
        "texts": len(cases),
        "rules": dict(Counter(c.ours.rule for c in cases).most_common()),
        "classes": dict(Counter("; ".join(kinds) for kinds in found.values()).most_common()),
        "may_behave_otherwise": telling,
        "ours_cpu_s": round(sum(c.ours_s for c in cases), 3),
        "theirs_cpu_s": round(sum(c.theirs_s for c in cases), 3),
        "theirs_over_ours": round(sum(c.theirs_s for c in cases) / sum(c.ours_s for c in cases), 1),
    }


def texts_of(test: str) -> ModuleType:
    """Return a module of our tests, for the texts in it."""
    spec = importlib.util.spec_from_file_location(test, ROOT / "tests" / "suites" / f"{test}.py")
    if spec is None or spec.loader is None:
        raise SystemExit(f"tests/suites/{test}.py is missing")
    module = importlib.util.module_from_spec(spec)
    sys.modules[test] = module
    spec.loader.exec_module(module)
    return module


def passes(box: Sandbox, program: str | None, check: str) -> bool:
    """Run a program and evaluate its check in the sandbox."""
    if not program:
        return False
    run = box.run(Program(program, "exprs", (check,)))
    return run.outcome is Outcome.PASSED and [f.value for f in run.frames] == [True]


def measure_shapes(python: str) -> dict[str, Any]:
    """Return how both do on the shapes: the program expected, and what it must do."""
    wanted = {s.name: s for s in texts_of("test_extract_shapes").SHAPES}
    cases = compared(python, [(s.name, s.text, s.entry) for s in wanted.values()])
    checked = [c for c in cases if wanted[c.name].check]
    with Sandbox(jobs=1) as box:
        ours = [c.name for c in checked if not passes(box, c.ours.program, wanted[c.name].check)]
        theirs = [c.name for c in checked if not passes(box, c.theirs, wanted[c.name].check)]
    differs = [c.name for c in cases if (c.ours.program, c.ours.rule) != wanted[c.name][2:4]]
    return report(cases) | {
        "not_as_stated": differs,
        "checked": len(checked),
        "ours_wrong": ours,
        "theirs_wrong": theirs,
    }


def rows(path: Path) -> list[dict[str, Any]]:
    """Read JSON Lines."""
    with gzip.open(path, "rt", encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def outputs(python: str, data: Path) -> dict[str, list[Case]]:
    """Return what both make of every raw output of the tuned model."""
    entry = {r["task_id"]: r["entry_point"] for r in rows(data / "mbpp_plus_v0.2.0.jsonl.gz")}
    mbpp = [
        (r["task_id"], r["solution"], entry[r["task_id"]]) for r in rows(data / TUNED / "mbpp.raw.jsonl.gz")
    ]
    big = rows(data / TUNED / "bigcodebench_instruct_full.completions.jsonl.gz")
    return {
        "mbpp": compared(python, mbpp),
        "bigcodebench": compared(python, [(r["task_id"], r["raw_solution"], "task_func") for r in big]),
    }


def verdicts(cases: list[Case], data: Path) -> dict[str, list[str]]:
    """Judge both programs of tasks that may behave otherwise; outcomes as (ours, theirs)."""
    telling = [c for c in cases if not set(classes(c)) <= HARMLESS]
    found: dict[str, list[str]] = {c.name: [] for c in telling}
    with tempfile.TemporaryDirectory() as folder:
        for side in ("ours", "theirs"):
            programs = {c.name: c.ours.program if side == "ours" else c.theirs for c in telling}
            samples = Path(folder) / f"{side}.jsonl"
            lines = (json.dumps({"task_id": n, "solution": p or ""}) for n, p in programs.items())
            samples.write_text("\n".join(lines) + "\n", encoding="utf-8")
            command = [sys.executable, "-m", "codefit", "execute", "mbpp+"]
            command += ["--data", str(data / "mbpp_plus_v0.2.0.jsonl.gz"), "--completions", str(samples)]
            command += ["--out", str(Path(folder) / side), "--jobs", "1"]
            command += [part for n in programs for part in ("--only", n)]
            subprocess.run(command, check=True, capture_output=True)
            for line in (Path(folder) / side / "verdicts.jsonl").read_text("utf-8").splitlines():
                verdict = json.loads(line)
                found[verdict["task_id"]].append(verdict["outcome"])
    return found


SLOW_FOR_THEM = ("program", "prose around a program", "unclosed fence")


def measure_families() -> dict[str, dict[str, float]]:
    """Return the milliseconds of every family and length, the entry point as its last function too."""
    found = {}
    hard = texts_of("test_extract_hard_texts")
    for name, make in hard.FAMILIES.items():
        for tail in ("", hard.LAST):
            times = {}
            for n in (400, 2_000, 20_000):
                text, best = make(n) + tail, float("inf")
                for _ in range(3):
                    began = time.process_time()
                    extract(text, "f")
                    best = min(best, time.process_time() - began)
                times[str(n)] = round(best * 1e3, 1)
            found[name + (", then the entry point" if tail else "")] = times
    return found


def measure_both(python: str) -> dict[str, dict[str, Any]]:
    """Return the CPU seconds of both on three families, and how many times as long theirs took."""
    families = texts_of("test_extract_hard_texts").FAMILIES
    texts = [(f"{name}, {n} lines", families[name](n), "f") for name in SLOW_FOR_THEM for n in (50, 100, 200)]
    return {
        c.name: {
            "ours_ms": round(c.ours_s * 1e3, 2),
            "theirs_ms": round(c.theirs_s * 1e3, 1),
            "theirs_over_ours": round(c.theirs_s / c.ours_s),
        }
        for c in compared(python, texts)
    }


def show(title: str, found: dict[str, Any]) -> None:
    """Print the table of one comparison."""
    print(
        f"\n{title}: {found['texts']} texts; CPU {found['ours_cpu_s']} s ours, {found['theirs_cpu_s']} s theirs"
    )
    for names, count in found["classes"].items():
        mark = " " if set(names.split("; ")) <= HARMLESS else "*"
        print(f"{count:6} {mark} {names}")
    for key in ("not_as_stated", "ours_wrong", "theirs_wrong"):
        if key in found:
            print(f"  {key}: {len(found[key])} {'; '.join(found[key])}")
    for task, (ours, theirs) in found.get("verdicts", {}).items():
        print(f"  {task}: {ours} by ours, {theirs} by theirs")


def machine(python: str) -> dict[str, Any]:
    """Return what the figures depend on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if os.path.exists("/proc/cpuinfo") else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    ask = "from importlib.metadata import version; print(version('evalplus'))"
    theirs = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True)
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": names[0] if names else platform.machine(),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "codefit": codefit.__version__,
        "evalplus": theirs.stdout.strip(),
    }


def main() -> None:
    """Measure, print tables, and write JSON where asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--evalplus-python", required=True, help="interpreter of an environment with evalplus"
    )
    parser.add_argument("--data", type=Path, help="folder with the published outputs; left out without")
    parser.add_argument("--verdicts", action="store_true", help="judge MBPP programs that differ")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    options = parser.parse_args()
    sys.setrecursionlimit(20_000)  # ast.dump recurses into every elif
    python = options.evalplus_python
    found: dict[str, Any] = {"machine": machine(python)}
    print(", ".join(f"{k} {v}" for k, v in found["machine"].items()))
    found["shapes"] = measure_shapes(python)
    show("shapes", found["shapes"])
    if options.data:
        for suite, cases in outputs(python, options.data).items():
            found[suite] = report(cases)
            if suite == "mbpp" and options.verdicts:
                found[suite]["verdicts"] = verdicts(cases, options.data)
            show(suite, found[suite])
    found["both"] = measure_both(python)
    for name, row in found["both"].items():
        print(
            f"{name}: {row['ours_ms']} ms ours, {row['theirs_ms']} ms theirs: {row['theirs_over_ours']} times"
        )
    found["families_ms"] = measure_families()
    for name, times in found["families_ms"].items():
        print(f"{times['400']:8} {times['2000']:8} {times['20000']:9} ms  {name}")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
