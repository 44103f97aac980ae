"""Choose the fastest setting that fits the budget, and say why the others were not taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from codefit.core.errors import InputError
from codefit.core.units import mib
from codefit.plan.lean import NF4
from codefit.plan.memory import estimate
from codefit.plan.setting import Estimate, Setting, runs_lean
from codefit.plan.shape import Shape

RTX_4060_TFLOPS = 30.23  # bf16 dense, fp32 accumulate
_BEST_MFU = 0.45  # assumed; reached by well-fed peers on similar cards
_MOST = 2**31  # of tokens, sequences or ranks that a plan takes
_WIDEST = 1024  # packed sequences in a forward pass; more feed no card better
_PCIE = 12e9  # bytes a second between host and card (assumed, PCIe 4.0 x8)
_BANDWIDTH = 272e9  # bytes a second of the card's own memory
_WEIGHTS = {2: "bfloat16", 4: "float32"}
_HALF_FED_TOKENS = 512  # tokens in a forward pass at which half of it is reached (assumed)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asked for; `None` leaves a choice to the plan.

    `recompute` is a number of layers, or all of them, or none.
    """

    method: str
    max_length: int
    batch_size: int
    rank: int
    element: int
    device: str
    micro_batch: int | None = None
    recompute: bool | int | None = None
    bits: int = 32
    offload: bool | None = None
    host_embedding: bool | None = None
    engine: str = "codefit"
    graphs: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """The chosen setting, what was rejected and why, and the time it takes."""

    chosen: Estimate
    fits: bool
    budget: int
    rejected: tuple[dict[str, Any], ...]
    tokens_per_s: float | None

    def to_json(self, tokens: int | None) -> dict[str, Any]:
        """Return the plan as data; `tokens` is all that the run will process."""
        s = self.chosen.setting
        speed = self.tokens_per_s
        return {
            "fits": self.fits,
            "units": "MiB",
            "device": s.device,
            "enforced": s.device.startswith("cuda"),
            "budget_mb": mib(self.budget),
            "peak_mb": mib(self.chosen.peak),
            "phase": self.chosen.phase,
            "components_mb": {k: mib(v) for k, v in self.chosen.components.items()},
            "phases_mb": {
                p: {k: mib(v) for k, v in parts.items()} for p, parts in self.chosen.phases.items()
            },
            "settings": _setting(s),
            "rejected": list(self.rejected),
            "tokens_per_s": None if speed is None else round(speed),
            "hours": round(tokens / speed / 3600, 2) if speed and tokens else None,
            "seen_on_gpu": s.lean,
        }


def _setting(s: Setting) -> dict[str, Any]:
    return {"method": s.method, "micro_batch": s.micro_batch, "max_length": s.max_length,
            "recompute": s.recompute, "lora_rank": s.rank if s.adapters else None,
            "weights": _WEIGHTS[s.element] if s.method != "qlora" else f"nf4, {_WEIGHTS[s.element]}",
            "optimizer": "adamw" if s.bits == 32 else f"adamw{s.bits}", "offload": s.offload,
            "host_embedding": s.host_embedding, "cuda_graphs": s.graphs}  # fmt: skip


def flops_per_token(shape: Shape, s: Setting) -> float:
    """Return FLOPs of training on one token: forward 2N, inputs' gradient 2N, weights' 2N.

    N are the matrix parameters; LoRA needs no weight gradients of the base, recomputing costs
    another forward pass. Causal attention adds `4 * L * h * T / 2` to a forward pass.
    """
    matrices = shape.layers * shape.layer + shape.embedding
    forward = 2 * matrices + 2 * shape.layers * shape.hidden * s.max_length
    passes = 2 if s.adapters else 3
    return forward * (passes + s.recompute / shape.layers)


def _speed(shape: Shape, s: Setting, tflops: float) -> float:
    """Return tokens a second: arithmetic, then what is copied to the host and back, and what is made dense."""
    mfu = _BEST_MFU * s.tokens / (s.tokens + _HALF_FED_TOKENS)
    seconds = s.tokens * flops_per_token(shape, s) / (mfu * tflops * 1e12)
    rows = s.element * shape.hidden * s.tokens
    if s.offload:
        seconds += 2 * rows * s.recompute / _PCIE
    if s.host_embedding:
        seconds += rows / _PCIE
    if s.method == "qlora":
        passes = 2 + s.recompute / shape.layers
        seconds += passes * shape.layers * shape.matrices * (s.element + NF4) / _BANDWIDTH
    return s.tokens / seconds


def plan(shape: Shape, wish: Wish, budget: int, tflops: float = RTX_4060_TFLOPS) -> Plan:
    """Return the fastest setting whose peak is at most `budget` bytes.

    On a CPU the budget is shown and not enforced. Where nothing fits, `fits` is False and the
    chosen setting is the smallest one. Raises `InputError` for numbers that no run can have.
    """
    for name in ("max_length", "batch_size", "rank", "micro_batch"):
        if (getattr(wish, name) or 1) > _MOST:
            raise InputError(f"{name} is more than {_MOST}", where="plan", todo="choose a smaller one")
    if wish.host_embedding and shape.tied:
        raise InputError(
            "the embedding is also the head and has to stay on the device", where="train.host_embedding",
            todo="remove it",
        )  # fmt: skip
    enforced = wish.device.startswith("cuda")
    options = [o for m in _micro_batches(wish) for o in _recomputing(shape, wish, m, budget)]
    fitting = [o for o in options if o.peak <= budget or not enforced]
    if fitting:
        chosen = max(fitting, key=lambda o: (_speed(shape, o.setting, tflops), -o.peak))
    else:
        chosen = min(options, key=lambda o: o.peak)
    rejected = tuple(
        {
            **_setting(o.setting),
            "peak_mb": mib(o.peak),
            "why": _why(shape, o, chosen, budget, tflops, enforced),
        }
        for o in options
        if o is not chosen
    )
    speed = _speed(shape, chosen.setting, tflops) if enforced else None
    return Plan(chosen, bool(fitting), budget, rejected, speed)


