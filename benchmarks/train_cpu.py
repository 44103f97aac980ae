"""Our loop against transformers' Trainer with PEFT and TRL's SFTTrainer, on a CPU.

    python benchmarks/train_cpu.py --data FOLDER --peers PYTHON --work DIR

The same random Qwen2 (256 wide, 6 layers, 32,000 words, 13.9 M parameters), the same rows of real lengths, float32,
one epoch in each of two layouts: `padded`, 8 rows a step, and `packed`, 4 bins of 512 tokens a step. Every run is
a process of its own; all configurations are gone through `--times` times in turn. FOLDER as for `gpu/rows.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from measure import machine, peer_version

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "train_cpu.json"
WHO = ("codefit", "trl", "trainer")
_SETTINGS = {"OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


def run(python: str, script: str, want: dict[str, Any]) -> dict[str, Any]:
    """Run one configuration and return what it prints last."""
    command = [python, str(HERE / script), json.dumps(want)]
    env = {**os.environ, **_SETTINGS, "OMP_NUM_THREADS": str(want.get("threads", 1))}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{want}\n{done.stderr[-3000:]}")
    lines = done.stdout.strip().splitlines()
    return dict(json.loads(lines[-1])) if lines else {}


def measure_all(args: argparse.Namespace, rows: Path, model: Path) -> list[dict[str, Any]]:
    """Return every run, in turn."""
    found = []
    for turn in range(args.times):
        for method in ("lora", "full"):
            for layout in ("padded", "packed"):
                for who in WHO:
                    want = {"who": who, "method": method, "layout": layout, "turn": turn,
                            "threads": args.threads, "rows": str(rows), "model": str(model)}  # fmt: skip
                    ours = who == "codefit"
                    script = "train_cpu_ours.py" if ours else "train_cpu_peer.py"
                    result = run(sys.executable if ours else args.peers, script, want)
                    found.append({k: v for k, v in result.items() if k not in ("rows", "model")})
                    print(json.dumps(found[-1]), flush=True)
    return found


def of(runs: list[dict[str, Any]], **chosen: str) -> dict[str, float]:
    """Return the best of each figure over the runs of a configuration: what else the machine did cost least."""
    own = [r for r in runs if chosen.items() <= r.items()]
    found = {f: min(r[f] for r in own) for f in ("rss_peak_mb", "rss_of_training_mb")}
    for f in ("tokens_per_s", "tokens_per_cpu_s"):
        found |= {f: max(r[f] for r in own), f"{f}_worst": min(r[f] for r in own)}
    return found


def table(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a line per configuration, with ours as a ratio to it."""
    out = []
    for method in ("lora", "full"):
        for layout in ("padded", "packed"):
            ours = of(runs, who="codefit", method=method, layout=layout)
            for who in WHO:
                own = of(runs, who=who, method=method, layout=layout)
                ratio = {
                    "codefit_tokens_per_s": ours["tokens_per_s"] / own["tokens_per_s"],
                    "codefit_tokens_per_cpu_s": ours["tokens_per_cpu_s"] / own["tokens_per_cpu_s"],
                    "codefit_rss_of_training": ours["rss_of_training_mb"] / own["rss_of_training_mb"],
                }
                out.append({"who": who, "method": method, "layout": layout, **own,
                            "ratio": {k: round(v, 2) for k, v in ratio.items()}})  # fmt: skip
    return out


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--peers", required=True, help="Python with torch, transformers, peft, trl, datasets")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=240)
    parser.add_argument("--times", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    rows, model = args.work / "rows.jsonl.gz", args.work / "model"
    command = [sys.executable, str(HERE / "gpu" / "rows.py"), "--data", str(args.data), "--out", str(rows),
               "--rows", str(args.rows), "--max-length", "512"]  # fmt: skip
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    run(args.peers, "train_cpu_peer.py", {"make": str(model)})
    runs = measure_all(args, rows, model)
    packages = ("torch", "transformers", "peft", "trl", "accelerate", "datasets")
    RESULTS.write_text(json.dumps({
        "machine": machine(), "load_at_the_end": os.getloadavg(), "threads": args.threads,
        "rows": said.split(" -> ")[0], "peers": {p: peer_version(args.peers, p) for p in packages},
        "table": table(runs), "runs": runs,
    }, indent=1) + "\n", encoding="utf-8")  # fmt: skip


if __name__ == "__main__":
    main()
