"""The memory plan against a trace of the exact step, and the trace against the allocator of a CPU.

    python benchmarks/plan.py [--quick]

For each configuration the closed form of `codefit plan` is put beside the peak of the living storages of the
whole step on fake tensors (no weights are made, so that a 7B step is traced as well). Small models are run for
real, and the trace is put beside what torch's profiler says that the CPU's allocator handed out. What an H100
allocated (`benchmarks/results/gpu.json`) is put beside today's closed form. Writes
`benchmarks/results/plan.json`.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from codefit.core.recipe import TrainSettings
from codefit.models.load import quiet_libraries
from codefit.models.start import shape_file
from codefit.plan.lean import estimate
from codefit.plan.memory import SLACK
from codefit.plan.setting import Setting
from codefit.plan.shape import Shape, read_shape
from codefit.train.attention import Documents
from codefit.train.batch import Packed
from codefit.train.model import trainee, with_adapters
from codefit.train.steps import FullSteps, LoraSteps
from codefit.train.trace import trace
from measure import machine

_GPU_FIELDS = (
    "shape",
    "method",
    "bits",
    "tokens",
    "recompute",
    "offload",
    "host_embedding",
    "compiled",
    "graphs",
)
RESULTS = Path(__file__).with_name("results")
MIB = 2**20

# Shapes that the closed form was not derived from: only the 1.5B's own traces were looked at for it.
BLIND: dict[str, dict[str, Any]] = {
    "llama 1B": {"model_type": "llama", "hidden_size": 2048, "num_hidden_layers": 16, "num_attention_heads": 32,
                 "num_key_value_heads": 8, "intermediate_size": 8192, "vocab_size": 128256,
                 "tie_word_embeddings": True, "head_dim": 64},
    "llama 8B": {"model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
                 "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256,
                 "tie_word_embeddings": False},
    "llama narrow": {"model_type": "llama", "hidden_size": 768, "num_hidden_layers": 24,
                     "num_attention_heads": 12, "num_key_value_heads": 12, "intermediate_size": 2048,
                     "vocab_size": 32000, "tie_word_embeddings": False},
    "qwen2 wide": {"model_type": "qwen2", "hidden_size": 3072, "num_hidden_layers": 12,
                   "num_attention_heads": 24, "num_key_value_heads": 4, "intermediate_size": 24576,
                   "vocab_size": 151936, "tie_word_embeddings": True},
}  # fmt: skip

# (shape, method, tokens, layers recomputed or None for all, bits, inputs on the host, embedding on the host)
Row = tuple[str, str, int, int | None, int, bool, bool]
ROWS: list[Row] = [
    ("qwen2.5-coder-1.5b", "lora", 2048, None, 32, False, False),
    ("qwen2.5-coder-1.5b", "lora", 2048, 0, 32, False, False),
    ("qwen2.5-coder-1.5b", "lora", 4096, 14, 32, False, False),
    ("qwen2.5-coder-1.5b", "lora", 8192, None, 32, True, False),
    ("qwen2.5-coder-1.5b", "qlora", 2048, 0, 32, False, False),
    ("qwen2.5-coder-1.5b", "qlora", 8192, None, 32, False, False),
    ("qwen2.5-coder-1.5b", "full", 2048, None, 8, False, False),
    ("qwen2.5-coder-1.5b", "full", 4096, None, 8, True, False),
    ("qwen2.5-coder-1.5b", "full", 1024, 10, 8, False, False),
    ("qwen2.5-coder-1.5b", "full", 2048, None, 4, False, False),
    ("qwen2.5-coder-1.5b", "full", 8192, None, 4, False, False),
    ("qwen2.5-coder-0.5b", "lora", 2048, 0, 32, False, False),
    ("qwen2.5-coder-0.5b", "full", 4096, None, 8, False, False),
    ("qwen2.5-coder-0.5b", "full", 1024, 0, 4, False, False),
    ("qwen2.5-coder-3b", "lora", 1024, None, 32, False, False),
    ("qwen2.5-coder-3b", "qlora", 4096, 20, 32, False, False),
    ("qwen2.5-coder-7b", "qlora", 2048, None, 32, False, True),
    ("qwen2.5-coder-7b", "qlora", 4096, 26, 32, True, True),
    ("qwen2.5-coder-7b", "lora", 1024, 10, 32, False, False),
    ("llama 1B", "lora", 4096, 8, 32, False, False),
    ("llama 1B", "full", 2048, None, 8, False, False),
    ("llama 8B", "qlora", 2048, 16, 32, True, True),
    ("llama 8B", "full", 1024, None, 4, True, False),
    ("llama narrow", "lora", 4096, 0, 32, False, False),
    ("llama narrow", "full", 2048, 12, 8, False, False),
    ("llama narrow", "qlora", 1024, None, 32, False, False),
    ("qwen2 wide", "lora", 2048, 6, 32, False, False),
    ("qwen2 wide", "full", 1024, None, 4, False, False),
]  # fmt: skip

SMALL: list[tuple[str, int, int, int]] = [
    ("lora", 768, 6, 32), ("lora", 512, 0, 32), ("lora", 1024, 3, 32), ("qlora", 512, 6, 32),
    ("full", 512, 6, 8), ("full", 768, 0, 8), ("full", 512, 3, 4),
]  # fmt: skip
SMALL_SHAPE = {"model_type": "qwen2", "hidden_size": 512, "num_hidden_layers": 6, "num_attention_heads": 8,
               "num_key_value_heads": 2, "intermediate_size": 2048, "vocab_size": 32000,
               "tie_word_embeddings": True}  # fmt: skip


def fields(name: str) -> dict[str, Any]:
    """Return a config.json's fields."""
    if name in BLIND:
        return BLIND[name]
    found: dict[str, Any] = json.loads(shape_file(name).read_text())
    return found


