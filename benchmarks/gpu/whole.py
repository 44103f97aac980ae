"""Whole runs of the command line on a GPU: real rows, random weights, killed and gone on with.

    python benchmarks/gpu/whole.py --data FOLDER --out FOLDER

FOLDER holds Code Alpaca, TACO-schema functions, MBPP, MBPP+ and `tokenizer.json.gz`, under the names in `_RECIPE`.
Each job is `codefit run` in a process of its own, as a user would type it, and all run side by side: LoRA in 1.5B with
and without CUDA graphs; in 0.5B LoRA and all parameters, each unbroken and killed with -9, and QLoRA; and the embedded
model's sampling rounds. So speeds are seen here, not measured. Writes `whole.json`: how each ended, what its
watches saw, and whether a killed run gave the same losses and weights as the unbroken one.
`--device cpu --shapes qwen2-tiny qwen2-tiny` tries it out.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

_SOURCE = Path(__file__).parents[2] / "src"
_RECIPE = """
name: gpu-whole
title: Whole runs on a GPU
stand_in: true
model: {name: MODEL}
sources:
  - {kind: code_alpaca, path: code_alpaca_20k.jsonl.gz, limit: 600}
  - {kind: taco, path: taco_schema_function.jsonl.gz, limit: 60}
curate:
  must_define: true
  decontaminate: {against: [mbpp+]}
  select: {rows: 160}
format: {max_length: 1024}
train:
  batch_size: 4
  micro_batch: 1
  epochs: 2
  validation_rows: 16
  validate_every: 4
  save_every: 2
  device: DEVICE
generate: {max_new_tokens: 64}
evaluate:
  - {name: mbpp+, data: mbpp_plus_v0.2.0.jsonl.gz, limit: 24}
"""
_WATCHED = (
    "train.develop={suite: mbpp-dev, data: mbpp.jsonl.gz, limit: 16, every: 4, skip_overlap: true}",
    "train.choose={scales: [0, 0.5, 1]}",
)
_FULL = ("train.method=full", "train.optimizer=adamw8", "train.micro_batch=4")
# Where a run is killed: how many lines a file of it must have.
_DEATHS = (("train/log.jsonl", 3), ("train/log.jsonl", 7), ("cache/completions.jsonl", 10))
_SMALL = ("sample.samples=2", "sample.prompts=200", "train.epochs=1", "generate.samples=2")
JOBS: dict[str, dict[str, Any]] = {
    "lora, large": {"large": True, "sets": _WATCHED},
    "lora, large, graphs": {"large": True, "sets": (*_WATCHED, "train.cuda_graphs=true")},
    "lora": {"sets": _WATCHED},
    "lora, killed": {"sets": _WATCHED, "deaths": _DEATHS},
    "full, 8 bits": {"sets": _FULL},
    "full, 8 bits, killed": {"sets": _FULL, "deaths": _DEATHS[:2]},
    "qlora": {"sets": ("train.method=qlora",)},
    "micro-sampled": {"recipe": "micro-sampled", "sets": _SMALL},
}
_SCORE = ("arm", "suite", "metric", "value", "passed", "n")


def make_model(shape: str, tokenizer: Path, folder: Path, device: str) -> None:
    """Write a model of random weights in bfloat16, as a hub would give it."""
    import common

    from codefit.models.load import load_tokenizer

    words = load_tokenizer(tokenizer)
    model = common.random_model(shape, device)
    model.generation_config.eos_token_id = words.eos_token_id
    model.generation_config.pad_token_id = words.pad_token_id
    model.save_pretrained(str(folder))
    words.save_pretrained(str(folder))


def command(job: dict[str, Any], out: Path, args: argparse.Namespace) -> list[str]:
    """Return the line that a user would type."""
    sets = [*job["sets"], f"data_dir={args.data}"]
    if "recipe" in job:
        recipe = job["recipe"]
        sets.append(f"train.device={args.device}")
    else:
        model = args.out / f"model-{args.shapes[not job.get('large')]}"
        recipe = args.out / f"{out.name}.yaml"
        recipe.write_text(_RECIPE.replace("MODEL", str(model)).replace("DEVICE", args.device))
    pairs = [part for s in sets for part in ("--set", s)]
    return [sys.executable, "-m", "codefit", "run", str(recipe), "--out", str(out), *pairs]


def begin(line: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own, its words to a file."""
    paths = os.pathsep.join([str(_SOURCE), os.environ.get("PYTHONPATH", "")])
    environment = {
        **os.environ,
        "PYTHONPATH": paths,
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    with log.open("ab") as f:
        return subprocess.Popen(line, stdout=f, stderr=f, env=environment, start_new_session=True)


def lines_of(path: Path) -> int:
    """Return how many lines a file has, or all files of a folder together."""
    files = sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]
    return sum(f.read_bytes().count(b"\n") for f in files if f.is_file())


