"""Packing loses nothing, cuts nothing and depends on the seed only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codefit.format.pack import efficiency, epoch_bins, pack
from tests.train.tiny import random_examples


@given(st.lists(st.integers(1, 50), max_size=80))
def test_every_example_is_in_one_bin_and_no_bin_overflows(lengths: list[int]) -> None:
    bins = pack(lengths, 50)
    assert sorted(i for b in bins for i in b) == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in b) <= 50 for b in bins)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=80))
def test_best_fit_decreasing_is_within_its_bound(lengths: list[int]) -> None:
    optimum = -(-sum(lengths) // 50)
    assert len(pack(lengths, 50)) <= 11 / 9 * optimum + 4 + max(0, sum(x > 25 for x in lengths) - optimum)


def test_a_longer_example_is_refused() -> None:
    with pytest.raises(ValueError, match="over the capacity"):
        pack([3, 60], 50)


def test_epochs_differ_and_repeat_by_seed() -> None:
    examples = random_examples(40)
    first = epoch_bins(examples, 64, 1, 0)
    assert first == epoch_bins(examples, 64, 1, 0)
    assert first != epoch_bins(examples, 64, 1, 1)
    assert first != epoch_bins(examples, 64, 2, 0)
    assert efficiency(examples, first, 64) > 0.85