def plan_first(shape: Shape, wishes: Sequence[Wish], budget: int, tflops: float = RTX_4060_TFLOPS) -> Plan:
    """Return the plan of the first wish that fits, the others' settings among the rejected.

    Where none fits it is the plan that needs the least.
    """
    plans: list[Plan] = []
    for wish in wishes:
        plans.append(plan(shape, wish, budget, tflops))
        if plans[-1].fits:
            break
    found = plans[-1] if plans[-1].fits else min(plans, key=lambda p: p.chosen.peak)
    others = [p for p in plans if p is not found]
    lost = [
        {**_setting(p.chosen.setting), "peak_mb": mib(p.chosen.peak),
         "why": _why(shape, p.chosen, found.chosen, budget, tflops, True)}
        for p in others
    ]  # fmt: skip
    rejected = [*lost, *(r for p in others for r in p.rejected), *found.rejected]
    return replace(found, rejected=tuple(rejected))


def _micro_batches(wish: Wish) -> list[int]:
    if wish.bits < 32:  # stepped inside the backward pass: there are no gradients to add up
        return [wish.batch_size]
    return [wish.micro_batch] if wish.micro_batch else _divisors(wish.batch_size)


def _recomputing(shape: Shape, wish: Wish, micro_batch: int, budget: int) -> list[Estimate]:
    """Return the ways to recompute worth a look: no layer, every one, and as few as fit the budget.

    What the host's memory can take over is looked at where the same without it is over the budget.
    """
    found: list[Estimate] = []
    for offload, host in _savers(shape, wish):
        if found and min(o.peak for o in found) <= budget:
            break

        def of(recompute: int, offload: bool = offload, host: bool = host) -> Estimate:
            return estimate(shape, Setting(
                wish.method, micro_batch, wish.max_length, recompute, wish.rank, wish.element, wish.device,
                wish.bits, offload and recompute > 0, host, wish.engine, wish.graphs,
            ))  # fmt: skip

        if wish.recompute is not None:
            every = shape.layers if wish.recompute is True else int(wish.recompute)
            found.append(of(min(every, shape.layers)))
        elif not of(1).setting.lean:
            found += [of(0), of(shape.layers)]
        else:
            fitting = next((r for r in range(shape.layers + 1) if of(r).peak <= budget), shape.layers)
            found += [of(r) for r in sorted({0, fitting, shape.layers})]
    return list({o.setting: o for o in found}.values())


def _savers(shape: Shape, wish: Wish) -> list[tuple[bool, bool]]:
    """Return what may lie in the host's memory, (inputs of recomputed layers, embedding), cheapest first."""
    lean = wish.engine == "codefit" and runs_lean(wish.method, wish.bits, wish.device)
    movable = lean and wish.method != "full" and not shape.tied  # a tied embedding is the head
    inputs = (
        [lean and wish.offload] if wish.offload is not None
        else [False, True] if lean and not wish.graphs else [False]
    )  # fmt: skip
    hosts = (
        [movable and wish.host_embedding] if wish.host_embedding is not None
        else [False, True] if movable else [False]
    )  # fmt: skip
    return [(bool(i), bool(h)) for i in inputs for h in hosts]


def _why(shape: Shape, option: Estimate, chosen: Estimate, budget: int, tflops: float, enforced: bool) -> str:
    if enforced and option.peak > budget:
        return f"{mib(option.peak - budget):,.0f} MiB over the budget"
    ratio = _speed(shape, chosen.setting, tflops) / _speed(shape, option.setting, tflops)
    return f"fits, but {ratio:.2f}x slower" if ratio > 1.005 else "fits, same speed, more memory"


def _divisors(n: int) -> list[int]:
    """Return the micro-batches worth a look: divisors of the batch."""
    return [d for d in range(1, min(n, _WIDEST) + 1) if n % d == 0]


def refuse(p: Plan, where: str) -> InputError:
    """Return the error for a plan that does not fit, naming the nearest setting that would."""
    s = p.chosen.setting
    over = mib(p.chosen.peak - p.budget)
    todo = f"the smallest setting needs {mib(p.chosen.peak):,.0f} MiB: raise memory"
    if s.method == "full" and s.bits == 32:
        todo += ", or use train.optimizer adamw8 or adamw4 with train.batch_size 1"
    elif s.bits == 8 or s.micro_batch > 1:
        todo += ", or use train.optimizer adamw4" if s.bits == 8 else ""
        todo += (
            f", or lower train.batch_size from {s.micro_batch}" if s.bits < 32 and s.micro_batch > 1 else ""
        )
    other = {"full": ", or use train.method lora", "lora": ", or use train.method qlora"}
    todo += other.get(s.method, "") + ("" if s.method == "full" else ", or lower format.max_length")
    return InputError(
        f"{s.method} at {s.max_length} tokens is {over:,.0f} MiB over the budget", where=where, todo=todo
    )
