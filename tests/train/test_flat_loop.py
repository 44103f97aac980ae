"""The flat loop in `examples/` does the job that `codefit train` does, step by step."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from codefit.core.recipe import TrainSettings
from codefit.core.types import Example
from codefit.curate.rows_io import write_rows
from codefit.format.chat import ChatFormat
from codefit.micro import model_path
from codefit.models.load import load_tokenizer
from codefit.sources import open_source
from codefit.train.loop import Job, train

SCRIPT = Path(__file__).parents[2] / "examples" / "tune_flat.py"


def test_the_flat_loop_learns_what_codefit_train_learns(tmp_path: Path) -> None:
    rows = tmp_path / "rows.parquet"
    write_rows(rows, open_source({"kind": "micro", "limit": 90}).rows())
    options = [
        "--epochs",
        "2",
        "--batch-size",
        "3",
        "--micro-batch",
        "2",
        "--max-length",
        "256",
        "--no-fence",
    ]
    options += ["--learning-rate", "3e-3", "--device", "cpu", "--seed", "5"]
    folders = ["--model", str(model_path()), "--rows", str(rows), "--out", str(tmp_path / "flat")]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *folders, *options], capture_output=True, text=True, check=True
    )
    flat = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    tokenizer = load_tokenizer(model_path())
    read = open_source({"kind": "parquet", "path": rows}).rows()
    chat = ChatFormat(tokenizer, system=None, fence=False)
    examples = [e for e in chat.examples(read, 256) if isinstance(e, Example)]
    settings = TrainSettings(learning_rate=3e-3, epochs=2, batch_size=3, micro_batch=2, device="cpu")
    budget = 2 * sum(e.trained_tokens for e in examples)
    train(
        Job(model_path(), examples, [], settings, 256, budget, 5, tokenizer.pad_token_id),
        tmp_path / "ours", "x", lambda event: None,
    )  # fmt: skip
    ours = [json.loads(line) for line in (tmp_path / "ours" / "log.jsonl").read_text().splitlines()]

    assert len(flat) == len(ours) > 10
    for key in ("trained_tokens", "loss", "grad_norm"):
        assert [e[key] for e in flat] == pytest.approx([e[key] for e in ours], rel=1e-5)
    left, right = (
        load_file(str(folder / "adapter_model.safetensors"))
        for folder in (tmp_path / "flat", tmp_path / "ours" / "adapter")
    )
    assert left.keys() == right.keys()
    for name, tensor in left.items():
        torch.testing.assert_close(tensor, right[name], rtol=1e-4, atol=1e-6)


def test_the_flat_loop_reads_in_one_sitting() -> None:
    assert len(SCRIPT.read_text(encoding="utf-8").splitlines()) < 150
