"""Leave with a model: a folder that stands alone and that plain transformers loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from codefit.core.files import atomic_folder, read_json, write_json
from codefit.format.chat import ChatFormat
from codefit.models.load import load_model, model_dtype, require_bitsandbytes


def export_merged(model_path: Path, adapter: Path, tokenizer: Any, out: Path, *, nf4: bool = False) -> None:
    """Write `out` whole or not at all, in place of a former one: weights, configs, tokenizer, template.

    Each matrix is merged in float32 and saved in the start model's own dtype, so it rounds once. Adapters that
    were trained over 4-bit weights (`nf4`) go on what those weights are when made dense, which is what they
    learned to correct; on the start model's own weights they would correct errors that are not there.
    """
    if nf4:
        require_bitsandbytes()
    model = load_model(model_path, dtype=model_dtype(model_path), device="cpu", adapter=adapter)
    for module in model.modules():
        if hasattr(module, "get_delta_weight"):
            _merge(module, nf4)
    model = model.unload()
    with atomic_folder(out) as temp:
        model.save_pretrained(str(temp))
        complete_model(temp, tokenizer)


def _merge(module: Any, nf4: bool) -> None:
    """Add the adapter's product to the matrix under it."""
    weight = module.base_layer.weight.data
    dense = weight.to(torch.float32)
    if nf4:
        from bitsandbytes.functional import dequantize_4bit, quantize_4bit

        dense = dequantize_4bit(*quantize_4bit(dense, quant_type="nf4", compress_statistics=True))
    weight.copy_(dense + module.get_delta_weight("default").detach().to(torch.float32))


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
