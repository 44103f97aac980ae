"""The memory of the device: held to the budget, so that a run that fits the plan fits the card."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from codefit.core.errors import CodefitError
from codefit.core.units import MIB, mib

_MOST_CONTEXT = 1024 * MIB  # CUDA contexts take 0.3 to 0.9 GiB; what is above is other programs'


class OutOfMemory(CodefitError):
    """A step needed more than the budget."""


def hold_to(budget: int | None, device: str) -> None:
    """Cap the allocator so that, with the CUDA context, the process stays within `budget` bytes.

    The context is what of the card is in use and not the allocator's, a desktop's share included, but not
    more than 1 GiB: other programs on a large card do not shrink the budget. Does nothing on a CPU or without
    a budget. Not covered: what a library allocates past torch.
    """
    if budget is None or not device.startswith("cuda"):
        return
    number = torch.device(device).index
    card = torch.cuda.current_device() if number is None else number  # the cap is of a card by its number
    torch.zeros(1, device=torch.device("cuda", card))  # starts the context
    free, total = torch.cuda.mem_get_info(card)
    context = min(total - free - torch.cuda.memory_reserved(card), _MOST_CONTEXT)
    share = max(0, budget - context) / total
    torch.cuda.set_per_process_memory_fraction(min(1.0, share), card)


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
