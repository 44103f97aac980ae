"""Is the lean step right on this device? Four layers of the real shape against transformers in float32.

Prints one line of JSON: relative errors of the loss and of the gradients, of the lean step in bfloat16 and of
transformers' own in bfloat16; the lean one should be no worse.
"""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import common
import torch
import torch.nn.functional as F
from torch import Tensor

from codefit.train.batch import concatenate
from codefit.train.lean import FlatAdapters, LeanModel, full_layers

_LAYERS = 4


def reference(model: Any, rows: list[Any], members: list[int], device: str) -> Tensor:
    """Return the summed loss of documents one by one, by transformers' own forward pass."""
    total = torch.zeros((), device=device)
    for i in members:
        logits = model(torch.tensor([rows[i].token_ids], device=device)).logits[0, :-1].float()
        labels = torch.tensor(rows[i].labels[1:], device=device)
        total = total + F.cross_entropy(logits, labels, ignore_index=-100, reduction="sum")
    return total


def gradients(model: Any) -> dict[str, Tensor]:
    """Return the gradients in float32, the embedding's apart: the lean step defers it."""
    return {n: p.grad.float() for n, p in model.named_parameters()
            if p.grad is not None and "embed_tokens" not in n}  # fmt: skip


def error(found: dict[str, Tensor], exact: dict[str, Tensor]) -> float:
    """Return the largest relative error of a gradient."""
    return max(float((found[n] - g).norm() / g.norm()) for n, g in exact.items())


def main() -> None:
    """Compare."""
    want = json.loads(sys.argv[1])
    common.wait_for_turn()
    device = want["device"]
    rows = common.examples(Path(want["rows"]))
    members = common.full_bins(rows, 2048, 1)[0][:9]
    batch = concatenate(rows, [members], device)
    model = common.random_model(want["shape"], device)
    del model.model.layers[_LAYERS:]
    out: dict[str, Any] = {}
    for method in ("full", "lora"):
        start = copy.deepcopy(model)
        if method == "lora":
            start = common.with_adapters(start)
            for n, p in start.named_parameters():
                if "lora_B" in n:
                    p.data.normal_(0, 0.02, generator=torch.Generator(device).manual_seed(len(n)))
        plain, exact = copy.deepcopy(start), copy.deepcopy(start).float()
        loss = reference(exact, rows, members, device)
        loss.backward()
        with torch.autocast(device, torch.bfloat16, enabled=method == "lora"):
            half = reference(plain, rows, members, device)
        half.backward()
        out[method] = {
            "plain_loss": float((half - loss).abs() / loss), "plain_gradient": error(gradients(plain), gradients(exact))
        }  # fmt: skip
        for recompute in (0, _LAYERS):
            ours = copy.deepcopy(start)
            inner = ours.get_base_model() if method == "lora" else ours
            adapters = FlatAdapters(inner) if method == "lora" else None
            layers = adapters.layers if adapters else full_layers(inner)
            result = LeanModel(inner, layers, recompute=recompute).forward_backward(batch, 1.0)
            found = gradients(ours)
            if adapters:
                adapters.complete()
                found = {n: _view(adapters, p) for n, p in ours.named_parameters() if p.requires_grad}
            kind = f"lean_recompute_{recompute}"
            out[method] |= {
                f"{kind}_loss": float((result.loss - loss).abs() / loss),
                f"{kind}_gradient": error(found, gradients(exact)),
            }
    print(json.dumps(out))


def _view(adapters: FlatAdapters, p: Tensor) -> Tensor:
    at = (p.data_ptr() - adapters.values.data_ptr()) // 4
    grad = adapters.values.grad
    assert grad is not None
    return grad[at : at + p.numel()].view(p.shape)


if __name__ == "__main__":
    main()
