"""Load models and tokenizers, with one clear line where they can't be."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from codefit.core.errors import CodefitError, InputError, MissingPrerequisite
from codefit.core.files import open_bytes
from codefit.core.generation import Weights
from codefit.models.check import check_vocabulary, read_header, settle_pad

_CHATML = ("<|im_start|>", "<|im_end|>")
_PAD = "<|endoftext|>"
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "tokenizer.model")


def require_torch() -> None:
    """Raise `MissingPrerequisite` where the train extra is not installed."""
    import importlib.util

    missing = [m for m in ("torch", "transformers", "peft") if importlib.util.find_spec(m) is None]
    if missing:
        raise MissingPrerequisite(
            f"needs {', '.join(missing)}", todo="pip install torch, then pip install 'codefit[train]'"
        )


def quiet_libraries() -> None:
    """Keep transformers off the network and out of the terminal; call before it is imported.

    Models come from folders. Only the hub's client may ask the network, in a session of its own (`hub.Hub`), so the
    switch is set inside this process and the user's own HF_HUB_OFFLINE is left as it is.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Read when CUDA starts; without it a GPU's memory falls into pieces that no batch fits.
    os.environ.setdefault("PYTORCH_ALLOC_CONF", "expandable_segments:True")
    # peft asks for a property that transformers renamed; a user can do nothing about it.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers\.modeling_utils")
    # bitsandbytes tells everyone with a CPU of a kernel that it would like to download.
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
    # It tells everyone with int8 weights that it computes in float16.
    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
    from huggingface_hub import constants

    constants.HF_HUB_OFFLINE = True
    from transformers.utils import logging as verbosity

    verbosity.set_verbosity_error()
    verbosity.disable_progress_bar()


@contextmanager
def _one_line(what: str, path: Path) -> Iterator[None]:
    """Turn the loaders' many exceptions into one line."""
    try:
        yield
    except CodefitError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as e:
        lines = [line.strip() for line in str(e).strip().splitlines()]
        # torch names what it found on the line behind a headline
        reason = " ".join(lines[: 2 if lines[0].endswith(":") else 1]) if lines else type(e).__name__
        raise InputError(f"cannot load the {what}: {reason[:200]}", where=str(path)) from e


def load_tokenizer(path: Path) -> Any:
    """Return the tokenizer of a folder, or of a bare `tokenizer.json` (gzip accepted).

    A bare file of the Qwen family gets its ChatML markers and a ChatML template. A pad token that is missing
    or ends an answer is replaced by one that doesn't (see `check.settle_pad`). Raises `InputError` where the
    tokenizer is broken, has no such token, or has tokens that the model beside it has no row for.
    """
    quiet_libraries()
    from transformers import AutoTokenizer

    with _one_line("tokenizer", path):
        if path.is_file():
            return _bare_tokenizer(path)
        if not any((path / name).exists() for name in _TOKENIZER_FILES):
            raise InputError("no tokenizer there", where=str(path), todo="name a folder with tokenizer.json")
        tokenizer = AutoTokenizer.from_pretrained(str(path))
    settle_pad(tokenizer, str(path))
    check_vocabulary(tokenizer, path)
    return tokenizer


def _bare_tokenizer(path: Path) -> Any:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    with open_bytes(path) as f:
        inner = Tokenizer.from_str(f.read().decode("utf-8"))
    missing = [t for t in (*_CHATML, _PAD) if inner.token_to_id(t) is None]
    if missing:
        raise InputError(f"no {', '.join(missing)} in it", where=str(path), todo="name a tokenizer folder")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        eos_token=_CHATML[1],
        pad_token=_PAD,
        additional_special_tokens=[_CHATML[0]],
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = Path(__file__).with_name("chatml.jinja").read_text(encoding="utf-8")
    return tokenizer


def require_bitsandbytes() -> None:
    """Raise `MissingPrerequisite` where quantised weights cannot be had."""
    import importlib.util

    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingPrerequisite(
            "quantised weights need bitsandbytes", where="qlora, nf4, int8", todo="pip install 'codefit[gpu]'"
        )