def shape_of(config: dict[str, Any]) -> Shape:
    """Return the numbers of a config."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_text(json.dumps(config))
        return read_shape(path)


def closed_against_traced(row: Row) -> dict[str, Any]:
    """Compare one configuration."""
    name, method, tokens, recompute, bits, offload, host = row
    config = fields(name)
    shape = shape_of(config)
    layers = shape.layers if recompute is None else recompute
    setting = Setting(method, 1, tokens, layers, 16, 2, "cuda", bits, offload, host)
    began = time.perf_counter()
    traced = trace(config, setting)
    closed = estimate(shape, setting)
    return {"shape": name, "blind": name != "qwen2.5-coder-1.5b", "method": method, "tokens": tokens,
            "recompute": layers, "bits": bits, "offload": offload, "host_embedding": host,
            "phase": closed.phase, "closed_mib": round(closed.peak / MIB, 1),
            "traced_mib": round(traced.peak / MIB, 1),
            "difference_percent": round(100 * (closed.peak / traced.peak - 1), 2),
            "seconds": round(time.perf_counter() - began, 1)}  # fmt: skip


def _model(setting: Setting) -> tuple[Any, Any, TrainSettings]:
    from transformers import AutoConfig, AutoModelForCausalLM

    settings = TrainSettings.model_validate({
        "method": setting.method, "recompute": setting.recompute, "batch_size": 1, "device": "cpu",
        "optimizer": f"adamw{setting.bits}".removesuffix("32"),
    })  # fmt: skip
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**SMALL_SHAPE), dtype=torch.float32)
    if setting.method == "qlora":
        from codefit.models.load import load_model

        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            model = load_model(Path(folder), dtype="float32", device="cpu", weights="nf4")
        for p in model.parameters():  # on a CPU they are views of the whole file's buffer
            if p.dtype == torch.float32:
                p.data = p.data.clone()
    return (with_adapters(model, settings) if setting.adapters else model), model, settings


def allocated(setting: Setting) -> int:
    """Run the step for real and return the bytes that the CPU's allocator had handed out at its peak."""
    from torch.profiler import ProfilerActivity, profile

    generator = torch.Generator().manual_seed(0)
    gc.collect()  # what another configuration left would be freed in this one's account
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        outer, model, settings = _model(setting)
        parts = trainee(outer, model)
        steps = LoraSteps(parts, settings, ()) if setting.adapters else FullSteps(parts, settings, (), 0)
        del parts
        for _ in range(2):
            gc.collect()
            torch.ones(1).add_(1)  # marks the step's beginning
            tokens = setting.tokens
            ids = torch.randint(SMALL_SHAPE["vocab_size"], (tokens,), generator=generator)
            starts = torch.tensor([0, tokens], dtype=torch.int32)
            batch = Packed(ids, torch.arange(tokens), Documents((tokens,), starts), torch.arange(tokens), ids)
            mark = time.time_ns()
            steps.run([batch], 1.0, 1e-4)
    now = peak = 0
    for event in recorded.profiler.kineto_results.events():
        if event.name() == "[memory]":
            now += event.nbytes()
            peak = max(peak, now) if event.start_ns() >= mark else now
    return peak


