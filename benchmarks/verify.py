"""Measures verification on real TACO-schema rows against a plain reference: writes `results/verify.json`.

    python benchmarks/verify.py ROWS… [--out results/verify.json] [--work FOLDER] [--jobs 2]

1. `codefit verify` on the first 6 solutions of every row, and the `verify` step of the funnel as its defaults
   have it; seconds of both, and of both again with the verdicts kept.
2. The plain reference (`plain_runs.py`): one fresh `python -I` process for every test of those solutions.
   Agreement on passed or not, and every difference with its reason.
3. False rejections: solutions of rows whose statement names a tolerance or any order, and the passing ones of
   them made to answer within that freedom (numbers moved by a quarter of the tolerance, lists turned round).
4. Planted wrong solutions: single changes of passing solutions that fail a test of the reference.
5. Kept rows, run again from nothing.

ROWS are files in TACO's columns. WORK keeps each part when it is done, and what the reference ran; a second call
goes on where the first was, and an empty WORK measures all anew.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from codefit.core.curation import CurateSettings, VerifySettings
from codefit.core.types import Row, Tests
from codefit.curate.normalise import Normalise
from codefit.curate.rows_io import write_rows
from codefit.curate.step import Context
from codefit.curate.verify import Verify, verify_rows
from codefit.sandbox import Sandbox
from codefit.sources.registry import open_source
from freedom import ANY_ORDER, TOLERANCE, false_rejections, judge, named
from measure import machine
from mutants import mutants
from plain_runs import Case, Result, first_failure

READ = {
    "fn/65#0": "gives lists in the order of a set of texts, which is another in every process; the sandbox fixes it",
}
"""Differences that were read by a person, by row (without its file) and solution."""
SOLUTIONS, PLANTED, PER_ROW = 6, 600, 2


def read_rows(paths: Iterable[Path]) -> list[Row]:
    """Return the rows of all files, normalised as the funnel does, with their file's name in the id."""
    rows: list[Row] = []
    for path in paths:
        source = open_source({"kind": "taco", "path": path, "name": path.name.partition(".")[0]})
        rows += source.rows(None)
    settings = CurateSettings()
    return Normalise().run(rows, Context(settings, {}, None, 0)).kept


def cpu_s() -> float:
    """Return the CPU seconds of this process and its children that ended, in control groups not counted."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def timed(action: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """Return (result, wall and own CPU seconds)."""
    wall, cpu = time.perf_counter(), cpu_s()
    result = action()
    return result, {"wall_s": round(time.perf_counter() - wall, 1), "own_cpu_s": round(cpu_s() - cpu, 1)}


def fresh(folder: Path) -> Path:
    """Return the folder, emptied."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a JSON Lines file, none where there is none; a cut last line is left out."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def case_of(source: str, tests: Tests) -> Case:
    """Return a program with its tests as the reference takes them."""
    name = tests.entry_point
    if name:
        name = name.replace("Solution.", "Solution().")
    return Case(source, name, tests.inputs, tests.outputs)


def referred(
    cases: dict[str, Case], path: Path, jobs: int, run: Callable[[Case], Result | None] = first_failure
) -> dict[str, Result | None]:
    """Return key -> first failure of the reference, kept in a file as they come."""
    known = {e["key"]: Result(**e["result"]) if e["result"] else None for e in lines_of(path)}
    due = [key for key in cases if key not in known]
    with ThreadPoolExecutor(jobs) as pool, path.open("a", encoding="utf-8") as file:
        for n, (key, result) in enumerate(zip(due, pool.map(lambda k: run(cases[k]), due), strict=True)):
            known[key] = result
            file.write(json.dumps({"key": key, "result": vars(result) if result else None}) + "\n")
            if n % 200 == 0:
                file.flush()
                print(f"reference: {n}/{len(due)}", file=sys.stderr, flush=True)
    return {key: known[key] for key in cases}


