"""What is said where a step needs more memory than the budget or the device has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from codefit.core.errors import CodefitError
from codefit.core.units import mib


class OutOfMemory(CodefitError):
    """A step needed more than the budget."""


@contextmanager
def one_line_for_memory(budget: int | None, folder: Path) -> Iterator[None]:
    """Turn torch's long message about memory into one line; checkpoints are not touched."""
    try:
        yield
    except torch.OutOfMemoryError as e:
        limit = f"the budget of {mib(budget):,.0f} MiB" if budget else "what the device has"
        raise OutOfMemory(
            f"a step needs more memory than {limit}",
            where=str(folder),
            todo="lower format.max_length or train.batch_size, or raise memory; the checkpoints are kept",
        ) from e
