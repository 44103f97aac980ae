"""Full-parameter steps inside the backward pass: no full gradient ever exists.

A weight is stepped as soon as its own gradient is complete, and the gradient is dropped. An embedding
that is also the head would be the exception: its gradient has two parts, of 445 MiB each at 1.5B. Its
update is *deferred*: the forward pass keeps one number per scored position (the log-sum-exp of its logits),
and after the backward pass blocks of vocabulary rows are taken one by one: their logits again, the exact
gradient of both parts, the step. A block's gradient depends on its own rows only, so this equals autograd.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from codefit.plan.lean import TABLE_LOGITS
from codefit.train import simulate
from codefit.train.lowbit import LowBitAdam


@dataclass(frozen=True, slots=True)
class HeadInput:
    """What the head's gradient is made of, for N scored positions.

    `hidden_ND` the last hidden states, `lse_N` the log-sum-exp of their logits, `targets_N` token ids,
    `scale` the factor on the summed loss.
    """

    hidden_ND: Tensor
    lse_N: Tensor
    targets_N: Tensor
    scale: float


@dataclass(frozen=True, slots=True)
class LookupInput:
    """What the embedding's gradient is made of: T token ids and the gradients (T, D) of their rows."""

    ids_T: Tensor
    grads_TD: Tensor


class FusedSteps:
    """Steps parameters as their gradients come, and tables of the vocabulary's height when told to.

    `tables` are the names of the embedding and the head (one name where they are tied), which no hook
    steps. `norm()` is the global gradient norm of the last step; it is known too late to clip by.
    """

    def __init__(
        self, parameters: Mapping[str, nn.Parameter], optimizer: LowBitAdam, tables: set[str]
    ) -> None:
        self._optimizer = optimizer
        self._square = torch.zeros((), device=next(iter(parameters.values())).device)
        for name, parameter in parameters.items():
            if name not in tables:
                parameter.register_post_accumulate_grad_hook(self._hook(name))

    def begin(self, rate: float) -> None:
        """Begin a step with this learning rate."""
        self._square.zero_()
        self._optimizer.begin(rate)

    def norm(self) -> Tensor:
        """Return the norm of all gradients of the step."""
        return self._square.sqrt()

    def _hook(self, name: str) -> Callable[[Tensor], None]:
        def step(parameter: Tensor) -> None:
            if parameter.grad is not None:
                self._update(name, parameter.grad, 0)
                parameter.grad = None

        return step

    def _update(self, name: str, grad: Tensor, start: int) -> None:
        self._square += torch.linalg.vector_norm(grad, dtype=_exact(grad)).square()
        self._optimizer.update(name, grad, start)

    @torch.no_grad()
    def step_table(self, name: str, head: HeadInput | None, lookup: LookupInput | None) -> None:
        """Step a table (V, D) by the gradient of its use as head, as embedding, or as both."""
        table_VD = self._optimizer.parameters[name].detach()
        vocabulary, width = table_VD.shape
        rows = _rows_of_block(width, len(head.targets_N) if head else 0, self._optimizer.block)
        edges = torch.arange(0, vocabulary + rows, rows, device=table_VD.device)
        targets = _Sorted(head.targets_N, edges) if head else None
        ids = _Sorted(lookup.ids_T, edges) if lookup else None
        exact = _exact(table_VD)
        for number, start in enumerate(range(0, vocabulary, rows)):
            block_RD = table_VD[start : start + rows]
            grad_RD = torch.zeros(block_RD.shape, dtype=exact, device=block_RD.device)
            if head and targets:
                which, values = targets.of(number)
                grad_RD += _head_gradient(head, block_RD, which, values - start)
            if lookup and ids:
                which, values = ids.of(number)
                grad_RD.index_add_(0, values - start, lookup.grads_TD[which].to(exact))
            self._update(name, grad_RD, start * width)


class _Sorted:
    """Token ids in order, so that those of a block of the vocabulary are a slice."""

    def __init__(self, ids_N: Tensor, edges: Tensor) -> None:
        self._values, self._order = ids_N.sort(stable=True)
        if simulate.current():  # no values to look at: spread evenly
            self._bounds = [len(ids_N) * i // (len(edges) - 1) for i in range(len(edges))]
        else:
            self._bounds = torch.searchsorted(self._values, edges.to(ids_N.dtype)).tolist()

    def of(self, number: int) -> tuple[Tensor, Tensor]:
        """Return positions and ids of a block."""
        part = slice(self._bounds[number], self._bounds[number + 1])
        return self._order[part], self._values[part]


def _rows_of_block(width: int, positions: int, block: int) -> int:
    """Return rows whose logits take little memory and whose values are whole blocks of the optimizer."""
    unit = block // math.gcd(width, block)
    wanted = TABLE_LOGITS // max(positions, width)
    return max(unit, wanted // unit * unit)


def _head_gradient(head: HeadInput, block_RD: Tensor, which: Tensor, columns: Tensor) -> Tensor:
    share_NR = (head.hidden_ND @ block_RD.T).to(head.lse_N.dtype)
    share_NR.sub_(head.lse_N[:, None]).exp_()
    share_NR[which, columns] -= 1
    share_NR.mul_(head.scale)
    return share_NR.to(head.hidden_ND.dtype).T @ head.hidden_ND


def _exact(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)
