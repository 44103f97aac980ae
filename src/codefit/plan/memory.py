"""Bytes of one training step in closed form, per component and phase.

Symbols: h hidden, f ffn, kv key width, H heads, L layers, V vocabulary, T tokens in a forward
pass (micro-batch x max_length), r LoRA rank, W parameters, P adapter parameters, e bytes of an
element (2 in bfloat16, 4 in float32). What runs on a GPU is the lean decoder (`plan.lean`); here are the
terms of transformers' own layers, read off traces of the exact 1.5B step.

Seen on a GPU: allocated bytes of the lean step on an H100 whose allocator was capped to an 8 GB card,
within 0.8 % (LoRA, 8 bits) and 1.4 % (4 bits); `SLACK` is from there. Not seen: a card of 8 GB, whose
context is taken to be smaller than an H100's 750 MiB.
"""

from __future__ import annotations

from codefit.core.units import CONTEXT, MIB
from codefit.plan import lean
from codefit.plan.setting import Estimate, Setting, at_peak
from codefit.plan.shape import Shape

WORKSPACES = 2 * 8_519_680  # cuBLAS, one for each of two threads
SLACK = {
    "lora": 220 * MIB,
    "qlora": 220 * MIB,
    "full": 70 * MIB,
}  # reserved over allocated, with expandable segments
CHUNK = 256  # rows of logits at a time


def _saved_per_token(shape: Shape, s: Setting) -> float:
    """Bytes that one layer saves for its backward pass, per token."""
    base = 8 * shape.ffn + 16 * shape.hidden + 4 * shape.kv
    adapters = 14 * s.rank + 9 * shape.hidden if s.method == "lora" else 0
    return (base + adapters) * s.element / 2 + 4 * shape.heads + 8


def _static(shape: Shape, s: Setting) -> dict[str, float]:
    weights = float(shape.parameters * s.element)
    if s.method == "lora":
        adapters = 4.0 * shape.lora_parameters(s.rank)
        return {"weights": weights, "adapters": adapters, "optimizer": 2 * adapters}
    return {"weights": weights, "adapters": 0.0, "optimizer": 2 * weights}


def estimate(shape: Shape, s: Setting) -> Estimate:
    """Return the peak of a step: the largest phase, never the sum of each component's largest."""
    found = lean.estimate(shape, s) if s.lean else _plain(shape, s)
    if s.device.startswith("cuda"):
        for parts in (found.components, *found.phases.values()):
            parts["slack"] = float(SLACK[s.method])
            parts["context"] = float(CONTEXT + WORKSPACES + lean.recorded(shape, s))
    return found


def _plain(shape: Shape, s: Setting) -> Estimate:
    """Return the components at the peak of transformers' own layers, all of them recomputed or none."""
    e, tokens, h = s.element, s.tokens, shape.hidden
    trained = shape.lora_parameters(s.rank) * 4 if s.method == "lora" else shape.parameters * e
    head_grad = 0 if s.method == "lora" else shape.embedding
    saved = tokens * _saved_per_token(shape, s)
    kept_layers = 1 if s.recompute else shape.layers
    boundaries = tokens * e * h * shape.layers if s.recompute else 0
    logits = min(CHUNK, tokens) * shape.vocab * (8 + 2 * e)
    inner = tokens * e * (2 * shape.ffn + h)
    phases: dict[str, dict[str, float]] = {
        "loss": {
            "gradients": 0.0,
            "activations": boundaries + (0 if s.recompute else saved * kept_layers) + tokens * 2 * e * h,
            "loss": logits + head_grad * (4 + e),
            "temporaries": 0.0,
        },
        "layer backward": {
            "gradients": float(trained),
            "activations": boundaries + saved * kept_layers,
            "loss": 0.0,
            "temporaries": inner,
        },
        "optimizer": {
            "gradients": float(trained),
            "activations": 0.0,
            "loss": 0.0,
            "temporaries": head_grad * e * 2.0,
        },
    }
    return at_peak(s, _static(shape, s), phases)
