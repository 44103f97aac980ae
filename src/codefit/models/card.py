"""The GPU that a stage works on: made the current one, emptied of what is no longer used, held to a budget."""

from __future__ import annotations

import gc
import sys

from codefit.core.units import CONTEXT


def claim(device: str) -> None:
    """Make the card of a device such as `cuda:1` the one that streams and kernels are launched on.

    Its number must be named to torch once: a counter asked about `cuda:1` before anything was allocated there fails.
    """
    if not device.startswith("cuda"):
        return
    import torch

    torch.cuda.init()
    if torch.device(device).index is not None:
        torch.cuda.set_device(torch.device(device))


def release(device: str) -> None:
    """Claim the card, give back what earlier models of this process left on it, and let its peak count anew.

    Models with 4-bit weights lie in reference cycles, so the collector must run first.
    """
    gc.collect()
    if not device.startswith("cuda"):
        return
    import torch

    claim(device)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)


def release_for_others() -> None:
    """Give back what this process keeps of any card before another process needs it; imports no torch."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def hold_to(budget: int | None, device: str) -> None:
    """Cap the allocator so that, with a CUDA context as the plan counts it, the process stays within `budget` bytes.

    The context is what of the card is in use and not the allocator's, but not more than the plan's `CONTEXT`: a
    desktop or other programs on a large card do not shrink the budget, and contexts on data-centre cards, which
    are larger (750 MiB on an H100), come on top. Does nothing on a CPU or without a budget. Not covered: what a
    library allocates past torch.
    """
    if budget is None or not device.startswith("cuda"):
        return
    import torch

    number = torch.device(device).index
    card = torch.cuda.current_device() if number is None else number  # the cap is of a card by its number
    torch.zeros(1, device=torch.device("cuda", card))  # starts the context
    free, total = torch.cuda.mem_get_info(card)
    context = min(total - free - torch.cuda.memory_reserved(card), CONTEXT)
    share = max(0, budget - context) / total
    torch.cuda.set_per_process_memory_fraction(min(1.0, share), card)
