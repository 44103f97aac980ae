"""The statistics against worked figures and against scipy."""

from __future__ import annotations

import itertools

import pytest
from scipy.stats import binomtest  # type: ignore[import-untyped]

from codefit.core.errors import InputError
from codefit.score.interval import bootstrap_mean, wilson
from codefit.score.paired import (
    mcnemar_exact,
    minimum_detectable_points,
    paired_bootstrap,
    paired_interval,
    permutation_p,
)
from codefit.score.passk import pass_at_k
from codefit.score.tally import pass_figures


@pytest.mark.parametrize(("n", "c", "k"), [(5, 2, 1), (5, 2, 3), (6, 0, 2), (6, 6, 6), (7, 5, 3)])
def test_pass_at_k_is_the_share_of_draws_that_hold_a_pass(n: int, c: int, k: int) -> None:
    draws = list(itertools.combinations(range(n), k))
    assert pass_at_k(n, c, k) == pytest.approx(sum(min(d) < c for d in draws) / len(draws))


def test_pass_at_k_refuses_to_extrapolate() -> None:
    with pytest.raises(InputError, match="pass@10"):
        pass_at_k(5, 2, 10)
    with pytest.raises(ValueError):
        pass_at_k(5, 6, 1)


@pytest.mark.parametrize(("passed", "n"), [(0, 10), (10, 10), (254, 378), (1, 3), (72, 164)])
def test_wilson_agrees_with_scipy(passed: int, n: int) -> None:
    expected = binomtest(passed, n).proportion_ci(method="wilson")
    assert wilson(passed, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_half_width_of_a_378_task_benchmark() -> None:
    low, high = wilson(259, 378)
    assert 50 * (high - low) == pytest.approx(4.7, abs=0.05)


@pytest.mark.parametrize(("fixed", "broken"), [(17, 6), (26, 12), (0, 0), (8, 1), (5, 5), (45, 28)])
def test_mcnemar_agrees_with_the_binomial_test(fixed: int, broken: int) -> None:
    n = fixed + broken
    expected = binomtest(fixed, n, 0.5).pvalue if n else 1.0
    assert mcnemar_exact(fixed, broken) == pytest.approx(expected)


def test_fourteen_of_378_at_ten_percent_discordance() -> None:
    assert mcnemar_exact(26, 12) == pytest.approx(0.034, abs=0.0005)


@pytest.mark.parametrize(
    ("n", "row"),
    [
        (378, (2.9, 3.7, 4.5, 5.3)),
        (1140, (1.6, 1.9, 2.4, 2.8)),
        (148, (4.7, 6.1, 8.1, 8.1)),
        (164, (4.9, 6.1, 6.7, 7.9)),
    ],
)
def test_minimum_detectable_points_of_the_known_benchmarks(n: int, row: tuple[float, ...]) -> None:
    found = [minimum_detectable_points(n, share) for share in (0.06, 0.10, 0.15, 0.20)]
    assert [round(f or 0, 1) for f in found] == list(row)


def test_too_few_changes_can_show_nothing() -> None:
    assert minimum_detectable_points(100, 0.03) is None


def test_paired_interval_covers_the_difference_and_never_collapses() -> None:
    low, high = paired_interval(45, 28, 399)
    assert low < 17 / 399 < high
    # the published paired standard error of this very comparison is 2.13 points
    assert (high - low) / 2 == pytest.approx(1.96 * 0.0213, rel=0.03)
    low, high = paired_interval(0, 0, 50)
    assert low < 0 < high


def test_bootstrap_agrees_with_the_closed_form_and_repeats() -> None:
    before = [1.0] * 28 + [0.0] * 45 + [1.0] * 200 + [0.0] * 126
    after = [0.0] * 28 + [1.0] * 45 + [1.0] * 200 + [0.0] * 126
    found = paired_bootstrap(before, after, seed=1)
    assert found == paired_bootstrap(before, after, seed=1)
    assert found == pytest.approx(paired_interval(45, 28, 399), abs=0.004)


def test_permutation_agrees_with_mcnemar_on_single_samples() -> None:
    before, after = [1.0] * 12 + [0.0] * 26 + [1.0] * 9, [0.0] * 12 + [1.0] * 26 + [1.0] * 9
    assert permutation_p(before, after) == pytest.approx(mcnemar_exact(26, 12), abs=0.01)


def test_bootstrap_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError):
        bootstrap_mean([])


def test_figures_of_single_and_repeated_samples() -> None:
    single = pass_figures([(1, 1)] * 254 + [(1, 0)] * 124)
    assert single["metric"] == "pass@1"
    assert (single["passed"], single["n"]) == (254, 378)
    assert single["ci95"] == pytest.approx(list(wilson(254, 378)))
    several = pass_figures([(10, 5), (10, 0)], 10)
    assert several["value"] == pytest.approx(0.5)
    assert (several["passed"], several["n"]) == (5, 20)


def test_a_score_over_no_task_is_not_measured() -> None:
    assert pass_figures([])["value"] is None
