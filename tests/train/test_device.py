"""The cap on a card's memory, on a stand-in for torch's card: no GPU here, but torch's own rule for its number."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.cuda._utils import _get_device_index

from codefit.core.units import MIB
from codefit.train.device import hold_to

TOTAL, IN_USE, RESERVED = 8188 * MIB, 500 * MIB, 100 * MIB


@pytest.fixture
def caps(monkeypatch: pytest.MonkeyPatch) -> dict[int, float]:
    """Return what is capped: card -> share; two cards, the second is the current one."""
    found: dict[int, float] = {}

    def cap(share: float, device: Any) -> None:
        found[_get_device_index(device)] = share  # refuses a device without a number, as torch does

    zeros = torch.zeros
    monkeypatch.setattr(torch, "zeros", lambda *size, device: zeros(*size))
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (TOTAL - IN_USE, TOTAL))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: RESERVED)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", cap)
    return found


@pytest.mark.parametrize(("device", "card"), [("cuda", 1), ("cuda:0", 0), ("cuda:1", 1)])
def test_a_card_is_capped_by_its_number(caps: dict[int, float], device: str, card: int) -> None:
    hold_to(7000 * MIB, device)
    assert caps == {card: pytest.approx((7000 - 400) / 8188)}


def test_a_budget_above_the_card_is_the_whole_card(caps: dict[int, float]) -> None:
    hold_to(24_000 * MIB, "cuda")
    assert caps == {1: 1.0}


def test_other_programs_on_a_large_card_leave_the_budget(
    caps: dict[int, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    large = 80_000 * MIB
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (large // 2, large))
    hold_to(7000 * MIB, "cuda")
    assert caps == {1: pytest.approx((7000 - 1024) / 80_000)}


@pytest.mark.parametrize(("budget", "device"), [(None, "cuda"), (7000 * MIB, "cpu")])
def test_nothing_is_capped_without_a_budget_or_a_card(
    caps: dict[int, float], budget: int | None, device: str
) -> None:
    hold_to(budget, device)
    assert caps == {}
