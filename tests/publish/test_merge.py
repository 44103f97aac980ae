"""The published folder: merged weights answer as the adapter does, and stop where answers end."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from codefit.core.progress import silent
from codefit.models.load import load_model
from codefit.publish.merge import export_merged
from codefit.train.loop import train
from tests.format.words import byte_tokenizer
from tests.train.test_trajectory import make_job
from tests.train.tiny import random_examples, tiny_model


def test_merged_weights_answer_as_the_adapter_does(tmp_path: Path) -> None:
    start = tiny_model(tmp_path / "start", vocab=260)
    (start / "generation_config.json").write_text('{"eos_token_id": 2}')
    job = make_job(start, method="lora", learning_rate=0.02, examples=random_examples(24))
    train(job, tmp_path / "run", "x", silent)
    adapter = tmp_path / "run" / "adapter"
    export_merged(start, adapter, byte_tokenizer(), tmp_path / "out")
    merged = AutoModelForCausalLM.from_pretrained(str(tmp_path / "out"))
    adapted = load_model(start, dtype="float32", device="cpu", adapter=adapter)
    ids = torch.tensor([[5, 9, 11, 40]])
    with torch.no_grad():
        torch.testing.assert_close(merged(ids).logits, adapted(ids).logits, rtol=1e-4, atol=1e-4)
        untouched = load_model(start, dtype="float32", device="cpu")(ids).logits
    assert (merged(ids).logits - untouched).abs().max() > 1e-2
    tokenizer = AutoTokenizer.from_pretrained(str(tmp_path / "out"))
    assert tokenizer.chat_template
    ends = json.loads((tmp_path / "out" / "generation_config.json").read_text())["eos_token_id"]
    assert set(ends) == {2, tokenizer.convert_tokens_to_ids("<|im_end|>")}


def test_exporting_again_replaces_the_former_model_whole(tmp_path: Path) -> None:
    start = tiny_model(tmp_path / "start", vocab=260)
    train(make_job(start, method="lora"), tmp_path / "run", "x", silent)
    for _ in range(2):
        export_merged(start, tmp_path / "run" / "adapter", byte_tokenizer(), tmp_path / "out")
    assert (tmp_path / "out" / "model.safetensors").exists()
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".out")]
