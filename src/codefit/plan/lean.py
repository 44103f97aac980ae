"""Bytes of a step of the lean decoder (`train.lean`), in closed form, read off what its code keeps.

Symbols as in `plan.memory`, and q the width of all query heads. Layers that are recomputed come first, so
the peak of the backward pass is at its start, when the last layers' activations are all still there.
"""

from __future__ import annotations

from codefit.plan.setting import Estimate, Setting, at_peak
from codefit.plan.shape import Shape

CHUNKS = {True: 256, False: 128}  # rows of logits at a time, with fused kernels and without
BLOCK = {8: 256, 4: 128}  # values with one scale, by bits of the optimizer's moments
NF4 = 1 / 2 + 1 / 64 + 1 / 4096  # bytes of a value with its share of two levels of scales
STEP_4_BITS = 1 << 22  # values stepped at a time
TABLE_LOGITS = 1 << 23  # of a block of vocabulary rows that is stepped after the backward pass
# Bytes a value that the compiled step of 4 bits writes out meanwhile; fitted to two peaks on a GPU.
STEP_4_BYTES = 44
# What the driver keeps of a layer's kernels in a CUDA graph, forward, back and forward again; an H100's 88 MiB over 28.
GRAPH_LAYER = 3.2 * 2**20


def kept_per_token(shape: Shape, s: Setting) -> float:
    """Return the bytes that one layer keeps for its backward pass, per token."""
    h, kv, f, q = shape.hidden, shape.kv, shape.ffn, shape.heads * shape.head_dim
    rows = 4 * shape.heads + 8  # log-sum-exp of the attention, two norms' scales
    if s.adapters:
        return s.element * (2 * h + 2 * q + 2 * kv + 2 * f + 7 * s.rank) + rows
    return s.element * (4 * h + 2 * q + 2 * kv + 3 * f) + rows


def static(shape: Shape, s: Setting) -> dict[str, float]:
    """Return what is there from the first step to the last."""
    weights = _weights(shape, s)
    if s.adapters:
        adapters = shape.lora_parameters(s.rank)
        copy = s.element if s.element < 4 else 0
        return {"weights": weights, "adapters": adapters * (4.0 + copy), "gradients": adapters * 4.0,
                "optimizer": adapters * 8.0}  # fmt: skip
    return {"weights": weights, "adapters": 0.0, "optimizer": shape.parameters * _bytes_of_moments(s.bits)}


def _weights(shape: Shape, s: Setting) -> float:
    """Return the bytes of all weights on the device; NF4 with double quantisation where they are quantised."""
    outside = shape.embedding if s.host_embedding else 0
    quantised = shape.layers * shape.matrices if s.method == "qlora" else 0
    return quantised * NF4 + (shape.parameters - quantised - outside) * float(s.element)


def _bytes_of_moments(bits: int) -> float:
    """Return the bytes per parameter of two moments, each with a float32 scale per block."""
    return 2 * (bits / 8 + 4 / BLOCK[bits])


def phases(shape: Shape, s: Setting) -> dict[str, dict[str, float]]:
    """Return what each phase of a step adds, by component."""
    e, tokens, h, f = s.element, s.tokens, shape.hidden, shape.ffn
    kept_layers = shape.layers - s.recompute
    boundary = float(e * h * tokens)
    inputs = 0.0 if s.offload else boundary * s.recompute  # of recomputed layers, on the device
    kept = kept_per_token(shape, s) * tokens
    rows = boundary  # of hidden states that were scored, kept for the head
    fused = s.device.startswith("cuda")
    copies = float(e) if fused else 4.0 + e  # fused kernels overwrite the logits, others make a float32 copy
    matrix = e * f * h  # a whole gradient, or a quantised matrix made dense
    inner = 1.0 * tokens * e * (1 if fused else 2) * f + (3 if s.adapters else 2) * boundary
    last = inputs + kept_layers * kept
    recomputed = kept + (min(2, s.recompute) * boundary if s.offload else inputs)
    in_layer = rows + (max(last, recomputed) if s.recompute else last)
    found = {
        "loss": {
            "activations": inputs + kept_layers * kept + rows,
            "loss": CHUNKS[fused] * shape.vocab * copies,
            "temporaries": 3.0 * boundary,
        },
        "layer backward": {
            "activations": in_layer,
            "loss": 0.0,
            "temporaries": inner + (matrix if s.method != "lora" else 0),
        },
    }
    if s.bits < 32:
        found |= _steps(shape, s, boundary, in_layer)
    if s.graphs:
        # What the graphs use is theirs between two replays too, and their inputs and outputs have places of their own.
        parts = found["loss"]
        parts["activations"] = max(parts["activations"], in_layer)
        parts["temporaries"] += found["layer backward"]["temporaries"] + 4 * boundary
        del found["layer backward"]
    return found


def recorded(shape: Shape, s: Setting) -> float:
    """Return the bytes that recorded layers take outside torch's allocator."""
    return GRAPH_LAYER * shape.layers if s.graphs else 0.0


def _steps(shape: Shape, s: Setting, boundary: float, in_layer: float) -> dict[str, dict[str, float]]:
    """Return the phases of full tuning's steps: a matrix inside the backward pass, a block of a table after it."""
    h, f, e = shape.hidden, shape.ffn, s.element

    def written(values: float) -> float:
        return STEP_4_BYTES * min(values, STEP_4_BITS) if s.bits == 4 else 0.0

    block = float(h * (TABLE_LOGITS // max(s.tokens, h)))  # values of a block of vocabulary rows
    scoring = (4.0 + e) * (TABLE_LOGITS + block)
    largest = block if shape.tied else float(TABLE_LOGITS)  # an embedding apart from the head has no logits
    stepping = 4.0 * largest + written(largest)
    return {
        "optimizer": {
            "activations": in_layer,
            "loss": 0.0,
            "temporaries": 2 * boundary + e * f * h + written(f * h),
        },
        "vocabulary": {"activations": 2 * boundary, "loss": 0.0, "temporaries": max(scoring, stepping)},
    }


def estimate(shape: Shape, s: Setting) -> Estimate:
    """Return the components at the peak, without allocator and context."""
    return at_peak(s, static(shape, s), phases(shape, s))
