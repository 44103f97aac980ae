"""A step of the lean decoder on fake tensors: the bytes that its storages take, without a GPU or any weights.

Every storage that an operation makes is counted from then until it is freed, in the allocator's units of
512 bytes. What CUDA libraries take for themselves (workspaces, the context) and the allocator's slack are not in
it; kernels whose inside torch cannot see are taken to keep it in registers (`train.simulate`).
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from codefit.core.recipe import TrainSettings
from codefit.plan.setting import Setting
from codefit.train import simulate
from codefit.train.attention import Documents
from codefit.train.batch import Packed
from codefit.train.model import trainee, with_adapters
from codefit.train.steps import FullSteps, LoraSteps

_ROUNDED = 512
_STEPS = 2  # the optimizer's state comes with the first


@dataclass(frozen=True, slots=True)
class Traced:
    """Bytes at the peak of a step, and bytes that are there between two steps."""

    peak: int
    static: int


class Storages(TorchDispatchMode):
    """Counts the bytes of living storages; `gpu` says whether a GPU's kernels are simulated."""

    def __init__(self, *, gpu: bool, unit: int) -> None:
        super().__init__()
        self.gpu, self._unit = gpu, unit
        self.now = self.peak = 0
        self._sizes: dict[int, int] = {}  # by storage, 0 for those left out
        self._refs: dict[int, Any] = {}
        self._off = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self._note(made, counted=not self._off)
        return made

    def keep(self, made: Any) -> None:
        """Count the tensors in `made` from now on, however they were made."""
        self._note(made, counted=True, again=True)

    def _note(self, made: Any, *, counted: bool, again: bool = False) -> None:
        for leaf in tree_leaves(made):
            if isinstance(leaf, Tensor):
                storage = leaf.untyped_storage()
                key = storage._cdata
                if key not in self._sizes:
                    self._refs[key] = weakref.ref(storage, partial(self._drop, key))
                    self._sizes[key] = 0
                elif not again:
                    continue  # a view, of what is counted or left out already
                if counted and not self._sizes[key]:
                    self._sizes[key] = -(-storage.nbytes() // self._unit) * self._unit
                    self.now += self._sizes[key]
                    self.peak = max(self.peak, self.now)

    def _drop(self, key: int, _: object) -> None:
        del self._refs[key]
        self.now -= self._sizes.pop(key)

    @contextmanager
    def uncounted(self) -> Iterator[None]:
        """Leave what is made inside out."""
        before, self._off = self._off, True
        try:
            yield
        finally:
            self._off = before


def trace(config: dict[str, Any], setting: Setting, *, unit: int = _ROUNDED) -> Traced:
    """Trace the step of a setting for the model of a config.json's fields.

    All tokens are scored, which is the most a step can need. Raises `InputError` for families that the lean
    decoder does not run.
    """
    storages = Storages(gpu=setting.device.startswith("cuda"), unit=unit)
    optimizer = f"adamw{setting.bits}".removesuffix("32")
    settings = TrainSettings(
        method=setting.method,
        optimizer=optimizer,
        recompute=setting.recompute,
        offload=setting.offload,
        batch_size=setting.micro_batch,
        lora_rank=setting.rank,
    )
    outer, model = _on_meta(config, setting, settings)
    with FakeTensorMode(), simulate.simulating(storages), storages:
        _materialise(outer, model.get_input_embeddings().weight if setting.host_embedding else None, storages)
        if setting.method == "qlora":
            _quantise(model)
        parts = trainee(outer, model)
        steps = LoraSteps(parts, settings, ()) if setting.adapters else FullSteps(parts, settings, (), 0)
        static = 0
        for _ in range(_STEPS):
            storages.peak = static = storages.now
            steps.run([_batch(setting)], 1.0, 1e-4)
        return Traced(storages.peak, static)


def _on_meta(config: dict[str, Any], setting: Setting, settings: TrainSettings) -> tuple[Any, Any]:
    from transformers import AutoConfig, AutoModelForCausalLM

    dtype = torch.bfloat16 if setting.element == 2 else torch.float32
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config), dtype=dtype)
        return (with_adapters(model, settings) if setting.adapters else model), model


def _materialise(outer: Any, on_host: Tensor | None, storages: Storages) -> None:
    """Give every parameter and buffer a fake storage; shared ones stay shared, `on_host` is not counted."""
    made: dict[int, Any] = {}
    for module in outer.modules():
        for name, p in list(module._parameters.items()):
            if p is None:
                continue
            if id(p) not in made:
                with storages.uncounted() if p is on_host else nullcontext():
                    fresh = torch.empty(p.shape, dtype=p.dtype)
                made[id(p)] = nn.Parameter(fresh, requires_grad=p.requires_grad)
            module._parameters[name] = made[id(p)]
        for name, b in list(module._buffers.items()):
            if b is not None:
                module._buffers[name] = torch.empty(b.shape, dtype=b.dtype)


def _quantise(model: Any) -> None:
    """Put in place of frozen matrices what bitsandbytes keeps of them."""
    for module in model.modules():
        base = getattr(module, "base_layer", None)
        if base is None:
            continue
        shape, dtype, size = base.weight.shape, base.weight.dtype, base.weight.numel()
        codes = nn.Parameter(torch.empty(-(-size // 2), 1, dtype=torch.uint8), requires_grad=False)
        scales = -(-size // 64)
        absmax = torch.empty(scales, dtype=torch.uint8)
        outer_scales = torch.empty(-(-scales // 256))
        codes.quant_state = SimpleNamespace(shape=shape, dtype=dtype, kept=(absmax, outer_scales))
        base.weight = codes


def _batch(setting: Setting) -> Packed:
    lengths = (setting.max_length,) * setting.micro_batch
    tokens = setting.tokens
    ids, positions, targets = (torch.empty(tokens, dtype=torch.int64) for _ in range(3))
    starts = torch.empty(setting.micro_batch + 1, dtype=torch.int32)
    return Packed(ids, positions, Documents(lengths, starts), torch.arange(tokens), targets)
