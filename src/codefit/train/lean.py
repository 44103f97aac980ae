"""A transformers model of the Qwen2 or Llama family, trained with half the memory and no padding.

Weights stay those of the transformers (and PEFT) modules, which load and save them; what runs is this
room's own layers. One call of `forward_backward` is one micro-batch, forward and back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codefit.core.errors import InputError
from codefit.plan.lean import CHUNKS
from codefit.train.attention import Documents
from codefit.train.batch import Packed, Size
from codefit.train.decoder import Layer, Pass, Rotation, rotation
from codefit.train.frozen import frozen, stack
from codefit.train.full_layer import FullLayer
from codefit.train.fused import HeadInput, LookupInput
from codefit.train.kernels import can_compile
from codefit.train.lora_layer import Adapter, LoraLayer
from codefit.train.loss import loss_and_gradient
from codefit.train.norm import normalise
from codefit.train.recorded import Recorded

FAMILIES = ("qwen2", "llama")


@dataclass(frozen=True, slots=True)
class Result:
    """One micro-batch: its summed loss, and what the embedding and the head are stepped by."""

    loss: Tensor
    head: HeadInput
    lookup: LookupInput


class LeanModel:
    """The decoder of a causal language model as layers of this room.

    `recompute` layers, from the first on, are computed again in the backward pass; with `offload` their
    inputs wait in the host's memory. `chunk` rows of logits exist at a time. Micro-batches of the size `record`
    (`batch.padded`) run as CUDA graphs that the first of them records; then all calls come on one stream, which
    is not the default one.
    """

    def __init__(
        self,
        model: Any,
        layers: Sequence[Layer],
        *,
        recompute: int,
        offload: bool = False,
        chunk: int | None = None,
        record: Size | None = None,
    ) -> None:
        self._decoder = model.get_decoder()
        self._head = model.get_output_embeddings().weight
        self._layers = layers
        self._recompute = recompute
        self._offload = offload
        self._chunk = chunk or CHUNKS[can_compile(self._head.device)]
        self._record = record
        self._recorded: Recorded | None = None

    def forget(self) -> None:
        """Give back the memory that recorded layers keep; the next micro-batch records them again."""
        if self._recorded is not None:
            self._recorded = None
            torch.cuda.empty_cache()

    def _pass(self, x_TD: Tensor, where: Rotation, documents: Documents) -> Pass | Recorded:
        size = self._record
        if (
            size
            and torch.is_grad_enabled()
            and (len(x_TD), len(documents.starts) - 1) == (size.tokens, size.documents)
        ):
            if self._recorded is None:
                self._recorded = Recorded(
                    self._layers, size, x_TD, where, documents, recompute=self._recompute
                )
            self._recorded.load(where, documents)
            return self._recorded
        return Pass(self._layers, where, documents, recompute=self._recompute, offload=self._offload)

    def _hidden(self, batch: Packed) -> tuple[Pass | Recorded, Tensor]:
        table_VD = self._decoder.embed_tokens.weight.detach()  # may lie in the host's memory
        x_TD = F.embedding(batch.ids_T.to(table_VD.device), table_VD).to(batch.ids_T.device)
        where = rotation(self._decoder.rotary_emb, x_TD, batch.positions_T)
        run = self._pass(x_TD, where, batch.documents)
        return run, run.forward(x_TD)

    def _last(self, x_TD: Tensor, batch: Packed) -> Tensor:
        return normalise(x_TD[batch.scored_N], self._decoder.norm)

    def forward_backward(self, batch: Packed, scale: float) -> Result:
        """Return the summed loss after gradients of `scale` times it went where they belong."""
        run, x_TD = self._hidden(batch)
        x_TD = x_TD.detach().requires_grad_()
        h_ND = self._last(x_TD, batch)
        hidden_ND = h_ND.detach()
        with torch.no_grad():
            loss, grad_ND, lse_N = loss_and_gradient(
                hidden_ND, self._head.detach(), batch.targets_N, scale, self._chunk
            )
        torch.autograd.backward(h_ND, grad_ND)
        del h_ND, grad_ND
        grad_TD = x_TD.grad if x_TD.grad is not None else torch.zeros_like(x_TD)
        x_TD.grad = None
        grad_TD = run.backward(grad_TD)
        head = HeadInput(hidden_ND, lse_N, batch.targets_N, scale)
        return Result(loss, head, LookupInput(batch.ids_T, grad_TD))

    @torch.no_grad()
    def scored(self, batch: Packed) -> Tensor:
        """Return the last hidden states (N, D) that predict the batch's `targets_N`."""
        return self._last(self._hidden(batch)[1], batch)


def full_layers(model: Any) -> list[Layer]:
    """Return the layers of a model whose weights are all trained."""
    return [FullLayer(module) for module in _decoder_layers(model)]


