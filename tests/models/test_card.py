"""The cap on a card's memory, on a stand-in for torch's card: no GPU here, but torch's own rule for its number."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.cuda._utils import _get_device_index

from codefit.core.units import MIB
from codefit.models.card import claim, hold_to, release, release_for_others

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
    assert caps == {1: pytest.approx((7000 - 450) / 80_000)}


def test_a_card_is_made_the_current_one_before_anything_is_asked_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    monkeypatch.setattr(torch.cuda, "init", lambda: told.append("init"))
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: told.append(str(device)))
    claim("cpu")
    assert told == []
    claim("cuda")
    claim("cuda:1")
    assert told == ["init", "init", "cuda:1"]


def test_what_is_no_longer_used_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: told.append("emptied"))
    monkeypatch.setattr(
        torch.cuda, "reset_peak_memory_stats", lambda device: told.append(f"peak of {device}")
    )
    release("cpu")
    release_for_others()  # no card in use
    assert told == []
    release("cuda")
    assert told == ["emptied", "peak of cuda"]
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    release_for_others()
    assert told[2:] == ["emptied"]


@pytest.mark.parametrize(("budget", "device"), [(None, "cuda"), (7000 * MIB, "cpu")])
def test_nothing_is_capped_without_a_budget_or_a_card(
    caps: dict[int, float], budget: int | None, device: str
) -> None:
    hold_to(budget, device)
    assert caps == {}