def load_model(
    path: Path, *, dtype: str, device: str, adapter: Path | None = None, weights: Weights = "plain"
) -> Any:  # fmt: skip
    """Return a causal language model, loaded straight in `dtype` (float32, bfloat16 or float16).

    Every matrix but embedding and head can be quantised as it is read. `nf4`: 4-bit NormalFloat with
    double quantisation (Dettmers et al. 2023, arXiv 2305.14314), computed with in `dtype`. `int8`:
    LLM.int8 (Dettmers et al. 2022, arXiv 2208.07339), 8 bits with outliers apart.
    Raises `InputError` where a weight of model or adapter is missing or of another shape than the config says.
    """
    quiet_libraries()
    if weights != "plain":
        require_bitsandbytes()
    import torch
    from transformers import AutoModelForCausalLM

    kind = getattr(torch, dtype)
    options = {} if weights == "plain" else _quantised(weights, kind, device)
    with _one_line("model", path):
        model, told = AutoModelForCausalLM.from_pretrained(
            str(path), dtype=kind, attn_implementation="sdpa", output_loading_info=True,
            ignore_mismatched_sizes=True, **options,
        )  # fmt: skip
    _refuse_invented(told, path)
    if weights == "nf4":
        for module in model.modules():
            if hasattr(module, "support_avx512bf16_for_cpu"):
                # It would multiply in bfloat16, repack weights that others hold, and fail at odd widths.
                module.support_avx512bf16_for_cpu = False
    if adapter is not None:
        model = _with_adapter(model, adapter)
    return model.to(device) if weights == "plain" else model


def _refuse_invented(told: dict[str, Any], path: Path) -> None:
    """Raise `InputError` for weights that transformers would make up: those missing, or of another shape."""
    todo = "copy or download the folder again"
    for name, held, wanted in sorted(told["mismatched_keys"]):
        what = f"'{name}' has shape {_shape(held)}, config.json says {_shape(wanted)}"
        raise InputError(what, where=str(path), todo=todo)
    if missing := sorted(told["missing_keys"]):
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        what = f"its weights lack '{missing[0]}'{more}, which config.json asks for"
        raise InputError(what, where=str(path), todo=todo)


def _shape(of: Any) -> str:
    return " x ".join(map(str, of))


def _with_adapter(model: Any, adapter: Path) -> Any:
    """Return the model with a LoRA adapter on it; raises `InputError` for one that is not whole or not the model's.

    PEFT itself only warns of tensors that are missing, and leaves those layers untuned.
    """
    from peft import PeftModel, get_peft_model_state_dict

    file = adapter / "adapter_model.safetensors"
    if not file.exists():
        todo = "name the folder that holds it; pickle files are not read"
        raise InputError("no adapter_model.safetensors there", where=str(adapter), todo=todo)
    held = set(read_header(file))
    with _one_line("adapter", adapter), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = PeftModel.from_pretrained(model, str(adapter), torch_device="cpu")
    wanted = set(get_peft_model_state_dict(model, save_embedding_layers=False))
    strange = {name for name in held - wanted if ".lora_" in name}
    for names, what in ((wanted - held, "lacks"), (strange, "holds, for layers that the model has not,")):
        if names:
            todo = "name the model that it was tuned on, or copy the adapter again"
            raise InputError(f"the adapter {what} '{min(names)}'", where=str(adapter), todo=todo)
    return model


def _quantised(weights: Weights, dtype: Any, device: str) -> dict[str, Any]:
    from transformers import BitsAndBytesConfig

    if weights == "int8":
        config = BitsAndBytesConfig(load_in_8bit=True)
    else:
        config = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )  # fmt: skip
    return {"quantization_config": config, "device_map": {"": device}}


def load_encoder(path: Path, *, device: str) -> Any:
    """Return a model without its head, for its hidden states, in float32."""
    quiet_libraries()
    import torch
    from transformers import AutoModel

    with _one_line("encoder", path):
        model, told = AutoModel.from_pretrained(
            str(path), dtype=torch.float32, output_loading_info=True, ignore_mismatched_sizes=True
        )
    # Sentence encoders are often saved without the pooler, which hidden states do not need.
    told["missing_keys"] = {name for name in told["missing_keys"] if not name.startswith("pooler.")}
    _refuse_invented(told, path)
    return model.to(device)


def resolve_device(device: str) -> str:
    """Return `cuda` or `cpu` for `auto`; raises `MissingPrerequisite` for a GPU that isn't there."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise MissingPrerequisite("no GPU that torch can use", where=device, todo="set train.device to cpu")
    return device


def resolve_dtype(dtype: str, device: str, method: str = "lora", bits: int = 32) -> str:
    """Return the weights' dtype for `auto`: bfloat16 on a GPU, float32 on a CPU or for classic full tuning.

    A bfloat16 weight steps by 0.4 %, so without stochastic rounding, which moments of few bits come
    with, a full-parameter update at a usual learning rate is rounded away.
    """
    if dtype != "auto":
        return dtype
    classic = method == "full" and bits == 32
    return "bfloat16" if device.startswith("cuda") and not classic else "float32"


def model_dtype(path: Path) -> str:
    """Return the dtype that a model folder's config names, float32 where it names none."""
    quiet_libraries()
    from transformers import AutoConfig

    with _one_line("model", path):
        dtype = AutoConfig.from_pretrained(str(path)).dtype
    return str(dtype).removeprefix("torch.") if dtype is not None else "float32"
