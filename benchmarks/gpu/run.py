"""Measure training of 1.5B under the memory of an 8 GB card, beside the peers, on any NVIDIA GPU.

    python benchmarks/gpu/run.py --rows rows.jsonl.gz --tokenizer tokenizer.json.gz --out FOLDER

Needs torch, transformers, peft and this project's `src` on the path; TRL with datasets where it is to be
compared, bitsandbytes for qlora. `rows.py` makes the rows. The runs named "answers" measure generation:
answers of a fixed length to as many prompts as MBPP+ has, or to fewer. The weights are random: memory and
speed do not depend on them. Each configuration runs in a process of its own with the allocator capped at
8,188 MiB less the CUDA context; the next ones only import their libraries meanwhile. Prints a table and writes
`gpu.json`. `--only NAME...` runs some; `--device cpu --shape qwen2-tiny` tries it out.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_AHEAD = 3  # processes that have imported their libraries, one of which has its turn
_LEAST = 12  # seconds that a configuration is begun with
_FULL, _LORA = {"method": "full", "recompute": 28}, {"method": "lora"}
_7B = {"method": "qlora", "shape": "qwen2.5-coder-7b", "host_embedding": True}
_ANSWERS = {"script": "answers.py", "prompt": 200, "answer": 128}
RUNS: dict[str, dict[str, Any]] = {
    "check": {"script": "check.py"},
    "lora 2048, all recomputed": {**_LORA, "tokens": 2048, "recompute": 28},
    "lora 2048, all kept": {**_LORA, "tokens": 2048, "recompute": 0},
    "lora 2048, all kept, graphs": {**_LORA, "tokens": 2048, "recompute": 0, "graphs": True},
    "lora 2560, all kept, graphs": {**_LORA, "tokens": 2560, "recompute": 0, "graphs": True},
    "TRL, packed 2048, recomputed": {"peer": "trl", "batch": 1, "checkpointing": True, "tokens": 2048},
    "TRL, packed 2048, kept": {"peer": "trl", "batch": 1, "checkpointing": False, "tokens": 2048},
    "full 4-bit 2048": {**_FULL, "tokens": 2048, "bits": 4},
    "full 4-bit 8192": {**_FULL, "tokens": 8192, "bits": 4},
    "full 8-bit 2048": {**_FULL, "tokens": 2048, "bits": 8},
    "full 8-bit 2048, offloaded": {**_FULL, "tokens": 2048, "bits": 8, "offload": True},
    "answers, fewer": {**_ANSWERS, "tasks": 96},
    "answers, fewer, generate": {**_ANSWERS, "tasks": 96, "peer": "generate", "batch": 32},
    "answers": {**_ANSWERS},
    "answers, fewer, nf4": {**_ANSWERS, "tasks": 96, "weights": "nf4"},
    "answers, fewer, 7B nf4": {**_ANSWERS, "tasks": 96, "weights": "nf4", "shape": "qwen2.5-coder-7b"},
    "lora 4096, 14 recomputed": {**_LORA, "tokens": 4096, "recompute": 14},
    "lora 4096, 14 recomputed, graphs": {**_LORA, "tokens": 4096, "recompute": 14, "graphs": True},
    "7B qlora 4096, offloaded": {**_7B, "tokens": 4096, "recompute": 26, "offload": True},
    "qlora 2048, all kept": {"method": "qlora", "tokens": 2048, "recompute": 0},
    "qlora 2048, all kept, graphs": {"method": "qlora", "tokens": 2048, "recompute": 0, "graphs": True},
    "7B qlora 2048": {**_7B, "tokens": 2048, "recompute": 28},
    "full 8-bit 4096, offloaded": {**_FULL, "tokens": 4096, "bits": 8, "offload": True},
    "lora 8192, all recomputed": {**_LORA, "tokens": 8192, "recompute": 28},
    "lora 6144, 21 recomputed": {**_LORA, "tokens": 6144, "recompute": 21},
    "Trainer, 2 rows, recomputed": {"peer": "trainer", "batch": 2, "checkpointing": True, "tokens": 0},
    "full 8-bit 2048, no compiler": {**_FULL, "tokens": 2048, "bits": 8, "compiled": False},
}


def start(want: dict[str, Any]) -> subprocess.Popen[str]:
    """Start a configuration in a process of its own, which imports what it needs and waits for its turn."""
    want = dict(want)
    script = want.pop("script", "peer.py" if "peer" in want else "ours.py")
    paths = os.pathsep.join([str(_HERE.parents[1] / "src"), os.environ.get("PYTHONPATH", "")])
    environment = {
        **os.environ, "PYTHONPATH": paths, "PYTORCH_ALLOC_CONF": "expandable_segments:True",
        "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONWARNINGS": "ignore",
    }  # fmt: skip
    command = [sys.executable, str(_HERE / script), json.dumps(want)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment)


def finish(process: subprocess.Popen[str], want: dict[str, Any], limit_s: float) -> dict[str, Any]:
    """Give a process its turn; return what it measured."""
    try:
        out, err = process.communicate("go\n", timeout=limit_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return {**want, "failed": f"over {limit_s:.0f} s"}
    lines = [line for line in out.splitlines() if line.startswith("{")]
    if process.returncode or not lines:
        text = err.strip()
        memory = next((x for x in text.splitlines() if "out of memory" in x.lower()), None)
        return {**want, "failed": (memory or text[-1500:])}
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def machine() -> dict[str, Any]:
    """Return the hardware and the versions."""
    from importlib.metadata import PackageNotFoundError, version

    import torch

    versions = {}
    for name in ("torch", "transformers", "peft", "accelerate", "trl", "triton", "bitsandbytes"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"gpu": gpu, "python": platform.python_version(), "versions": versions,
            "date": datetime.datetime.now(datetime.UTC).date().isoformat()}  # fmt: skip


def show(name: str, r: dict[str, Any], peak_tflops: float) -> str:
    """Return a line of the table."""
    if "failed" in r:
        return f"{name:32} FAILED: {r['failed'][-160:]}"
    if "tokens_per_s" not in r:
        return f"{name:32} {json.dumps(r)}"
    mfu = 100 * r["tflops"] / peak_tflops
    total = r.get("reserved_mib", 0) + r.get("context_mib", 0)
    mib = [r.get(k, 0) for k in ("predicted_mib", "allocated_mib", "reserved_mib", "context_mib")]
    figures = [*(f"{x:8,.0f}" for x in (*mib, total)), f"{r['tokens_per_s']:9,.0f}", f"{mfu:6.1f}"]
    return f"{name:32} {' '.join(figures)} {r['seconds_per_step'] * 1e3:8,.1f}"


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--shape", default="qwen2.5-coder-1.5b")
    parser.add_argument("--peak-tflops", type=float, default=989.0, help="of the card in bf16, dense")
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--limit", type=float, default=560.0, help="seconds for everything")
    args = parser.parse_args()
    given = {"rows": args.rows, "tokenizer": args.tokenizer, "device": args.device, "shape": args.shape}
    began, results = time.monotonic(), {}
    names = ("predict", "alloc", "reserve", "context", "sum")
    head = f"{'MiB':32} {' '.join(f'{n:>8}' for n in names)} {'tok/s':>9} {'MFU %':>6} {'ms/step':>8}"
    print(head, flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    chosen = {n: {**given, **w} for n, w in RUNS.items() if not args.only or any(o in n for o in args.only)}
    names = list(chosen)
    waiting: dict[str, subprocess.Popen[str]] = {}
    for at, name in enumerate(names):
        left = args.limit - (time.monotonic() - began)
        if left < _LEAST:
            print(f"{name:32} not run: no time left", flush=True)
            continue
        for ahead in names[at : at + _AHEAD]:
            if ahead not in waiting:
                waiting[ahead] = start(chosen[ahead])
        turn = time.monotonic()
        results[name] = finish(waiting.pop(name), chosen[name], min(left, 150.0))
        results[name]["wall_s"] = round(time.monotonic() - turn, 1)
        print(show(name, results[name], args.peak_tflops), flush=True)
        whole = {**machine(), "peak_tflops": args.peak_tflops, "runs": results}
        (args.out / "gpu.json").write_text(json.dumps(whole, indent=1) + "\n")
    for process in waiting.values():
        process.kill()


if __name__ == "__main__":
    main()
