"""Runs the benchmarks' own evaluators, each from an environment of its own, on given samples."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from measure import Usage, measured

Verdicts = dict[str, tuple[bool, bool | None]]


def unpacked(path: Path, folder: Path) -> Path:
    """Return a file as plain text, unpacked into a folder where it is compressed."""
    if path.suffix != ".gz":
        return path
    target = folder / path.stem
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with gzip.open(path, "rb") as source, target.open("wb") as f:
            shutil.copyfileobj(source, f)
    return target


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the records of a JSON Lines file, compressed or not."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write records as JSON Lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return path


def evalplus(python: str, data: Path, samples: Path, folder: Path, jobs: int) -> tuple[Usage, Verdicts]:
    """Run `evalplus.evaluate` on MBPP+ samples; its expected outputs are cached in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = unpacked(data, folder)
    own = folder / "samples.jsonl"
    keep = ({k: r[k] for k in ("task_id", "solution", "completion") if k in r} for r in lines(samples))
    write_lines(own, list(keep))
    result = folder / "samples_eval_results.json"
    result.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "MBPP_OVERRIDE_PATH": str(plain),
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(folder),
    }
    command = [
        python,
        "-m",
        "evalplus.evaluate",
        "--dataset",
        "mbpp",
        "--samples",
        str(own),
        "--parallel",
        str(jobs),
    ]
    used = measured(command, env=environment, cwd=folder)
    if not result.exists():
        raise SystemExit(f"evalplus wrote no result:\n{used.output[-2000:]}")
    found = json.loads(result.read_text(encoding="utf-8"))["eval"]
    return used, {t: (s[0]["base_status"] == "pass", _plus(s[0])) for t, s in found.items()}


def _plus(sample: dict[str, Any]) -> bool:
    return bool(sample["base_status"] == sample["plus_status"] == "pass")


def bigcodebench(python: str, data: Path, samples: Path, folder: Path, jobs: int) -> tuple[Usage, Verdicts]:
    """Run `bigcodebench.evaluate` locally, calibrated, without its ground truth."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = unpacked(data, folder)
    own = folder / "samples.jsonl"
    write_lines(own, [{"task_id": r["task_id"], "solution": r["solution"]} for r in lines(samples)])
    for name in ("samples_eval_results.json", "samples_pass_at_k.json"):
        (folder / name).unlink(missing_ok=True)
    environment = {**os.environ, "BIGCODEBENCH_OVERRIDE_PATH": str(plain), "HOME": str(folder)}
    command = [
        python, "-m", "bigcodebench.evaluate", "complete", "full", "--samples", str(own), "--execution", "local",
        "--parallel", str(jobs), "--no_gt", "--pass_k", "1,5",
    ]  # fmt: skip
    used = measured(command, env=environment, cwd=folder)
    result = folder / "samples_eval_results.json"
    if not result.exists():
        raise SystemExit(f"bigcodebench wrote no result:\n{used.output[-2000:]}")
    found = json.loads(result.read_text(encoding="utf-8"))["eval"]
    return used, {t: (s[0]["status"] == "pass", None) for t, s in found.items()}


def codefit(
    suite: str, data: Path, samples: Path, out: Path, jobs: int, *more: str
) -> tuple[Usage, Verdicts]:
    """Run `codefit execute` anew into a folder."""
    shutil.rmtree(out, ignore_errors=True)
    command = [
        sys.executable, "-m", "codefit", "execute", suite, "--data", str(data), "--completions", str(samples),
        "--out", str(out), "--jobs", str(jobs), *more,
    ]  # fmt: skip
    used = measured(command)
    if used.code or not (out / "verdicts.jsonl").exists():
        raise SystemExit(f"codefit failed:\n{used.output[-2000:]}")
    rows = lines(out / "verdicts.jsonl")
    plus = any(r["plus_outcome"] for r in rows)
    return used, {
        r["task_id"]: (
            (r["base_outcome"] or r["outcome"]) == "passed",
            r["outcome"] == "passed" if plus else None,
        )
        for r in rows
    }


def published(path: Path) -> Verdicts:
    """Return published verdicts in evalplus' or bigcodebench's layout."""
    with gzip.open(path, "rt", encoding="utf-8") as f:
        found = json.load(f)["eval"]
    verdicts: Verdicts = {}
    for task, samples in found.items():
        s = samples[0]
        verdicts[task] = (
            (s["status"] == "pass", None) if "status" in s else (s["base_status"] == "pass", _plus(s))
        )
    return verdicts


def differences(ours: Verdicts, theirs: Verdicts) -> dict[str, Any]:
    """Return agreement on base and on plus, and the tasks that differ."""
    shared = sorted(ours.keys() & theirs.keys())
    found: dict[str, Any] = {"tasks": len(shared)}
    for name, index in (("base", 0), ("plus", 1)):
        judged = [t for t in shared if ours[t][index] is not None and theirs[t][index] is not None]
        if judged:
            differ = [t for t in judged if ours[t][index] != theirs[t][index]]
            found[name] = {"agree": len(judged) - len(differ), "of": len(judged), "differ": differ}
    return found
