"""What our measurements and the peers' share: the model, the rows, the 8 GB card, the figures."""

from __future__ import annotations

import gzip
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from codefit.core.types import Example
from codefit.format.chat import IGNORED
from codefit.format.pack import pack
from codefit.plan.shape import Shape, read_shape

ROOT = Path(__file__).parents[2]
CARD_MIB = 8188  # what an 8 GB card has
SHAPE = "qwen2.5-coder-1.5b"
RANK, ALPHA, RATE = 16, 32, 1e-4
WARM_STEPS, TIMED_STEPS = 3, 8
PAD = 151643  # <|endoftext|>


def wait_for_turn() -> None:
    """Import what any configuration needs, and wait for the word that the device is free; see `run.py`."""
    import peft  # noqa: F401
    from transformers.models.qwen2 import modeling_qwen2  # noqa: F401

    sys.stdin.readline()


def shape_path(name: str) -> Path:
    """Return the config.json of a named shape."""
    return ROOT / "src" / "codefit" / "models" / "shapes" / f"{name}.json"


def examples(path: Path) -> list[Example]:
    """Return the rows that `rows.py` wrote."""
    with gzip.open(path, "rt") as f:
        rows = [json.loads(line) for line in f]
    return [
        Example(tuple(r["ids"]), tuple([IGNORED] * r["prompt"] + r["ids"][r["prompt"] :]), str(n))
        for n, r in enumerate(rows)
    ]


def full_bins(rows: list[Example], capacity: int, count: int) -> list[list[int]]:
    """Return the fullest bins, so that every step is a whole one."""
    bins = pack([len(e.token_ids) for e in rows], capacity)
    bins.sort(key=lambda b: -sum(len(rows[i].token_ids) for i in b))
    return [bins[i % len(bins)] for i in range(count)]


def random_model(name: str, device: str) -> Any:
    """Return the model in bfloat16 with random weights, made on the device without a float32 copy."""
    from transformers import AutoConfig, AutoModelForCausalLM

    fields = json.loads(shape_path(name).read_text())
    config = AutoConfig.for_model(**fields)
    with torch.device(device):
        old = torch.get_default_dtype()
        torch.set_default_dtype(torch.bfloat16)
        try:
            model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
        finally:
            torch.set_default_dtype(old)
    generator = torch.Generator(device).manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.02, generator=generator)
    assert all(p.dtype == torch.bfloat16 for p in model.parameters())
    return model


def random_quantised_model(name: str, device: str) -> Any:
    """Return the model with NF4 matrices of random values, quantised one by one as loading does."""
    import bitsandbytes as bnb
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(**json.loads(shape_path(name).read_text()))
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16, attn_implementation="sdpa")
    decoder = model.get_decoder()
    decoder.rotary_emb = type(decoder.rotary_emb)(config).to(device)
    for layer in decoder.layers:
        for block in (layer.self_attn, layer.mlp):
            for key, old in list(block.named_children()):
                if not isinstance(old, torch.nn.Linear):
                    continue
                with torch.device("meta"):
                    new = bnb.nn.Linear4bit(
                        old.in_features, old.out_features, bias=old.bias is not None, quant_type="nf4",
                        compute_dtype=torch.bfloat16,
                    )  # fmt: skip
                values = torch.empty(old.weight.shape, dtype=torch.bfloat16, device=device).normal_(0, 0.02)
                new.weight = bnb.nn.Params4bit(
                    values, requires_grad=False, quant_type="nf4", compress_statistics=True
                )
                new.weight = new.weight.to(device)
                if old.bias is not None:
                    new.bias = torch.nn.Parameter(torch.zeros_like(old.bias, device=device))
                setattr(block, key, new)
    for module in model.modules():
        for key, p in list(module.named_parameters(recurse=False)):
            if p.is_meta:
                values = torch.empty(p.shape, dtype=torch.bfloat16, device=device)
                values = values.normal_(0, 0.02) if p.dim() > 1 else values.fill_(1.0)
                setattr(module, key, torch.nn.Parameter(values, requires_grad=False))
    model.tie_weights()
    model.is_loaded_in_4bit = True
    return model


def release(device: str) -> None:
    """Give back what making the model left in the allocator."""
    if device == "cuda":
        torch.cuda.empty_cache()


def with_adapters(model: Any) -> Any:
    """Return the model with LoRA on every linear layer but the head."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    return get_peft_model(model, config)


def shape(name: str) -> Shape:
    """Return the shape's numbers."""
    return read_shape(shape_path(name))


def flops(s: Shape, lengths: list[int], method: str) -> float:
    """Return FLOPs of training on documents: 6N per token (LoRA 4N) and causal attention, no recomputing."""
    passes = 3 if method == "full" else 2
    matrices = s.layers * s.layer + s.embedding
    forward = sum(2 * matrices * n + 2 * s.layers * s.heads * s.head_dim * n * n for n in lengths)
    return passes * forward


def become_an_8gb_card(device: str) -> dict[str, float]:
    """Cap the allocator at what 8 GB leaves beside the CUDA context; return both in MiB."""
    if device != "cuda":
        return {}
    torch.zeros(1, device="cuda")
    a = torch.zeros(64, 64, device="cuda", dtype=torch.bfloat16)
    (a @ a).sum().item()
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info()
    context = (total - free - torch.cuda.memory_reserved()) / 2**20
    cap = CARD_MIB - context
    torch.cuda.set_per_process_memory_fraction(cap * 2**20 / total)
    torch.cuda.reset_peak_memory_stats()
    return {"context_start_mib": round(context, 1), "cap_mib": round(cap, 1)}


def workspaces(device: str) -> float:
    """Return the bytes of cuBLAS' two workspaces, of the main thread and of autograd's, by torch's rule."""
    if device != "cuda":
        return 0.0
    return 2.0 * (32 * 2**20 if torch.cuda.get_device_capability() >= (9, 0) else 8_519_680)


def memory(device: str) -> dict[str, float]:
    """Return the peaks in MiB: allocated, reserved, and the context as it is now."""
    if device != "cuda":
        return {}
    free, total = torch.cuda.mem_get_info()
    context = total - free - torch.cuda.memory_reserved()
    return {
        "allocated_mib": round(torch.cuda.max_memory_allocated() / 2**20, 1),
        "reserved_mib": round(torch.cuda.max_memory_reserved() / 2**20, 1),
        "context_mib": round(context / 2**20, 1),
    }


def synchronize(device: str) -> None:
    """Wait for the device."""
    if device == "cuda":
        torch.cuda.synchronize()


def timed(device: str, step: Callable[[int], Any], warm: int, count: int) -> tuple[float, list[Any]]:
    """Run the steps; return the seconds of those after the warm ones, and what they returned."""
    for number in range(warm):
        step(number)
    synchronize(device)
    began = time.perf_counter()
    out = [step(warm + number) for number in range(count)]
    synchronize(device)
    return time.perf_counter() - began, out
