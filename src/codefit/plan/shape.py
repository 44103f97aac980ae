"""The numbers of a Qwen2-family model that memory depends on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codefit.core.errors import InputError
from codefit.core.files import read_json

_MOST = 2**31  # of anything countable in a config


@dataclass(frozen=True, slots=True)
class Shape:
    """A decoder's shape, in the symbols of the formulas in `plan.memory`."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int
    tied: bool
    attention_bias: bool

    @property
    def kv(self) -> int:
        """Width of keys (or values)."""
        return self.kv_heads * self.head_dim

    @property
    def embedding(self) -> int:
        """Parameters of the embedding, counted once."""
        return self.vocab * self.hidden

    @property
    def matrices(self) -> int:
        """Parameters in one layer's matrices."""
        return 2 * self.hidden * (self.heads * self.head_dim + self.kv) + 3 * self.hidden * self.ffn

    @property
    def layer(self) -> int:
        """Parameters of one layer."""
        bias = self.heads * self.head_dim + 2 * self.kv if self.attention_bias else 0
        return self.matrices + bias + 2 * self.hidden

    @property
    def parameters(self) -> int:
        """All parameters, a tied head counted once."""
        heads = 1 if self.tied else 2
        return self.layers * self.layer + self.hidden + heads * self.embedding

    def lora_parameters(self, rank: int) -> int:
        """Parameters of adapters of this rank on all linear layers of the decoder."""
        h, q, f = self.hidden, self.heads * self.head_dim, self.ffn
        pairs = [(h, q), (h, self.kv), (h, self.kv), (q, h), (h, f), (h, f), (f, h)]
        return self.layers * rank * sum(a + b for a, b in pairs)


def read_shape(path: Path) -> Shape:
    """Return the shape in a config.json of a Qwen2- or Llama-family model; raises `InputError`."""
    config = read_json(path)
    family = config.get("model_type") if isinstance(config, dict) else None
    if family not in ("qwen2", "llama"):
        raise InputError(
            f"cannot plan a '{family}' model", where=str(path), todo="use a Qwen2 or Llama model"
        )
    hidden, heads = _count(config, "hidden_size", path), _count(config, "num_attention_heads", path)
    return Shape(
        hidden=hidden,
        layers=_count(config, "num_hidden_layers", path),
        heads=heads,
        kv_heads=_count(config, "num_key_value_heads", path, heads),
        head_dim=_count(config, "head_dim", path, hidden // heads),
        ffn=_count(config, "intermediate_size", path),
        vocab=_count(config, "vocab_size", path),
        tied=bool(config.get("tie_word_embeddings", family == "qwen2")),
        attention_bias=family == "qwen2" or bool(config.get("attention_bias", False)),
    )


def _count(config: dict[str, Any], key: str, path: Path, default: int | None = None) -> int:
    """Return a whole number of a config that is at least 1; raises `InputError`."""
    value = config.get(key)
    value = default if value is None else value
    if value is None:
        raise InputError(f"incomplete model config: no '{key}'", where=str(path))
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST:
        raise InputError(f"'{key}' is not a whole number from 1 to {_MOST}", where=str(path))
    return value
