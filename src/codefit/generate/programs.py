"""The server programs that codefit can start: vLLM for model folders, llama.cpp's server for GGUF files.

Both live outside codefit's environment. Their flags: `vllm serve --help` (vllm/engine/arg_utils.py,
vllm/entrypoints/openai/cli_args.py) and `llama-server --help` (llama.cpp, tools/server/README.md).
Nothing that a model's own files or a server's defaults say may change how tokens are chosen: greedy
answers would bear a repetition penalty, and samples a top-k, that nobody asked for.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from codefit.core.errors import InputError
from codefit.core.files import read_json
from codefit.generate.gguf import read_gguf
from codefit.generate.server import Program, find_command

SERVED = "codefit"
_BASE = "codefit-base"
VLLM_VARIABLE, LLAMA_VARIABLE = "CODEFIT_VLLM", "CODEFIT_LLAMA_SERVER"
_LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
_MOST_SHARE = 0.95
_QUIET = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}


def vllm_program(
    model: Path, adapter: Path | None, *, context: int, concurrency: int, share: float | None,
    stated: str | None, environ: Mapping[str, str],
) -> Program:  # fmt: skip
    """Return vLLM's server for a model folder, with a LoRA adapter on it where there is one.

    `context` bounds prompt and answer together, in tokens; `share` is the part of the device's memory that
    vLLM may take, None for its own default.
    """
    arguments = [
        "serve", str(model), "--host", "{host}", "--port", "{port}", "--served-model-name",
        _BASE if adapter else SERVED, "--generation-config", "vllm", "--max-model-len", str(context),
        "--max-num-seqs", str(concurrency), "--seed", "0",
    ]  # fmt: skip
    if share is not None:
        arguments += ["--gpu-memory-utilization", f"{share:.3f}"]
    if adapter:
        arguments += ["--enable-lora", "--max-lora-rank", str(_lora_rank(adapter)),
                      "--lora-modules", f"{SERVED}={adapter}"]  # fmt: skip
    return Program(
        "vLLM", find_command(stated, VLLM_VARIABLE, "vllm", environ), tuple(arguments), "VLLM_API_KEY", SERVED,
        f"install vllm into an environment of its own, then export {VLLM_VARIABLE}=ENV/bin/vllm",
        {**_QUIET, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip


def _lora_rank(adapter: Path) -> int:
    rank = read_json(adapter / "adapter_config.json").get("r")
    fitting = [r for r in _LORA_RANKS if isinstance(rank, int) and r >= rank]
    if not fitting:
        raise InputError(
            f"vLLM takes adapters up to rank {_LORA_RANKS[-1]}, this one has {rank}",
            where=str(adapter), todo="merge it: codefit export merge",
        )  # fmt: skip
    return fitting[0]


def llama_program(
    file: Path, *, context: int, concurrency: int, stated: str | None, environ: Mapping[str, str]
) -> Program:
    """Return llama.cpp's server for a GGUF file; `context` tokens for each of the requests at the same time."""
    read_gguf(file)
    arguments = [
        "--model", str(file), "--alias", SERVED, "--host", "{host}", "--port", "{port}",
        "--parallel", str(concurrency), "--ctx-size", str(context * concurrency), "--n-gpu-layers", "999",
        "--jinja", "--top-k", "0", "--min-p", "0.0", "--repeat-penalty", "1.0",
    ]  # fmt: skip
    return Program(
        "llama.cpp's server", find_command(stated, LLAMA_VARIABLE, "llama-server", environ), tuple(arguments),
        "LLAMA_API_KEY", SERVED,
        f"install llama.cpp and put llama-server on PATH, or export {LLAMA_VARIABLE}=/path/to/llama-server", {},
    )  # fmt: skip


def memory_share(memory: int, environ: Mapping[str, str]) -> float | None:
    """Return which part of the device's memory `memory` bytes are; None where nvidia-smi names no device."""
    with suppress(OSError, subprocess.SubprocessError, ValueError, IndexError):
        told = subprocess.run(
            ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"],
            capture_output=True, text=True, timeout=20, check=True, env=dict(environ),
        )  # fmt: skip
        total = int(told.stdout.split()[0]) * 2**20
        return min(_MOST_SHARE, memory / total)
    return None


def folder_format(model: Path) -> str | None:
    """Return how the weights of a model folder are stored, as vLLM computes with them.

    Such as `awq 4-bit` or `bfloat16`; float32 is computed in float16 (vLLM's `--dtype auto`).
    """
    config: dict[str, Any] = read_json(model / "config.json")
    method = config.get("quantization_config")
    if isinstance(method, dict) and isinstance(method.get("quant_method"), str):
        bits = method.get("bits", method.get("w_bit"))
        return f"{method['quant_method']} {bits}-bit" if isinstance(bits, int) else method["quant_method"]
    dtype = config.get("dtype", config.get("torch_dtype"))
    return {"float32": "float16"}.get(dtype, dtype) if isinstance(dtype, str) else None
