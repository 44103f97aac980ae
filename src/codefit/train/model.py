"""A model made trainable: LoRA or all parameters, and its parts within reach."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from codefit.core.errors import InputError
from codefit.core.recipe import TrainSettings
from codefit.models.load import load_model, resolve_device, resolve_dtype
from codefit.plan.setting import runs_lean


@dataclass(frozen=True, slots=True)
class Trainee:
    """A model ready to train: the outer module, the causal model in it, its decoder, its vocabulary head."""

    outer: Any
    model: Any
    decoder: Any
    head_VD: Tensor
    trainable: dict[str, nn.Parameter]

    def hidden_BTD(self, ids_BT: Tensor, positions_BT: Tensor, mask_B1TT: Tensor) -> Tensor:
        """Return the last hidden states of a packed batch."""
        out = self.decoder(
            input_ids=ids_BT, attention_mask=mask_B1TT, position_ids=positions_BT, use_cache=False
        )
        hidden: Tensor = out.last_hidden_state
        return hidden


def prepare(path: Path, settings: TrainSettings, seed: int) -> Trainee:
    """Load the start model and make it trainable by the chosen method.

    LoRA (Hu et al. 2021) goes on every linear layer but the head, as attention-only adapters
    learn less at the same size; its initialisation depends on `seed` only.
    """
    device = resolve_device(settings.device)
    dtype = resolve_dtype(settings.dtype, device, settings.method, settings.bits)
    model = load_model(
        path, dtype=dtype, device=device, weights="nf4" if settings.method == "qlora" else "plain"
    )
    if settings.host_embedding:
        _to_host(model, path)
    # the lean decoder recomputes by itself
    if settings.recompute and not runs_lean(settings.method, settings.bits, device):
        model.activation_checkpointing_enable({"use_reentrant": False})
    torch.manual_seed(seed)
    outer = model if settings.method == "full" else with_adapters(model, settings)
    return trainee(outer, model)


def _to_host(model: Any, path: Path) -> None:
    embedding = model.get_input_embeddings()
    if embedding.weight is model.get_output_embeddings().weight:
        raise InputError(
            "the embedding is also the head and has to stay on the device", where=str(path),
            todo="remove train.host_embedding",
        )  # fmt: skip
    embedding.to("cpu")


def lora_config(settings: TrainSettings) -> Any:
    """Return PEFT's configuration of adapters on every linear layer but the head."""
    from peft import LoraConfig

    return LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        use_rslora=settings.rslora,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def with_adapters(model: Any, settings: TrainSettings) -> Any:
    """Return the model with adapters on every linear layer but the head."""
    from peft import get_peft_model

    outer = get_peft_model(model, lora_config(settings))
    # A set otherwise, so that the same adapter would be saved in other bytes.
    outer.peft_config["default"].target_modules = sorted(outer.peft_config["default"].target_modules)
    return outer


def trainee(outer: Any, model: Any) -> Trainee:
    """Return the parts of a causal model, `outer` being it or what wraps it."""
    outer.train()
    trainable = {n: p for n, p in outer.named_parameters() if p.requires_grad}
    return Trainee(outer, model, model.get_decoder(), model.get_output_embeddings().weight, trainable)