def traced_against_real(row: tuple[str, int, int, int]) -> dict[str, Any]:
    """Compare one small configuration, in float32 as a CPU runs it."""
    method, tokens, recompute, bits = row
    setting = Setting(method, 1, tokens, recompute, 16, 4, "cpu", bits)
    real, traced = allocated(setting), trace(SMALL_SHAPE, setting, unit=1).peak
    return {"method": method, "tokens": tokens, "recompute": recompute, "bits": bits,
            "allocated_mib": round(real / MIB, 2), "traced_mib": round(traced / MIB, 2),
            "difference_percent": round(100 * (traced / real - 1), 3)}  # fmt: skip


def closed_against_gpu() -> list[dict[str, Any]]:
    """Put today's closed form beside what the GPU benchmark saw allocated."""
    found = json.loads((RESULTS / "gpu.json").read_text())
    rows = []
    for r in _measured(found):
        setting = Setting(r["method"], 1, r["tokens"], r["recompute"], 16, 2, "cuda", r.get("bits", 32),
                          r.get("offload", False), r.get("host_embedding", False), "codefit",
                          r.get("graphs", False))  # fmt: skip
        shape = read_shape(shape_file(r["shape"]))
        workspaces = r["predicted"]["workspaces"]
        # What graphs use is not counted as allocated while they run; reserved, less the usual slack, is its measure.
        graphs = r.get("graphs", False)
        taken = r["reserved_mib"] - SLACK[r["method"]] / MIB if graphs else r["allocated_mib"]
        closed = estimate(shape, setting).peak / MIB + workspaces
        rows.append({**{k: r.get(k) for k in _GPU_FIELDS},
                     "closed_mib": round(closed, 1), "allocated_mib": round(taken, 1),
                     "difference_percent": round(100 * (closed / taken - 1), 2)})  # fmt: skip
    return rows


def _measured(found: Any) -> list[dict[str, Any]]:
    if isinstance(found, dict) and {"predicted", "allocated_mib"} <= found.keys():
        return [found]
    inner = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
    return [row for value in inner for row in _measured(value)]


def main() -> None:
    """Measure everything and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="every third configuration, nothing written")
    quick = parser.parse_args().quick
    quiet_libraries()
    step = 3 if quick else 1
    result: dict[str, Any] = {"machine": machine(), "closed_against_traced": [], "traced_against_real": []}
    for row in ROWS[::step]:
        result["closed_against_traced"].append(closed_against_traced(row))
        print(result["closed_against_traced"][-1], flush=True)
    for small in SMALL[::step]:
        result["traced_against_real"].append(traced_against_real(small))
        print(result["traced_against_real"][-1], flush=True)
    result["closed_against_gpu"] = closed_against_gpu()
    for r in result["closed_against_gpu"]:
        print(r)
    if not quick:
        (RESULTS / "plan.json").write_text(json.dumps(result, indent=1) + "\n")
        print(f"written: {RESULTS / 'plan.json'}", file=sys.stderr)


if __name__ == "__main__":
    main()