def part(work: Path, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return a part's result, from the file that an earlier call left or made now."""
    path = work / f"{name}.json"
    if not path.exists():
        path.write_text(json.dumps(make(), indent=1), encoding="utf-8")
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result


def ours(rows: list[Row], sandbox: Sandbox, work: Path) -> dict[str, Any]:
    """Return the seconds of `codefit verify`, first and again; its verdicts stand in `work/verify`."""
    settings = VerifySettings(max_solutions=SOLUTIONS, max_tests=1_000_000)
    out = fresh(work / "verify")
    _, first = timed(lambda: verify_rows(rows, sandbox, out, settings=settings))
    _, again = timed(lambda: verify_rows(rows, sandbox, out, settings=settings))
    cpu = sum(e["seconds"] for e in lines_of(out / "cache" / "verdicts.jsonl"))
    return {"first": first | {"programs_cpu_s": round(cpu, 1)}, "again": again}


def funnel_step(rows: list[Row], sandbox: Sandbox, work: Path) -> dict[str, Any]:
    """Run the step of the funnel with its defaults, twice, and what it kept once more from nothing."""
    out = fresh(work / "step")
    context = Context(CurateSettings(), {}, sandbox, 0, out)
    result, first = timed(lambda: Verify().run(rows, context))
    same, again = timed(lambda: Verify().run(rows, Context(CurateSettings(), {}, sandbox, 0, out)))
    assert same.kept == result.kept
    cpu = sum(e["seconds"] for e in lines_of(out / "verdicts.jsonl"))
    write_rows(out / "kept.parquet", result.kept)
    solo = [replace(row, solutions=()) for row in result.kept]
    settings = VerifySettings(runs=2, solutions="first")
    verify_rows(solo, sandbox, fresh(work / "kept"), settings=settings)
    outcomes = Counter(v["outcome"] for v in lines_of(work / "kept" / "verdicts.jsonl"))
    reasons = Counter(re.split("[:;]", d.reason)[0] for d in result.dropped)
    programs = sum(row.tests is not None and row.tests.kind == "stdin" for row in rows)
    proven = sum(row.tests is not None and row.tests.kind == "stdin" for row in result.kept)
    converted = result.report["converted"]
    everything = Context(
        CurateSettings.model_validate({"verify": {"convert_share": 1.0}}), {}, sandbox, 0, out
    )
    possible = Verify().run(rows, everything).report["converted"]
    return {
        "rows": len(rows),
        "kept": len(result.kept),
        "dropped": dict(reasons.most_common()),
        "checkers": result.report["checkers"],
        "seconds": first | {"programs_cpu_s": round(cpu, 1)},
        "seconds_again": again,
        "kept_rows_run_twice_again": {"rows": len(solo), "outcomes": dict(outcomes)},
        "stdin_rows": programs,
        "stdin_rows_verified": proven + converted,
        "rewritten_as_functions": converted,
        "could_be_rewritten": possible,
    }


def agreement(
    rows: dict[str, Row], found: dict[str, dict[str, Any]], plain: dict[str, Result | None]
) -> dict[str, Any]:
    """Compare passed or not, solution by solution."""
    differences = []
    for key, verdict in found.items():
        passed, reference = verdict["outcome"] == "passed", plain[key]
        if passed == (reference is None):
            continue
        reason = READ.get(key.partition("/")[2]) or _reason(verdict, reference)
        differences.append(
            {
                "row": key,
                "ours": verdict["outcome"],
                "checker": verdict["checker"],
                "error": verdict["error"],
                "reference": reference.outcome if reference else "passed",
                "reference_text": reference.text[-160:] if reference else None,
                "reason": reason,
            }
        )
    n = len(found)
    accepted = sum(d["reason"].startswith("accepted by a rule") for d in differences)
    return {
        "solutions": n,
        "rows": len(rows),
        "both_passed": sum(v["outcome"] == "passed" and plain[k] is None for k, v in found.items()),
        "agree": n - len(differences),
        "agreement": round(1 - len(differences) / n, 5),
        "agreement_but_for_stated_rules": round(1 - (len(differences) - accepted) / n, 5),
        "needs_a_checker": sum((v["error"] or "").startswith("needs a checker") for v in found.values()),
        "reasons": dict(Counter(d["reason"] for d in differences).most_common()),
        "differences": differences,
    }


def _reason(verdict: dict[str, Any], reference: Result | None) -> str:
    error = verdict["error"] or ""
    if verdict["outcome"] == "passed":
        rule = str(verdict["checker"]).partition(" 1e")[0]
        if (
            reference is not None
            and reference.outcome == "wrong"
            and rule in ("tolerance", "any case", "any order")
        ):
            return f"accepted by a rule of its statement: {rule}"
        if reference is not None and "NameError" in reference.text:
            return "a well-known import was added"
        return f"reference: {reference.outcome if reference else ''}"
    if error.startswith("flaky"):
        return "flaky"
    if verdict["outcome"] in ("timeout", "memory_limit", "output_limit"):
        return f"our limit: {verdict['outcome']}"
    return f"ours: {verdict['outcome']} {error.partition(':')[0]}"


def planted(rows: list[Row], sandbox: Sandbox, work: Path, jobs: int) -> dict[str, Any]:
    """Plant wrong solutions and count those that verification does not accept."""
    kept = list(open_source({"kind": "parquet", "path": work / "step" / "kept.parquet"}).rows(None))
    by_id = {row.id: row for row in rows}
    cases: dict[str, Case] = {}
    programs: dict[str, tuple[Row, str, str]] = {}
    step = max(1, len(kept) * PER_ROW // PLANTED)
    for n, row in enumerate(kept[::step]):
        original = by_id[row.id]
        solution = row.response if row.tests == original.tests else None
        if solution is None or original.tests is None or free(original):
            continue
        for i, (kind, program) in enumerate(mutants(solution, n)):
            if i >= PER_ROW * 2:
                break
            key = f"{row.id}#{kind}#{i}"
            programs[key] = (original, program, kind)
            cases[key] = case_of(program, original.tests)
    results = referred(cases, work / "planted.jsonl", jobs)
    wrong = [key for key, result in results.items() if result is not None and result.outcome == "wrong"]
    verdicts = judge([programs[k][:2] for k in wrong], sandbox)
    missed = [
        {"row": k, "rule": v.checker, "reference": vars(results[k]), "program": programs[k][1][-1500:]}
        for k, v in zip(wrong, verdicts, strict=True)
        if v.passed
    ]
    return {
        "changed_programs": len(cases),
        "wrong_by_the_reference": len(wrong),
        "caught": len(wrong) - len(missed),
        "kinds": dict(Counter(programs[k][2] for k in wrong).most_common()),
        "outcomes": dict(Counter(v.outcome.value for v in verdicts).most_common()),
        "failed_by_error_or_time": sum(r is not None and r.outcome != "wrong" for r in results.values()),
        "missed": missed,
    }


def free(row: Row) -> bool:
    """Return True for rows where the reference's plain comparison does not say what is wrong."""
    return bool(named([row], TOLERANCE) or named([row], ANY_ORDER) or re.search(r"\bany\b", row.instruction))


def main() -> None:
    """Run all parts and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("rows", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "verify.json")
    parser.add_argument("--work", type=Path, default=Path("verify-work"))
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    rows = read_rows(options.rows)
    work = options.work
    with Sandbox(jobs=options.jobs) as sandbox:
        seconds = part(work, "command", lambda: ours(rows, sandbox, work))
        found = {f"{v['row_id']}#{v['solution']}": v for v in lines_of(work / "verify" / "verdicts.jsonl")}
        step = part(work, "funnel_step", lambda: funnel_step(rows, sandbox, work))
        cases = {
            f"{row.id}#{i}": case_of(source, row.tests)
            for row in rows
            if row.tests
            for i, source in enumerate((row.solutions or (row.response,))[:SOLUTIONS])
        }
        plain, spent = timed(lambda: referred(cases, work / "plain.jsonl", options.jobs))
        by_id = {row.id: row for row in rows}
        results = {
            "machine": machine() | {"isolation": sandbox.description},
            "bubblewrap": subprocess.run(
                ["bwrap", "--version"], capture_output=True, text=True
            ).stdout.strip(),
            "codefit_verify_6_solutions": seconds,
            "funnel_step": step,
            "seconds_of_the_reference": part(work, "reference", lambda: spent),
            "agreement": part(work, "agreement", lambda: agreement(by_id, found, plain)),
            "false_rejections": part(work, "rejections", lambda: false_rejections(rows, found, sandbox)),
            "planted_wrong": part(work, "planted", lambda: planted(rows, sandbox, work, options.jobs)),
        }
    options.out.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    shown = results["agreement"] | {"differences": None}
    print(json.dumps(results | {"agreement": shown}, indent=1))


if __name__ == "__main__":
    main()