def until(process: subprocess.Popen[bytes], path: Path, count: int, deadline: float) -> bool:
    """Wait for so many lines, then kill the whole session; False where the process ended before."""
    while process.poll() is None and time.monotonic() < deadline:
        if lines_of(path) >= count:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return True
        time.sleep(0.02)
    return False


def perform(name: str, args: argparse.Namespace, deadline: float) -> dict[str, Any]:
    """Run a job to its end, through all its deaths; return what it left."""
    job, out = JOBS[name], args.out / name.replace(", ", "-").replace(" ", "-")
    log, began, killed_at = out.with_suffix(".txt"), time.monotonic(), []
    line = command(job, out, args)
    for where, count in job.get("deaths", ()):
        if until(begin(line, log), out / where, count, deadline):
            killed_at.append(f"{where}: {lines_of(out / where)}")
    process = begin(line, log)
    try:
        code: int | None = process.wait(timeout=max(1.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        code = None
    tail = log.read_text(errors="replace")[-2500:]
    found = {"exit": code, "wall_s": round(time.monotonic() - began, 1), "killed_at": killed_at}
    if code != 0:
        found["tail"] = tail
    return {**found, **read(out)}


def read(out: Path) -> dict[str, Any]:
    """Return what a run's own files say."""
    found: dict[str, Any] = {"arms": {}}
    trains = [("first", out / "train"), *((a.name, a / "train") for a in sorted((out / "arms").glob("*")))]
    for name, train in trains:
        entries = [json.loads(x) for x in _text(train / "log.jsonl").splitlines()]
        steps = [e for e in entries if "loss" in e]
        weights = sorted(train.glob("*/*.safetensors"))
        if not entries:
            continue
        found["arms"][name] = {
            "steps": len(steps),
            "losses": [e["loss"] for e in steps],
            "last": steps[-1] if steps else None,
            "tokens_per_s": sorted(e["tokens_per_s"] for e in steps)[len(steps) // 2] if steps else None,
            "weights": {str(w.relative_to(train)): _sha(w) for w in weights if w.parent.name != "start"},
            "choice": _json(train / "choice.json"),
            "summary": _json(train / "summary.json"),
        }
    found["scores"] = [
        {k: s.get(k) for k in _SCORE} for s in (_json(out / "scores.json") or {}).get("scores", ())
    ]
    found["generation"] = {
        str(p.relative_to(out)): _json(p) for p in sorted(out.glob("arms/*/*/generation.json"))
    }
    plan = _json(out / "plan.json") or {}
    return {**found, "plan": {k: plan.get(k) for k in ("fits", "budget_mb", "peak_mb", "settings")}}


def _text(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text()
    return ""


def _json(path: Path) -> Any:
    text = _text(path)
    return json.loads(text) if text else None


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def same(found: dict[str, Any], one: str, other: str) -> dict[str, Any] | None:
    """Return whether two runs gave the same losses and weights, and the largest difference of a loss."""
    arms = [found.get(n, {}).get("arms", {}).get("first") for n in (one, other)]
    if not all(arms):
        return None
    a, b = arms
    pairs = list(zip(a["losses"], b["losses"], strict=False))
    return {
        "steps": [len(a["losses"]), len(b["losses"])],
        "largest_difference": max((abs(x - y) for x, y in pairs), default=None),
        "same_weights": a["weights"] == b["weights"],
    }


def main() -> None:
    """Run the jobs and write what they left."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--shapes", nargs=2, default=["qwen2.5-coder-1.5b", "qwen2.5-coder-0.5b"])
    parser.add_argument("--limit", type=float, default=400.0, help="seconds for everything")
    parser.add_argument("--only", nargs="*", choices=JOBS)
    args = parser.parse_args()
    args.data, args.out = args.data.resolve(), args.out.resolve()
    args.out.mkdir(parents=True, exist_ok=True)
    sys.path.insert(0, str(_SOURCE))
    from run import machine

    deadline = time.monotonic() + args.limit
    for shape in dict.fromkeys(args.shapes):
        make_model(shape, args.data / "tokenizer.json.gz", args.out / f"model-{shape}", args.device)
    print(f"models made, {deadline - time.monotonic():.0f} s left", flush=True)
    chosen = [n for n in JOBS if not args.only or n in args.only]
    found: dict[str, Any] = {**machine(), "runs": {}}
    runs = found["runs"]
    with ThreadPoolExecutor(len(chosen)) as pool:
        waiting = {pool.submit(perform, name, args, deadline): name for name in chosen}
        for future in as_completed(waiting):
            name, result = waiting[future], future.result()
            runs[name] = result
            print(
                f"{name:24} exit {result['exit']}  {result['wall_s']:6.1f} s  {result['killed_at']}",
                flush=True,
            )
            (args.out / "whole.json").write_text(json.dumps(found, indent=1) + "\n")
    found["killed_as_unbroken"] = {
        one: same(runs, one, f"{one}, killed") for one in ("lora", "full, 8 bits") if f"{one}, killed" in runs
    }
    (args.out / "whole.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found["killed_as_unbroken"]))


if __name__ == "__main__":
    main()