def _decoder_layers(model: Any) -> Any:
    family = model.config.model_type
    if family not in FAMILIES:
        raise InputError(f"cannot train a '{family}' model", todo="use a Qwen2 or Llama model")
    return model.get_decoder().layers


class FlatAdapters:
    """All LoRA weights of a PEFT model in one float32 vector, with one vector of gradients.

    The modules' own parameters become views of `values`, so PEFT saves what is trained here; `refresh`
    copies the values to the dtype of the computation after every step.
    """

    def __init__(self, model: Any, name: str = "default") -> None:
        layers = list(_decoder_layers(model))
        groups = [group for layer in layers for group in _groups(layer)]
        modules = [m for group in groups for m in group]
        # All A before all B: a slice of the vector can be scaled as one.
        parameters = [m.lora_A[name].weight for m in modules] + [m.lora_B[name].weight for m in modules]
        dtype = model.get_input_embeddings().weight.dtype  # a quantised matrix has another
        master = torch.promote_types(dtype, torch.float32)
        flat = torch.cat([p.detach().to(master).reshape(-1) for p in parameters])
        self.values = nn.Parameter(flat)
        self.values.grad = torch.zeros_like(flat)
        self._down = sum(p.numel() for p in parameters[: len(parameters) // 2])
        self._scale = float(groups[0][0].scaling[name])
        self._used = torch.empty_like(flat, dtype=dtype)
        self.refresh()
        offset = 0
        for p in parameters:
            p.data = flat[offset : offset + p.numel()].view(p.shape)
            offset += p.numel()
        cut = self._cut(groups, name)
        self.layers: list[Layer] = [_lora_layer(layer, cut) for layer in layers]

    def _cut(self, groups: list[list[Any]], name: str) -> Iterator[Adapter]:
        down_at, up_at = 0, self._down
        for group in groups:
            downs, ups = [m.lora_A[name].weight for m in group], [m.lora_B[name].weight for m in group]
            height, width = sum(len(d) for d in downs), downs[0].shape[1]
            down = [
                t[down_at : down_at + height * width].view(height, width) for t in (self._used, self._grad)
            ]
            down_at += height * width
            pairs = []
            for up in ups:
                pairs.append([t[up_at : up_at + up.numel()].view(up.shape) for t in (self._used, self._grad)])
                up_at += up.numel()
            yield Adapter(down[0], [p[0] for p in pairs], down[1], [p[1] for p in pairs])

    @property
    def _grad(self) -> Tensor:
        if self.values.grad is None:
            raise RuntimeError("the adapters' gradients are gone")
        return self.values.grad

    def complete(self) -> None:
        """Turn the gradients of s * A, added up over the micro-batches, into those of A."""
        self._grad[: self._down].mul_(self._scale)

    def clip(self, most: float) -> Tensor:
        """Scale the gradients to a norm of at most `most`; return the norm before."""
        norm = torch.linalg.vector_norm(self._grad)
        self._grad.mul_((most / (norm + 1e-6)).clamp_max(1.0))
        return norm

    @contextmanager
    def off(self) -> Iterator[None]:
        """Let the computation see adapters of zero, which is the start model; not within a step."""
        self._used.zero_()
        try:
            yield
        finally:
            self.refresh()

    def refresh(self) -> None:
        """Let the computation see the values as they are after a step, and forget the gradients."""
        self._used.copy_(self.values.detach())
        self._used[: self._down].copy_(self.values.detach()[: self._down] * self._scale)
        self._grad.zero_()


def _groups(layer: Any) -> list[list[Any]]:
    """Return the adapted matrices of a layer, those with one input together."""
    a, m = layer.self_attn, layer.mlp
    return [[a.q_proj, a.k_proj, a.v_proj], [a.o_proj], [m.gate_proj, m.up_proj], [m.down_proj]]


def _lora_layer(module: Any, adapters: Iterator[Adapter]) -> LoraLayer:
    qkv, out, gate_up, down = ([m.base_layer for m in group] for group in _groups(module))
    head_dim = module.self_attn.head_dim
    gate, up = ([m] for m in gate_up)
    return LoraLayer(
        heads=out[0].in_features // head_dim, kv_heads=qkv[1].out_features // head_dim, head_dim=head_dim,
        eps=module.input_layernorm.variance_epsilon,
        input_norm_D=module.input_layernorm.weight.detach(), qkv=frozen(qkv), qkv_bias=stack([m.bias for m in qkv]),
        out=frozen(out), post_norm_D=module.post_attention_layernorm.weight.detach(),
        gate=frozen(gate), up=frozen(up), down=frozen(down),
        qkv_adapter=next(adapters), out_adapter=next(adapters), gate_up_adapter=next(adapters),
        down_adapter=next(adapters),
    )  # fmt: skip
