"""Agreement of `codefit execute` with published verdicts in evalplus' or bigcodebench's layout, task by task.

Usage: python benchmarks/agreement.py EXECUTE_DIR PUBLISHED.json[.gz]
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path


def ours(folder: Path) -> dict[str, tuple[bool, bool | None]]:
    """Return (base passed, plus passed) by task."""
    lines = [json.loads(x) for x in (folder / "verdicts.jsonl").read_text(encoding="utf-8").splitlines()]
    has_plus = any(v["plus_outcome"] for v in lines)
    return {
        v["task_id"]: (
            (v["base_outcome"] or v["outcome"]) == "passed",
            v["outcome"] == "passed" if has_plus else None,
        )
        for v in lines
    }


def published(path: Path) -> dict[str, tuple[bool, bool | None]]:
    """Return (base passed, base and plus passed) by task, of its first sample."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as f:
        results = json.load(f)["eval"]
    return {task: _passed(samples[0]) for task, samples in results.items() if samples}


def _passed(sample: dict[str, str]) -> tuple[bool, bool | None]:
    if "status" in sample:  # bigcodebench
        return sample["status"] == "pass", None
    return sample["base_status"] == "pass", sample["base_status"] == sample["plus_status"] == "pass"


def main() -> None:
    """Print the agreement on base and on plus, and every task that differs."""
    mine, theirs = ours(Path(sys.argv[1])), published(Path(sys.argv[2]))
    shared = sorted(mine.keys() & theirs.keys(), key=lambda t: int(t.split("/")[1]))
    print(f"tasks: {len(shared)} in both, {len(mine)} here, {len(theirs)} published")
    for name, index in (("base", 0), ("plus", 1)):
        judged = [t for t in shared if mine[t][index] is not None]
        differ = [t for t in judged if mine[t][index] != theirs[t][index]]
        if judged:
            share = 100 * (1 - len(differ) / len(judged))
            print(
                f"{name}: {len(judged) - len(differ)}/{len(judged)} agree ({share:.2f} %); differ: {differ}"
            )


if __name__ == "__main__":
    main()
