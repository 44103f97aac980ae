"""Leave with a model: a folder that stands alone and that plain transformers loads."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch

from codefit.core.files import read_json, telling_full_disk, write_json
from codefit.format.chat import ChatFormat
from codefit.models.load import load_model, model_dtype


def export_merged(model_path: Path, adapter: Path, tokenizer: Any, out: Path) -> None:
    """Write `out` whole or not at all, in place of a former one: weights, configs, tokenizer, template.

    The merge is done in float32 and saved in the start model's own dtype, so the merged model
    rounds once.
    """
    saved_dtype = getattr(torch, model_dtype(model_path))
    model = load_model(model_path, dtype="float32", device="cpu", adapter=adapter).merge_and_unload()
    out.parent.mkdir(parents=True, exist_ok=True)
    temp = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        with telling_full_disk(temp):
            model.to(saved_dtype).save_pretrained(str(temp))
            complete_model(temp, tokenizer)
        temp.chmod(0o755)
        if out.exists():
            shutil.rmtree(out)
        temp.rename(out)
    finally:
        shutil.rmtree(temp, ignore_errors=True)


def complete_model(folder: Path, tokenizer: Any) -> None:
    """Add tokenizer and template to saved weights, and make generation stop where answers end.

    A base model's generation config stops at the end of text only; a tuned one ends its answers
    with the end of a turn.
    """
    tokenizer.save_pretrained(str(folder))
    path = folder / "generation_config.json"
    config = read_json(path) if path.exists() else {}
    ends = config.get("eos_token_id")
    found = set(ends if isinstance(ends, list) else [ends]) | {tokenizer.eos_token_id}
    if tokenizer.chat_template:
        found.add(ChatFormat(tokenizer, system=None, fence=False).end_id)
    config["eos_token_id"] = sorted(i for i in found if i is not None)
    config["pad_token_id"] = tokenizer.pad_token_id
    write_json(path, config)
