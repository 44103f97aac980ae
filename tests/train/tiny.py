"""A tiny random Qwen2 on disk, and random examples for it."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from codefit.core.types import Example

VOCAB = 64
PAD = 0


def tiny_model(folder: Path, *, tied: bool = True, seed: int = 0, vocab: int = VOCAB) -> Path:
    """Save a random two-layer Qwen2 of float32 weights and return its folder."""
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=vocab, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, tie_word_embeddings=tied, eos_token_id=2,
        pad_token_id=PAD, bos_token_id=None,
    )  # fmt: skip
    Qwen2ForCausalLM(config).save_pretrained(str(folder))
    return folder


def random_examples(n: int, *, seed: int = 0, shortest: int = 4, longest: int = 20) -> list[Example]:
    """Return examples of random tokens whose first third is a prompt."""
    rng = random.Random(seed)
    out = []
    for i in range(n):
        length = rng.randint(shortest, longest)
        ids = [rng.randrange(3, VOCAB) for _ in range(length)]
        prompt = max(1, length // 3)
        out.append(Example(tuple(ids), tuple([-100] * prompt + ids[prompt:]), f"row-{i}"))
    return out
