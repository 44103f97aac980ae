"""Write real rows as tokens, for `run.py` on a machine that has no tokenizer.

    python benchmarks/gpu/rows.py --data FOLDER --out rows.jsonl.gz

FOLDER holds `code_alpaca_20k.jsonl.gz`, `taco_schema_function.jsonl.gz` and `qwen2_tokenizer/`. A row is
`{"ids": [...], "prompt": N}`: the first N tokens are not trained.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path

from codefit.core.seeds import rng
from codefit.core.types import Dropped
from codefit.format.chat import IGNORED, ChatFormat
from codefit.models.load import load_tokenizer
from codefit.sources.registry import open_source

_TOKENIZER = "qwen2_tokenizer"
_FILES = {"code_alpaca": "code_alpaca_20k.jsonl.gz", "taco": "taco_schema_function.jsonl.gz"}


def main() -> None:
    """Write the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=1200)
    parser.add_argument("--max-length", type=int, default=1024)
    args = parser.parse_args()
    tokenizer = next(p for p in (args.data / _TOKENIZER).glob("tokenizer.json*"))
    chat = ChatFormat(load_tokenizer(tokenizer), system=None, fence=True)
    kinds = _FILES.items()
    rows = [
        r for kind, name in kinds for r in open_source({"kind": kind, "path": args.data / name}).rows(print)
    ]
    rng(0, "gpu rows").shuffle(rows)
    found = []
    for e in chat.examples(rows, args.max_length):
        if not isinstance(e, Dropped):
            prompt = sum(label == IGNORED for label in e.labels)
            found.append({"ids": list(e.token_ids), "prompt": prompt})
        if len(found) == args.rows:
            break
    with gzip.open(args.out, "wt") as f:
        f.writelines(json.dumps(row) + "\n" for row in found)
    tokens = sum(len(r["ids"]) for r in found)
    print(f"{len(found)} rows, {tokens} tokens, {tokens / len(found):.0f} on average -> {args.out}")


if __name__ == "__main__":
    main()
