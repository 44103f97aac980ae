"""Is a model folder whole: weights that are all there, a tokenizer that fits them, a safe pad token.

Only headers of weights are read, so this takes no time and can stand before hours of other work.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from codefit.core.errors import InputError
from codefit.core.files import read_json

INDEX = "model.safetensors.index.json"
_AGAIN = "copy or download the folder again"
_LONGEST_HEADER = 100_000_000  # bytes, as safetensors itself limits it
_WIDTH = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2}
# Tokens that vocabularies hold for padding, or for something that no answer ends with; the first that there is.
# Qwen pads with <|endoftext|> and ends a turn with <|im_end|>; Llama 3.1 has a token of its own.
SAFE_PADS = (
    *(
        "<|endoftext|>",
        "<|finetune_right_pad_id|>",
        "<|pad|>",
        "<pad>",
        "[PAD]",
        "<|padding|>",
        "<|fim_pad|>",
    ),
)


def check_weights(folder: Path) -> None:
    """Raise `InputError` for weights that are missing, cut off or in pickle files only."""
    index = folder / INDEX
    single = folder / "model.safetensors"
    if index.exists():
        _check_shards(folder, read_json(index))
    elif single.exists():
        read_header(single)
    elif any(folder.glob("*.safetensors")):
        for path in sorted(folder.glob("*.safetensors")):
            read_header(path)
    elif any(folder.glob("*.bin")):
        todo = "use a revision with safetensors: a pickle file can run any program"
        raise InputError("has its weights in pickle files (.bin) only", where=str(folder), todo=todo)
    else:
        raise InputError("no weights (model.safetensors) there", where=str(folder), todo=_AGAIN)


def check_ends(folder: Path) -> None:
    """Raise `InputError` for a generation config that is there and cannot be read: it says where answers end."""
    path = folder / "generation_config.json"
    if not path.exists():
        return
    found = read_json(path)
    ends = found.get("eos_token_id") if isinstance(found, dict) else found
    several = ends if isinstance(ends, list) else [] if ends is None else [ends]
    if not isinstance(found, dict) or not all(type(end) is int for end in several):
        todo = "copy it again from the model's repository, or remove it"
        raise InputError("no token ids as eos_token_id", where=str(path), todo=todo)


def _check_shards(folder: Path, index: Any) -> None:
    weights = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weights, dict) or not weights:
        raise InputError("lists no weights", where=str(folder / INDEX), todo=_AGAIN)
    for name in sorted(set(map(str, weights.values()))):
        path = folder / name
        if not path.exists():
            raise InputError(f"a shard of the weights is missing: {name}", where=str(folder), todo=_AGAIN)
        held = read_header(path)
        lost = [tensor for tensor, file in weights.items() if file == name and tensor not in held]
        if lost:
            raise InputError(
                f"does not hold '{lost[0]}', as {INDEX} says it does", where=str(path), todo=_AGAIN
            )


def read_header(path: Path) -> dict[str, Any]:
    """Return the header of a safetensors file, tensor by tensor.

    Raises `InputError` where it is none, or its length is not what the header says.
    """
    size = path.stat().st_size
    with path.open("rb") as f:
        length = int.from_bytes(f.read(8), "little")
        raw = f.read(length) if 0 < length <= min(_LONGEST_HEADER, max(0, size - 8)) else b""
    try:
        header: dict[str, Any] = json.loads(raw)
        tensors = {k: v for k, v in header.items() if k != "__metadata__"}
        end = 8 + length + max((v["data_offsets"][1] for v in tensors.values()), default=0)
        wrong = [k for k, v in tensors.items() if not _fits(v)]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as e:
        raise InputError("no safetensors file, or one that is cut off", where=str(path), todo=_AGAIN) from e
    if size != end or wrong:
        what = (
            f"cut off: {size:,} of {end:,} bytes" if size < end else "its length is not what its header says"
        )
        raise InputError(what, where=str(path), todo=_AGAIN)
    return tensors


def _fits(tensor: dict[str, Any]) -> bool:
    """Return False where a tensor's bytes are not its shape's."""
    first, last = tensor["data_offsets"]
    width = _WIDTH.get(tensor["dtype"])
    return bool(last >= first and (width is None or last - first == width * math.prod(tensor["shape"])))


def check_vocabulary(tokenizer: Any, folder: Path) -> None:
    """Raise `InputError` where the tokenizer knows tokens that the model has no row for."""
    config = folder / "config.json"
    if not config.exists():
        return
    found = read_json(config)
    rows = found.get("vocab_size") if isinstance(found, dict) else None
    last = max(tokenizer.get_vocab().values(), default=-1)
    if isinstance(rows, int) and last >= rows:
        raise InputError(
            f"the tokenizer has token ids up to {last:,}, the model has {rows:,} rows",
            where=str(folder),
            todo="use the tokenizer that came with the model",
        )


def settle_pad(tokenizer: Any, where: str) -> None:
    """Give the tokenizer a pad token that never ends an answer, where its own is missing or does.

    Whoever masks pads by their id, as usual collators do, would mask the end of every turn, were they the same; a
    model tuned so never stops.
    Raises `InputError` where the vocabulary has no token of `SAFE_PADS`.
    """
    ends = {tokenizer.eos_token, _end_of_turn(tokenizer)}
    if tokenizer.pad_token is not None and tokenizer.pad_token not in ends:
        return
    vocabulary = tokenizer.get_vocab()
    pad = next((t for t in SAFE_PADS if t in vocabulary and t not in ends), None)
    if pad is None:
        own = (
            f"pads with '{tokenizer.pad_token}', which ends an answer"
            if tokenizer.pad_token
            else "has no pad token"
        )
        todo = "set pad_token in tokenizer_config.json to one that ends nothing"
        raise InputError(f"the tokenizer {own}", where=where, todo=todo)
    tokenizer.pad_token = pad


def _end_of_turn(tokenizer: Any) -> str | None:
    """Return the special token that the chat template puts behind an answer, None where that cannot be told."""
    if not getattr(tokenizer, "chat_template", None):
        return None
    marker = "codefit"
    turns = [{"role": "user", "content": "x"}, {"role": "assistant", "content": marker}]
    try:
        text = str(tokenizer.apply_chat_template(turns, tokenize=False))
    except Exception:  # whatever a template of someone else's raises: ChatFormat tells of it
        return None
    tail = text[text.rindex(marker) + len(marker) :] if marker in text else ""
    found = [(tail.index(t), t) for t in tokenizer.all_special_tokens if t and t in tail]
    return min(found)[1] if found else None
