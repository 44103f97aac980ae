"""Bytes of generation in closed form, and how many sequences are decoded at once inside a budget.

Symbols: L layers, kv key width, V vocabulary, h hidden, f ffn, e bytes of an element, S sequences decoded
at once, K columns of the cache (tokens that each sequence has room for), P tokens of prompts read in one
forward pass. Keys and values take `2 e L kv` bytes a token, for every sequence its K columns from the start:
the peak is known before the first token, and no answer can exceed it.

On an H100 capped to 8 GB the plan was 1 to 4 % above what was reserved (docs/generation.md). `SLACK`, `CONTEXT` and
what attention kernels take for themselves are those of training; int8 was not seen there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from codefit.core.errors import InputError
from codefit.core.units import CONTEXT, mib
from codefit.plan.lean import NF4
from codefit.plan.memory import SLACK, WORKSPACES
from codefit.plan.shape import Shape

ROWS = 16  # sequences whose next token is chosen at a time
COLUMNS = 16  # the cache grows by so many; masks of a multiple of 8 columns need no copy
MOST = 256  # sequences decoded at once; more feed no card better
_GREEDY, _SAMPLED = 8, 72  # bytes per logit of what choosing writes: two float32; sorted float64 and more
_PREFILL_SHARE = 8  # of what the weights leave free, one part is for reading prompts
_PREFILL_MOST = 8192


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a model takes: bytes of its weights, and the widths that decide the rest."""

    weights: int
    key_values: int
    vocab: int
    hidden: int
    ffn: int
    element: int

    @property
    def prefill(self) -> int:
        """Bytes that a token of a prompt takes on its way through a layer, at its widest."""
        return self.element * (3 * self.ffn + 8 * self.hidden)


@dataclass(frozen=True, slots=True)
class GenerationPlan:
    """How a model answers inside a budget. `components` are bytes at the peak."""

    sequences: int
    columns: int
    prefill_tokens: int
    components: dict[str, float]
    budget: int
    device: str

    @property
    def peak(self) -> float:
        """Bytes at the peak."""
        return sum(self.components.values())

    @property
    def fits(self) -> bool:
        """Whether one sequence at least fits the budget."""
        return self.peak <= self.budget

    def to_json(self) -> dict[str, Any]:
        """Return the plan as data."""
        return {
            "fits": self.fits,
            "units": "MiB",
            "enforced": self.device.startswith("cuda"),
            "budget_mb": mib(self.budget),
            "peak_mb": mib(self.peak),
            "components_mb": {name: mib(size) for name, size in self.components.items()},
            "sequences": self.sequences,
            "columns": self.columns,
            "prefill_tokens": self.prefill_tokens,
        }


def footprint(shape: Shape, weights: str, element: int, adapter_rank: int = 0) -> Footprint:
    """Return what a model of this shape takes with weights as `plain`, `nf4` or `int8`.

    Quantised are the matrices of the layers; embedding and head stay as they are.
    """
    matrices = shape.layers * shape.matrices
    size = {"plain": float(element), "nf4": NF4, "int8": 1.0}[weights]
    adapters = element * shape.lora_parameters(adapter_rank) if adapter_rank else 0
    total = matrices * size + (shape.parameters - matrices) * element + adapters
    return Footprint(
        round(total), 2 * element * shape.layers * shape.kv, shape.vocab, shape.hidden, shape.ffn, element
    )


def columns_of(tokens: int) -> int:
    """Return the columns that hold this many tokens."""
    return -(-tokens // COLUMNS) * COLUMNS


def plan_generation(
    model: Footprint, *, tokens: int, budget: int, device: str, greedy: bool, most: int | None = None,
) -> GenerationPlan:  # fmt: skip
    """Return how many sequences of up to `tokens` tokens (prompt and answer) are decoded at once.

    `most` is an upper bound on them. On a CPU the budget decides as well, but nothing is refused.
    """
    columns = columns_of(tokens)
    fixed = {"weights": float(model.weights)}
    if device.startswith("cuda"):
        fixed |= {"slack": float(SLACK["lora"]), "context": float(CONTEXT + WORKSPACES)}
    free = max(0.0, budget - sum(fixed.values()))
    prefill = min(_PREFILL_MOST, max(tokens, int(free / _PREFILL_SHARE / model.prefill)))
    reading = float(prefill * model.prefill)
    logit = _GREEDY if greedy else _SAMPLED

    def temporaries(sequences: int) -> tuple[float, float]:
        logits = sequences * model.vocab * model.element + min(sequences, ROWS) * model.vocab * logit
        return float(logits), max(reading - logits, 0.0)

    def components(sequences: int) -> dict[str, float]:
        logits, rest = temporaries(sequences)
        cache = float(sequences * columns * model.key_values)
        return {**fixed, "keys and values": cache, "logits": logits, "prompts": rest}

    sequences = min(most or MOST, MOST)
    while sequences > 1 and sum(components(sequences).values()) > budget:
        sequences -= 1
    return GenerationPlan(sequences, columns, prefill, components(sequences), budget, device)


def refuse_generation(plan: GenerationPlan, where: str) -> InputError:
    """Return the error for a model that cannot answer inside the budget."""
    return InputError(
        f"answering with up to {plan.columns:,} tokens takes {mib(plan.peak):,.0f} MiB, over the budget of "
        f"{mib(plan.budget):,.0f}",
        where=where,
        todo="raise memory, lower max_new_tokens, or quantise the weights (nf4)",
    )
