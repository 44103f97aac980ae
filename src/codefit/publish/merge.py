"""Merge a LoRA adapter into its model, and save a folder that stands alone."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch

from codefit.core.errors import InputError
from codefit.core.files import telling_full_disk
from codefit.models.load import load_model, model_dtype


def export_model(model_path: Path, adapter: Path | None, tokenizer: Any, out: Path) -> None:
    """Write `out` whole or not at all: weights, config, generation config, tokenizer, template.

    The merge is done in float32 and saved in the start model's own dtype, so the merged model
    rounds once. Raises `InputError` where `out` exists and is not a model folder.
    """
    if out.exists() and not (out / "config.json").exists():
        raise InputError("exists and is not a model folder", where=str(out), todo="choose another folder")
    saved_dtype = getattr(torch, model_dtype(model_path))
    model = load_model(model_path, dtype="float32", device="cpu", adapter=adapter)
    if adapter is not None:
        model = model.merge_and_unload()
    model.config.use_cache = True
    out.parent.mkdir(parents=True, exist_ok=True)
    temp = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        with telling_full_disk(temp):
            model.to(saved_dtype).save_pretrained(str(temp))
            tokenizer.save_pretrained(str(temp))
        temp.chmod(0o755)
        if out.exists():
            shutil.rmtree(out)
        temp.rename(out)
    finally:
        shutil.rmtree(temp, ignore_errors=True)
