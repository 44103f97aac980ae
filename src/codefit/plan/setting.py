"""One way to run a training step, and the bytes that it takes."""

from __future__ import annotations

from dataclasses import dataclass, field


def runs_lean(method: str, bits: int, device: str) -> bool:
    """Return whether the lean decoder runs a step: few bits anywhere, and LoRA on a GPU."""
    return bits < 32 or method == "qlora" or (method == "lora" and device.startswith("cuda"))


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to run the step.

    `bits` of the optimizer's moments (32 for classic AdamW), `recompute` the layers whose activations are
    computed again, `offload` whether their inputs wait in the host's memory, `host_embedding` whether the
    embedding lies there, `graphs` whether LoRA's layers are recorded as CUDA graphs, `element` bytes of a weight
    that is not quantised.
    """

    method: str
    micro_batch: int
    max_length: int
    recompute: int
    rank: int
    element: int
    device: str
    bits: int = 32
    offload: bool = False
    host_embedding: bool = False
    engine: str = "codefit"
    graphs: bool = False

    @property
    def adapters(self) -> bool:
        """Whether adapters are trained, and the weights frozen."""
        return self.method != "full"

    @property
    def tokens(self) -> int:
        """Tokens in one forward pass."""
        return self.micro_batch * self.max_length

    @property
    def lean(self) -> bool:
        """Whether the lean decoder runs it."""
        return self.engine == "codefit" and runs_lean(self.method, self.bits, self.device)


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes of a setting: the components at the peak, the phase that sets it, and the same of every phase."""

    setting: Setting
    phase: str
    components: dict[str, float]
    phases: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def peak(self) -> float:
        """Bytes that nvidia-smi would show."""
        return sum(self.components.values())


def at_peak(s: Setting, static: dict[str, float], phases: dict[str, dict[str, float]]) -> Estimate:
    """Return the estimate of a setting from what is always there and what each phase adds."""
    whole = {name: {**static, **parts} for name, parts in phases.items()}
    phase = max(phases, key=lambda name: sum(phases[name].values()))
    return Estimate(s, phase, dict(whole[phase]), whole)
