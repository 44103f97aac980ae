"""The layers' forward and backward pass as two CUDA graphs: recorded once, then launched as one.

A step of a small model is some thousands of kernels. A fast card is done with them before the processor has
launched them; a graph launches them all at once. Its tensors lie at fixed places, so a micro-batch is padded to
the size that was recorded, by documents of their own that nothing scores. What the graphs keep
stays reserved until they are forgotten: the plan counts it (`plan.lean`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from codefit.train.attention import Documents
from codefit.train.batch import Size
from codefit.train.decoder import Layer, Pass, Rotation

_WARM = 2  # runs before recording: kernels are compiled, workspaces made


class Recorded:
    """Layers for micro-batches of one size, used as a `Pass` is.

    `like_TD`, `where` and `documents` are of a micro-batch of that size; their values do not matter. Records on the
    current stream, on which it has to run.
    """

    def __init__(
        self, layers: Sequence[Layer], size: Size, like_TD: Tensor, where: Rotation, documents: Documents, *,
        recompute: int,
    ) -> None:  # fmt: skip
        self._x_TD, self._grad_TD = torch.zeros_like(like_TD), torch.zeros_like(like_TD)
        self._where = Rotation(where.cos_T1C.clone(), where.sin_T1C.clone())
        # The kernel reads from the lengths the longest only, and where documents lie from `starts`.
        self._documents = Documents((size.longest,), documents.starts.clone())
        stream = torch.cuda.current_stream(like_TD.device)

        def walk() -> Pass:
            return Pass(layers, self._where, self._documents, recompute=recompute)

        for _ in range(_WARM):  # with a gradient of zeros, which adds nothing to the adapters' own
            run = walk()
            run.forward(self._x_TD)
            run.backward(self._grad_TD)
        torch.cuda.empty_cache()
        self._ahead, self._back = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        pool = torch.cuda.graph_pool_handle()
        run = walk()
        with torch.cuda.graph(self._ahead, pool=pool, stream=stream):
            self._out_TD = run.forward(self._x_TD)
        with torch.cuda.graph(self._back, pool=pool, stream=stream):
            self._made_TD = run.backward(self._grad_TD)

    def load(self, where: Rotation, documents: Documents) -> None:
        """Take the positions and documents of a micro-batch."""
        self._where.cos_T1C.copy_(where.cos_T1C)
        self._where.sin_T1C.copy_(where.sin_T1C)
        self._documents.starts.copy_(documents.starts)

    def forward(self, x_TD: Tensor) -> Tensor:
        """Return the last layer's output (T, D), which the next call overwrites."""
        self._x_TD.copy_(x_TD)
        self._ahead.replay()
        return self._out_TD

    def backward(self, grad_TD: Tensor) -> Tensor:
        """Return the gradient of the first layer's input, which the next call overwrites."""
        self._grad_TD.copy_(grad_TD)
        self._back.replay()
        return self._made_TD
